"""The groups' own policies: what each row is served, exactly, densely and by shares."""

import numpy as np
import pytest

import bandit
from bandit import decide
from bandit.catalogue import offer_grid
from bandit.decide import choose
from bandit.domain import EligibleSets, SparsePolicy
from bandit.errors import PolicyError
from bandit.policies.group_policies import GroupPolicies
from bandit.policies.thompson import policy as thompson
from tests.catalogue.test_groups import NOTHING, RULES, with_groups
from tests.conftest import draw_contexts

NAMES = ("policy", "rules", "random", "holdout")


@pytest.fixture
def grouped(spring):
    return with_groups(spring, rules={"share": 0.1, **RULES, "exploration": 0.2})


def mixed(n, rng):
    return np.array(NAMES, dtype=object)[rng.integers(4, size=n)].tolist()


def test_each_row_has_the_probabilities_of_its_groups_policy(grouped):
    """By hand, for the 8 offers of a loyal customer's 10: the rules give the named one .8 + .2 / 10."""
    rng = np.random.default_rng(1)
    contexts = draw_contexts(grouped, 200, rng)
    eligible = grouped.eligible(contexts)
    labels = mixed(200, rng)
    policy = bandit.ThompsonSampling(grouped)
    routed = GroupPolicies(grouped, grouped.groups).routed(policy, labels)
    given = routed.probabilities(contexts, eligible, np.random.default_rng(7))
    singles = {
        "rules": bandit.SegmentRules.from_dict(grouped, RULES | {"exploration": 0.2}),
        "random": bandit.Uniform(grouped),
        "holdout": bandit.ConstantOffer(grouped, NOTHING),
        "policy": policy,
    }
    for name, single in singles.items():
        rows = np.flatnonzero(np.array(labels) == name)
        expected = single.probabilities(contexts.take(rows), eligible[rows], np.random.default_rng(7))
        assert np.array_equal(given[rows], expected), name
    loyal = grouped.contexts([{"loyal": True}])
    (row,) = (
        GroupPolicies(grouped, grouped.groups)
        .routed(policy, "rules")
        .probabilities(loyal, grouped.eligible(loyal), rng)
    )
    named = grouped.offer_index(NOTHING | {"discount": "10"})
    assert (round(row[named], 12), round(row.min(), 12)) == (0.82, 0.02)


def test_the_probability_of_given_offers_is_that_of_the_whole_vector(grouped):
    """Loyal customers may have other offers than the rest, so the sets differ between rows."""
    rng = np.random.default_rng(2)
    contexts = draw_contexts(grouped, 100, rng)
    eligible = grouped.eligible(contexts)
    offer = np.array([rng.choice(np.flatnonzero(row)) for row in eligible])
    policies, sets = GroupPolicies(grouped, grouped.groups), EligibleSets.of(eligible)
    for name in NAMES[1:]:
        whole = policies.routed(bandit.Uniform(grouped), name).probabilities(contexts, eligible, rng)
        given = policies.probability_of(name, contexts, sets, offer)
        assert given == pytest.approx(whole[np.arange(100), offer], abs=1e-12), name
    with pytest.raises(PolicyError, match='"policy" is served by the policy that learns'):
        policies.probability_of("policy", contexts, sets, offer)


def test_rows_of_the_policy_alone_are_asked_of_the_policy_itself(grouped):
    policy = bandit.ThompsonSampling(grouped)
    policies = GroupPolicies(grouped, grouped.groups)
    assert policies.routed(policy, "policy") is policy
    assert policies.routed(policy, ["policy"] * 3) is policy
    assert policies.asks_policy("policy")
    assert policies.asks_policy(["rules", "policy"])
    assert not policies.asks_policy(["rules", "holdout"])


def test_shares_say_what_probabilities_say(grouped, monkeypatch):
    """The sparse way for many offers gives the same vector as the dense one, for every group."""
    monkeypatch.setattr(thompson, "SEARCH_ABOVE", 0)
    rng = np.random.default_rng(2)
    contexts = draw_contexts(grouped, 300, rng)
    fired = grouped.fired(contexts)
    sets, eligible = grouped.eligible_sets(fired), grouped.eligible(contexts)
    labels = mixed(300, rng)
    policy = bandit.ThompsonSampling(grouped, pairs=False)
    routed = GroupPolicies(grouped, grouped.groups).routed(policy, labels)
    assert isinstance(routed, SparsePolicy)
    assert routed.sparse
    shares = decide.checked_shares(routed.shares(contexts, fired, sets, np.random.default_rng(7)), sets)
    dense = shares.dense(eligible)
    own = np.array(labels) != "policy"
    others = routed.probabilities(contexts, eligible, np.random.default_rng(7))
    assert np.allclose(dense[own], others[own], atol=1e-12)
    asked = policy.shares(
        contexts.take(~own), fired[~own], grouped.eligible_sets(fired[~own]), np.random.default_rng(7)
    )
    assert np.allclose(dense[~own], asked.dense(eligible[~own]), atol=1e-12)


def test_a_holdout_whose_offer_is_not_eligible_gets_the_fallback_and_then_any_eligible_offer(spring):
    """The tote is for the loyal: others get the fallback; where a rule forbids that too, one of the 4 others left of
    the 2 discounts x 2 channels x no gift."""
    spring["rules"].append({"when": "recency > 9", "forbid": {"discount": ["0"]}, "reason": "long gone"})
    tote = {"discount": "0", "channel": "email", "gift": "tote"}
    catalogue = with_groups(spring, holdout={"share": 0.05, "offer": tote})
    contexts = catalogue.contexts(
        [{"loyal": True, "recency": 1.0}, {"loyal": False, "recency": 1.0}, {"loyal": False, "recency": 10.0}]
    )
    policy = GroupPolicies(catalogue, catalogue.groups).routed(bandit.Uniform(catalogue), "holdout")
    choice = choose(policy, catalogue, contexts, np.random.default_rng(1))
    assert choice.offer[:2].tolist() == [catalogue.offer_index(tote), catalogue.fallback]
    assert choice.propensity.tolist() == [1.0, 1.0, 0.25]


def test_many_offers_are_served_by_shares_only(spring, monkeypatch):
    """With more offers than a vector is made for, no group needs one."""
    monkeypatch.setattr(thompson, "SEARCH_ABOVE", 0)
    monkeypatch.setattr(decide, "FEW_OFFERS", 0)
    monkeypatch.setattr(offer_grid, "MAX_DENSE_OFFERS", 5)
    catalogue = with_groups(spring)
    rng = np.random.default_rng(3)
    contexts = draw_contexts(catalogue, 400, rng)
    labels = mixed(400, rng)
    policy = bandit.ThompsonSampling(catalogue, pairs=False)
    routed = GroupPolicies(catalogue, catalogue.groups).routed(policy, labels)
    monkeypatch.setattr(type(routed), "probabilities", lambda *given: pytest.fail("a dense vector was asked for"))
    choice = choose(routed, catalogue, contexts, rng)
    assert choice.fault is None
    is_random, is_holdout = (np.array(labels) == name for name in ("random", "holdout"))
    assert np.allclose(choice.propensity[is_random], 1 / choice.eligible.sum(axis=1)[is_random])
    assert (choice.offer[is_holdout] == catalogue.fallback).all()
    assert (choice.propensity[is_holdout] == 1.0).all()


class Narrow(bandit.Uniform):
    """Answers with one row, however many are asked for."""

    def probabilities(self, contexts, eligible, rng):
        return super().probabilities(contexts, eligible, rng)[:1]


def test_one_row_is_not_spread_over_the_rows_of_a_group(grouped):
    """numpy would broadcast it without a word."""
    contexts = draw_contexts(grouped, 4, np.random.default_rng(1))
    routed = GroupPolicies(grouped, grouped.groups).routed(Narrow(grouped), ["policy", "rules", "policy", "random"])
    with pytest.raises(PolicyError, match=r"shape \(1, 10\) for 2 contexts"):
        routed.probabilities(contexts, grouped.eligible(contexts), np.random.default_rng(1))

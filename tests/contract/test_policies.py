"""The contract that every policy keeps, over each kind of policy and several settings of those that learn."""

import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

import bandit
from bandit.analysis.policy_table import distil
from bandit.domain import MICROSECONDS, Contexts, Policy
from bandit.errors import PolicyError
from bandit.policies import build
from bandit.policies.state import unpack
from bandit.policies.table_file import TableSource
from bandit.policies.thompson.policy import SEARCH_ABOVE
from bandit.policies.vw import VowpalWabbitSlates
from tests.conftest import SPRING, WholeLog, amended, draw_contexts, draw_outcomes

NOTHING = {"discount": "0", "channel": "email", "gift": "none"}
RULES = {
    "exploration": 0.1,
    "segments": [
        {"when": "loyal", "offer": {"discount": "10", "channel": "email", "gift": "tote"}},
        {"when": 'gender == "f"', "offer": {"discount": "20", "channel": "sms", "gift": "none"}},
    ],
    "otherwise": NOTHING,
}
DAY = 86_400 * MICROSECONDS


def spring(kind="profit"):
    return {**copy.deepcopy(SPRING), "objective": {**SPRING["objective"], "kind": kind}}


def without_coupling():
    """SPRING without the rule that couples discount and gift: 12 offers."""
    mapping = spring()
    del mapping["rules"][0]
    return mapping


def ordered():
    """SPRING with a response that never falls with the depth of the discount."""
    mapping = spring()
    mapping["dimensions"][0]["attributes"] = {"depth": {"monotone": "increasing"}}
    return mapping


def many_offers():
    """3 x 7 x 2 x 16 x 16 combinations less the 1,792 of a 20 % discount with a tote: 8,960 offers."""
    mapping = spring()
    mapping["dimensions"][1]["options"] += [{"name": f"c{place}"} for place in range(5)]
    for name in ("item", "size"):
        mapping["dimensions"].append({"name": name, "options": [{"name": f"{name}{place}"} for place in range(16)]})
        mapping["fallback"][name] = f"{name}0"
    return mapping


@dataclass(frozen=True)
class Case:
    """A policy with its catalogue, how many outcomes it has learned, and whether dimensions may change places."""

    make: Callable[[bandit.Catalogue], Policy]
    mapping: dict = field(default_factory=spring)
    n: int = 700
    dimensions_permute: bool = True


def thompson(**settings):
    return lambda catalogue: bandit.ThompsonSampling(catalogue, **settings)


def policy_table(catalogue):
    """The table of a little trained Thompson sampling over 400 contexts."""
    log = WholeLog(outcomes_of(catalogue, 400, 21).batch)
    policy = bandit.ThompsonSampling(catalogue, draws=16)
    policy.fit(log)
    return distil(log, policy, catalogue, TableSource("thompson", "thompson"), "2026-11-27").table


CASES = {
    "uniform": Case(bandit.Uniform),
    "constant": Case(lambda catalogue: bandit.ConstantOffer(catalogue, NOTHING)),
    "rules": Case(lambda catalogue: bandit.SegmentRules.from_dict(catalogue, RULES)),
    "table": Case(policy_table),
    "thompson": Case(thompson()),
    "thompson, untrained": Case(thompson(), n=0),
    "thompson, warm-up": Case(thompson(), n=70),
    "thompson, width 1": Case(thompson(width=1.0, floor=0.2, draws=16)),
    "thompson, plain": Case(thompson(pairs=False, personal=False)),
    "thompson, half-life": Case(thompson(half_life="30d")),
    "thompson, conversion": Case(thompson(), spring("conversion")),
    "thompson, revenue": Case(thompson(), spring("revenue")),
    "thompson, reward": Case(thompson(), spring("reward")),
    "thompson, monotone": Case(thompson(), ordered()),
    "thompson, search": Case(thompson(pairs=False, draws=16), many_offers(), 300),
    "vw": Case(bandit.VowpalWabbit),
    "vw, warm-up": Case(bandit.VowpalWabbit, n=100),
    "vw, slates": Case(VowpalWabbitSlates, without_coupling(), dimensions_permute=False),
    "vw, slates, warm-up": Case(VowpalWabbitSlates, without_coupling(), 100),
}


@pytest.fixture(params=CASES)
def name(request):
    return request.param


@pytest.fixture
def case(name):
    return CASES[name]


@cache
def learned(name):
    """The catalogue of a case, its outcomes, and a policy that has learned them where it can be copied; made once."""
    case = CASES[name]
    catalogue = bandit.Catalogue.from_dict(case.mapping)
    outcomes, policy = outcomes_of(catalogue, case.n, 5), case.make(catalogue)
    if not isinstance(policy, bandit.ThompsonSampling):
        return catalogue, outcomes, None
    policy.update(outcomes)
    return catalogue, outcomes, policy


@pytest.fixture
def catalogue(name):
    return learned(name)[0]


@pytest.fixture
def policy(name, case):
    """The test's own: a copy, made as the engine makes one, where its kind has any; else one that learns anew."""
    catalogue, outcomes, known = learned(name)
    if known is not None:
        return known.copy()
    policy = case.make(catalogue)
    policy.update(outcomes)
    return policy


def outcomes_of(catalogue, n, seed):
    """n outcomes, an hour apart."""
    return amended(
        draw_outcomes(catalogue, n, np.random.default_rng(seed)), time=np.arange(n, dtype=np.int64) * (DAY // 24)
    )


def turned(catalogue, outcomes, rng):
    """Corrections of outcomes: what had no response has one, and the other way round."""
    n = len(outcomes)
    converted = ~outcomes.converted
    revenue = np.where(converted, rng.lognormal(4.0, 0.5, n), 0.0)
    return amended(
        outcomes,
        converted=converted,
        revenue=revenue,
        reward=catalogue.objective.reward(catalogue.money, outcomes.offer, converted, revenue, revenue),
        is_update=np.ones(n, dtype=bool),
        previous_converted=outcomes.converted,
        previous_revenue=outcomes.revenue,
        previous_reward=outcomes.reward,
        previous_weight=outcomes.weight,
    )


def probabilities(policy, contexts, eligible, seed=1):
    return policy.probabilities(contexts, eligible, np.random.default_rng(seed))


def assert_probabilities(chosen, eligible):
    """Rows sum to 1, nothing is negative, and offers that are not eligible have exactly 0."""
    assert chosen.shape == eligible.shape
    assert chosen.dtype == np.float64
    np.testing.assert_allclose(chosen.sum(axis=1), 1.0, atol=1e-12)
    assert (chosen >= 0).all()
    assert not chosen[~eligible].any()


def assert_same_up_to_ties(one, other, policy):
    """Equal rows; another order of additions may turn ties of Thompson's draws, in 1 row of 20, by 2 draws each."""
    draws = getattr(policy, "draws", None)
    off = np.abs(one - other).max(axis=1)
    if draws is None:
        np.testing.assert_allclose(one, other, atol=1e-12)
    else:
        assert (off > 1e-9).mean() <= 0.05
        assert (off <= 2.0 / draws).all()


class TestProbabilities:
    def test_it_obeys_the_protocol(self, policy):
        assert isinstance(policy, Policy)
        assert policy.name
        assert isinstance(policy.learns, bool)

    def test_rows_sum_to_1_and_are_0_where_not_eligible(self, policy, catalogue):
        contexts = draw_contexts(catalogue, 60, np.random.default_rng(1))
        eligible = catalogue.eligible(contexts)
        assert_probabilities(probabilities(policy, contexts, eligible), eligible)

    def test_any_eligible_set_of_at_least_one_offer_is_served(self, policy, catalogue):
        rng = np.random.default_rng(2)
        contexts = draw_contexts(catalogue, 40, rng)
        eligible = rng.random((40, catalogue.n_offers)) < 0.3
        eligible[np.arange(40), rng.integers(0, catalogue.n_offers, 40)] = True
        eligible[0] = np.arange(catalogue.n_offers) == 3  # a single one
        chosen = probabilities(policy, contexts, eligible)
        assert_probabilities(chosen, eligible)
        assert chosen[0, 3] == pytest.approx(1.0)

    def test_a_call_changes_nothing_but_the_generator(self, policy, catalogue):
        contexts = draw_contexts(catalogue, 20, np.random.default_rng(3))
        eligible = np.array(catalogue.eligible(contexts))
        given = copy.deepcopy(contexts), eligible.copy()
        before, spec = policy.dumps(), dict(policy.spec())
        first = probabilities(policy, contexts, eligible)
        np.testing.assert_array_equal(first, probabilities(policy, contexts, eligible))
        assert (policy.dumps(), dict(policy.spec())) == (before, spec)
        np.testing.assert_array_equal(eligible, given[1])
        for name, column in contexts.columns.items():
            np.testing.assert_array_equal(column, given[0].columns[name])

    def test_each_context_has_the_probabilities_that_it_has_alone(self, policy, catalogue):
        """With the same state of the generator, in a batch, one by one and in another order."""
        contexts = draw_contexts(catalogue, 40, np.random.default_rng(4))
        eligible = catalogue.eligible(contexts)
        together = probabilities(policy, contexts, eligible)
        rows = [slice(row, row + 1) for row in range(40)]
        apart = np.concatenate([probabilities(policy, contexts.take(row), eligible[row]) for row in rows])
        assert_same_up_to_ties(together, apart, policy)
        order = np.random.default_rng(5).permutation(40)
        turned = probabilities(policy, contexts.take(order), eligible[order])
        assert_same_up_to_ties(together[order], turned, policy)

    def test_they_permute_with_the_offers(self, case, catalogue):
        """The same market with dimensions and options reversed, learned alike, gives each offer the same probability.

        Thompson sampling at width 0, where a draw is the mean: with a width, draws differ between the two catalogues.
        VW's slates learn slot after slot, so that there only the options of a dimension may change places.
        """
        reversed_ = copy.deepcopy(case.mapping)
        for dimension in reversed_["dimensions"]:
            dimension["options"].reverse()
        if case.dimensions_permute:
            reversed_["dimensions"].reverse()
        other = bandit.Catalogue.from_dict(reversed_)
        place = other.offer_indices(catalogue.offers(np.arange(catalogue.n_offers)))
        order = np.argsort(place)
        outcomes = outcomes_of(catalogue, case.n, 6)
        moved = amended(outcomes, offer=place[outcomes.offer], eligible=outcomes.eligible[:, order])
        spec = dict(case.make(catalogue).spec())
        if "width" in spec:
            spec["width"] = 0.0
        one, turned = build(catalogue, spec), build(other, spec)
        one.update(outcomes)
        turned.update(moved)
        contexts = draw_contexts(catalogue, 100, np.random.default_rng(7))
        eligible = catalogue.eligible(contexts)
        a = probabilities(one, contexts, eligible)
        b = probabilities(turned, contexts, eligible[:, order])[:, place]
        np.testing.assert_allclose(a, b, atol=1e-5)
        assert (place != np.arange(catalogue.n_offers)).any()


class TestLearning:
    def test_unknown_propensities_are_learned_from(self, policy, catalogue):
        policy.update(amended(outcomes_of(catalogue, 30, 8), propensity=np.full(30, np.nan)))
        contexts = draw_contexts(catalogue, 10, np.random.default_rng(9))
        eligible = catalogue.eligible(contexts)
        assert_probabilities(probabilities(policy, contexts, eligible), eligible)

    def test_partial_outcomes_and_corrections_are_learned_from(self, policy, catalogue):
        """Four tenths of a silence, then the whole outcome, then its return."""
        outcomes = outcomes_of(catalogue, 30, 10)
        silent, zero, yes = np.zeros(30, dtype=bool), np.zeros(30), np.ones(30, dtype=bool)
        part = np.full(30, 0.4)
        steps = [
            amended(outcomes, converted=silent, revenue=zero, reward=zero, weight=part, previous_weight=zero),
            amended(outcomes, is_update=yes, weight=np.ones(30), previous_weight=part),
            amended(
                amended(outcomes, converted=silent, revenue=zero, reward=zero),
                is_update=yes,
                previous_converted=outcomes.converted,
                previous_revenue=outcomes.revenue,
                previous_reward=outcomes.reward,
            ),
        ]
        contexts = draw_contexts(catalogue, 10, np.random.default_rng(11))
        eligible = catalogue.eligible(contexts)
        for step in steps:
            policy.update(step)
            assert_probabilities(probabilities(policy, contexts, eligible), eligible)

    def test_customers_may_be_unknown_or_new(self, policy, catalogue):
        outcomes = outcomes_of(catalogue, 20, 12)
        drawn = draw_contexts(catalogue, 20, np.random.default_rng(13))
        anonymous = Contexts(20, drawn.columns, drawn.text)
        strangers = Contexts(20, drawn.columns, drawn.text, np.array([f"new-{row}" for row in range(20)], dtype=object))
        eligible = catalogue.eligible(drawn)
        for contexts in (anonymous, strangers):
            assert_probabilities(probabilities(policy, contexts, eligible), eligible)
            policy.update(amended(outcomes, contexts=contexts))
            assert_probabilities(probabilities(policy, contexts, eligible), eligible)

    def test_an_empty_batch_changes_nothing(self, policy, catalogue):
        before = policy.dumps()
        policy.update(outcomes_of(catalogue, 10, 14).take(slice(0, 0)))
        assert policy.dumps() == before
        contexts = draw_contexts(catalogue, 3, np.random.default_rng(15)).take(slice(0, 0))
        eligible = np.ones((0, catalogue.n_offers), dtype=bool)
        assert probabilities(policy, contexts, eligible).shape == eligible.shape

    def test_only_a_policy_that_learns_changes(self, policy, catalogue):
        before = policy.dumps()
        policy.update(outcomes_of(catalogue, 20, 16))
        assert (policy.dumps() != before) == policy.learns


class TestState:
    def test_state_and_description_make_the_same_policy_again(self, policy, catalogue):
        again = build(catalogue, policy.spec())
        assert type(again) is type(policy)
        again.loads(policy.dumps())
        contexts = draw_contexts(catalogue, 30, np.random.default_rng(17))
        eligible = catalogue.eligible(contexts)
        np.testing.assert_array_equal(
            probabilities(policy, contexts, eligible), probabilities(again, contexts, eligible)
        )
        assert again.spec() == policy.spec()
        assert again.dumps() == policy.dumps()

    def test_a_reloaded_policy_learns_on_as_the_one_that_was_never_saved(self, policy, catalogue):
        again = build(catalogue, policy.spec())
        again.loads(policy.dumps())
        for seed in (18, 19):
            more = outcomes_of(catalogue, 60, seed)
            policy.update(more)
            again.update(more)
        assert again.dumps() == policy.dumps()

    @pytest.mark.slow
    def test_a_policy_reloaded_again_and_again_learns_corrections_as_the_one_that_never_was(self, case, catalogue):
        """14,000 outcomes, so that samples of 8,192 overflow, in steps of 1 to 600, half of them with corrections.

        One of ten steps stores and loads the second policy. Among the corrected outcomes are many alike.
        """
        policy = case.make(catalogue)
        if not policy.learns or case.n != Case.n:
            pytest.skip("nothing is learned, or it is a case of a policy with little learning")
        again = build(catalogue, policy.spec())
        again.loads(policy.dumps())
        rng = np.random.default_rng(2)
        learned, n = [], 0
        while n < 14_000:
            size = int(rng.choice([1, 1, 1, 2, 7, 40, 600]))
            outcomes = outcomes_of(catalogue, size, int(rng.integers(2**30)))
            steps = [amended(outcomes, time=outcomes.time + n * (DAY // 24))]
            learned.append(steps[0])
            n += size
            if rng.random() < 0.5:
                some = learned[int(rng.integers(len(learned)))]
                count = min(len(some), int(rng.choice([1, 1, 3, 30])))
                steps.append(turned(catalogue, some.take(np.sort(rng.choice(len(some), count, replace=False))), rng))
            for step in steps:
                policy.update(step)
                again.update(step)
            if rng.random() < 0.1:
                stored, again = again.dumps(), build(catalogue, policy.spec())
                again.loads(stored)
        assert again.dumps() == policy.dumps()

    def test_bytes_of_anything_else_are_refused_and_nothing_changes(self, policy, catalogue):
        before = policy.dumps()
        packed = io.BytesIO()
        np.savez_compressed(packed, a=np.zeros(3))
        learned = bandit.VowpalWabbit(catalogue) if isinstance(policy, bandit.ThompsonSampling) else None
        foreign = learned or bandit.ThompsonSampling(catalogue, pairs=False)
        for other in (
            b"rubbish",
            before[: len(before) // 2] or b"x",
            pickle.dumps({"kind": "thompson"}),
            packed.getvalue(),
            foreign.dumps(),
        ):
            with pytest.raises(PolicyError):
                policy.loads(other)
        assert policy.dumps() == before

    def test_states_are_numbers_and_texts_and_never_a_pickle(self, policy, monkeypatch):
        def refuse(*_, **__):
            raise AssertionError("a pickle")

        for name in ("dump", "dumps", "load", "loads"):
            monkeypatch.setattr(pickle, name, refuse)
        state = policy.dumps()
        policy.loads(state)
        assert bool(state) == policy.learns
        if state:
            _, arrays = unpack(state)
            assert {array.dtype.kind for array in arrays.values()} <= set("biufSU")


def test_the_searching_policy_has_more_offers_than_are_scored():
    """The premise of the case "thompson, search"."""
    catalogue = bandit.Catalogue.from_dict(many_offers())
    assert catalogue.n_offers == 8_960 > SEARCH_ABOVE
    assert CASES["thompson, search"].make(catalogue).sparse

"""Many offers, from the catalogue to the log: the drawing of sparse decisions, faults, and the engine."""

import copy
import dataclasses

import numpy as np
import pytest

import bandit
from bandit import decide
from bandit.catalogue import eligibility, offer_grid
from bandit.decide import checked_shares, choose, draw_shares
from bandit.domain import MICROSECONDS, EligibleSets, SparseProbabilities
from bandit.engine import decisions
from bandit.errors import NoEligibleOfferError, PolicyError
from bandit.policies.thompson import policy
from tests.conftest import SPRING, draw_contexts

KEY = b"a key for our tests"


def large(n_items=250, n_channels=7):
    """3 discounts x 2 gifts x 7 x 250 = 10,500 combinations, less the 1,750 of a 20 % discount with a tote: 8,750."""
    mapping = copy.deepcopy(SPRING)
    mapping["dimensions"][1]["options"] += [{"name": f"c{place}"} for place in range(n_channels - 2)]
    mapping["dimensions"].append({"name": "item", "options": [{"name": f"i{place}"} for place in range(n_items)]})
    mapping["fallback"]["item"] = "i0"
    return mapping


@pytest.fixture
def search_all(monkeypatch):
    """Thompson sampling searches, and decisions go by shares, however few the offers are."""
    monkeypatch.setattr(policy, "SEARCH_ABOVE", 0)
    monkeypatch.setattr(decide, "FEW_OFFERS", 0)


class TestDrawing:
    """From shares an offer is drawn, with the probability that is logged."""

    sets = EligibleSets(
        np.array([[True, True, False, True, True], [False, True, False, False, False]]),
        np.array([4, 1]),
        np.array([0, 1]),
    )

    def rows(self, n, offers, share, floor, which=0):
        row = np.full(n, which)
        sets = EligibleSets(self.sets.masks, self.sets.counts, row)
        return SparseProbabilities(
            np.tile(offers, (n, 1)), np.tile(share, (n, 1)), np.full(n, floor), sets.n_eligible
        ), sets

    def test_offers_are_drawn_as_often_as_their_shares_say(self):
        """Offer 0 has .3 + .2 / 4, offer 3 twice .25 + .2 / 4, offers 1 and 4 the floor's .05 each; 40,000 draws."""
        n = 40_000
        shares, sets = self.rows(n, [0, 3, 3], [0.3, 0.25, 0.25], 0.2)
        checked_shares(shares, sets)
        drawn = draw_shares(shares, sets, np.random.default_rng(1))
        p = np.array([0.35, 0.05, 0.0, 0.55, 0.05])
        error = np.sqrt(np.maximum(p * (1 - p), 1e-12) / n)
        seen = np.bincount(drawn, minlength=5) / n
        assert (np.abs(seen - p) <= 5 * error).all()
        assert (np.abs(seen - p[::-1]) > 5 * error).any()  # the control
        np.testing.assert_allclose(shares.of(drawn), p[drawn])
        np.testing.assert_allclose(shares.dense(sets.dense())[0], p)

    def test_the_only_eligible_offer_of_many_is_found_where_random_picks_miss_it(self):
        """One of 200,000 is eligible: 32 picks miss it all but always, and it is drawn all the same."""
        masks = np.zeros((1, 200_000), dtype=bool)
        masks[0, 123_456] = True
        sets = EligibleSets(masks, np.array([1]), np.zeros(5, dtype=np.int64))
        nothing = np.zeros((5, 0))
        shares = SparseProbabilities(nothing.astype(np.int64), nothing, np.ones(5), sets.n_eligible)
        assert draw_shares(checked_shares(shares, sets), sets, np.random.default_rng(1)).tolist() == [123_456] * 5
        assert shares.of(np.full(5, 123_456)).tolist() == [1.0] * 5

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"offers": np.array([[2, 3]])}, "not eligible"),
            ({"share": np.array([[0.9, -0.1]])}, "negative"),
            ({"share": np.array([[0.9, np.nan]])}, "finite"),
            ({"floor": np.array([0.3])}, "sum to 1"),
            ({"n_eligible": np.array([5])}, "sum to 1"),
            ({"share": np.array([[0.8]])}, "shape"),
        ],
    )
    def test_shares_that_are_no_probabilities_are_refused(self, change, words):
        shares, sets = self.rows(1, [0, 3], [0.4, 0.4], 0.2)
        checked_shares(shares, sets)
        with pytest.raises(PolicyError, match=words):
            checked_shares(dataclasses.replace(shares, **change), sets)


class Broken(bandit.ThompsonSampling):
    """Fails whenever it is asked."""

    def shares(self, contexts, fired, eligible, rng):
        raise RuntimeError("the model is gone")


@pytest.mark.parametrize("n", [1, 3])
def test_a_fault_ends_in_the_fallback_or_in_an_even_draw(spring, search_all, n):
    spring["rules"].append({"when": 'gender == "m"', "forbid": {"discount": ["0"]}})  # the fallback is not eligible
    catalogue = bandit.Catalogue.from_dict(spring)
    contexts = catalogue.contexts([{"gender": "m", "loyal": True}] * n)
    choice = choose(Broken(catalogue, pairs=False), catalogue, contexts, np.random.default_rng(1))
    assert choice.offer.tolist() == [catalogue.fallback] * n
    assert choice.propensity.tolist() == [1.0] * n
    assert choice.eligible[:, catalogue.fallback].all()
    assert "the model is gone" in choice.fault
    del spring["fallback"]
    without = bandit.Catalogue.from_dict(spring)
    choice = choose(Broken(without, pairs=False), without, contexts, np.random.default_rng(1))
    assert choice.propensity.tolist() == [1 / 6] * n
    np.testing.assert_allclose(choice.probabilities, choice.eligible / 6)


def test_where_the_rules_leave_nothing_the_fallback_is_the_one_offer(spring, search_all):
    spring["rules"].append({"when": 'gender == "m"', "forbid": {"channel": ["email", "sms"]}, "reason": "opted out"})
    catalogue = bandit.Catalogue.from_dict(spring)
    contexts = catalogue.contexts([{"gender": "f"}, {"gender": "m"}, {"gender": "m"}], ["f-1", "m-1", "m-2"])
    choice = choose(bandit.ThompsonSampling(catalogue, pairs=False), catalogue, contexts, np.random.default_rng(1))
    assert choice.fault is None
    assert choice.eligible.sum(axis=1).tolist() == [6, 1, 1]
    assert choice.offer[1:].tolist() == [catalogue.fallback] * 2
    assert choice.propensity[1:].tolist() == [1.0] * 2
    del spring["fallback"]
    without = bandit.Catalogue.from_dict(spring)
    with pytest.raises(NoEligibleOfferError, match=r"context 2 .*opted out"):
        choose(bandit.ThompsonSampling(without, pairs=False), without, contexts, np.random.default_rng(1))


@pytest.mark.slow
def test_thousands_of_offers_are_decided_logged_learned_and_verified(tmp_path):
    """Alone and in batches; what is logged is the probability that the policy gives densely for the same draw."""
    catalogue = bandit.Catalogue.from_dict(large())
    assert catalogue.n_offers == 8_750
    clock = [1_700_000_000 * MICROSECONDS]
    policy = bandit.ThompsonSampling(catalogue, pairs=False)
    assert policy.sparse
    with bandit.Engine.open(
        tmp_path / "offers.db", catalogue, policy, seed=7, customer_key=KEY, clock=lambda: clock[0]
    ) as engine:
        for step in range(2):
            decision = engine.decide(f"c-{step}", {"gender": "f", "loyal": step == 0}, decision_id=f"one-{step}")
            assert decision.fault is None
            assert decision.eligible[decision.offer_index]
            assert decision.probabilities[decision.offer_index] == pytest.approx(decision.propensity, abs=1e-15)
            assert decision.probabilities.sum() == pytest.approx(1.0)
            again = engine.decide(f"c-{step}", {"gender": "f", "loyal": step == 0}, decision_id=f"one-{step}")
            assert (again.offer, again.propensity) == (decision.offer, decision.propensity)
            assert np.isnan(again.probabilities).all()
            batch = engine.decide_batch(
                [f"c-{row}" for row in range(30)], [{"loyal": row % 3 == 0, "recency": float(row)} for row in range(30)]
            )
            assert batch.eligible[np.arange(30), batch.offer_index].all()
            assert batch.eligible.sum(axis=1).tolist() == [8_750 if row % 3 == 0 else 5_250 for row in range(30)]
            same = engine.decide_batch([f"c-{row}" for row in range(4)], [{"loyal": True}] * 4)
            assert same.eligible.shape == (4, 8_750)
            engine.record_batch(batch.decision_ids[:9], "purchase", revenue=np.linspace(20.0, 90.0, 9))
            clock[0] += 8 * 86_400 * MICROSECONDS
            assert engine.learn().n > 0
        found = engine.verify()
        assert found.problems == ()
        assert found.n_recomputed == 70


def test_probability_vectors_are_kept_on_request(tmp_path, search_all):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    policy = bandit.ThompsonSampling(catalogue, pairs=False)
    with bandit.Engine.open(
        tmp_path / "offers.db", catalogue, policy, seed=7, customer_key=KEY, keep_probabilities=True
    ) as engine:
        batch = engine.decide_batch(["a", "b"], [{"loyal": True}, {"loyal": False}])
        np.testing.assert_allclose(batch.probabilities[np.arange(2), batch.offer_index], batch.propensity)
        decision = engine.decide("a", {"loyal": True}, decision_id="kept")
        again = engine.decide("a", {"loyal": True}, decision_id="kept")
        np.testing.assert_array_equal(again.probabilities, decision.probabilities)
        assert engine.verify().problems == ()


def test_many_offers_are_refused_for_a_policy_that_scores_every_offer(tmp_path, catalogue, monkeypatch):
    monkeypatch.setattr(decisions, "MAX_DENSE_OFFERS", 9)
    with pytest.raises(PolicyError, match='"uniform" weighs every offer, and the catalogue has 10'):
        bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY)


def test_compact_columns_equal_plain_ones(spring, monkeypatch):
    """Above a number of offers options take a byte each and rules' masks are made when asked for; all is as before."""
    few = bandit.Catalogue.from_dict(spring)
    contexts = draw_contexts(few, 40, np.random.default_rng(1))
    masks, options = few.eligible(contexts), few.options
    for module in (eligibility, offer_grid):
        monkeypatch.setattr(module, "MAX_DENSE_OFFERS", 5)
    many = bandit.Catalogue.from_dict(spring)
    assert many.options.dtype == np.uint8
    np.testing.assert_array_equal(many.options, options)
    np.testing.assert_array_equal(many.eligible(contexts), masks)
    np.testing.assert_array_equal(many.rules[1].forbids, few.rules[1].forbids)
    np.testing.assert_array_equal(many.offer_indices(few.offers(np.arange(10))), np.arange(10))
    for row in range(10):
        one = contexts.take(slice(row, row + 1))
        np.testing.assert_array_equal(many.eligible(one)[0], masks[row])
        assert [removal.offers for removal in many.removals(one)] == [removal.offers for removal in few.removals(one)]


@pytest.mark.slow
def test_ten_million_offers_are_numbered_and_their_masks_counted():
    """10^7 less the 10^5 that the stacking rule forbids; a conditional rule takes a tenth of a tenth of the rest."""
    dimensions = [
        {"name": f"d{place}", "options": [{"name": str(option)} for option in range(10)]} for place in range(7)
    ]
    rules = [
        {"forbid": {"d0": ["0"], "d6": ["1"]}},
        {"when": "not loyal", "forbid": {"d1": ["3"], "d2": ["4"]}, "reason": "for the loyal"},
    ]
    mapping = {"dimensions": dimensions, "rules": rules, "context": {"loyal": {"type": "boolean"}}}
    catalogue = bandit.Catalogue.from_dict(mapping)
    assert catalogue.n_offers == 9_900_000
    assert catalogue.options.nbytes == 7 * 9_900_000
    chosen = np.random.default_rng(1).integers(9_900_000, size=1_000)
    np.testing.assert_array_equal(catalogue.offer_indices(catalogue.offers(chosen)), chosen)
    sets = catalogue.eligible_sets(catalogue.fired(catalogue.contexts([{"loyal": True}, {"loyal": False}, {}])))
    assert sets.n_eligible.tolist() == [9_900_000, 9_801_000, 9_801_000]

"""Robust revenue in Thompson sampling: absurd amounts do not rule, and are removed as they were learned."""

import copy

import numpy as np
import pytest

import bandit
from bandit.models.tail_weights import ANY_OFFER_NUMBER
from tests.conftest import SPRING, amended, draw_contexts, draw_outcomes
from tests.policies.thompson.test_carried import carried
from tests.policies.tools import OutcomesLog, catalogue_for

N = 800
PLACES = [0, 3, 20]
"""Which purchase of about 160 is the absurd one: the first, one of the first dozen outcomes, a later one."""


def outcomes(catalogue, amounts=None, n=N):
    """800 outcomes, a fifth of them purchases of about 55; `amounts` replaces some of these by (place, amount)."""
    drawn = draw_outcomes(catalogue, n, np.random.default_rng(1))
    bought = np.flatnonzero(drawn.converted)
    revenue = drawn.revenue.copy()
    for place, amount in amounts or ():
        revenue[bought[place]] = amount
    return amended(drawn, revenue=revenue)


def policy_of(catalogue, learned, robust=True, step=100):
    policy = bandit.ThompsonSampling(catalogue, methods=["robust"] if robust else [])
    for start in range(0, len(learned), step):
        policy.update(learned.take(slice(start, start + step)))
    return policy


def revenues(policy):
    """Expected revenue given a conversion, of every offer for 50 customers."""
    contexts = draw_contexts(policy.catalogue, 50, np.random.default_rng(2))
    return np.exp(policy.posterior(contexts).log_revenue(np.arange(policy.catalogue.n_offers)))


def largest_change(policy, other):
    return float(np.abs(revenues(policy) / revenues(other) - 1.0).max())


@pytest.mark.parametrize("amount", [1e13, 1e100, 1e-8])
@pytest.mark.parametrize("place", [*PLACES, -1])
def test_one_absurd_amount_among_800_outcomes_moves_no_prediction_by_a_tenth(amount, place):
    catalogue = catalogue_for("revenue")
    clean = policy_of(catalogue, outcomes(catalogue))
    assert largest_change(policy_of(catalogue, outcomes(catalogue, [(place, amount)])), clean) < 0.1


def test_without_robust_weights_one_absurd_amount_rules():
    """The control: every offer is then thought to bring more than twice as much."""
    catalogue = catalogue_for("revenue")
    plain, absurd = outcomes(catalogue), outcomes(catalogue, [(20, 1e13)])
    assert (revenues(policy_of(catalogue, absurd, robust=False)) > 2.0 * revenues(policy_of(catalogue, plain))).all()


def test_amounts_without_outliers_are_learned_as_they_were():
    """Of 160 lognormal amounts about one lies beyond three deviations: no prediction differs by 3 %."""
    catalogue = catalogue_for("revenue")
    drawn = outcomes(catalogue)
    assert largest_change(policy_of(catalogue, drawn), policy_of(catalogue, drawn, robust=False)) < 0.03


def test_a_whole_log_is_fitted_as_it_is_learned_outcome_by_outcome():
    """Five gross errors: at once and in steps of 7 predictions agree to 5 %, and to 10 % with those without errors."""
    catalogue = catalogue_for("revenue")
    wrong = outcomes(catalogue, [(place, 1e9) for place in (2, 11, 40, 80, 120)])
    clean = policy_of(catalogue, outcomes(catalogue))
    fitted = bandit.ThompsonSampling(catalogue, methods=["robust"])
    fitted.fit(OutcomesLog(wrong))
    assert largest_change(policy_of(catalogue, wrong, step=7), fitted) < 0.05
    assert largest_change(fitted, clean) < 0.1
    assert len(fitted.online.belief.amount.remembered) >= 5


@pytest.mark.parametrize("place", [20, 150])
def test_an_absurd_amount_that_is_corrected_leaves_the_belief_of_the_right_one(place):
    """1e13 becomes 50, or is sent back: what it was learned with is removed, through a state that was read again.

    The control: with its full weight removed the predictions are off by more than that.
    """
    catalogue = catalogue_for("revenue")
    wrong = outcomes(catalogue, [(place, 1e13)], n=1_000)
    right = outcomes(catalogue, [(place, 50.0)], n=1_000)
    row = np.flatnonzero(wrong.converted)[place]
    one, late = wrong.take(slice(row, row + 1)), wrong.take(np.arange(1_000) != row)
    correction = amended(
        right.take(slice(row, row + 1)),
        is_update=np.ones(1, dtype=bool),
        previous_converted=one.converted,
        previous_revenue=one.revenue,
        previous_reward=one.reward,
    )
    learned = policy_of(catalogue, late)
    learned.update(one)
    assert len(learned.online.belief.amount.remembered) >= 1
    again = bandit.ThompsonSampling(catalogue, methods=["robust"])
    again.loads(learned.dumps())
    expected = policy_of(catalogue, late)
    expected.update(right.take(slice(row, row + 1)))
    for policy in (learned, again):
        n = len(policy.online.belief.amount.remembered)
        policy.update(correction)
        assert len(policy.online.belief.amount.remembered) == n - 1
        assert largest_change(policy, expected) < 0.005
    assert again.dumps() == learned.dumps()
    careless = policy_of(catalogue, late)
    careless.update(one)
    careless.online.belief.amount.remembered.take(one.offer, np.log(one.revenue))
    careless.update(correction)
    assert largest_change(careless, expected) > 0.05


def test_the_remembered_weights_go_with_the_belief_to_another_catalogue():
    mapping = {**SPRING, "objective": {**SPRING["objective"], "kind": "revenue"}}
    before = bandit.Catalogue.from_dict(mapping)
    policy = policy_of(before, outcomes(before, [(20, 1e13)]))
    changed = copy.deepcopy(mapping)
    changed["dimensions"][1]["options"].append({"name": "call"})
    target, _ = carried(policy, bandit.Catalogue.from_dict(changed), methods=["robust"])
    amount = target.online.belief.amount
    assert len(amount.remembered) == len(policy.online.belief.amount.remembered)
    assert (amount.state()[1]["tail_offer"] == ANY_OFFER_NUMBER).all()


def test_raw_rewards_are_learned_as_they_are():
    """Most raw rewards are 0, and the few that are not are no errors: the method leaves them alone, bit for bit."""
    catalogue = catalogue_for("reward")
    drawn = draw_outcomes(catalogue, 600, np.random.default_rng(3))
    contexts = draw_contexts(catalogue, 20, np.random.default_rng(4))
    robust, plain = (policy_of(catalogue, drawn, robust=robust) for robust in (True, False))
    assert np.array_equal(robust.predict(contexts), plain.predict(contexts))

"""The weights of arms: Bayes' rule by hand, and the propensities of a mixture by the frequency of what it serves."""

import numpy as np
import pytest
from scipy.stats import chi2

from bandit.rollout import LivePolicy, RolloutState
from bandit.rollout.mixture import ArmWeights
from bandit.store import ArmColumns


def state(share=0.25, challengers=(), **changes):
    policies = ()
    if challengers:
        rest = 1.0 - sum(challengers)
        policies = (LivePolicy(1, rest), *(LivePolicy(place + 2, each) for place, each in enumerate(challengers)))
    return RolloutState("ramp", share, policies, "rules", **changes)


def history(*rows, change=1):
    """Rows of (customer's place, probabilities of the served offer under each arm)."""
    k = len(rows[0][1]) if rows else 2
    mixture = np.empty(len(rows), dtype=object)
    for place, (_, probabilities) in enumerate(rows):
        mixture[place] = [[1.0 / k] * k, list(probabilities), [-1.0] * k]
    m = len(rows)
    return ArmColumns(
        np.arange(1, m + 1),
        np.full(m, change),
        np.full(m, "policy", dtype=object),
        mixture,
        np.full(m, -1),
        np.full(m, np.nan),
        np.array([row for row, _ in rows], dtype=np.int64),
    )


def weights(now, past, n=1, states=None):
    return ArmWeights(lambda number: (states or {}).get(number, now)).given(now, past, n)


class TestBayes:
    def test_without_a_history_an_arm_has_its_share(self):
        assert weights(state(), history()).tolist() == [[0.75, 0.25]]
        three = weights(state(0.5, (0.2,)), history())
        np.testing.assert_allclose(three, [[0.5, 0.4, 0.1]])

    def test_an_offer_that_the_rules_would_not_have_served_was_a_policys(self):
        assert weights(state(), history((0, (0.0, 0.3)))).tolist() == [[0.0, 1.0]]

    def test_each_decision_weighs_the_arms_by_its_probabilities(self):
        """Rules 1.0 and 0.5, policy 0.2 and 0.5: .75 x 1 x .5 = .375 against .25 x .2 x .5 = .025."""
        past = history((0, (1.0, 0.2)), (0, (0.5, 0.5)))
        np.testing.assert_allclose(weights(state(), past), [[0.375 / 0.4, 0.025 / 0.4]])

    def test_customers_do_not_mix(self):
        past = history((1, (0.0, 0.3)), (0, (1.0, 0.5)))
        np.testing.assert_allclose(weights(state(), past, n=3), [[0.75 / 0.875, 0.125 / 0.875], [0, 1], [0.75, 0.25]])

    def test_a_larger_share_moves_only_those_who_were_not_served_by_the_policy(self):
        """Served by the policy at share .25: its number is below .25, so below .5 as well. Served by the rules: it is
        in [.25, 1), of which a third is below .5."""
        states = {1: state(0.25), 2: state(0.5)}
        was_policy, was_rules = history((0, (0.0, 0.3))), history((0, (0.9, 0.0)))
        np.testing.assert_allclose(weights(states[2], was_policy, states=states), [[0.0, 1.0]])
        np.testing.assert_allclose(weights(states[2], was_rules, states=states), [[2 / 3, 1 / 3]])

    def test_decisions_under_another_salt_show_nothing(self):
        states = {1: state(0.25, salt="old"), 2: state(0.5, salt="new")}
        assert weights(states[2], history((0, (0.0, 0.3))), states=states).tolist() == [[0.5, 0.5]]

    def test_a_challenger_is_told_from_the_champion(self):
        """Shares .5, .4, .1; the offer has 0, .1 and .8: .04 against .08."""
        past = history((0, (0.0, 0.1, 0.8)))
        np.testing.assert_allclose(weights(state(0.5, (0.2,)), past), [[0.0, 1 / 3, 2 / 3]])

    def test_an_unknown_probability_is_that_of_the_arm_that_served(self):
        past = history((0, (np.nan, 0.3)))
        past.mixture[0][0] = [0.0, 1.0]
        assert weights(state(), past).tolist() == [[0.0, 1.0]]


def two_visits(n, rng, *, by_history):
    """Each customer twice, two offers: the rules serve the first with .9; the policy even chances, then mostly what the
    customer had first. Returns the second offers and the probability of offer 1 by the mixture."""
    now, share = state(0.4), 0.4
    policy = rng.random(n) < share
    first = np.where(policy, rng.random(n) < 0.5, rng.random(n) < 0.1).astype(int)
    chance = np.where(first == 1, 0.9, 0.2)  # of offer 1 at the second visit, under the policy
    second = np.where(policy, rng.random(n) < chance, rng.random(n) < 0.1).astype(int)
    seen = [(row, (0.1, 0.5) if offer else (0.9, 0.5)) for row, offer in enumerate(first.tolist())]
    weight = weights(now, history(*seen), n)[:, 1] if by_history else np.full(n, share)
    return first, second, weight * chance + (1.0 - weight) * 0.1


def distance(first, second, probability):
    """Pearson's chi-square of the second offers, by the first; two degrees of freedom."""
    total = 0.0
    for one in (0, 1):
        rows = first == one
        p, n = probability[rows].mean(), rows.sum()
        total += (second[rows].sum() - n * p) ** 2 / (n * p * (1.0 - p))
    return total


class TestFrequency:
    def test_the_mixture_serves_each_offer_as_often_as_its_propensity_says(self):
        assert distance(*two_visits(20_000, np.random.default_rng(3), by_history=True)) < chi2.ppf(0.999, 2)

    def test_the_shares_alone_do_not_where_a_policy_depends_on_the_customers_history(self):
        """The negative control: who had the offer that rules rarely serve is the policy's more often than 40 %."""
        assert distance(*two_visits(20_000, np.random.default_rng(3), by_history=False)) > 10 * chi2.ppf(0.999, 2)


@pytest.mark.parametrize("n", [1, 7])
def test_weights_are_the_same_alone_and_in_a_batch(n):
    rng = np.random.default_rng(n)
    rows = [(int(row), tuple(rng.dirichlet(np.ones(3)))) for row in rng.integers(n, size=5 * n)]
    now = state(0.6, (0.3,))
    together = weights(now, history(*rows), n)
    for row in range(n):
        mine = [(0, p) for place, p in rows if place == row]
        alone = weights(now, history(*mine) if mine else history((5, (0, 0, 0))).take(np.zeros(0, dtype=np.int64)))
        np.testing.assert_allclose(together[row], alone[0], atol=1e-12)
    np.testing.assert_allclose(together.sum(axis=1), 1.0)

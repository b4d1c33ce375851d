"""Importance weights by the propensities of a ramp: without bias over the dealing of customers, as shares are not."""

import itertools

import numpy as np
import pytest

from bandit.rollout import LivePolicy, RolloutState
from bandit.rollout.mixture import ArmWeights
from bandit.store import ArmColumns

N = 40_000
"""Customers."""

STATES = (
    RolloutState("ramp", 0.2, (), "rules"),
    RolloutState("ramp", 0.5, (LivePolicy(1, 0.6), LivePolicy(2, 0.4)), "rules"),
    RolloutState("ramp", 0.3, (LivePolicy(1, 0.8), LivePolicy(2, 0.2)), "rules"),
    RolloutState("full", 1.0, (LivePolicy(1, 0.7), LivePolicy(2, 0.3)), "rules"),
)
"""The roll-out at each of a customer's visits: up, a challenger in, down with a smaller challenger, and in full."""


def chances(before):
    """The probabilities of offer 1 under rules, champion and challenger, given (n,) means of the offers before.

    Rules always have .15. The champion repeats what the customer had, the challenger gives the other.
    """
    return np.stack([np.full(len(before), 0.15), 0.2 + 0.6 * before, 0.9 - 0.6 * before], axis=1)


def target(before):
    """The policy to be judged: its probability of offer 1 depends on the customer's own history."""
    return 0.3 + 0.5 * before


def mean_before(offers, visit):
    return offers[:, :visit].mean(axis=1) if visit else np.full(len(offers), 0.5)


def history(seen, n):
    """The decisions so far as the log has them; `seen` has each visit's weights and probabilities (n, K)."""
    mixtures, changes = [], []
    for visit, (weights, probabilities) in enumerate(seen):
        mixtures += np.stack([weights, probabilities, np.zeros_like(weights)], axis=1).tolist()
        changes += [visit] * n
    mixture = np.fromiter(mixtures, dtype=object, count=len(mixtures))
    m = len(mixtures)
    nothing = np.full(m, "", dtype=object)
    place = np.tile(np.arange(n), len(seen))
    return ArmColumns(np.arange(m), np.array(changes), nothing, mixture, np.full(m, -1), np.full(m, np.nan), place)


def played(n):
    """Offers (n, 4) of n customers, their propensities (n, 4), and those that the shares alone would give."""
    rng = np.random.default_rng(12)
    number, which = rng.random(n), rng.random(n)
    offers, exact, shares = np.zeros((n, 4)), np.zeros((n, 4)), np.zeros((n, 4))
    arm_weights, seen = ArmWeights(STATES.__getitem__), []
    for visit, state in enumerate(STATES):
        first = np.broadcast_to([arm.share for arm in state.arms], (n, len(state.arms)))
        weights = arm_weights.given(state, history(seen, n), n) if seen else first
        one = chances(mean_before(offers, visit))[:, : len(state.arms)]
        mine = one[np.arange(n), state.arm_of(number, which)]
        offers[:, visit] = rng.random(n) < mine
        probabilities = np.where(offers[:, visit, None] == 1.0, one, 1.0 - one)
        exact[:, visit] = (weights * probabilities).sum(axis=1)
        shares[:, visit] = (first * probabilities).sum(axis=1)
        seen.append((weights, probabilities))
    return offers, exact, shares


@pytest.fixture(scope="module")
def log():
    return played(N)


def of_target(offers):
    """The target's probabilities of (n, 4) offers, visit by visit."""
    one = np.stack([target(mean_before(offers, visit)) for visit in range(4)], axis=1)
    return np.where(offers == 1.0, one, 1.0 - one)


def reward(offers):
    """What a customer earns: more for a change between visits, and for offer 1 at the end."""
    return (offers[:, 1:] != offers[:, :-1]).sum(axis=1) + 2.0 * offers[:, -1]


def errors_of_visits(log, propensity):
    """Estimates less the truth over the same histories at each later visit, in standard errors.

    The reward is what the customer's history and offer make it: 1 where offer 1 repeats mostly 1, and the like.
    """
    offers, found = log[0], []
    for visit in range(1, 4):
        before = mean_before(offers, visit)
        one, given = target(before), offers[:, visit] == 1.0
        earned = np.where(given, before, 1.0 - before)
        estimate = np.where(given, one, 1.0 - one) / propensity[:, visit] * earned
        off = estimate - (one * before + (1.0 - one) * (1.0 - before))
        found.append(off.mean() / (off.std() / np.sqrt(N)))
    return np.abs(found)


def error_of_paths(log, propensity):
    """The estimate by the product of a customer's weights, less the mean over all 16 sequences, in standard errors."""
    offers = log[0]
    every = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    truth = (of_target(every).prod(axis=1) * reward(every)).sum()
    estimate = (of_target(offers) / propensity).prod(axis=1) * reward(offers)
    return abs(estimate.mean() - truth) / (estimate.std() / np.sqrt(N))


@pytest.mark.slow
def test_each_visit_is_judged_without_bias(log):
    assert (errors_of_visits(log, log[1]) < 4.0).all()


@pytest.mark.slow
def test_whole_histories_are_judged_without_bias(log):
    assert error_of_paths(log, log[1]) < 4.0


@pytest.mark.slow
def test_the_shares_alone_are_biased(log):
    """The negative control: a returning customer's arm is no longer as likely as its share."""
    assert errors_of_visits(log, log[2]).max() > 6.0
    assert error_of_paths(log, log[2]) > 6.0


def test_the_product_of_propensities_is_the_probability_of_all_offers_together():
    """Over the square of both numbers: the mass of each part times the chances of the offers under its arms."""
    cuts, levels = np.array([0.0, 0.2, 0.3, 0.5, 1.0]), np.array([0.0, 0.2, 0.3, 0.4, 1.0])
    offers, exact, _ = played(500)
    total = np.zeros(500)
    for (low, high), (left, right) in itertools.product(itertools.pairwise(cuts), itertools.pairwise(levels)):
        chance = np.full(500, (high - low) * (right - left))
        for visit, state in enumerate(STATES):
            (arm,) = state.arm_of(np.array([(low + high) / 2]), np.array([(left + right) / 2]))
            one = chances(mean_before(offers, visit))[:, arm]
            chance *= np.where(offers[:, visit] == 1.0, one, 1.0 - one)
        total += chance
    np.testing.assert_allclose(exact.prod(axis=1), total, rtol=1e-12)

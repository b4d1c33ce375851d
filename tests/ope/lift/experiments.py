"""Simulated experiments with groups, vectorised over customers, for the tests of lift."""

from dataclasses import dataclass

import numpy as np

from bandit.domain import MICROSECONDS
from bandit.ope.lift import LiftBatch, LiftTally, TrajectoryWeights, balanced_weights

HALVES = np.array([0.5, 0.5])
DAY = 86_400 * MICROSECONDS


@dataclass(frozen=True)
class Experiment:
    """The columns of an experiment in order of time; `probabilities` (n, G) of the logged offer by group."""

    reward: np.ndarray
    group: np.ndarray
    customer: np.ndarray
    probabilities: np.ndarray
    shares: np.ndarray

    def batch(self, method="balanced", chosen=slice(None), **more):
        """The batch of some rows with the weights of a method: "means" (none), "balanced" or "trajectory"."""
        weights = None
        if method == "balanced":
            weights = balanced_weights(self.probabilities, self.shares)[chosen]
        elif method == "trajectory":
            weights = TrajectoryWeights(self.shares).read(self.customer, self.probabilities)[chosen]
        columns = self.reward[chosen], self.group[chosen], self.customer[chosen]
        return LiftBatch(*columns, weights=weights, **more)

    def tally(self, method="balanced", *, totals=False):
        """The tally of all rows; with `totals`, values per customer are those of trajectories."""
        tally = LiftTally(self.shares, weighted=method != "means", trajectory=totals)
        tally.add(self.batch(method))
        return tally

    def sums(self, method="balanced", *, totals=False):
        """The sums of all rows."""
        return self.tally(method, totals=totals).overall


def pick(rng, probabilities):
    """One place of each row, drawn from its (n, K) probabilities."""
    below = probabilities.cumsum(axis=1) < rng.random((len(probabilities), 1))
    return np.minimum(below.sum(axis=1), probabilities.shape[1] - 1)


def favourites(
    rng,
    customers,
    agreement,
    *,
    lift=0.0,
    visits=1,
    shares=HALVES,
    offers=12,
    explored=0.16,
    conversion=0.15,
    spread=0.05,
):
    """Groups that each prefer one offer, the same one for this share of the decisions, and explore the rest evenly.

    Offer 0, the favourite of group 0, converts more often by `lift`; a customer's conversions share a random effect
    within `spread`. Amounts are log-normal with mean 22.8. Decisions come in rounds, in each of which every customer
    has one.
    """
    shares = np.asarray(shares)
    groups, n = len(shares), customers * visits
    group, liking = pick(rng, np.tile(shares, (customers, 1))), rng.uniform(-spread, spread, customers)
    customer = np.tile(np.arange(customers), visits)
    same = rng.random(n) < agreement
    chance = np.full((n, groups, offers), explored / offers)
    for each in range(groups):
        chance[np.arange(n), each, np.where(same, 0, each)] += 1.0 - explored
    offer = pick(rng, chance[np.arange(n), group[customer]])
    converted = rng.random(n) < conversion + liking[customer] + lift * (offer == 0)
    reward = np.where(converted, rng.lognormal(3.0, 0.5, n), 0.0)
    return Experiment(reward, group[customer], customer, chance[np.arange(n), :, offer], shares)


AMOUNT = float(np.exp(3.0 + 0.125))
"""The mean amount of a conversion in `favourites`."""


def personal(rng, customers, visits=8, *, weight=0.2, liked=0.4, other=0.1):
    """Group 0 is served by a policy that follows what each customer bought before, group 1 by a fixed one.

    Two offers; a customer likes one of them and buys it with probability `liked`, the other one with `other`. The
    policy of group 0 chooses offer 1 with .5 + weight x (purchases of 1 - purchases of 0), within .1 and .9; that of
    group 1 with .2.
    """
    group, likes = rng.integers(0, 2, customers), (rng.random(customers) < 0.6).astype(int)
    score, rounds = np.zeros(customers), []
    for _ in range(visits):
        ones = np.stack([np.clip(0.5 + weight * score, 0.1, 0.9), np.full(customers, 0.2)], axis=1)
        offer = (rng.random(customers) < ones[np.arange(customers), group]).astype(int)
        bought = (rng.random(customers) < np.where(offer == likes, liked, other)).astype(float)
        score += bought * (2 * offer - 1)
        rounds.append((bought, np.where(offer[:, None] == 1, ones, 1.0 - ones)))
    reward, probabilities = (np.concatenate(part) for part in zip(*rounds, strict=True))
    numbers = np.arange(customers)
    return Experiment(reward, np.tile(group, visits), np.tile(numbers, visits), probabilities, HALVES)


def returning(rng, customers, visits=8):
    """Groups that make customers return differently often: after a purchase they come back with .9, else with .5.

    Group 0 gives offer 1 with .7, group 1 with .3; it is bought with .6, offer 0 with .2. At most `visits` decisions.
    """
    group = rng.integers(0, 2, customers)
    here, rounds = np.arange(customers), []
    for _ in range(visits):
        ones = np.tile([0.7, 0.3], (len(here), 1))
        offer = (rng.random(len(here)) < ones[np.arange(len(here)), group[here]]).astype(int)
        bought = (rng.random(len(here)) < np.where(offer == 1, 0.6, 0.2)).astype(float)
        rounds.append((bought, np.where(offer[:, None] == 1, ones, 1.0 - ones), here))
        here = here[rng.random(len(here)) < np.where(bought == 1.0, 0.9, 0.5)]
    reward, probabilities, customer = (np.concatenate(part) for part in zip(*rounds, strict=True))
    return Experiment(reward, group[customer], customer, probabilities, HALVES)

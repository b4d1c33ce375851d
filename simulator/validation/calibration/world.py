"""Worlds for calibration: a pool of contexts whose expected rewards are known, and logs drawn from it.

The pool is the whole population: every decision's context is drawn from it with replacement, so that the mean over the
pool is the truth, not an estimate of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Contexts, FloatArray, IntArray, LoggedBatch

RewardDraw: TypeAlias = Callable[[IntArray, IntArray, np.random.Generator], FloatArray]
"""Draws the (n,) rewards of n (row of the pool, offer)."""

NEAR_SHARE = 0.2
"""Share of "greedy" in the target "near"; the rest is the policy that wrote the log."""

EPSILONS = (1.0, 0.5, 0.1, 0.03)
"""Shares of uniform choice in the policies that write the logs, from uniform to nearly deterministic."""


@dataclass(frozen=True, eq=False)
class CalibrationWorld:
    """P contexts and N offers with their true expected rewards, and the policies that are evaluated.

    `expected` is (P, N), the exact expected reward of every offer; `draw` draws rewards. `frequency` (P,) is how often
    each context comes. A customer who is drawn comes about `visits` times; 0 means that every decision has
    another customer, without clusters. `logging` and `targets` are policies' (P, N) probabilities by name.
    `reward_range` is the least and the largest possible reward, None where there is no bound.
    """

    name: str
    catalogue: Catalogue
    contexts: Contexts
    expected: FloatArray
    frequency: FloatArray
    visits: float
    draw: RewardDraw
    logging: Mapping[str, FloatArray]
    targets: Mapping[str, FloatArray]
    reward_range: tuple[float, float] | None = None

    @property
    def n_offers(self) -> int:
        """The number of offers, N."""
        return int(self.expected.shape[1])

    def policies(self, logging: str) -> dict[str, FloatArray]:
        """Return the target policies; "near" is mostly the policy that writes the log."""
        near = (1.0 - NEAR_SHARE) * self.logging[logging] + NEAR_SHARE * self.targets["greedy"]
        return {**self.targets, "near": near}

    def truth(self, policy: FloatArray) -> float:
        """Return the exact value of a policy's (P, N) probabilities."""
        values = np.einsum("po,po->p", policy, self.expected)
        return float(values @ self.frequency / self.frequency.sum())

    @cached_property
    def cumulative(self) -> Mapping[str, FloatArray]:
        """The cumulative probabilities of each logging policy, each row of the pool one higher, (P N,)."""
        return {name: _cumulative(table) for name, table in self.logging.items()}

    def sample(self, logging: str, n: int, rng: np.random.Generator) -> SampledLog:
        """Draw a log of n decisions: customers at random, visits in proportion to their frequency."""
        if self.visits > 0:
            drawn = rng.integers(len(self.expected), size=max(1, round(n / self.visits)))
            cumulated = np.cumsum(self.frequency[drawn])
            cluster = np.searchsorted(cumulated, rng.random(n) * cumulated[-1], side="right")
            cluster = np.minimum(cluster, len(drawn) - 1).astype(np.int64)
            rows = drawn[cluster]
        else:
            cluster = None
            rows = rng.integers(len(self.expected), size=n)
        step = np.searchsorted(self.cumulative[logging], rows + rng.random(n), side="right")
        offer = np.clip(step - rows * self.n_offers, 0, self.n_offers - 1).astype(np.int64)
        propensity = self.logging[logging][rows, offer]
        return SampledLog(self, rows, cluster, offer, propensity, self.draw(rows, offer, rng))


@dataclass(frozen=True, slots=True, eq=False)
class SampledLog:
    """A log of n decisions: `rows` are places in the pool, `cluster` the customers drawn, None where all differ."""

    world: CalibrationWorld
    rows: IntArray
    cluster: IntArray | None
    offer: IntArray
    propensity: FloatArray
    reward: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    def visits(self) -> FloatArray:
        """Return the number of decisions of each row of the pool, (P,)."""
        return np.bincount(self.rows, minlength=len(self.world.expected)).astype(np.float64)

    def batch(self) -> LoggedBatch:
        """Return the log as evaluation reads it; a customer's key is the number of the draw.

        A positive reward counts as a conversion.
        """
        contexts = self.world.contexts.take(self.rows)
        keys = np.empty(0, dtype=object)
        if self.cluster is not None:
            names = np.array([f"c{number}" for number in range(int(self.cluster.max()) + 1)], dtype=object)
            keys = names[self.cluster]
        n, won = len(self), self.reward > 0.0
        return LoggedBatch(
            Contexts(n, contexts.columns, contexts.text, keys),
            self.offer,
            np.broadcast_to(np.ones(self.world.n_offers, dtype=np.bool_), (n, self.world.n_offers)),
            self.propensity,
            won,
            np.where(won, self.reward, 0.0),
            self.reward,
            np.arange(n, dtype=np.int64),
        )


def mixed(table: FloatArray, epsilon: float) -> FloatArray:
    """Return (1 - epsilon) x policy + epsilon x uniform."""
    return np.asarray((1.0 - epsilon) * table + epsilon / table.shape[1])


def softmax(score: FloatArray, sharpness: float) -> FloatArray:
    """Return probabilities in proportion to exp(sharpness x score), each row's scores standardised."""
    spread = score.std(axis=1, keepdims=True)
    z = (score - score.mean(axis=1, keepdims=True)) / np.where(spread > 0.0, spread, 1.0)
    weight = np.exp(sharpness * (z - z.max(axis=1, keepdims=True)))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def one_hot(offer: IntArray, n_offers: int) -> FloatArray:
    """Return the (P, N) probabilities of a policy that always chooses the one given offer in each row."""
    table: FloatArray = np.zeros((len(offer), n_offers))
    table[np.arange(len(offer)), offer] = 1.0
    return table


def _cumulative(table: FloatArray) -> FloatArray:
    steps = np.cumsum(table, axis=1)
    steps /= steps[:, -1:]
    return np.asarray(steps + np.arange(len(table))[:, None]).ravel()

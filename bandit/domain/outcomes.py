"""Logged decisions with what came of each, and what a policy learns from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain.arrays import BoolArray, FloatArray, IntArray
    from bandit.domain.contexts import Contexts


@dataclass(frozen=True, slots=True, eq=False)
class LoggedBatch:
    """n decisions read from a log with what came of each, in order of decision; fields as in `Outcomes`."""

    contexts: Contexts
    offer: IntArray
    eligible: BoolArray
    propensity: FloatArray
    converted: BoolArray
    revenue: FloatArray
    reward: FloatArray
    time: IntArray

    def __len__(self) -> int:
        return len(self.offer)

    def outcomes(self) -> Outcomes:
        """Return what a policy would learn from these decisions, each for the first time."""
        return Outcomes.new(
            self.contexts,
            self.offer,
            self.eligible,
            self.propensity,
            self.converted,
            self.revenue,
            self.reward,
            self.time,
        )

    def take(self, rows: IntArray | BoolArray | slice) -> LoggedBatch:
        """Return the chosen rows."""
        return LoggedBatch(
            self.contexts.take(rows),
            self.offer[rows],
            self.eligible[rows],
            self.propensity[rows],
            self.converted[rows],
            self.revenue[rows],
            self.reward[rows],
            self.time[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What a policy learns from: n decisions with what came of each.

    `offer` indexes the catalogue's offers; `eligible` is (n, N), or (n, 0) of more than 100,000 offers, where no policy
    looks at it; `propensity` is in (0, 1], NaN where nobody knows it; `converted` is the objective's event within its
    window, `revenue` the net revenue and `reward` the money (the objective's unit).
    Where `restated` is true the policy has learned this decision before, as `was_converted`, `was_revenue` and
    `was_reward`, and must now hold the belief it would hold had it learned the new outcome instead.
    `time` (n,) is when each was decided; it is empty where times are not known.
    `weight` (n,) is how much of a whole outcome is known, in (0, 1]: below 1 for a decision that is still open and
    has not converted, of which a policy learns that part of a silence. `was_weight` (n,) is how much of it was learned
    before, 0 where it is new. Left empty, every outcome is whole, and so is what was learned before; `weights` and
    `was_weights` are always (n,).
    """

    contexts: Contexts
    offer: IntArray
    eligible: BoolArray
    propensity: FloatArray
    converted: BoolArray
    revenue: FloatArray
    reward: FloatArray
    is_update: BoolArray
    previous_converted: BoolArray
    previous_revenue: FloatArray
    previous_reward: FloatArray
    time: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    weight: FloatArray = field(default_factory=lambda: np.empty(0))
    previous_weight: FloatArray = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.offer)

    @property
    def weights(self) -> FloatArray:
        """How much of each outcome is known, (n,) in (0, 1]."""
        return self.weight if len(self.weight) else np.ones(len(self))

    @property
    def previous_weights(self) -> FloatArray:
        """How much of each outcome was learned before, (n,) in [0, 1], 0 where it is new."""
        return self.previous_weight if len(self.previous_weight) else self.is_update.astype(np.float64)

    def only_complete(self) -> Outcomes:
        """Return those that are known in full, new where only a part was learned before: for who learns no parts."""
        if not len(self.weight) and not len(self.previous_weight):
            return self
        kept = self.take(self.weights == 1.0)
        is_update = kept.is_update & (kept.previous_weights == 1.0)
        return replace(
            kept,
            is_update=is_update,
            previous_converted=kept.previous_converted & is_update,
            previous_revenue=np.where(is_update, kept.previous_revenue, 0.0),
            previous_reward=np.where(is_update, kept.previous_reward, 0.0),
            weight=np.empty(0),
            previous_weight=np.empty(0),
        )

    @staticmethod
    def new(
        contexts: Contexts,
        offer: IntArray,
        eligible: BoolArray,
        propensity: FloatArray,
        converted: BoolArray,
        revenue: FloatArray,
        reward: FloatArray,
        time: IntArray | None = None,
    ) -> Outcomes:
        """Return outcomes none of which was learned before."""
        n = len(offer)
        no, zero = np.zeros(n, dtype=np.bool_), np.zeros(n)
        times = np.empty(0, dtype=np.int64) if time is None else time
        return Outcomes(contexts, offer, eligible, propensity, converted, revenue, reward, no, no, zero, zero, times)

    def take(self, rows: IntArray | BoolArray | slice) -> Outcomes:
        """Return the chosen rows."""
        return Outcomes(
            self.contexts.take(rows),
            self.offer[rows],
            self.eligible[rows],
            self.propensity[rows],
            self.converted[rows],
            self.revenue[rows],
            self.reward[rows],
            self.is_update[rows],
            self.previous_converted[rows],
            self.previous_revenue[rows],
            self.previous_reward[rows],
            self.time[rows] if len(self.time) else self.time,
            self.weight[rows] if len(self.weight) else self.weight,
            self.previous_weight[rows] if len(self.previous_weight) else self.previous_weight,
        )

"""Logged decisions with what came of each, and the outcomes that a policy learns from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain.contexts import Contexts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain.arrays import BoolArray, FloatArray, IntArray


def _no_numbers() -> FloatArray:
    return np.empty(0)


def _no_stages() -> BoolArray:
    return np.empty((0, 0), dtype=np.bool_)


def _joined_stages(parts: Sequence[BoolArray], sizes: Sequence[int]) -> BoolArray:
    """Return the rows of all parts as one, empty where some part that has rows has no stages."""
    filled = [part for part, n in zip(parts, sizes, strict=True) if n]
    if not filled or min(part.shape[1] for part in filled) == 0:
        return _no_stages()
    return np.concatenate(filled)


@dataclass(frozen=True, slots=True, eq=False)
class LoggedBatch:
    """n decisions read from a log with what came of each, in order of decision.

    `offer` (n,) indexes the catalogue's offers. `eligible` is (n, N), or (n, 0) where the reader does not need it, as
    with more than 100,000 offers. `propensity` (n,) is in (0, 1], NaN where it is not known. `converted` (n,) is the
    objective's event within its window, `revenue` (n,) the net revenue and `reward` (n,) the value of the outcome in
    the objective's unit. `time` (n,) is when each was decided, or empty where times are not known. `weight` (n,), above
    0, is how many decisions each stands for, as where a logger kept a part of them; left empty, each stands for one.
    `stages` (n, S) is which of the objective's stages each has reached, in their order; empty where none are known.
    """

    contexts: Contexts
    offer: IntArray
    eligible: BoolArray
    propensity: FloatArray
    converted: BoolArray
    revenue: FloatArray
    reward: FloatArray
    time: IntArray
    weight: FloatArray = field(default_factory=_no_numbers)
    stages: BoolArray = field(default_factory=_no_stages)

    def __len__(self) -> int:
        return len(self.offer)

    @property
    def weights(self) -> FloatArray:
        """How many decisions each stands for, (n,), above 0."""
        return self.weight if len(self.weight) else np.ones(len(self))

    @property
    def stands_for(self) -> FloatArray | None:
        """How many decisions each stands for, (n,), None where each stands for one: then nothing is weighted."""
        return None if not len(self.weight) or (self.weight == 1.0).all() else self.weight

    def outcomes(self) -> Outcomes:
        """Return what a policy learns from these decisions, each for the first time."""
        return Outcomes(self, Previous.nothing(len(self)))

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
            self.time[rows] if len(self.time) else self.time,
            self.weight[rows] if len(self.weight) else self.weight,
            self.stages[rows] if len(self.stages) else self.stages,
        )

    @staticmethod
    def concat(parts: Sequence[LoggedBatch]) -> LoggedBatch:
        """Return the rows of one or more batches as one; times are kept where every batch has them."""
        if len(parts) == 1:
            return parts[0]
        n = sum(map(len, parts))
        time = np.concatenate([part.time for part in parts])
        weighted = any(len(part.weight) for part in parts)
        return LoggedBatch(
            Contexts.concat([part.contexts for part in parts]),
            np.concatenate([part.offer for part in parts]),
            np.concatenate([part.eligible for part in parts]),
            np.concatenate([part.propensity for part in parts]),
            np.concatenate([part.converted for part in parts]),
            np.concatenate([part.revenue for part in parts]),
            np.concatenate([part.reward for part in parts]),
            time if len(time) == n else time[:0],
            np.concatenate([part.weights for part in parts]) if weighted else _no_numbers(),
            _joined_stages([part.stages for part in parts], [len(part) for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Previous:
    """What a policy learned of each of n decisions before; all zero where `is_update` (n,) is false.

    `weight` (n,) in [0, 1] is how much of the outcome was learned; left empty, every earlier outcome was complete.
    `stages` (n, S) are the objective's stages that were learned as reached; left empty, none.
    """

    is_update: BoolArray
    converted: BoolArray
    revenue: FloatArray
    reward: FloatArray
    weight: FloatArray = field(default_factory=_no_numbers)
    stages: BoolArray = field(default_factory=_no_stages)

    @staticmethod
    def nothing(n: int) -> Previous:
        """Return the record of n decisions of which nothing was learned before."""
        no, zero = np.zeros(n, dtype=np.bool_), np.zeros(n)
        return Previous(no, no, zero, zero)

    @property
    def weights(self) -> FloatArray:
        """How much of each outcome was learned before, (n,) in [0, 1], 0 where it is new."""
        return self.weight if len(self.weight) else self.is_update.astype(np.float64)

    def take(self, rows: IntArray | BoolArray | slice) -> Previous:
        """Return the chosen rows."""
        return Previous(
            self.is_update[rows],
            self.converted[rows],
            self.revenue[rows],
            self.reward[rows],
            self.weight[rows] if len(self.weight) else self.weight,
            self.stages[rows] if len(self.stages) else self.stages,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What a policy learns from: n logged decisions, what was learned of each before, and how much is known now.

    Where `is_update` is true the policy has learned the decision before, as `previous` states, and must afterwards
    hold the belief it would hold had it learned the new outcome instead (an updated outcome).

    `weight` (n,) is how much of each outcome is known, in (0, 1]: below 1 for a decision that is still open and has
    not converted, of which a policy learns that share of a non-conversion. Left empty, every outcome is complete.
    """

    batch: LoggedBatch
    previous: Previous
    weight: FloatArray = field(default_factory=_no_numbers)

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def contexts(self) -> Contexts:
        """The contexts, n rows."""
        return self.batch.contexts

    @property
    def offer(self) -> IntArray:
        """The chosen offers, (n,)."""
        return self.batch.offer

    @property
    def eligible(self) -> BoolArray:
        """The offers that were eligible, (n, N) or (n, 0)."""
        return self.batch.eligible

    @property
    def propensity(self) -> FloatArray:
        """The propensities, (n,), NaN where not known."""
        return self.batch.propensity

    @property
    def converted(self) -> BoolArray:
        """Whether each converted, (n,)."""
        return self.batch.converted

    @property
    def revenue(self) -> FloatArray:
        """The net revenues, (n,)."""
        return self.batch.revenue

    @property
    def reward(self) -> FloatArray:
        """The rewards in the objective's unit, (n,)."""
        return self.batch.reward

    @property
    def stages(self) -> BoolArray:
        """The stages that each has reached, (n, S) or empty."""
        return self.batch.stages

    @property
    def time(self) -> IntArray:
        """When each was decided, (n,) or empty."""
        return self.batch.time

    @property
    def is_update(self) -> BoolArray:
        """Whether the policy learned the decision before, (n,)."""
        return self.previous.is_update

    @property
    def weights(self) -> FloatArray:
        """How much of each outcome is known, (n,) in (0, 1]."""
        return self.weight if len(self.weight) else np.ones(len(self))

    def only_complete(self) -> Outcomes:
        """Return the complete outcomes, as new where only a part was learned: for policies that learn no parts."""
        if not len(self.weight) and not len(self.previous.weight):
            return self
        kept = self.take(self.weights == 1.0)
        before = kept.previous
        is_update = before.is_update & (before.weights == 1.0)
        previous = Previous(
            is_update,
            before.converted & is_update,
            np.where(is_update, before.revenue, 0.0),
            np.where(is_update, before.reward, 0.0),
            stages=before.stages & is_update[:, None] if len(before.stages) else before.stages,
        )
        return replace(kept, previous=previous, weight=np.empty(0))

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
        stages: BoolArray | None = None,
    ) -> Outcomes:
        """Return complete outcomes of which nothing was learned before."""
        times = np.empty(0, dtype=np.int64) if time is None else time
        batch = LoggedBatch(contexts, offer, eligible, propensity, converted, revenue, reward, times)
        return (batch if stages is None else replace(batch, stages=stages)).outcomes()

    def take(self, rows: IntArray | BoolArray | slice) -> Outcomes:
        """Return the chosen rows."""
        return Outcomes(
            self.batch.take(rows), self.previous.take(rows), self.weight[rows] if len(self.weight) else self.weight
        )

    @staticmethod
    def concat(parts: Sequence[Outcomes]) -> Outcomes:
        """Return the rows of one or more as one."""
        partial = any(len(part.weight) or len(part.previous.weight) for part in parts)
        previous = Previous(
            np.concatenate([part.previous.is_update for part in parts]),
            np.concatenate([part.previous.converted for part in parts]),
            np.concatenate([part.previous.revenue for part in parts]),
            np.concatenate([part.previous.reward for part in parts]),
            np.concatenate([part.previous.weights for part in parts]) if partial else np.empty(0),
            _previous_stages(parts),
        )
        weight = np.concatenate([part.weights for part in parts]) if partial else np.empty(0)
        return Outcomes(LoggedBatch.concat([part.batch for part in parts]), previous, weight)


def _previous_stages(parts: Sequence[Outcomes]) -> BoolArray:
    """Return the previous stages of all rows as one, empty where no part has any; without any, none was learned."""
    n_stages = max(part.previous.stages.shape[1] for part in parts)
    if not n_stages:
        return _no_stages()
    none = [np.zeros((len(part), n_stages), dtype=np.bool_) for part in parts]
    return np.concatenate(
        [part.previous.stages if len(part.previous.stages) else none[place] for place, part in enumerate(parts)]
    )

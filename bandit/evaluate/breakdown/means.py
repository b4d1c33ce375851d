"""Means of what happened, cell by cell, with intervals clustered by customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.ope.contrast import effective_number
from bandit.ope.estimate import Estimate, check_level
from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalRequest
from bandit.ope.statistic import SignedValue, Statistic
from bandit.ope.sums import ClusterSums

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need


@dataclass(frozen=True, slots=True)
class _Mean:
    """The mean of one column."""

    name: ClassVar[str] = "mean"
    needs: ClassVar[Need | None] = None
    terms: ClassVar[tuple[Term, ...]] = ()

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)


class MeanSums:
    """The reward and the response of the decisions of one cell, as they happened; 40 bytes a customer.

    `n` decisions, `events` of which responded, stand for `decisions`: by these numbers means are weighted.

    The mean of a cell is that of the decisions in it, whoever was chosen for them: it compares with another cell's
    only where chance decided which decisions are in which cell.
    """

    def __init__(self) -> None:
        self._sums = ClusterSums(2)
        self.n = self.events = 0
        self.decisions = self._squares = 0.0

    def add(
        self, customer: IntArray, reward: FloatArray, earned: BoolArray, stands_for: FloatArray | None = None
    ) -> None:
        """Add n decisions: numbers of customers, rewards, and which of them responded.

        `stands_for` (n,) is how many decisions each row stands for, one by default.
        """
        self._sums.add(np.stack([reward, earned.astype(np.float64)]), customer, stands_for)
        self.n += len(customer)
        self.events += int(earned.sum())
        self.decisions += float(len(customer) if stands_for is None else stands_for.sum())
        self._squares += float(len(customer) if stands_for is None else stands_for @ stands_for)

    def estimates(self, level: float) -> tuple[Estimate, Estimate, int]:
        """Return the mean reward, the mean response, each with its own interval, and the number of customers."""
        check_level(level)
        summary = self._sums.summary()
        request = IntervalRequest(DEFAULT_INTERVAL, level)
        found = []
        for column in range(2):
            statistic = Statistic.of(summary, [SignedValue(1.0, _Mean(), 0, np.array([column]))])
            low, high = request.bounds(statistic)
            found.append(
                Estimate(
                    name="mean",
                    value=statistic.value,
                    low=float(low),
                    high=float(high),
                    n=summary.n,
                    effective_sample_size=effective_number(self.decisions, self._squares),
                    max_weight=1.0,
                    mean_weight=1.0,
                    standard_error=statistic.error,
                    clusters=summary.groups,
                    level=level,
                    interval=request.kind,
                )
            )
        return found[0], found[1], summary.groups

"""The streaming accumulator of lift: of the whole log, by week and by segment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import MICROSECONDS
from bandit.ope.lift.sums import LiftSums
from bandit.ope.lift.weights import checked_shares

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from bandit.domain import IntArray
    from bandit.domain.mixed_numbers import UnsignedArray
    from bandit.ope.lift.batch import LiftBatch

_DAY = 86_400 * MICROSECONDS
_MONDAY = 4
"""1970-01-05, the first Monday, is day 4."""


class LiftTally:
    """Adds up the decisions of an experiment with G groups, batch by batch; parts merge with `+`.

    `shares` are the shares of customers that were assigned to each group; a change of shares begins a new experiment
    with a tally of its own. `weighted` says that rows come with weights, and `trajectory` that they are those of
    `TrajectoryWeights`, with rows in order of time (`LiftSums`). `overall` are the sums of all rows; `weeks`
    those of each week by the date of its Monday (UTC), where rows have times, and `segments` those of each label.
    Memory grows with the number of customers, once for each week and segment in which they appear.
    """

    def __init__(self, shares: ArrayLike, *, weighted: bool = False, trajectory: bool = False) -> None:
        self.shares, self.weighted, self.trajectory = checked_shares(shares), weighted, trajectory
        self.overall = self.empty()
        self.weeks: dict[str, LiftSums] = {}
        self.segments: dict[str, LiftSums] = {}

    def add(self, batch: LiftBatch) -> None:
        """Add a batch; InputError for rows that do not fit this experiment, and then nothing is added."""
        self.overall.add(batch)
        if batch.time is not None and len(batch):
            weeks = _week_of(batch.time)
            for week in np.unique(weeks).tolist():
                self.weeks.setdefault(_date(week), self.empty()).add(batch.part(weeks == week))
        if batch.segment is not None:
            for label in set(batch.segment.tolist()):
                self.segments.setdefault(str(label), self.empty()).add(batch.part(batch.segment == label))

    def __add__(self, other: LiftTally) -> LiftTally:
        both = LiftTally(self.shares, weighted=self.weighted, trajectory=self.trajectory)
        both.overall = self.overall + other.overall
        for mine, theirs, merged in (
            (self.weeks, other.weeks, both.weeks),
            (self.segments, other.segments, both.segments),
        ):
            for label in sorted({*mine, *theirs}):
                parts = [part[label] for part in (mine, theirs) if label in part]
                merged[label] = reduce(add, parts)
        return both

    def sealed(self, hashes: UnsignedArray) -> LiftTally:
        """Return the tally with all sums sealed (`LiftSums.sealed`), once all decisions of its customers were added."""
        found = LiftTally(self.shares, weighted=self.weighted, trajectory=self.trajectory)
        found.overall = self.overall.sealed(hashes)
        found.weeks = {label: sums.sealed(hashes) for label, sums in self.weeks.items()}
        found.segments = {label: sums.sealed(hashes) for label, sums in self.segments.items()}
        return found

    def empty(self) -> LiftSums:
        """Return sums without rows, as those of a new part."""
        return LiftSums(self.shares, weighted=self.weighted, trajectory=self.trajectory)


def _week_of(time: IntArray) -> IntArray:
    """Return the (n,) numbers of weeks since that of 1970-01-05."""
    return np.asarray((time // _DAY - _MONDAY) // 7)


def _date(week: int) -> str:
    """Return the date of a week's Monday."""
    return (datetime(1970, 1, 5, tzinfo=UTC) + timedelta(weeks=week)).date().isoformat()

"""The learning curve: what the decisions of each week and group earned, as it happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from bandit.domain import MICROSECONDS
from bandit.errors import InputError
from bandit.evaluate.breakdown.means import MeanSums
from bandit.evaluate.breakdown.pages import UNLABELLED, LogScan
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import Log, Progress
    from bandit.evaluate.breakdown.pages import BreakdownPage
    from bandit.ope import Estimate
    from bandit.tabular import Cell

CurvePeriod: TypeAlias = Literal["week", "day", "all"]
"""The length of a period: calendar weeks from Monday and calendar days, both in UTC, or the whole log."""

CurveSplit: TypeAlias = Literal["group", "policy", "everything"]
"""What the decisions of a period are told apart by; "everything" is nothing: all decisions of a period together."""

MOST_CURVE_POINTS = 5_000
"""Most periods times groups of a curve: each keeps sums of its customers."""

_DAY = 86_400 * MICROSECONDS
_WEEK = 7 * _DAY
_MONDAY = 4 * _DAY
"""The first Monday after 1970-01-01, a Thursday."""


@dataclass(frozen=True, slots=True)
class LearningPoint(Tabular):
    """The `n` decisions of one group in one period: what they earned and how often they responded, as it happened.

    They stand for `stands_for` decisions, by which means are weighted; `events` of the `n` responded.
    `policy` names the policies that were live then (kind and number), also for groups that another rule serves. `start`
    and `end` are microseconds since 1970 UTC, `end` exclusive; for the whole log they are its first and last time, None
    where no times are known. `value` is the mean reward of a decision and `response` the share that responded, each
    with its own interval. Groups compare where customers were assigned to them at random;
    `bandit.evaluate.lift_log.lift_of` compares them.
    """

    group: str
    policy: str
    start: int | None
    end: int | None
    n: int
    stands_for: float
    customers: int
    events: int
    value: Estimate
    response: Estimate

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return the point as one row."""
        return [
            {
                "group": self.group,
                "policy": self.policy,
                "start": self.start,
                "end": self.end,
                "n": self.n,
                "customers": self.customers,
                "events": self.events,
                **_numbers("value", self.value),
                **_numbers("response", self.response),
            }
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        names = ("group", "policy", "start", "end", "n", "stands_for", "customers", "events")
        plain: dict[str, object] = {name: getattr(self, name) for name in names}
        return plain | {"value": self.value.to_dict(), "response": self.response.to_dict()}


@dataclass(frozen=True, slots=True)
class LearningCurve(Tabular):
    """Points in order of time and group. `times_known` is False where the log has no times of its decisions."""

    points: tuple[LearningPoint, ...]
    period: CurvePeriod
    level: float
    times_known: bool

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a point."""
        return [row for point in self.points for row in point.to_rows()]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "period": self.period,
            "level": self.level,
            "times_known": self.times_known,
            "points": [point.to_dict() for point in self.points],
        }


def learning_curve(
    log: Log,
    *,
    catalogue: Catalogue | None = None,
    period: CurvePeriod = "week",
    split: CurveSplit = "group",
    level: float = 0.95,
    progress: Progress | None = None,
) -> LearningCurve:
    """Return what the decisions of each week (or day) and group earned, as it happened: a mean and its interval.

    Intervals are clustered by customer, and each holds for itself. A log that does not know its groups has one,
    "all". Where the times are not known, all decisions are in one period. `catalogue` is needed where the log has
    none. Memory grows with the number of customers, once for each period in which they appear. InputError for an
    empty log, an unknown period, and more than `MOST_CURVE_POINTS` points.
    """
    scan = LogScan(log, catalogue, progress=progress)
    reader = CurveReader(period, split)
    scan.read([reader])
    return reader.result(level)


@dataclass(slots=True, eq=False)
class _PointSums:
    means: MeanSums
    others: set[str]
    first: int | None = None
    last: int | None = None


class CurveReader:
    """Adds up the points of a learning curve."""

    def __init__(self, period: CurvePeriod = "week", split: CurveSplit = "group") -> None:
        if period not in get_args(CurvePeriod):
            raise InputError(f'there is no period "{period}"; choose from {", ".join(get_args(CurvePeriod))}')
        if split not in get_args(CurveSplit):
            raise InputError(f'decisions are not split by "{split}"; choose from {", ".join(get_args(CurveSplit))}')
        self._period, self._split = period, split
        self._sums: dict[tuple[int, str], _PointSums] = {}
        self._times_known = True

    def add(self, page: BreakdownPage) -> None:
        """Add a page."""
        self._times_known = self._times_known and page.times_known
        batch, labels = page.batch, page.labels
        own, other = (labels.policy, labels.group) if self._split == "policy" else (labels.group, labels.policy)
        times = batch.time if len(batch.time) else np.zeros(len(page), dtype=np.int64)
        periods = self._periods(times) if page.times_known else np.zeros(len(page), dtype=np.int64)
        if self._split == "everything":
            own = np.full(len(page), UNLABELLED, dtype=object)
        names, which = np.unique(own.astype(str), return_inverse=True)
        cells = np.stack([periods, which])
        distinct, cell = np.unique(cells, axis=1, return_inverse=True)
        cell = cell.reshape(-1)
        for place, (number, name) in enumerate(distinct.T.tolist()):
            rows = np.flatnonzero(cell == place)
            sums = self._point(number, str(names[name]))
            stands_for = None if batch.stands_for is None else batch.stands_for[rows]
            sums.means.add(page.customer[rows], batch.reward[rows], page.earned[rows], stands_for)
            sums.others.update(np.unique(other[rows].astype(str)).tolist())
            if page.times_known:
                first, last = int(times[rows].min()), int(times[rows].max())
                sums.first = first if sums.first is None else min(first, sums.first)
                sums.last = last if sums.last is None else max(last, sums.last)

    def result(self, level: float = 0.95) -> LearningCurve:
        """Return the points so far."""
        points = []
        for (number, name), sums in sorted(self._sums.items()):
            value, response, customers = sums.means.estimates(level)
            start, end = self._bounds(number, sums)
            others = ", ".join(sorted(sums.others))
            points.append(
                LearningPoint(
                    group=others if self._split == "policy" else name,
                    policy=name if self._split == "policy" else others,
                    start=start,
                    end=end,
                    n=sums.means.n,
                    stands_for=sums.means.decisions,
                    customers=customers,
                    events=sums.means.events,
                    value=value,
                    response=response,
                )
            )
        return LearningCurve(tuple(points), self._period, level, self._times_known)

    def _point(self, number: int, name: str) -> _PointSums:
        key = (number, name)
        if key not in self._sums:
            if len(self._sums) == MOST_CURVE_POINTS:
                raise InputError(
                    f"the log has more than {MOST_CURVE_POINTS:,} {self._period}s and groups; ask for longer periods, "
                    "or for fewer decisions"
                )
            self._sums[key] = _PointSums(MeanSums(), set())
        return self._sums[key]

    def _periods(self, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        if self._period == "all":
            return np.zeros(len(times), dtype=np.int64)
        return (times - _MONDAY) // _WEEK if self._period == "week" else times // _DAY

    def _bounds(self, number: int, sums: _PointSums) -> tuple[int | None, int | None]:
        if sums.first is None or self._period == "all":
            return sums.first, sums.last
        if self._period == "week":
            return _MONDAY + number * _WEEK, _MONDAY + (number + 1) * _WEEK
        return number * _DAY, (number + 1) * _DAY


def _numbers(name: str, estimate: Estimate) -> dict[str, Cell]:
    return {name: estimate.value, f"{name} low": estimate.low, f"{name} high": estimate.high}

"""The confirmation on the other half of the customers: shares and gains with intervals that hold together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.ope import Estimate
from bandit.ope.contrast import effective_number
from bandit.ope.estimators.snips import Snips
from bandit.ope.intervals import IntervalRequest
from bandit.ope.simultaneous import MaxT
from bandit.ope.statistic import SignedValue, Statistic
from bandit.ope.sums import ClusterSums, RowSums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray
    from bandit.evaluate.audience.cells import SegmentCells
    from bandit.evaluate.audience.scores import OptionScores
    from bandit.evaluate.audience.search import AudiencePair

_RATIO = Snips()
"""The quotient of two means."""

_ALIKE = 0.01
"""Differences of weights below this count as none, as in `bandit.ope.contrast`."""

WEIGHTS_OFF, WEIGHTS_SLACK = 4.5, 0.05
"""The log does not support a pair whose weights miss their expected sum by more than so many standard errors and this
share of it."""


@dataclass(frozen=True, slots=True)
class PairSupport:
    """How far the log supports one pair on the confirming half.

    `expected` is what the sum of the option's `weights` in the segment should be, the number of decisions that may get
    it, and `squared` the sum of their squares. `events` is how many responses of the rarer kind are to be expected
    where giving the option differs from what the baseline gives; infinite where it does not differ.
    """

    expected: float
    weights: float
    squared: float
    largest: float
    events: float

    @property
    def effective(self) -> float:
        """Kish's effective number of decisions that show the option to the segment."""
        return effective_number(self.weights, self.squared)

    @property
    def missing(self) -> bool:
        """Whether the log hardly ever shows the option to a part of the segment."""
        off = abs(self.weights - self.expected)
        return off > WEIGHTS_OFF * np.sqrt(self.squared) + WEIGHTS_SLACK * self.expected or self.weights <= 0.0


@dataclass(frozen=True, slots=True)
class PairEstimates:
    """What the confirming half says of one pair; `should_get` is None where the model prefers the option for nobody."""

    pair: AudiencePair
    share: Estimate
    gain: Estimate
    should_get: float | None
    support: PairSupport


class ConfirmationSums:
    """Sums over the decisions of the confirming half for R pairs; with customers known, kept by customer.

    Of each pair the columns are 1{segment} times the score of the response, and times that of the gain; then come each
    option's scores of the response and each segment's membership, by which the first two are divided.
    """

    def __init__(self, cells: SegmentCells, pairs: Sequence[AudiencePair]) -> None:
        self._cells, self.pairs = cells, tuple(pairs)
        self._option = np.array([each.option for each in pairs], dtype=np.int64)
        own = np.array([each.cell for each in pairs], dtype=np.int64)
        self._options, self._of_option = np.unique(self._option, return_inverse=True)
        self._segments, self._of_segment = np.unique(own, return_inverse=True)
        self._p = 2 * len(pairs) + len(self._options) + len(self._segments)
        self._sums: RowSums | ClusterSums | None = None
        count = len(pairs)
        # weights, their squares, their expected sum; both sides of the contrast with their squares; the model's choice
        self._weights, self._contrast = np.zeros((3, count)), np.zeros((4, count))
        self._largest, self._best, self._best_in_all = np.zeros(count), np.zeros(count), np.zeros(count)
        self._responded, self._members = np.zeros(len(self._segments)), np.zeros(len(self._segments))
        self.n, self._gain_squares, self._moved = 0, np.zeros(0), np.zeros(0)

    def add(self, scores: OptionScores) -> None:
        """Add a batch."""
        if self._sums is None:
            self._sums = RowSums(self._p) if scores.cluster is None else ClusterSums(self._p)
            self._gain_squares, self._moved = (np.zeros(scores.gain.shape[1]) for _ in range(2))
        self.n += len(scores.given)
        moved = scores.may & (scores.given < 0.5)
        self._gain_squares += scores.times @ np.where(moved, scores.gain**2, 0.0)
        self._moved += scores.times @ moved
        for rows, member in self._cells.memberships(scores.contexts):
            self._add_rows(scores, rows, member[:, self._segments])

    def estimates(self, level: float) -> tuple[PairEstimates, ...]:
        """Return the estimates of all pairs; those to be confirmed hold together at `level`, and so do the others."""
        if self._sums is None or not self.pairs:
            return ()
        summary, count = self._sums.summary(), len(self.pairs)
        statistics = []
        for place in range(count):
            below = 2 * count + self._of_option[place], 2 * count + len(self._options) + self._of_segment[place]
            statistics.append(
                tuple(
                    Statistic.of(summary, [SignedValue(1.0, _RATIO, 0, np.array([above, under]))])
                    for above, under in zip((place, count + place), below, strict=True)
                )
            )
        found: dict[int, PairEstimates] = {}
        for family in (True, False):
            places = [place for place, each in enumerate(self.pairs) if each.confirmed == family]
            if not places:
                continue
            joint = MaxT.of([each for place in places for each in statistics[place]]).level(level)
            for place in places:
                share, gain = (self._estimate(each, place, joint, level) for each in statistics[place])
                found[place] = PairEstimates(
                    self.pairs[place], _within_one(share), gain, self._should_get(place), self._support(place)
                )
        return tuple(found[place] for place in range(count))

    def deviation(self) -> float | None:
        """Return the standard deviation of a gain's score where the option is not given yet; the options' median."""
        known = self._moved > 0
        if not known.any():
            return None
        return float(np.median(np.sqrt(self._gain_squares[known] / self._moved[known])))

    def _add_rows(self, scores: OptionScores, rows: slice, member: FloatArray) -> None:
        of_pair, option = member[:, self._of_segment], self._option
        response, gain = scores.response[rows], scores.gain[rows]
        columns = np.concatenate(
            [of_pair * response[:, option], of_pair * gain[:, option], response[:, self._options], member], axis=1
        )
        times = scores.times[rows]
        if self._sums is not None:
            cluster = None if scores.cluster is None else scores.cluster[rows]
            self._sums.add(np.ascontiguousarray(columns.T), cluster, None if (times == 1.0).all() else times)
        weight, apart = of_pair * scores.weight[rows][:, option], of_pair * scores.apart[rows][:, option]
        apart = np.where(np.abs(apart) < _ALIKE, 0.0, apart) * times[:, None]
        self._largest = np.maximum(self._largest, weight.max(axis=0, initial=0.0))
        weight = weight * times[:, None]
        may, best = scores.may[rows][:, option] * times[:, None], scores.best[rows][:, option] * times[:, None]
        self._weights += np.stack([weight.sum(axis=0), (weight**2).sum(axis=0), (of_pair * may).sum(axis=0)])
        more, less = np.maximum(apart, 0.0), np.maximum(-apart, 0.0)
        self._contrast += np.stack([each.sum(axis=0) for each in (more, more**2, less, less**2)])
        self._best += (of_pair * best).sum(axis=0)
        self._best_in_all += best.sum(axis=0)
        self._responded += (times * scores.responded[rows]) @ member
        self._members += times @ member

    def _support(self, place: int) -> PairSupport:
        weights, squared, expected = self._weights[:, place].tolist()
        more, more_squared, less, less_squared = self._contrast[:, place].tolist()
        segment = self._of_segment[place]
        part = float(self._responded[segment] / (self._members[segment] or 1.0))
        events = np.inf
        if more_squared or less_squared:
            events = min(effective_number(more, more_squared), effective_number(less, less_squared))
            events *= min(part, 1.0 - part)
        return PairSupport(expected, weights, squared, float(self._largest[place]), float(events))

    def _should_get(self, place: int) -> float | None:
        every = self._best_in_all[place]
        return float(self._best[place] / every) if every else None

    def _estimate(self, statistic: Statistic, place: int, joint: float, level: float) -> Estimate:
        low, high = IntervalRequest("skew", joint).bounds(statistic)
        support = self._support(place)
        return Estimate(
            name="dr",
            value=statistic.value,
            low=float(low),
            high=float(high),
            n=statistic.summary.n,
            effective_sample_size=support.effective,
            max_weight=support.largest,
            mean_weight=support.weights / support.expected if support.expected else 0.0,
            standard_error=statistic.error,
            clusters=statistic.summary.groups,
            level=level,
            interval="skew",
        )


def _within_one(share: Estimate) -> Estimate:
    """Return a share with its interval cut to 0 to 1."""
    return replace(share, low=min(max(share.low, 0.0), 1.0), high=max(min(share.high, 1.0), 0.0))

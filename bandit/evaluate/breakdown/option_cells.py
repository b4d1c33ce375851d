"""Sums by option and segment: what giving an option to a segment earns, against what the log's policy earned there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.ope.contrast import effective_number
from bandit.ope.estimate import Estimate
from bandit.ope.estimators.snips import Snips
from bandit.ope.incremental.blocks import BlockSums, summary_of
from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalRequest
from bandit.ope.simultaneous import MaxT
from bandit.ope.statistic import SignedValue, Statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import BoolArray, FloatArray, IntArray
    from bandit.evaluate.breakdown.option_weights import WeightedOptions

MOST_JOINT_CELLS = 400
"""Up to this many cells intervals hold together by their joint distribution, above it by Bonferroni's inequality."""

_ROWS, _WEIGHT, _BASELINE, _GIVEN = range(4)
_SUMMED = (_WEIGHT, _BASELINE, _GIVEN)
"""The kinds of which each outcome is summed, too."""

_RATIO = Snips()


@dataclass(frozen=True, slots=True)
class CellCounts:
    """The decisions of one cell: a segment and an option.

    `n` decisions in which the option was eligible, `given` of which got it. Of those left to chance, `chance`,
    `chance_given` got it; `events` and `other_events` are the outcomes of the rarer kind among those who got it
    (Kish's effective number under the weights) and among those who got another option. `customers` are those of the
    segment, `squares` the sum of squared weights and `largest` the largest weight. `given_effective` is the effective
    number of the decisions that got it, by how many each stands for.
    """

    n: int
    given: int
    chance: int
    chance_given: int
    events: float
    other_events: float
    customers: int
    squares: float
    largest: float
    given_effective: float


class OptionCells:
    """Sums of `measures` outcomes for S segments times O options, by block of customers.

    Each cell has the columns: decisions left to chance in which the option was eligible, as much as each counts, their
    weights for the option and for the baseline, decisions that got the option; and for each measure its sums over the
    last three. `dimension` (O,) is that of each option. Memory is bounded by that of `BlockSums`, and by one byte a
    customer and segment.
    """

    def __init__(self, segments: int, dimension: IntArray, measures: int, *, binary: bool) -> None:
        options = len(dimension)
        self._shape, self._dimension = (segments, options), dimension
        self._measures, self._binary = measures, binary
        self._kinds = 4 + len(_SUMMED) * measures
        self._sums = BlockSums(segments * options * self._kinds)
        self._counts = np.zeros((9, segments, options))
        self._largest = np.zeros((segments, options))
        self._customers = np.zeros((segments, 0), dtype=np.bool_)

    def add(
        self, segment: int, customer: IntArray, options: WeightedOptions, outcomes: FloatArray, earned: BoolArray
    ) -> None:
        """Add n decisions of one segment; `outcomes` (n, M) are the measures, `earned` (n,) says which responded."""
        if not len(customer):
            return
        chance = options.allowed & options.chance[:, None]
        rows = chance * options.counts[:, None]
        baseline = chance * options.baseline[:, self._dimension]
        parts = [rows, options.weight, baseline, options.given * options.stands_for[:, None]]
        terms = [
            *parts,
            *(parts[kind] * outcomes[:, [measure]] for measure in range(self._measures) for kind in _SUMMED),
        ]
        width = self._shape[1] * self._kinds
        self._sums.add(customer, np.concatenate(terms, axis=1), segment * width)
        self._count(segment, options, chance, earned)
        self._largest[segment] = np.maximum(self._largest[segment], options.weight.max(axis=0))
        self._see(segment, customer)

    def counts(self, segment: int, option: int) -> CellCounts:
        """Return the numbers of one cell."""
        n, given, chance, chance_given, squares = self._counts[:5, segment, option].tolist()
        bought, bought_squares, others, given_squares = self._counts[5:, segment, option].tolist()
        events = effective_number(bought, bought_squares)
        other_events = others
        if self._binary:
            total = self._column(segment, option, _WEIGHT) - bought
            events = min(events, effective_number(total, squares - bought_squares))
            other_events = min(others, chance - chance_given - others)
        return CellCounts(
            n=round(n),
            given=round(given),
            chance=round(chance),
            chance_given=round(chance_given),
            events=events,
            other_events=other_events,
            customers=int(self._customers[segment].sum()),
            squares=squares,
            given_effective=effective_number(self._column(segment, option, _GIVEN), given_squares),
            largest=float(self._largest[segment, option]),
        )

    def value(self, segment: int, option: int, measure: int, level: float) -> Estimate:
        """Return what giving the option would have earned, by snips, with its own interval."""
        return self._estimate("snips", segment, option, [self._part(1.0, _WEIGHT, measure)], level, level)

    def happened(self, segment: int, option: int, measure: int, level: float) -> Estimate:
        """Return the mean of those who got the option, as it happened, with its own interval."""
        return self._estimate("mean", segment, option, [self._part(1.0, _GIVEN, measure)], level, level)

    def mean_weight(self, segment: int, option: int, level: float) -> Estimate:
        """Return the mean weight with its own interval: 1 where the log's policy may serve all that is needed."""
        part = SignedValue(1.0, _RATIO, 0, np.array([_WEIGHT, _ROWS]))
        return self._estimate("mean-weight", segment, option, [part], level, level)

    def differences(self, cells: Sequence[tuple[int, int]], measure: int, level: float) -> list[Estimate]:
        """Return option minus baseline of some cells, (segment, option) each; the intervals hold for all at once."""
        parts = [self._part(1.0, _WEIGHT, measure), self._part(-1.0, _BASELINE, measure)]
        single = self._single_level([self._statistic(*cell, parts) for cell in cells], level)
        return [self._estimate("snips", *cell, parts, single, level) for cell in cells]

    def _single_level(self, statistics: Sequence[Statistic], level: float) -> float:
        used = [each for each in statistics if np.isfinite(each.error) and each.error > 0.0]
        if len(used) < 2:
            return level
        if len(used) > MOST_JOINT_CELLS:
            return 1.0 - (1.0 - level) / len(used)
        # The joint distribution needs the correlations of the cells alone: each is one column, its influence values.
        summary = summary_of([np.stack([each.influences for each in used], axis=1)], self._sums.customers)
        unit = np.eye(len(used))
        joint = [Statistic(summary, (), 0.0, unit[place], 1.0, np.array([place])) for place in range(len(used))]
        return MaxT.of(joint).level(level)

    def _part(self, sign: float, kind: int, measure: int) -> SignedValue:
        return SignedValue(sign, _RATIO, 0, np.array([3 + len(_SUMMED) * measure + kind, kind]))

    def _statistic(self, segment: int, option: int, parts: Sequence[SignedValue]) -> Statistic:
        first = segment * self._shape[1] * self._kinds + option
        columns = self._sums.columns([first + kind * self._shape[1] for kind in range(self._kinds)])
        return Statistic.of(summary_of([columns], self._sums.customers), parts)

    def _estimate(
        self, name: str, segment: int, option: int, parts: Sequence[SignedValue], single: float, level: float
    ) -> Estimate:
        statistic, counts = self._statistic(segment, option, parts), self.counts(segment, option)
        low, high = IntervalRequest(DEFAULT_INTERVAL, single).bounds(statistic)
        weighted = name != "mean"
        total = self._column(segment, option, _WEIGHT)
        return Estimate(
            name=name,
            value=statistic.value,
            low=float(low),
            high=float(high),
            n=counts.chance if weighted else counts.given,
            effective_sample_size=effective_number(total, counts.squares) if weighted else counts.given_effective,
            max_weight=counts.largest if weighted else 1.0,
            mean_weight=total / (self._column(segment, option, _ROWS) or 1.0) if weighted else 1.0,
            standard_error=statistic.error,
            clusters=counts.customers,
            level=level,
            interval=DEFAULT_INTERVAL,
        )

    def _column(self, segment: int, option: int, kind: int) -> float:
        return self._sums.total((segment * self._kinds + kind) * self._shape[1] + option)

    def _count(self, segment: int, options: WeightedOptions, chance: BoolArray, earned: BoolArray) -> None:
        weight, responded = options.weight, earned[:, None]
        given = options.given & chance
        squares = weight * weight
        others = chance & ~options.given & responded
        numbers = (
            (options.allowed | options.given).sum(axis=0),
            options.given.sum(axis=0),
            chance.sum(axis=0),
            given.sum(axis=0),
            squares.sum(axis=0),
            (weight * responded).sum(axis=0),
            (squares * responded).sum(axis=0),
            others.sum(axis=0),
            (options.given * options.stands_for[:, None] ** 2).sum(axis=0),
        )
        self._counts[:, segment] += np.array(numbers, dtype=np.float64)

    def _see(self, segment: int, customer: IntArray) -> None:
        size = int(customer.max()) + 1
        if size > self._customers.shape[1]:
            wider = max(size, 2 * self._customers.shape[1]) - self._customers.shape[1]
            self._customers = np.pad(self._customers, ((0, 0), (0, wider)))
        self._customers[segment, customer] = True

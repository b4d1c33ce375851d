"""The streaming accumulator of incremental outcomes: several groups against one control, also by option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.errors import InputError
from bandit.ope.contrast import effective_number
from bandit.ope.estimate import Estimate, check_level
from bandit.ope.estimators.snips import Snips
from bandit.ope.incremental.blocks import BlockSums, summary_of
from bandit.ope.intervals import IntervalRequest
from bandit.ope.simultaneous import MaxT
from bandit.ope.statistic import SignedValue, Statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray
    from bandit.ope.estimator import Estimator, Term
    from bandit.ope.feedback import Need
    from bandit.ope.incremental.batch import ControlBatch, ServedBatch
    from bandit.ope.intervals import IntervalKind

_RATIO = Snips()
"""The quotient of two means."""


@dataclass(frozen=True, slots=True)
class _RatioOfRatios:
    """(m0 / m1) / (m2 / m3): one mean outcome per decision as a share of another."""

    name: ClassVar[str] = "ratio-of-ratios"
    needs: ClassVar[Need | None] = None
    terms: ClassVar[tuple[Term, ...]] = ()

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the value and its gradient; NaN where it is not defined."""
        above, gradient = _RATIO.at(means[:2])
        below, other = _RATIO.at(means[2:])
        if not below > 0.0:
            return np.nan, np.full(4, np.nan)
        value = above / below
        return value, np.concatenate([gradient / below, -value / below * other])


@dataclass(frozen=True, slots=True)
class Cell:
    """One summed number: of a group's decisions (`side` is the group) or of the control's (`side` is None)."""

    side: int | None
    column: int


@dataclass(frozen=True, slots=True)
class Quotient:
    """`scale` x sum(above) / sum(below); with `base`, that as a share of the quotient `base` (whose scale is 1)."""

    above: Cell
    below: Cell
    scale: float = 1.0
    base: Quotient | None = None

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The two or four sums that it is computed from."""
        return (self.above, self.below) if self.base is None else (self.above, self.below, *self.base.cells)


class IncrementTally:
    """Adds up G groups and a control, batch by batch, and returns functions of the sums with their intervals.

    Outcomes are M measures, of which the first are conversions and those numbered in `by_option` are also summed by
    option. Memory is bounded: sums are kept by block of customers (`BlockSums`). The sums are named by cells: `count`,
    `outcome`, `total_cost`, and by option `weight`, `weighted` and `cost`; on the control's side the last four are of
    what the group would have given. Parts of a log whose customers are different merge with `+`.
    """

    def __init__(self, groups: int, measures: int, options: int, by_option: Sequence[int] = (0,)) -> None:
        if groups < 1 or measures < 1 or options < 0 or not set(by_option) <= set(range(measures)):
            raise InputError(
                f"there are {groups} groups, {measures} measures (by option: {list(by_option)}) and {options} options; "
                "give at least one group and one measure, and measures by their numbers from 0"
            )
        self.groups, self.measures, self.options = groups, measures, options
        self.by_option = tuple(by_option)
        self._base = 1 + measures
        self._part = 1 + (2 + len(self.by_option)) * options
        self._served = tuple(BlockSums(self._base + self._part) for _ in range(groups))
        self._control = BlockSums(self._base + groups * self._part)
        # Sums of squares of weights, and sums and sums of squares of the weights of conversions: served, control.
        self._squares = np.zeros((2, groups, options))
        self._bought = np.zeros((2, 2, groups, options))
        self._counts = np.zeros((2, groups, options), dtype=np.int64)
        self._unknown = np.zeros(groups, dtype=np.bool_)

    def add_served(self, group: int, batch: ServedBatch) -> None:
        """Add decisions of one group; InputError for other numbers of measures or options."""
        self._check(batch.outcomes, batch.cost.shape[1])
        weight = batch.has.astype(np.float64) if batch.weight is None else batch.has * batch.weight[:, None]
        terms = [np.ones((len(batch), 1)), batch.outcomes, *self._by_option(weight, batch.cost, batch.outcomes)]
        self._served[group].add(batch.customer, np.concatenate(terms, axis=1), keys=batch.keys)
        self._support(0, group, weight, batch.outcomes)
        bought = batch.has & (batch.outcomes[:, :1] > 0.0)
        self._counts[:, group] += [batch.has.sum(axis=0), bought.sum(axis=0)]

    def add_control(self, batch: ControlBatch) -> None:
        """Add decisions of the control; a group of which any batch does not know the options has none afterwards."""
        if len(batch.options) != self.groups:
            raise InputError(f"there are options of {len(batch.options)} groups for {self.groups}; give one entry each")
        terms = [np.ones((len(batch), 1)), batch.outcomes]
        for group, given in enumerate(batch.options):
            if given is None:
                self._check(batch.outcomes, self.options)
                self._unknown[group] |= len(batch) > 0
                terms.append(np.zeros((len(batch), self._part)))
                continue
            self._check(batch.outcomes, given.cost.shape[1])
            terms += self._by_option(given.probability, given.cost, batch.outcomes)
            self._support(1, group, given.probability, batch.outcomes)
        self._control.add(batch.customer, np.concatenate(terms, axis=1), keys=batch.keys)

    def __add__(self, other: IncrementTally) -> IncrementTally:
        """Return the sums of both, whose customers are different and came with keys; InputError for other questions."""
        mine, theirs = ((e.groups, e.measures, e.options, e.by_option) for e in (self, other))
        if mine != theirs:
            raise InputError("these sums have other groups, measures or options; merge only parts of one log")
        both = IncrementTally(*mine)
        both._served = tuple(one + two for one, two in zip(self._served, other._served, strict=True))
        both._control = self._control + other._control
        both._squares, both._bought = self._squares + other._squares, self._bought + other._bought
        both._counts, both._unknown = self._counts + other._counts, self._unknown | other._unknown
        return both

    def knows_options(self, group: int) -> bool:
        """Say whether it is known what the group would have given in every decision of the control."""
        return not self._unknown[group]

    def decisions(self, side: int | None) -> int:
        """Return the number of decisions of a group or of the control."""
        return self._side(side).decisions

    def customers(self, side: int | None) -> int:
        """Return the number of customers of a group or of the control."""
        return self._side(side).customers

    def total(self, cell: Cell) -> float:
        """Return a sum."""
        return self._side(cell.side).total(cell.column)

    def count(self, side: int | None) -> Cell:
        """Return the cell of the number of decisions."""
        return Cell(side, 0)

    def outcome(self, side: int | None, measure: int) -> Cell:
        """Return the cell of the sum of one measure."""
        return Cell(side, 1 + measure)

    def total_cost(self, group: int, *, control: bool = False) -> Cell:
        """Return the cell of the summed costs of all options: of the group, or weighted on the control's side."""
        return Cell(None if control else group, self._start(group, control=control))

    def weight(self, group: int, option: int, *, control: bool = False) -> Cell:
        """Return the cell of the summed weights of decisions with an option, or of the sum of its probabilities."""
        return self._option_cell(0, group, option, control=control)

    def weighted(self, group: int, option: int, measure: int, *, control: bool = False) -> Cell:
        """Return the cell of a measure, summed over decisions with an option or weighted by its probabilities."""
        return self._option_cell(1 + self.by_option.index(measure), group, option, control=control)

    def cost(self, group: int, option: int, *, control: bool = False) -> Cell:
        """Return the cell of the summed costs of one option, or of what they would have been on the control's side."""
        return self._option_cell(1 + len(self.by_option), group, option, control=control)

    def option_counts(self, group: int, option: int) -> tuple[int, int]:
        """Return the numbers of a group's decisions and of its conversions with an option."""
        decisions, conversions = self._counts[:, group, option].tolist()
        return decisions, conversions

    def effective_conversions(self, group: int, option: int, *, control: bool = False) -> float:
        """Return Kish's effective number of the conversions that an option's rate rests on; the count if unweighted."""
        total, squares = self._bought[int(control), :, group, option].tolist()
        return effective_number(total, squares)

    def estimates(
        self, statistics: Sequence[Sequence[Quotient]], level: float = 0.95, interval: IntervalKind = "skew"
    ) -> tuple[Estimate, ...]:
        """Return each statistic, a sum of quotients, with its interval; all intervals hold together at `level`.

        They do by max-t (`MaxT`) for one look ("skew", "normal") and by Bonferroni's inequality for every look
        ("anytime-skew", "anytime"). InputError for an unknown kind of interval, and where there are no decisions.
        """
        check_level(level)
        if interval not in {"skew", "normal", "anytime-skew", "anytime"}:
            raise InputError(f'there is no interval "{interval}"; choose from skew, normal, anytime-skew, anytime')
        cells = list(dict.fromkeys(cell for each in statistics for part in each for cell in part.cells))
        sides = sorted({cell.side for cell in cells}, key=lambda side: self.groups if side is None else side)
        cells.sort(key=lambda cell: sides.index(cell.side))
        if not cells or any(not self.decisions(side) for side in sides):
            raise InputError("there are no decisions to compare; add those of the groups and of the control")
        columns = [self._side(side).columns([cell.column for cell in cells if cell.side == side]) for side in sides]
        summary = summary_of(columns, sum(self.customers(side) for side in sides))
        place = {cell: number for number, cell in enumerate(cells)}
        found = [Statistic.of(summary, [_signed(part, place) for part in each]) for each in statistics]
        single = _single_level(found, level, interval)
        return tuple(
            self._estimate(parts, statistic, IntervalRequest(interval, single), level)
            for parts, statistic in zip(statistics, found, strict=True)
        )

    def _estimate(
        self, parts: Sequence[Quotient], statistic: Statistic, request: IntervalRequest, level: float
    ) -> Estimate:
        low, high = request.bounds(statistic)
        cells = [cell for part in parts for cell in part.cells]
        return Estimate(
            name="increment",
            value=statistic.value,
            low=float(low),
            high=float(high),
            n=min(self.decisions(cell.side) for cell in cells),
            effective_sample_size=min(self._effective(cell) for cell in cells),
            max_weight=1.0,
            mean_weight=1.0,
            standard_error=statistic.error,
            clusters=min(self.customers(cell.side) for cell in cells),
            level=level,
            interval=request.kind,
        )

    def _effective(self, cell: Cell) -> float:
        """Return the effective number of the decisions that a sum of weights goes over; else that of all decisions."""
        place = cell.column - self._base
        group, place = (cell.side, place) if cell.side is not None else divmod(place, self._part)
        if group >= 0 and 1 <= place <= self.options:
            squares = self._squares[int(cell.side is None), group, place - 1]
            return effective_number(self.total(cell), float(squares))
        return float(self.decisions(cell.side))

    def _by_option(self, weight: FloatArray, cost: FloatArray, outcomes: FloatArray) -> list[FloatArray]:
        weighted = [weight * outcomes[:, measure, None] for measure in self.by_option]
        return [cost.sum(axis=1, keepdims=True), weight, *weighted, cost]

    def _support(self, control: int, group: int, weight: FloatArray, outcomes: FloatArray) -> None:
        bought = weight * (outcomes[:, :1] > 0.0)
        self._squares[control, group] += (weight * weight).sum(axis=0)
        self._bought[control, :, group] += [bought.sum(axis=0), (bought * bought).sum(axis=0)]

    def _option_cell(self, block: int, group: int, option: int, *, control: bool) -> Cell:
        column = self._start(group, control=control) + 1 + block * self.options + option
        return Cell(None if control else group, column)

    def _start(self, group: int, *, control: bool) -> int:
        return self._base + (group * self._part if control else 0)

    def _side(self, side: int | None) -> BlockSums:
        return self._control if side is None else self._served[side]

    def _check(self, outcomes: FloatArray, options: int) -> None:
        if outcomes.shape[1] != self.measures or options != self.options:
            raise InputError(
                f"these decisions have {outcomes.shape[1]} measures and {options} options, not {self.measures} and "
                f"{self.options}; give one column each"
            )


def _signed(part: Quotient, place: dict[Cell, int]) -> SignedValue:
    estimator: Estimator = _RATIO if part.base is None else _RatioOfRatios()
    return SignedValue(part.scale, estimator, 0, np.array([place[cell] for cell in part.cells]))


def _single_level(statistics: Sequence[Statistic], level: float, interval: IntervalKind) -> float:
    """Return the level of each interval at which all of them hold together."""
    if interval in {"anytime", "anytime-skew"}:
        return 1.0 - (1.0 - level) / len(statistics)
    return MaxT.of(statistics).level(level)

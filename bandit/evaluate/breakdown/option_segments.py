"""Options by segment: what giving an option to a segment would earn, against what the log's policy earned there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.breakdown.option_cells import OptionCells
from bandit.evaluate.breakdown.option_weights import OptionWeights, ServedOffers
from bandit.evaluate.breakdown.pages import LogScan
from bandit.evaluate.diagnostics.target import MAX_UNSUPPORTED, MIN_EVENTS
from bandit.evaluate.segments import FactSegmentation
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE, check_level
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import Log, Progress
    from bandit.evaluate.breakdown.option_cells import CellCounts
    from bandit.evaluate.breakdown.pages import BreakdownPage
    from bandit.ope import Estimate
    from bandit.tabular import Cell

OptionFinding: TypeAlias = Literal["better", "worse", "cannot tell"]
"""What is said of an option in a segment, by its simultaneous interval."""

OptionBaseline: TypeAlias = Literal["the log's policy", "the log's mix of options"]
"""What an option is compared with (`bandit.evaluate.breakdown.option_weights`)."""

_LOG: OptionBaseline = "the log's policy"
_MIX: OptionBaseline = "the log's mix of options"

EVERYONE = "everyone"
"""The segment of all decisions; its fact is empty."""

MOST_OPTION_CELLS = 4_000
"""Most segments times options of one breakdown."""

_WEIGHT_LEVEL = 0.999


@dataclass(frozen=True, slots=True)
class OptionSegment(Tabular):
    """One option in one segment: what giving it to the whole segment would earn, against a baseline.

    `n` decisions of the segment allowed the option, `given` of which got it; `happened` is the mean reward of these,
    as it happened, which depends on whom the policy gave it to. `value` is what each decision would earn on average
    if all of them got the option, and `difference` that minus what the baseline earns in the same decisions, both over
    the decisions left to chance; its interval holds for all cells at once. `difference` is None where nothing was left
    to chance. `told` says whether there is enough to trust its interval, and `reason` what the finding rests on.
    """

    dimension: str
    option: str
    fact: str
    segment: str
    n: int
    given: int
    happened: Estimate
    value: Estimate
    difference: Estimate | None
    finding: OptionFinding
    reason: str
    told: bool

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return the cell as one row."""
        away = self.difference
        return [
            {
                "dimension": self.dimension,
                "option": self.option,
                "fact": self.fact,
                "segment": self.segment,
                "n": self.n,
                "given": self.given,
                "happened": self.happened.value,
                "value": self.value.value,
                "value low": self.value.low,
                "value high": self.value.high,
                "difference": None if away is None else away.value,
                "difference low": None if away is None else away.low,
                "difference high": None if away is None else away.high,
                "finding": self.finding,
                "reason": self.reason,
                "told": self.told,
            }
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        names = ("dimension", "option", "fact", "segment", "n", "given", "finding", "reason", "told")
        plain: dict[str, object] = {name: getattr(self, name) for name in names}
        return plain | {
            "happened": self.happened.to_dict(),
            "value": self.value.to_dict(),
            "difference": None if self.difference is None else self.difference.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class OptionSegments(Tabular):
    """The cells by segment and dimension; the intervals of their differences hold together at `level`.

    `n` decisions were read, `chance` of which were left to chance with a known propensity. `compared` cells have
    enough outcomes to be compared: the intervals are wide enough for these. `baseline` is what they are compared with.
    """

    cells: tuple[OptionSegment, ...]
    level: float
    n: int
    chance: int
    compared: int
    baseline: OptionBaseline

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a cell."""
        return [row for cell in self.cells for row in cell.to_rows()]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "level": self.level,
            "n": self.n,
            "chance": self.chance,
            "compared": self.compared,
            "baseline": self.baseline,
            "cells": [cell.to_dict() for cell in self.cells],
        }


def option_segments(
    log: Log,
    facts: Sequence[str] = (),
    *,
    catalogue: Catalogue | None = None,
    level: float = 0.95,
    progress: Progress | None = None,
) -> OptionSegments:
    """Return what giving each option would earn, over all decisions and in each segment of some facts.

    The estimand of option o in a segment: the mean reward of the segment's decisions if all that allow o got it, with
    the other dimensions dealt evenly (`bandit.evaluate.breakdown.option_weights`). It is compared with what the log's
    policy earned in the same decisions; where that chose the other dimensions for each customer, with the mix of the
    dimension's options that the log has in all, the others dealt evenly, too. All are ratios of sums over the
    decisions left to chance (snips); intervals are clustered by customer, and those of all differences hold together
    (max-t, Hothorn, Bretz and Westfall 2008; above 400 cells by Bonferroni's inequality).

    "cannot tell" where the interval includes 0, and where it cannot be trusted: fewer than ten outcomes of the rarer
    kind on either side, fewer than 30 effective decisions or customers, or weights that do not average 1. Numeric
    facts are cut at the quartiles of the first batch. Dimensions of one option are left out. `catalogue` is needed
    where the log has none. The log is read twice; memory is bounded, apart from a byte a customer and segment.

    InputError for an unknown fact, for an empty log, and for more than 4,000 cells.
    """
    check_level(level)
    scan = LogScan(log, catalogue, passes=2, progress=progress)
    served = ServedOffers(scan.catalogue)
    reader = SegmentReader(served, facts)
    scan.read([served])
    scan.read([], [reader])
    return reader.result(level)


class SegmentReader:
    """Adds up options by segment; `served` is complete before the first page comes."""

    def __init__(self, served: ServedOffers, facts: Sequence[str]) -> None:
        catalogue = served.catalogue
        self._served = served
        self._segmentations = [FactSegmentation(catalogue, fact) for fact in dict.fromkeys(facts)]
        self._binary = catalogue.objective.kind == "conversion"
        self._weights: OptionWeights | None = None
        self._cells: OptionCells | None = None
        self._segments: list[tuple[str, str]] = []
        self._sizes = np.zeros(0, dtype=np.int64)
        self._n = self._chance = 0

    def add(self, page: BreakdownPage) -> None:
        """Add a page."""
        assigned = [each.assign(page.batch.contexts) for each in self._segmentations]
        if self._weights is None or self._cells is None:
            self._weights, self._cells = self._start([names for _, names in assigned])
        options = self._weights.of(page)
        outcomes = page.batch.reward[:, None]
        self._cells.add(0, page.customer, options, outcomes, page.earned)
        self._sizes[0] += len(page)
        first = 1
        for codes, names in assigned:
            for code in np.unique(codes).tolist():
                rows = np.flatnonzero(codes == code)
                self._cells.add(
                    first + code, page.customer[rows], options.take(rows), outcomes[rows], page.earned[rows]
                )
                self._sizes[first + code] += len(rows)
            first += len(names)
        self._n += len(page)
        self._chance += int(options.chance.sum())

    def result(self, level: float = 0.95) -> OptionSegments:
        """Return the cells so far, without segments that have no decisions."""
        if self._weights is None or self._cells is None:
            raise InputError("the log has no decisions to break down")
        columns, cells = self._weights.places, self._cells
        several = np.bincount(columns.dimension) > 1
        shown = [
            (segment, option)
            for segment in np.flatnonzero(self._sizes).tolist()
            for option in np.flatnonzero(several[columns.dimension]).tolist()
        ]
        counts = {cell: cells.counts(*cell) for cell in shown}
        why_not = {cell: self._obstacle(cells, cell, counts[cell]) for cell in shown}
        compared = [cell for cell in shown if why_not[cell] is None]
        together = dict(zip(compared, cells.differences(compared, 0, level), strict=True))
        alone = {
            cell: cells.differences([cell], 0, level)[0]
            for cell in shown
            if cell not in together and counts[cell].chance_given
        }
        baseline = _LOG if self._served.even else _MIX
        found = []
        for cell in shown:
            segment, option = cell
            difference = together.get(cell, alone.get(cell))
            finding, reason = _finding(together.get(cell), why_not[cell], len(compared), baseline)
            found.append(
                OptionSegment(
                    dimension=columns.names[option][0],
                    option=columns.names[option][1],
                    fact=self._segments[segment][0],
                    segment=self._segments[segment][1],
                    n=counts[cell].n,
                    given=counts[cell].given,
                    happened=cells.happened(segment, option, 0, level),
                    value=cells.value(segment, option, 0, level),
                    difference=difference,
                    finding=finding,
                    reason=reason,
                    told=cell in together,
                )
            )
        return OptionSegments(tuple(found), level, self._n, self._chance, len(compared), baseline)

    def _start(self, names: Sequence[Sequence[str]]) -> tuple[OptionWeights, OptionCells]:
        weights = OptionWeights(self._served)
        self._segments = [("", EVERYONE)]
        for segmentation, each in zip(self._segmentations, names, strict=True):
            self._segments += [(segmentation.fact, name) for name in each]
        cells = len(self._segments) * len(weights.places)
        if cells > MOST_OPTION_CELLS:
            widest = max(zip(names, self._segmentations, strict=True), key=lambda pair: len(pair[0]))
            raise InputError(
                f"{len(self._segments):,} segments of {len(weights.places):,} options are {cells:,} cells; at most "
                f'{MOST_OPTION_CELLS:,} are computed: leave out facts, such as "{widest[1].fact}" with '
                f"{len(widest[0]):,} segments"
            )
        self._sizes = np.zeros(len(self._segments), dtype=np.int64)
        return weights, OptionCells(len(self._segments), weights.places.dimension, 1, binary=self._binary)

    def _obstacle(self, cells: OptionCells, cell: tuple[int, int], counts: CellCounts) -> str | None:
        """Return why nothing can be told of a cell, None where something can."""
        if not counts.n:
            return "it was not eligible for any of these customers, or never served at all"
        if not counts.chance:
            return why_no_chance(known=bool(self._chance))
        value, mean_weight = cells.value(*cell, 0, _WEIGHT_LEVEL), cells.mean_weight(*cell, _WEIGHT_LEVEL)
        return why_no_comparison(counts) or why_too_little(counts, value, mean_weight)


def why_no_chance(*, known: bool) -> str:
    """Return why decisions that were not left to chance tell nothing."""
    if known:
        return "who gets it here is not left to chance, so those who got it may differ from the others"
    return (
        "no decision was left to chance with a known propensity, so those who got it may differ from the others; "
        "give a share of the customers offers at random"
    )


def why_too_little(counts: CellCounts, value: Estimate, mean_weight: Estimate) -> str | None:
    """Return why the decisions left to chance are too few to say what an option earns, None where they are enough."""
    if not counts.chance_given:
        return "nobody got it where that was left to chance"
    effective = min(value.effective_sample_size, counts.customers)
    if effective < MIN_EFFECTIVE_SAMPLE_SIZE:
        return f"there are only {effective:.0f} effective decisions or customers with it"
    if counts.events < MIN_EVENTS:
        return f"those who got it have only {counts.events:.0f} outcomes of the rarer kind (effective number)"
    if mean_weight.high < 1.0 - MAX_UNSUPPORTED or mean_weight.low > 1.0 + MAX_UNSUPPORTED:
        return (
            f"its weights average {mean_weight.value:.2f} instead of 1: the log's policy does not serve all of its "
            "offers to such customers, or the propensities are wrong"
        )
    return None


def why_no_comparison(counts: CellCounts) -> str | None:
    """Return why those who did not get an option are too few to compare it, None where they are enough."""
    if counts.chance_given == counts.chance:
        return "everyone here got it, so there is nothing to compare it with"
    if counts.other_events < MIN_EVENTS:
        return f"those who did not get it have only {counts.other_events:.0f} outcomes of the rarer kind"
    return None


def _finding(
    difference: Estimate | None, why_not: str | None, compared: int, baseline: str
) -> tuple[OptionFinding, str]:
    if why_not is not None or difference is None or not np.isfinite(difference.value):
        return "cannot tell", why_not or "the difference has no finite value"
    together = f", wide enough for {compared} comparisons at once" if compared > 1 else ""
    bounds = f"{difference.low:+.4g} to {difference.high:+.4g} ({difference.level:.0%} interval{together})"
    finding: OptionFinding = "better" if difference.low > 0.0 else "worse" if difference.high < 0.0 else "cannot tell"
    words = "it may earn anything from" if finding == "cannot tell" else "it would earn"
    return finding, f"{words} {bounds} per decision compared with {baseline}"

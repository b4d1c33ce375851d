"""Response and profit by depth: what each rate of discount would bring if everyone got it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.breakdown.option_cells import OptionCells
from bandit.evaluate.breakdown.option_segments import why_no_chance, why_too_little
from bandit.evaluate.breakdown.option_weights import OptionWeights, ServedOffers
from bandit.evaluate.breakdown.pages import LogScan
from bandit.ope.estimate import check_level
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import Log, Progress
    from bandit.evaluate.breakdown.pages import BreakdownPage
    from bandit.ope import Estimate
    from bandit.tabular import Cell

_VALUE, _RESPONSE = range(2)

_WEIGHT_LEVEL = 0.999


@dataclass(frozen=True, slots=True)
class DepthPoint(Tabular):
    """One option with its `rate`, the share of revenue that it gives away: what giving it to everyone would bring.

    `n` decisions allowed it, a share `allowed` of the log's; points with different `allowed` are about different
    customers. `given` decisions got it. `response` is the share of decisions that would respond, `value` the mean
    reward, each with its own interval. `reason` says why the intervals cannot be trusted, None where they can.
    """

    dimension: str
    option: str
    rate: float
    n: int
    given: int
    allowed: float
    response: Estimate
    value: Estimate
    reason: str | None

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return the point as one row."""
        return [
            {
                "dimension": self.dimension,
                "option": self.option,
                "rate": self.rate,
                "n": self.n,
                "given": self.given,
                "allowed": self.allowed,
                "response": self.response.value,
                "response low": self.response.low,
                "response high": self.response.high,
                "value": self.value.value,
                "value low": self.value.low,
                "value high": self.value.high,
                "reason": self.reason,
            }
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        names = ("dimension", "option", "rate", "n", "given", "allowed", "reason")
        plain: dict[str, object] = {name: getattr(self, name) for name in names}
        return plain | {"response": self.response.to_dict(), "value": self.value.to_dict()}


@dataclass(frozen=True, slots=True)
class DepthResponse(Tabular):
    """The points of each dimension whose options differ in rate, in order of depth; empty where there is none."""

    points: tuple[DepthPoint, ...]
    level: float

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a point."""
        return [row for point in self.points for row in point.to_rows()]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"level": self.level, "points": [point.to_dict() for point in self.points]}


def depth_response(
    log: Log,
    *,
    catalogue: Catalogue | None = None,
    level: float = 0.95,
    progress: Progress | None = None,
) -> DepthResponse:
    """Return the response and the reward that each depth of discount would bring, if all that allow it got it.

    The estimand and the estimator are those of `option_segments`, over all decisions. Each interval holds for itself
    and is clustered by customer. The log is read twice. InputError for an empty log.
    """
    check_level(level)
    scan = LogScan(log, catalogue, passes=2, progress=progress)
    served = ServedOffers(scan.catalogue)
    reader = DepthReader(served)
    scan.read([served])
    scan.read([], [reader])
    return reader.result(level)


class DepthReader:
    """Adds up response and reward by option; `served` is complete before the first page comes."""

    def __init__(self, served: ServedOffers) -> None:
        self._served, self._catalogue = served, served.catalogue
        self._weights: OptionWeights | None = None
        self._cells: OptionCells | None = None
        self._n = self._chance = 0

    def add(self, page: BreakdownPage) -> None:
        """Add a page."""
        if self._weights is None or self._cells is None:
            self._weights = OptionWeights(self._served)
            binary = self._catalogue.objective.kind == "conversion"
            self._cells = OptionCells(1, self._weights.places.dimension, 2, binary=binary)
        options = self._weights.of(page)
        outcomes = np.stack([page.batch.reward, page.earned.astype(np.float64)], axis=1)
        self._cells.add(0, page.customer, options, outcomes, page.earned)
        self._n += len(page)
        self._chance += int(options.chance.sum())

    def result(self, level: float = 0.95) -> DepthResponse:
        """Return the points so far."""
        if self._weights is None or self._cells is None:
            raise InputError("the log has no decisions to break down")
        columns, points = self._weights.places, []
        for place in range(len(self._catalogue.dimensions)):
            options = np.flatnonzero(columns.dimension == place)
            rates = columns.rates[options]
            if rates.min() == rates.max():
                continue
            points += [
                self._point(self._cells, option, level) for option in options[np.argsort(rates, kind="stable")].tolist()
            ]
        return DepthResponse(tuple(points), level)

    def _point(self, cells: OptionCells, option: int, level: float) -> DepthPoint:
        if self._weights is None:
            raise InputError("the log has no decisions to break down")
        columns, counts = self._weights.places, cells.counts(0, option)
        value = cells.value(0, option, _VALUE, level)
        reason = why_too_little(counts, value, cells.mean_weight(0, option, _WEIGHT_LEVEL))
        if not counts.n:
            reason = "it was not eligible for any customer, or never served at all"
        elif not counts.chance:
            reason = why_no_chance(known=bool(self._chance))
        return DepthPoint(
            dimension=columns.names[option][0],
            option=columns.names[option][1],
            rate=float(columns.rates[option]),
            n=counts.n,
            given=counts.given,
            allowed=counts.n / self._n,
            response=cells.value(0, option, _RESPONSE, level),
            value=value,
            reason=reason,
        )

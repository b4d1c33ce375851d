"""The ways to split the customers of a node by one fact: bins of its values, and sets of bins for one side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.fact_regions import FactRange
from bandit.catalogue.facts import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue.facts import Fact
    from bandit.domain import BoolArray, FloatArray, IntArray

TABLE_QUANTILES = 16
"""Parts of equal size that a numeric fact's values are cut into."""

MOST_CATEGORIES = 40
"""Most values of a categorical fact that are told apart, the most frequent ones; the others are in no segment."""


@dataclass(frozen=True, slots=True, eq=False)
class FactBins:
    """The bins of one fact: `bin` (n,) of each row, the last one where it is missing; -1 for a value in none.

    `cuts` are the thresholds of a numeric fact, `codes` the codes of another one's bins.
    """

    fact: Fact
    bin: IntArray
    n_bins: int
    cuts: tuple[float, ...] = ()
    codes: tuple[int, ...] = ()

    @staticmethod
    def of(fact: Fact, column: IntArray | FloatArray, asked: Sequence[float] = ()) -> FactBins:
        """Return the bins of a fact's values in n rows; `asked` are numbers that conditions compare it with."""
        if fact.kind != "numeric":
            codes = column.astype(np.int64) if column.dtype.kind == "i" else np.where(np.isnan(column), MISSING, column)
            codes = codes.astype(np.int64)
            seen, counts = np.unique(codes[codes != MISSING], return_counts=True)
            kept = np.sort(seen[np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]])
            place = np.minimum(np.searchsorted(kept, codes), max(len(kept) - 1, 0))
            found = kept[place] == codes if len(kept) else np.zeros(len(codes), dtype=np.bool_)
            bins = np.where(found, place, np.where(codes == MISSING, len(kept), -1))
            return FactBins(fact, bins, len(kept) + 1, codes=tuple(kept.tolist()))
        known = column[~np.isnan(column)].astype(np.float64)
        cuts = _cuts(fact, known, asked)
        bins = np.searchsorted(np.array(cuts), column, side="right")
        return FactBins(fact, np.where(np.isnan(column), len(cuts) + 1, bins), len(cuts) + 2, cuts=cuts)

    def sides(self, seen: BoolArray, mean: FloatArray) -> BoolArray:
        """Return the sets of bins that one side of a split may have, (c, bins); the other side has the rest of `seen`.

        `mean` (bins, M) is the mean row of each bin, by which categories are put into an order.
        """
        found: list[BoolArray] = []
        last = self.n_bins - 1
        if self.fact.kind == "numeric":
            for cut in range(1, last):
                below = np.arange(self.n_bins) < cut
                found.append(below)
                if seen[last]:
                    found.append(below | (np.arange(self.n_bins) == last))
        else:
            there = np.flatnonzero(seen)
            found += list(np.eye(self.n_bins, dtype=np.bool_)[there])
            if len(there) > 3:
                centred = mean[there] - mean[there].mean(axis=0)
                along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
                order = there[np.argsort(along, kind="stable")]
                found += [np.isin(np.arange(self.n_bins), order[:cut]) for cut in range(2, len(order) - 1)]
        if self.fact.kind == "numeric" and seen[last]:
            found.append(np.arange(self.n_bins) == last)
        if not found:
            return np.zeros((0, self.n_bins), dtype=np.bool_)
        sides = np.stack(found) & seen
        return sides[sides.any(axis=1) & (seen & ~sides).any(axis=1)]

    def part(self, there: FactRange, bins: BoolArray) -> FactRange:
        """Return the part of a range that some bins have."""
        missing = there.missing and bool(bins[-1])
        if self.fact.kind != "numeric":
            codes = frozenset(code for code, taken in zip(self.codes, bins[:-1], strict=True) if taken)
            return FactRange(codes=codes & (there.codes or frozenset()), missing=missing)
        numbers = np.flatnonzero(bins[:-1])
        if not len(numbers):
            return FactRange(0.0, 0.0, missing=missing)
        edges = (-math.inf, *self.cuts, math.inf)
        # A side of a split has neighbouring bins; those at the node's own ends reach as far as the node does.
        first, end = edges[int(numbers[0])], edges[int(numbers[-1]) + 1]
        return FactRange(max(first, there.low), min(end, there.high), missing=missing)


def _cuts(fact: Fact, known: FloatArray, asked: Sequence[float]) -> tuple[float, ...]:
    """Return the thresholds of a numeric fact: its buckets' edges, or readable numbers near its quantiles."""
    if fact.edges:
        return tuple(fact.edges[1:])
    distinct = np.unique(known)
    if len(distinct) < 2:
        return ()
    middle = np.arange(1, TABLE_QUANTILES)
    around = [np.quantile(known, (middle + side) / TABLE_QUANTILES, method="lower") for side in (-0.25, 0.25)]
    places = [np.searchsorted(distinct, each) for each in around]
    cuts = set()
    for low, high in zip(*(each.tolist() for each in places), strict=True):
        above = min(max(high, low + 1), len(distinct) - 1)  # a threshold lies between two values that occur
        cuts.add(readable(float(distinct[min(low, above - 1)]), float(distinct[above])))
    inside = {number for number in asked if distinct[0] < number <= distinct[-1]}
    return tuple(sorted(cuts | inside))


def readable(low: float, high: float) -> float:
    """Return the number above `low` and not above `high` with the fewest digits, near their middle.

    >>> readable(2.0313, 2.1744), readable(1.0, 2.0)
    (2.1, 2.0)
    """
    middle = 0.5 * (low + high)
    for digits in range(1, 17):
        number = float(f"{middle:.{digits}g}")
        if low < number <= high:
            return number
    return high

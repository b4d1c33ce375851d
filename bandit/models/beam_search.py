"""Search for the best combination of options under each draw, where scoring every offer would take too long.

Scores and log revenue are sums over the dimensions, and so are costs. The expected reward of an offer is no such sum,
but an upper bound of the reward of any completion of a partial combination is easily computed. A beam of partial
combinations grows by one dimension at a time and keeps those of highest bound. Where no combination that was dropped
had a bound above the best one found, the best one is proven to be optimal; the draws that remain open are searched
again with a wider beam: branch and bound (Land and Doig 1960, Econometrica 28) in the order of a beam search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, IntArray
from bandit.models.arrays import Float32Array
from bandit.models.rule_bits import BitWords, RuleBits
from bandit.models.search_bounds import DimensionScores, PartialSums, RewardBounds

BEAM_WIDTHS = (16, 64, 400)
"""Partial combinations kept: each further width for the draws that the one before leaves open."""

BEAM_CELLS = 400_000
"""Partial combinations (draws x kept x options) evaluated at once: bounds the memory of a batch."""

NOT_FOUND = np.float32(-3e38)
"""The value of a combination that the rules forbid."""

BOUND_TOLERANCE = np.float32(1e-5)
"""A dropped bound must exceed the best value by this share of it for the search to count as open."""


@dataclass(frozen=True, slots=True, eq=False)
class BestOffers:
    """The offer found for each draw: its `options` (n, M, dimensions), -1 where the rules allow none.

    `value` (n, M) is its expected reward, `proven` (n, M) whether no other can have one that is higher by more
    than rounding, 1 part in 100,000.
    """

    options: IntArray
    value: Float32Array
    proven: BoolArray


def best_offers(
    base: Float32Array,
    log_revenue: Float32Array,
    dimensions: Sequence[DimensionScores],
    rules: RuleBits,
    in_force: BitWords,
    margin: float | None,
    widths: Sequence[int] = BEAM_WIDTHS,
) -> BestOffers:
    """Return the offer of highest expected reward for each of M draws and n contexts.

    `base` (n, M) is the part of the scores that all offers share, `log_revenue` (n,) that of log revenue, and
    `in_force` (n, words) the rules that hold. The expected reward is chance x (revenue x (margin - rate) - redemption
    cost) - contact cost, with chance the logistic of the score; it is the score itself where `margin` is None.
    """
    n, m = base.shape
    order = _search_order(dimensions)
    dimensions = [dimensions[place] for place in order]
    rules = rules.ordered(order)
    options = np.full((n * m, len(dimensions)), -1, dtype=np.int64)
    value, proven = np.full(n * m, NOT_FOUND), np.zeros(n * m, dtype=np.bool_)
    longest = max(len(dimension.rate) for dimension in dimensions)
    for width in widths:
        left = np.flatnonzero(~proven)
        at_once = max(1, BEAM_CELLS // (width * longest))
        for start in range(0, len(left), at_once):
            rows = left[start : start + at_once]
            beam = _Beam(dimensions, rules, rows // m, rows % m, in_force, margin)
            part = beam.run(base.ravel()[rows], log_revenue[rows // m], width)
            options[rows], value[rows], proven[rows] = part.options, part.value, part.proven
    back = np.argsort(order)
    return BestOffers(options.reshape(n, m, -1)[:, :, back], value.reshape(n, m), proven.reshape(n, m))


def _search_order(dimensions: Sequence[DimensionScores]) -> list[int]:
    """Return the dimensions that cost money first, since their bounds are the loosest, then by their scores' range."""

    def weight(place: int) -> tuple[bool, float]:
        dimension = dimensions[place]
        costs = (dimension.rate, dimension.redemption_cost, dimension.contact_cost)
        return any(np.ptp(cost) > 0.0 for cost in costs), float(np.ptp(dimension.score, axis=2).mean())

    return sorted(range(len(dimensions)), key=weight, reverse=True)


class _Beam:
    """One search for some rows, each a draw for a context."""

    def __init__(
        self,
        dimensions: Sequence[DimensionScores],
        rules: RuleBits,
        context: IntArray,
        draw: IntArray,
        in_force: BitWords,
        margin: float | None,
    ) -> None:
        self.dimensions = dimensions
        self.scores = [dimension.score[context, draw] for dimension in dimensions]
        self.log_revenues = [dimension.log_revenue[context] for dimension in dimensions]
        self.named = rules.named
        self.in_force = in_force[context]
        self.decided = rules.decided()
        # An option that one rule forbids by itself is in no completion.
        allowed = [
            ~((self.in_force[:, None, :] & only & named) != 0).any(axis=2) if only.any() else None
            for named, only in zip(rules.named, rules.of_one_dimension(), strict=True)
        ]
        self.bounds = RewardBounds(dimensions, self.scores, self.log_revenues, allowed, margin)

    def run(self, base: Float32Array, log_revenue: Float32Array, width: int) -> BestOffers:
        """Return the best of what a beam of this width finds, with (rows, dimensions) options."""
        n = len(base)
        nothing = np.zeros((n, 1), dtype=np.float32)
        sums = PartialSums(base[:, None], log_revenue[:, None], nothing, nothing, nothing)
        rules = self.in_force[:, None, :]
        dropped = np.full(n, NOT_FOUND)
        slope, rests = self.bounds.remaining(base)
        paths: list[IntArray] = []
        for place, dimension in enumerate(self.dimensions):
            sums = sums.with_each(self.scores[place], self.log_revenues[place], dimension)
            rules = (rules[:, :, None, :] & self.named[place]).reshape(n, -1, rules.shape[2])
            final = place + 1 == len(self.dimensions)
            bound = self.bounds.value(sums) if final else self.bounds.bound(sums, slope, rests[place + 1])
            if self.decided[place].any():
                bound[(rules & self.decided[place]).any(axis=2)] = NOT_FOUND
            if final:
                kept = bound.argmax(axis=1)[:, None]
            elif bound.shape[1] > width:
                kept = np.argpartition(-bound, width, axis=1)
                dropped = np.maximum(dropped, np.take_along_axis(bound, kept[:, width : width + 1], axis=1)[:, 0])
                kept = kept[:, :width]
            else:
                kept = np.broadcast_to(np.arange(bound.shape[1]), bound.shape)
            paths.append(kept)
            if not final and kept.shape != bound.shape:
                sums = sums.take(kept)
                rules = np.take_along_axis(rules, kept[:, :, None], axis=1)
        value = np.take_along_axis(bound, paths[-1], axis=1)[:, 0]
        options = self._trace(paths)
        options[value <= NOT_FOUND] = -1
        proven = (dropped <= value + BOUND_TOLERANCE * np.abs(value)) | (dropped <= NOT_FOUND)
        return BestOffers(options, value, proven)

    def _trace(self, paths: Sequence[IntArray]) -> IntArray:
        """Return the options on the path to the last dimension's best, (rows, dimensions)."""
        found = np.empty((len(paths[0]), len(paths)), dtype=np.int64)
        at = np.zeros((len(paths[0]), 1), dtype=np.int64)
        for place in reversed(range(len(paths))):
            chosen = np.take_along_axis(paths[place], at, axis=1)
            at, option = np.divmod(chosen, len(self.dimensions[place].rate))
            found[:, place] = option[:, 0]
        return found

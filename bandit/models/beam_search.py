"""The best combination under each draw by search over the dimensions, where scoring every offer would take too long.

Scores and log revenue are sums over the dimensions, and so are costs. What an offer earns is no such sum, but an upper
bound of what any completion of a partial combination earns is easily had. A beam of partial combinations grows by one
dimension at a time and keeps those of highest bound. Where no combination that was dropped had a bound above what was
found in the end, this is proven to be the best there is; the draws that are left open are searched again with a wider
beam: branch and bound (Land and Doig 1960, Econometrica 28) in the order of a beam search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandit.domain import BoolArray, IntArray
from bandit.models.rule_bits import RuleBits, Words

Floats32 = NDArray[np.float32]

WIDTHS = (16, 64, 400)
"""Partial combinations kept: each further number for those draws that the one before leaves open."""

CELLS = 400_000
"""Partial combinations (draws x kept x options) looked at in one piece: bounds the memory of a batch."""

MAX_LOG_REVENUE = np.float32(30.0)
"""Log revenue counts no further than this, so that a wild guess stays a number."""

LOWEST = np.float32(-3e38)
"""Stands for the value of what cannot be had."""

SHUT = np.float32(-1e30)
"""What an option adds that cannot be chosen, where the most of what options add is asked for."""

ROUNDING = np.float32(1e-5)
"""A bound has to lie above what was found by this share of it before the search is said to be open."""


@dataclass(frozen=True, slots=True, eq=False)
class DimensionScores:
    """One dimension's K options: what they add to the scores of n contexts under M draws, and to the money.

    `score` is (n, M, K) and `log_revenue` (n, K); `rate`, `redemption_cost` and `contact_cost` are (K,).
    """

    score: Floats32
    log_revenue: Floats32
    rate: Floats32
    redemption_cost: Floats32
    contact_cost: Floats32


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The offer found for each draw: its `options` (n, M, dimensions), -1 where none was found that the rules allow.

    `value` (n, M) is its expected reward, `proven` (n, M) whether no other can have one that is higher by more
    than rounding, 1 part in 100,000.
    """

    options: IntArray
    value: Floats32
    proven: BoolArray


def best_offers(
    base: Floats32,
    log_revenue: Floats32,
    levers: Sequence[DimensionScores],
    stacking: RuleBits,
    in_force: Words,
    margin: float | None,
    widths: Sequence[int] = WIDTHS,
) -> Best:
    """Return the offer of highest expected reward for each of M draws and n contexts.

    `base` (n, M) is the part of the scores that all offers share, `log_revenue` (n,) that of log revenue, and
    `in_force` (n, words) the rules that hold. The expected reward is chance x (revenue x (margin - rate) - redemption
    cost) - contact cost, the chance being the logistic of the score; it is the score itself where `margin` is None.
    """
    n, m = base.shape
    order = _order(levers)
    levers = [levers[place] for place in order]
    stacking = stacking.ordered(order)
    options = np.full((n * m, len(levers)), -1, dtype=np.int64)
    value, proven = np.full(n * m, LOWEST), np.zeros(n * m, dtype=np.bool_)
    longest = max(len(lever.rate) for lever in levers)
    for width in widths:
        left = np.flatnonzero(~proven)
        at_once = max(1, CELLS // (width * longest))
        for start in range(0, len(left), at_once):
            rows = left[start : start + at_once]
            beam = _Beam(levers, stacking, rows // m, rows % m, in_force, margin)
            part = beam.run(base.ravel()[rows], log_revenue[rows // m], width)
            options[rows], value[rows], proven[rows] = part.options, part.value, part.proven
    back = np.argsort(order)
    return Best(options.reshape(n, m, -1)[:, :, back], value.reshape(n, m), proven.reshape(n, m))


def _order(levers: Sequence[DimensionScores]) -> list[int]:
    """Dimensions that cost money come first, since their bounds are the loosest; then those that matter most."""

    def weight(place: int) -> tuple[bool, float]:
        lever = levers[place]
        costs = (lever.rate, lever.redemption_cost, lever.contact_cost)
        return any(np.ptp(cost) > 0.0 for cost in costs), float(np.ptp(lever.score, axis=2).mean())

    return sorted(range(len(levers)), key=weight, reverse=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """What partial combinations have added up to, (rows, kept) each; or what their completions may add, (rows, 1)."""

    score: Floats32
    log_revenue: Floats32
    rate: Floats32
    redemption_cost: Floats32
    contact_cost: Floats32

    def with_each(self, score: Floats32, log_revenue: Floats32, lever: DimensionScores) -> _Sums:
        """Return the sums with each of K options added, (rows, kept x K); what a lever adds is (rows, K) or (K,)."""

        def joined(sums: Floats32, added: Floats32) -> Floats32:
            return (sums[:, :, None] + added[..., None, :]).reshape(len(score), -1)

        return _Sums(
            joined(self.score, score),
            joined(self.log_revenue, log_revenue),
            joined(self.rate, lever.rate),
            joined(self.redemption_cost, lever.redemption_cost),
            joined(self.contact_cost, lever.contact_cost),
        )

    def take(self, kept: IntArray) -> _Sums:
        """Return the (rows, kept) partial combinations of these places."""
        return _Sums(
            np.take_along_axis(self.score, kept, axis=1),
            np.take_along_axis(self.log_revenue, kept, axis=1),
            np.take_along_axis(self.rate, kept, axis=1),
            np.take_along_axis(self.redemption_cost, kept, axis=1),
            np.take_along_axis(self.contact_cost, kept, axis=1),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Rest:
    """What the dimensions still to come can add: the most and the least, (rows, 1) each.

    `joint` is the most that slope x score + log revenue + log of the share of the margin kept can grow by.
    """

    most_score: Floats32
    least_score: Floats32
    most_log_revenue: Floats32
    least_rate: np.float32
    least_redemption_cost: np.float32
    least_contact_cost: np.float32
    joint: Floats32


class _Beam:
    """One search for some rows, each a draw for a context."""

    def __init__(
        self,
        levers: Sequence[DimensionScores],
        stacking: RuleBits,
        context: IntArray,
        draw: IntArray,
        in_force: Words,
        margin: float | None,
    ) -> None:
        self.levers = levers
        self.margin = None if margin is None else np.float32(margin)
        self.scores = [lever.score[context, draw] for lever in levers]
        self.log_revenues = [lever.log_revenue[context] for lever in levers]
        self.named = stacking.named
        self.rules = in_force[context]
        self.seen = stacking.seen()
        alone = stacking.alone()
        # An option that one rule forbids by itself is in no completion.
        self.open = [
            ~((self.rules[:, None, :] & only & named) != 0).any(axis=2) if only.any() else None
            for named, only in zip(stacking.named, alone, strict=True)
        ]

    def run(self, base: Floats32, log_revenue: Floats32, width: int) -> Best:
        """Return the best of what a beam of this width finds, with (rows, dimensions) options."""
        n = len(base)
        nothing = np.zeros((n, 1), dtype=np.float32)
        sums = _Sums(base[:, None], log_revenue[:, None], nothing, nothing, nothing)
        rules = self.rules[:, None, :]
        dropped = np.full(n, LOWEST)
        slope, rests = self._rests(base)
        paths: list[IntArray] = []
        for place, lever in enumerate(self.levers):
            sums = sums.with_each(self.scores[place], self.log_revenues[place], lever)
            rules = (rules[:, :, None, :] & self.named[place]).reshape(n, -1, rules.shape[2])
            final = place + 1 == len(self.levers)
            bound = self._value(sums) if final else self._bound(sums, slope, rests[place + 1])
            if self.seen[place].any():
                bound[(rules & self.seen[place]).any(axis=2)] = LOWEST
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
        options[value <= LOWEST] = -1
        proven = (dropped <= value + ROUNDING * np.abs(value)) | (dropped <= LOWEST)
        return Best(options, value, proven)

    def _trace(self, paths: Sequence[IntArray]) -> IntArray:
        """Return the options along the way to the last dimension's winner, (rows, dimensions)."""
        found = np.empty((len(paths[0]), len(paths)), dtype=np.int64)
        at = np.zeros((len(paths[0]), 1), dtype=np.int64)
        for place in reversed(range(len(paths))):
            chosen = np.take_along_axis(paths[place], at, axis=1)
            at, option = np.divmod(chosen, len(self.levers[place].rate))
            found[:, place] = option[:, 0]
        return found

    def _value(self, sums: _Sums) -> Floats32:
        """Return the expected reward of whole combinations."""
        if self.margin is None:
            return sums.score
        worth = np.exp(np.minimum(sums.log_revenue, MAX_LOG_REVENUE)) * (self.margin - sums.rate)
        worth -= sums.redemption_cost
        worth *= _chance(sums.score)
        return np.asarray(worth - sums.contact_cost)

    def _bound(self, sums: _Sums, slope: Floats32, rest: _Rest) -> Floats32:
        """Return the most that any completion can earn, by the lower of two bounds.

        The first takes the best of each part by itself. The second knows that the options that raise the response
        need not be those that raise revenue: log chance is concave in the score, so it lies below its tangent (of
        this slope), and log chance + log revenue below a sum over the dimensions that each can have its maximum of.
        """
        if self.margin is None:
            return sums.score + rest.most_score
        kept = np.maximum(self.margin - sums.rate - rest.least_rate, 0.0)
        redemption = sums.redemption_cost + rest.least_redemption_cost
        high = _chance(sums.score + rest.most_score)
        revenue = np.exp(np.minimum(sums.log_revenue + rest.most_log_revenue, MAX_LOG_REVENUE))
        apart = high * np.maximum(revenue * kept - redemption, 0.0)
        low = _chance(sums.score + rest.least_score)
        together = np.exp(np.minimum(slope * sums.score + sums.log_revenue + rest.joint, np.float32(80.0)))
        together *= np.maximum(self.margin - sums.rate, 0.0)
        together -= np.where(redemption > 0.0, low, high) * redemption
        bound = np.minimum(apart, together)
        return np.asarray(bound - (sums.contact_cost + rest.least_contact_cost))

    def _rests(self, base: Floats32) -> tuple[Floats32, list[_Rest]]:
        """Return the tangent's slope (rows, 1), and what the dimensions from each place on can add."""
        n, margin = len(base), np.float32(1.0) if self.margin is None else max(self.margin, np.float32(1e-6))
        # Shares of the margin that are left multiply to no less than what is left after all rates together.
        shares = [np.log(np.maximum(np.float32(1.0) - lever.rate / margin, 1e-12)) for lever in self.levers]
        gains = [
            self._shut(place, revenue + share)
            for place, (revenue, share) in enumerate(zip(self.log_revenues, shares, strict=True))
        ]
        score = base.copy()
        for own, gain in zip(self.scores, gains, strict=True):
            score += np.take_along_axis(own, (own + gain).argmax(axis=1)[:, None], axis=1)[:, 0]
        chance = _chance(score)
        slope = (np.float32(1.0) - chance)[:, None]
        joint = (np.log(chance) - slope[:, 0] * score)[:, None]
        zero, none = np.zeros((n, 1), dtype=np.float32), np.float32(0.0)
        rest = _Rest(zero, zero, zero, none, none, none, joint)
        rests = [rest]
        for place in reversed(range(len(self.levers))):
            lever, own, gain = self.levers[place], self.scores[place], gains[place]
            rest = _Rest(
                rest.most_score + self._shut(place, own).max(axis=1, keepdims=True),
                rest.least_score + own.min(axis=1, keepdims=True),
                rest.most_log_revenue + self._shut(place, self.log_revenues[place]).max(axis=1, keepdims=True),
                rest.least_rate + lever.rate.min(),
                rest.least_redemption_cost + lever.redemption_cost.min(),
                rest.least_contact_cost + lever.contact_cost.min(),
                rest.joint + (slope * own + gain).max(axis=1, keepdims=True),
            )
            rests.append(rest)
        return slope, rests[::-1]

    def _shut(self, place: int, values: Floats32) -> Floats32:
        """Return (rows, K) values with those of options that are forbidden by themselves out of reach."""
        options = self.open[place]
        return values if options is None else np.where(options, values, SHUT)


def _chance(score: Floats32) -> Floats32:
    """Return the logistic of scores; one of -80 or less is a chance of 0 in any currency."""
    chance = np.exp(np.minimum(-score, np.float32(80.0)))
    chance += np.float32(1.0)
    return np.reciprocal(chance, out=chance)

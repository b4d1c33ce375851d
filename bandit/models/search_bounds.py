"""Expected rewards of combinations of options, and upper bounds for those that are only partly chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, IntArray
from bandit.models.arrays import Float32Array

MAX_LOG_REVENUE = 30.0
"""Log revenue is capped here, so that an extreme draw or a weak belief stays a finite amount."""

FORBIDDEN_ADDS = np.float32(-1e30)
"""What an option that a rule forbids by itself adds, where the maximum over the options is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class DimensionScores:
    """One dimension's K options: what they add to the scores of n contexts under M draws, and to the money.

    `score` is (n, M, K) and `log_revenue` (n, K); `rate`, `redemption_cost` and `contact_cost` are (K,).
    """

    score: Float32Array
    log_revenue: Float32Array
    rate: Float32Array
    redemption_cost: Float32Array
    contact_cost: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class PartialSums:
    """The sums over the options chosen so far of each partial combination, (rows, kept) each."""

    score: Float32Array
    log_revenue: Float32Array
    rate: Float32Array
    redemption_cost: Float32Array
    contact_cost: Float32Array

    def with_each(self, score: Float32Array, log_revenue: Float32Array, dimension: DimensionScores) -> PartialSums:
        """Return the sums with each of K options added, (rows, kept x K); `score` and `log_revenue` are (rows, K)."""

        def joined(sums: Float32Array, added: Float32Array) -> Float32Array:
            return (sums[:, :, None] + added[..., None, :]).reshape(len(score), -1)

        return PartialSums(
            joined(self.score, score),
            joined(self.log_revenue, log_revenue),
            joined(self.rate, dimension.rate),
            joined(self.redemption_cost, dimension.redemption_cost),
            joined(self.contact_cost, dimension.contact_cost),
        )

    def take(self, kept: IntArray) -> PartialSums:
        """Return the (rows, kept) partial combinations at these places."""
        return PartialSums(
            np.take_along_axis(self.score, kept, axis=1),
            np.take_along_axis(self.log_revenue, kept, axis=1),
            np.take_along_axis(self.rate, kept, axis=1),
            np.take_along_axis(self.redemption_cost, kept, axis=1),
            np.take_along_axis(self.contact_cost, kept, axis=1),
        )


@dataclass(frozen=True, slots=True, eq=False)
class RemainingBounds:
    """Bounds of what the dimensions not chosen yet can add: the most and the least, (rows, 1) each.

    `joint` is the most that slope x score + log revenue + log of the share of the margin kept can grow by.
    """

    most_score: Float32Array
    least_score: Float32Array
    most_log_revenue: Float32Array
    least_rate: np.float32
    least_redemption_cost: np.float32
    least_contact_cost: np.float32
    joint: Float32Array


class RewardBounds:
    """The expected reward of whole combinations, and bounds of it for partial ones, for some rows (draw, context)."""

    def __init__(
        self,
        dimensions: Sequence[DimensionScores],
        scores: Sequence[Float32Array],
        log_revenues: Sequence[Float32Array],
        allowed: Sequence[BoolArray | None],
        margin: float | None,
    ) -> None:
        """Take each dimension's (rows, K) scores, log revenues and options not forbidden alone (None: all allowed)."""
        self.dimensions = dimensions
        self.scores = scores
        self.log_revenues = log_revenues
        self.allowed = allowed
        self.margin = None if margin is None else np.float32(margin)

    def value(self, sums: PartialSums) -> Float32Array:
        """Return the expected reward of whole combinations."""
        if self.margin is None:
            return sums.score
        worth = np.exp(np.minimum(sums.log_revenue, np.float32(MAX_LOG_REVENUE))) * (self.margin - sums.rate)
        worth -= sums.redemption_cost
        worth *= _chance(sums.score)
        return np.asarray(worth - sums.contact_cost)

    def bound(self, sums: PartialSums, slope: Float32Array, rest: RemainingBounds) -> Float32Array:
        """Return an upper bound of what any completion can earn, the lower of two.

        The first takes the best of each part by itself. The second accounts for options that raise the response not
        being those that raise revenue: log chance is concave in the score, so it lies below its tangent (of this
        slope), and log chance + log revenue lies below a sum over the dimensions, each of which can be maximised.
        """
        if self.margin is None:
            return sums.score + rest.most_score
        kept = np.maximum(self.margin - sums.rate - rest.least_rate, 0.0)
        redemption = sums.redemption_cost + rest.least_redemption_cost
        high = _chance(sums.score + rest.most_score)
        revenue = np.exp(np.minimum(sums.log_revenue + rest.most_log_revenue, np.float32(MAX_LOG_REVENUE)))
        apart = high * np.maximum(revenue * kept - redemption, 0.0)
        low = _chance(sums.score + rest.least_score)
        together = np.exp(np.minimum(slope * sums.score + sums.log_revenue + rest.joint, np.float32(80.0)))
        together *= np.maximum(self.margin - sums.rate, 0.0)
        together -= np.where(redemption > 0.0, low, high) * redemption
        bound = np.minimum(apart, together)
        return np.asarray(bound - (sums.contact_cost + rest.least_contact_cost))

    def remaining(self, base: Float32Array) -> tuple[Float32Array, list[RemainingBounds]]:
        """Return the tangent's slope (rows, 1), and bounds of what the dimensions from each place on can add."""
        n, margin = len(base), np.float32(1.0) if self.margin is None else max(self.margin, np.float32(1e-6))
        # The product of the shares of the margin kept is no less than what all rates together leave of it.
        shares = [np.log(np.maximum(np.float32(1.0) - each.rate / margin, 1e-12)) for each in self.dimensions]
        gains = [
            self._without_forbidden(place, revenue + share)
            for place, (revenue, share) in enumerate(zip(self.log_revenues, shares, strict=True))
        ]
        score = base.copy()
        for added, gain in zip(self.scores, gains, strict=True):
            score += np.take_along_axis(added, (added + gain).argmax(axis=1)[:, None], axis=1)[:, 0]
        chance = _chance(score)
        slope = (np.float32(1.0) - chance)[:, None]
        joint = (np.log(chance) - slope[:, 0] * score)[:, None]
        zero, nothing = np.zeros((n, 1), dtype=np.float32), np.float32(0.0)
        rest = RemainingBounds(zero, zero, zero, nothing, nothing, nothing, joint)
        rests = [rest]
        for place in reversed(range(len(self.dimensions))):
            dimension, added, gain = self.dimensions[place], self.scores[place], gains[place]
            revenue = self._without_forbidden(place, self.log_revenues[place])
            rest = RemainingBounds(
                rest.most_score + self._without_forbidden(place, added).max(axis=1, keepdims=True),
                rest.least_score + added.min(axis=1, keepdims=True),
                rest.most_log_revenue + revenue.max(axis=1, keepdims=True),
                rest.least_rate + dimension.rate.min(),
                rest.least_redemption_cost + dimension.redemption_cost.min(),
                rest.least_contact_cost + dimension.contact_cost.min(),
                rest.joint + (slope * added + gain).max(axis=1, keepdims=True),
            )
            rests.append(rest)
        return slope, rests[::-1]

    def _without_forbidden(self, place: int, values: Float32Array) -> Float32Array:
        """Return (rows, K) values in which an option that a rule forbids by itself is never the maximum."""
        options = self.allowed[place]
        return values if options is None else np.where(options, values, FORBIDDEN_ADDS)


def _chance(score: Float32Array) -> Float32Array:
    """Return the logistic of scores, with scores below -80 taken as -80: a probability of 1e-35."""
    chance = np.exp(np.minimum(-score, np.float32(80.0)))
    chance += np.float32(1.0)
    return np.reciprocal(chance, out=chance)

"""The empirical Bernstein interval: finite-sample coverage, given bounds on the terms of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.ope.estimators.sndr import SelfNormalisedDR
from bandit.ope.estimators.snips import Snips

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray
    from bandit.ope.statistic import SignedValue, Statistic
    from bandit.ope.sums import Summary


@dataclass(frozen=True, slots=True, eq=False)
class TermBounds:
    """Bounds on a row: `low` and `high` (p,) of each term, infinite where a term has none.

    `reward` and `residual` are the smallest and the largest possible reward, and reward minus prediction; `weight` is
    the largest possible weight of any policy.
    """

    reward: tuple[float, float]
    residual: tuple[float, float]
    weight: float
    low: FloatArray
    high: FloatArray


def bernstein(statistic: Statistic, level: float, term_bounds: TermBounds) -> tuple[float, float]:
    """Return the interval from Maurer and Pontil 2009, "Empirical Bernstein bounds", Theorem 4, applied to each side.

    With G independent groups, V the sample variance of the groups' sums and R the range of a group's sum, the mean of G
    groups deviates from its expectation by at most sqrt(2 V L / G) + 7 R L / (3 (G - 1)) on either side,
    L = log(4 / alpha). The bound is applied to the groups' sums of (row - value) and inverted for the value, so that
    groups may differ in size. A value that is a sum of means has one bound; snips is inverted through sums of
    w (r - value); sndr adds the bounds of its mean and its ratio, each at alpha / 2; a difference is bounded as one
    mean, or as two values at alpha / 2 each where it contains ratios. Infinite where a term has no bound (the weights
    of pi) and for estimators that are neither sums of means nor these ratios.
    """
    mean = statistic.summary.mean
    if statistic.summary.groups < 2:
        return -np.inf, np.inf
    if all(_is_sum_of_means(part, mean) for part in statistic.parts):
        return _mean(statistic.summary, statistic.gradient, 1.0 - level, term_bounds)
    low, high = 0.0, 0.0
    for part in statistic.parts:
        below, above = _value(statistic.summary, part, (1.0 - level) / len(statistic.parts), term_bounds)
        low, high = (low + below, high + above) if part.sign > 0 else (low - above, high - below)
    return low, high


def _value(summary: Summary, part: SignedValue, alpha: float, term_bounds: TermBounds) -> tuple[float, float]:
    """Return the interval of one policy's value."""
    if isinstance(part.estimator, Snips):
        reward, weight = part.columns
        return _ratio(summary, reward, weight, alpha, term_bounds.reward, term_bounds.weight)
    if isinstance(part.estimator, SelfNormalisedDR):
        prediction, residual, weight = part.columns
        below, above = _mean(summary, _indicator(summary, prediction), alpha / 2, term_bounds)
        ratio = _ratio(summary, residual, weight, alpha / 2, term_bounds.residual, term_bounds.weight)
        return below + ratio[0], above + ratio[1]
    if _is_sum_of_means(part, summary.mean):
        return _mean(summary, _indicator(summary, part.columns), alpha, term_bounds)
    return -np.inf, np.inf


def _mean(summary: Summary, gradient: FloatArray, alpha: float, term_bounds: TermBounds) -> tuple[float, float]:
    """Return the interval of gradient . mean."""
    used = np.flatnonzero(gradient)
    value = float(gradient @ summary.mean)
    width = float(np.abs(gradient[used]) @ (term_bounds.high - term_bounds.low)[used])
    squares = float(gradient @ summary.scatter @ gradient)
    cross = float(gradient @ summary.with_counts)
    sizes = summary.squared_counts - summary.total**2 / summary.groups
    half = [_half_width(summary, (1.0, squares, sign * cross, sizes), width, alpha) for sign in (-1.0, 1.0)]
    return value - half[0], value + half[1]


def _ratio(
    summary: Summary, above: int, below: int, alpha: float, numbers: tuple[float, float], weight: float
) -> tuple[float, float]:
    """Return the interval of mean[above] / mean[below], a weighted mean of numbers in the range `numbers`."""
    value = float(summary.mean[above] / summary.mean[below])
    share = float(summary.mean[below])
    gradient = np.zeros(len(summary.mean))
    gradient[[above, below]] = 1.0, -value
    row = gradient @ summary.scatter
    cross = float(row[below] + share * (gradient @ summary.with_counts))
    sizes = summary.squared_counts - summary.total**2 / summary.groups
    weights = summary.scatter[below, below] + 2.0 * share * summary.with_counts[below] + share**2 * sizes
    width = weight * (numbers[1] - numbers[0])
    half = [
        _half_width(summary, (share, float(row @ gradient), s * cross, float(weights)), width, alpha)
        for s in (-1.0, 1.0)
    ]
    return max(value - half[0], numbers[0]), min(value + half[1], numbers[1])


def _half_width(summary: Summary, moments: tuple[float, float, float, float], width: float, alpha: float) -> float:
    """Return the half-width: the largest x with c x <= sqrt(2 V(x) L / G) + 7 R L / (3 (G - 1)).

    c is the divisor's mean per group. `moments` are the divisor's mean per row and the sums over groups that make up V:
    V(x) (G - 1) = squares - 2 x cross + x^2 divisors. Infinite where the inequality holds for all x.
    """
    share, squares, cross, divisors = moments
    groups = summary.groups
    if not np.isfinite(width):
        return np.inf
    log = np.log(4.0 / alpha)
    mean = share * summary.total / groups
    most = 7.0 * summary.largest_group * width * log / (3.0 * (groups - 1))
    factor = 2.0 * log / groups / (groups - 1)
    a, half_b, c = mean**2 - factor * divisors, mean * most - factor * cross, most**2 - factor * squares
    if a <= 0:
        return np.inf
    return float((half_b + np.sqrt(max(half_b**2 - a * c, 0.0))) / a)


def _is_sum_of_means(part: SignedValue, mean: FloatArray) -> bool:
    """Whether the value is the sum of the means, checked at two points (a ratio fails at one of them)."""
    for means in (mean[part.columns], 2.0 * mean[part.columns] + 1.0):
        value, gradient = part.estimator.at(means)
        if not (gradient == 1.0).all() or not np.isclose(value, means.sum()):
            return False
    return True


def _indicator(summary: Summary, columns: IntArray | int) -> FloatArray:
    chosen = np.zeros(len(summary.mean))
    chosen[columns] = 1.0
    return chosen

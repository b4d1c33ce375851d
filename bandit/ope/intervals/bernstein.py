"""The empirical Bernstein interval: holds for every number of groups, given how large a row can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.ope.estimators.sndr import SelfNormalisedDR
from bandit.ope.estimators.snips import Snips

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray
    from bandit.ope.statistic import Part, Statistic
    from bandit.ope.sums import Summary


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """How large a row can be: `low` and `high` (p,) of every term, infinite where nothing bounds it.

    `reward` and `residual` are the smallest and the largest reward, and reward minus prediction, there can be;
    `weight` is the largest weight any policy can have.
    """

    reward: tuple[float, float]
    residual: tuple[float, float]
    weight: float
    low: FloatArray
    high: FloatArray


def bernstein(statistic: Statistic, level: float, limits: Limits) -> tuple[float, float]:
    """Return the interval of Maurer and Pontil 2009, "Empirical Bernstein bounds", Theorem 4, for each side.

    With G independent groups, V the sample variance of a group's sum and R the range of what a group can add up to,
    the mean of G groups is off by at most sqrt(2 V L / G) + 7 R L / (3 (G - 1)) on either side, L = log(4 / alpha).
    It is applied to the groups' sums of (row - value) and inverted for the value, so that groups may differ in
    size. Values that are sums of means have one bound; snips is inverted through sums of w (r - value); sndr adds
    the bounds of its mean and its ratio, each with half of alpha; a difference is bounded as one mean, or as two
    values with half of alpha each where ratios are in it. Infinite where a term has no bound (the weights of pi)
    or where it is not known how the value depends on the means.
    """
    mean = statistic.summary.mean
    if statistic.summary.groups < 2:
        return -np.inf, np.inf
    if all(_adds_up(part, mean) for part in statistic.parts):
        return _mean(statistic.summary, statistic.gradient, 1.0 - level, limits)
    low, high = 0.0, 0.0
    for part in statistic.parts:
        below, above = _value(statistic.summary, part, (1.0 - level) / len(statistic.parts), limits)
        low, high = (low + below, high + above) if part.sign > 0 else (low - above, high - below)
    return low, high


def _value(summary: Summary, part: Part, alpha: float, limits: Limits) -> tuple[float, float]:
    """Return the interval of one policy's value."""
    if isinstance(part.estimator, Snips):
        reward, weight = part.columns
        return _ratio(summary, reward, weight, alpha, limits.reward, limits.weight)
    if isinstance(part.estimator, SelfNormalisedDR):
        prediction, residual, weight = part.columns
        below, above = _mean(summary, _only(summary, prediction), alpha / 2, limits)
        ratio = _ratio(summary, residual, weight, alpha / 2, limits.residual, limits.weight)
        return below + ratio[0], above + ratio[1]
    if _adds_up(part, summary.mean):
        return _mean(summary, _only(summary, part.columns), alpha, limits)
    return -np.inf, np.inf


def _mean(summary: Summary, gradient: FloatArray, alpha: float, limits: Limits) -> tuple[float, float]:
    """Return the interval of gradient . mean."""
    used = np.flatnonzero(gradient)
    value = float(gradient @ summary.mean)
    width = float(np.abs(gradient[used]) @ (limits.high - limits.low)[used])
    squares = float(gradient @ summary.scatter @ gradient)
    cross = float(gradient @ summary.with_counts)
    sizes = summary.squared_counts - summary.n**2 / summary.groups
    off = [_off(summary, (1.0, squares, sign * cross, sizes), width, alpha) for sign in (-1.0, 1.0)]
    return value - off[0], value + off[1]


def _ratio(
    summary: Summary, above: int, below: int, alpha: float, numbers: tuple[float, float], weight: float
) -> tuple[float, float]:
    """Return the interval of mean[above] / mean[below], which is a weighted mean of numbers in this range."""
    value = float(summary.mean[above] / summary.mean[below])
    share = float(summary.mean[below])
    gradient = np.zeros(len(summary.mean))
    gradient[[above, below]] = 1.0, -value
    row = gradient @ summary.scatter
    cross = float(row[below] + share * (gradient @ summary.with_counts))
    sizes = summary.squared_counts - summary.n**2 / summary.groups
    weights = summary.scatter[below, below] + 2.0 * share * summary.with_counts[below] + share**2 * sizes
    width = weight * (numbers[1] - numbers[0])
    off = [_off(summary, (share, float(row @ gradient), s * cross, float(weights)), width, alpha) for s in (-1.0, 1.0)]
    return max(value - off[0], numbers[0]), min(value + off[1], numbers[1])


def _off(summary: Summary, moments: tuple[float, float, float, float], width: float, alpha: float) -> float:
    """Return the largest x with c x <= sqrt(2 V(x) L / G) + 7 R L / (3 (G - 1)), c the divisor's mean per group.

    `moments` are the divisor's mean per row and the sums over groups that make V: V(x) (G - 1) = squares -
    2 x cross + x^2 divisors. Infinite where the inequality never ends.
    """
    share, squares, cross, divisors = moments
    groups = summary.groups
    if not np.isfinite(width):
        return np.inf
    log = np.log(4.0 / alpha)
    mean = share * summary.n / groups
    most = 7.0 * summary.largest_group * width * log / (3.0 * (groups - 1))
    factor = 2.0 * log / groups / (groups - 1)
    a, half_b, c = mean**2 - factor * divisors, mean * most - factor * cross, most**2 - factor * squares
    if a <= 0:
        return np.inf
    return float((half_b + np.sqrt(max(half_b**2 - a * c, 0.0))) / a)


def _adds_up(part: Part, mean: FloatArray) -> bool:
    """Whether the value is the sum of the means, as at two points a ratio would not be."""
    for means in (mean[part.columns], 2.0 * mean[part.columns] + 1.0):
        value, gradient = part.estimator.at(means)
        if not (gradient == 1.0).all() or not np.isclose(value, means.sum()):
            return False
    return True


def _only(summary: Summary, columns: IntArray | int) -> FloatArray:
    chosen = np.zeros(len(summary.mean))
    chosen[columns] = 1.0
    return chosen

"""The studentised bootstrap by groups, all replicates at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.statistic import Statistic

Times: TypeAlias = "np.ndarray[Any, np.dtype[np.uint16]]"
"""How often each block occurs in each replicate."""

REPLICATES = 1_999
"""Of which the 50th and the 1,950th studentised value are the ends at 95 %."""

SEED = 20_260
_CHUNK = 1 << 20
# A quadratic form is known to about this share of its largest terms; what is smaller is rounding.
_ROUNDING = 1e-13


def resamples(blocks: int, rng: np.random.Generator | None = None) -> Times:
    """Return (REPLICATES, blocks) numbers of times each block is drawn; the same for everybody without a generator."""
    rng = np.random.default_rng(SEED) if rng is None else rng
    times = np.empty((REPLICATES, blocks), dtype=np.uint16)
    at_once = max(_CHUNK // blocks, 1)
    for start in range(0, REPLICATES, at_once):
        part = times[start : start + at_once]
        drawn = rng.integers(0, blocks, part.shape) + blocks * np.arange(len(part))[:, None]
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
    return times


def bootstrap(statistic: Statistic, level: float, times: Times) -> tuple[float, float]:
    """Return value - error x quantiles of (replicate's value - value) / (replicate's error).

    Efron and Tibshirani 1993, "An introduction to the bootstrap", section 12.5; groups are drawn with replacement, as
    in Davison and Hinkley 1997, section 3.8, in blocks where they are more than `scatter.BLOCKS`. On 1,500
    logs of 100 effective rows with one buyer in 6 its 95 % interval of snips covers 98.1 %, BCa 95.9 % and percentile
    94.3 %; with log-normal amounts it is 93.2, 87.5 and 85.0 %, for which it was chosen. A replicate
    without any variation lies infinitely far out, so an end is infinite where too many replicates see no reward.
    """
    values, errors = replicates(statistic, times)
    with np.errstate(divide="ignore", invalid="ignore"):
        studentised = (values - statistic.value) / errors
    studentised[(errors == 0.0) & (values == statistic.value)] = 0.0
    studentised = np.sort(studentised[~np.isnan(studentised)])
    # A whole number stays one although 1 - level is rounded.
    place = int((len(studentised) + 1) * (1.0 - level) / 2 + 1e-9)
    if place < 1:
        return -np.inf, np.inf
    low, high = studentised[[place - 1, -place]]
    return float(statistic.value - statistic.error * high), float(statistic.value - statistic.error * low)


def replicates(statistic: Statistic, times: Times) -> tuple[FloatArray, FloatArray]:
    """Return the (R,) values and standard errors of samples in which block b occurs times[:, b] times."""
    summary, columns = statistic.summary, statistic.columns
    # The block's rows and its deviations from the means of all rows, so that large means cost no digits.
    sums = np.vstack([summary.counts, summary.deviations[columns]])
    upper = np.triu_indices(len(sums))
    features = np.vstack([sums, sums[upper[0]] * sums[upper[1]]]).T
    total = np.empty((len(times), features.shape[1]))
    at_once = max(_CHUNK // times.shape[1], 1)
    for start in range(0, len(times), at_once):
        total[start : start + at_once] = times[start : start + at_once].astype(np.float64) @ features
    rows = total[:, 0]
    shift = total[:, 1 : len(sums)] / rows[:, None]
    products = np.empty((len(times), len(sums), len(sums)))
    products[:, upper[0], upper[1]] = products[:, upper[1], upper[0]] = total[:, len(sums) :]
    found = [statistic.at(means) for means in summary.mean[columns] + shift]
    values = np.array([value for value, _ in found])
    gradients = np.array([gradient for _, gradient in found])
    weights = np.column_stack([-np.sum(gradients * shift, axis=1), gradients])
    squares = np.einsum("ri,rij,rj->r", weights, products, weights)
    largest = np.einsum("ri,ri->r", np.abs(weights), np.sqrt(np.einsum("rii->ri", products))) ** 2
    squares[squares <= _ROUNDING * largest] = 0.0
    return values, np.sqrt(squares * times.shape[1] / (times.shape[1] - 1)) / rows

"""The studentised bootstrap over groups, vectorised over replicates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from bandit.ope.estimate import QUADRATIC_FORM_ROUNDING

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.statistic import Statistic

ResampleCounts: TypeAlias = "np.ndarray[Any, np.dtype[np.uint16]]"
"""(R, b): how often each block is drawn in each replicate."""

REPLICATES = 1_999
"""The number of replicates; at 95 % the ends are the 50th and the 1,950th studentised value."""

_SEED = 20_260
_CHUNK = 1 << 20


def resamples(blocks: int, rng: np.random.Generator | None = None) -> ResampleCounts:
    """Return (REPLICATES, blocks) counts of how often each block is drawn; from a fixed seed without a generator."""
    rng = np.random.default_rng(_SEED) if rng is None else rng
    counts = np.empty((REPLICATES, blocks), dtype=np.uint16)
    at_once = max(_CHUNK // blocks, 1)
    for start in range(0, REPLICATES, at_once):
        part = counts[start : start + at_once]
        drawn = rng.integers(0, blocks, part.shape) + blocks * np.arange(len(part))[:, None]
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
    return counts


def bootstrap(statistic: Statistic, level: float, counts: ResampleCounts) -> tuple[float, float]:
    """Return value - error x quantiles of (replicate's value - value) / (replicate's error): the bootstrap-t interval.

    Efron and Tibshirani 1993, "An introduction to the bootstrap", section 12.5; groups are resampled, as in Davison and
    Hinkley 1997, "Bootstrap methods and their application", section 3.8, in blocks where there are more than
    `sums.SUM_BLOCKS`. On 1,500 logs of 100 effective rows with one buyer in 6 the 95 % interval of snips covers 98.1 %,
    BCa 95.9 % and percentile 94.3 %; with log-normal amounts 93.2, 87.5 and 85.0 %, which is why this one was chosen. A
    replicate without variation has an infinite studentised value, so an end is infinite where too many replicates have
    no reward.
    """
    values, errors = replicates(statistic, counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        studentised = (values - statistic.value) / errors
    studentised[(errors == 0.0) & (values == statistic.value)] = 0.0
    studentised = np.sort(studentised[~np.isnan(studentised)])
    # The addend keeps a whole number whole although 1 - level is rounded.
    place = int((len(studentised) + 1) * (1.0 - level) / 2 + 1e-9)
    if place < 1:
        return -np.inf, np.inf
    low, high = studentised[[place - 1, -place]]
    return float(statistic.value - statistic.error * high), float(statistic.value - statistic.error * low)


def replicates(statistic: Statistic, counts: ResampleCounts) -> tuple[FloatArray, FloatArray]:
    """Return the (R,) values and standard errors of the replicates in which block b is drawn counts[:, b] times."""
    summary, columns = statistic.summary, statistic.columns
    # A block's rows and its deviations from the overall means, so that large means cause no cancellation.
    sums = np.vstack([summary.counts, summary.deviations[columns]])
    upper = np.triu_indices(len(sums))
    features = np.vstack([sums, sums[upper[0]] * sums[upper[1]]]).T
    total = np.empty((len(counts), features.shape[1]))
    at_once = max(_CHUNK // counts.shape[1], 1)
    for start in range(0, len(counts), at_once):
        total[start : start + at_once] = counts[start : start + at_once].astype(np.float64) @ features
    rows = total[:, 0]
    shift = total[:, 1 : len(sums)] / rows[:, None]
    products = np.empty((len(counts), len(sums), len(sums)))
    products[:, upper[0], upper[1]] = products[:, upper[1], upper[0]] = total[:, len(sums) :]
    found = [statistic.at(means) for means in summary.mean[columns] + shift]
    values = np.array([value for value, _ in found])
    gradients = np.array([gradient for _, gradient in found])
    weights = np.column_stack([-np.sum(gradients * shift, axis=1), gradients])
    squares = np.einsum("ri,rij,rj->r", weights, products, weights)
    largest = np.einsum("ri,ri->r", np.abs(weights), np.sqrt(np.einsum("rii->ri", products))) ** 2
    squares[squares <= QUADRATIC_FORM_ROUNDING * largest] = 0.0
    return values, np.sqrt(squares * counts.shape[1] / (counts.shape[1] - 1)) / rows

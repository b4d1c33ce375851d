"""Clustered variances in bounded memory: rows are summed in a fixed number of buckets, each cluster in one bucket.

Sums over buckets are independent of each other where clusters are, however rows depend on each other within a
cluster; their scatter estimates the variance of a total (the method of random groups; Wolter 2007, "Introduction to
Variance Estimation", chapter 2). With 1,024 buckets the standard error is known to about 2 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray

MOST_BUCKETS = 1_024
"""The number of buckets where memory allows."""

FEWEST_BUCKETS = 32

_BUCKET_CELLS = 4_000_000


def number_of_buckets(columns: int) -> int:
    """Return how many buckets to use for tables of this many columns."""
    return int(np.clip(_BUCKET_CELLS // max(columns, 1), FEWEST_BUCKETS, MOST_BUCKETS))


def bucket_of(ids: IntArray, buckets: int) -> IntArray:
    """Return the (n,) bucket of each id: a hash, so equal ids share a bucket."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return ((mixed >> np.uint64(32)) % np.uint64(buckets)).astype(np.int64)


def variance_of_total(sums: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the variance of the (C,) totals of (G, C) sums over buckets of `counts` (G,) rows each.

    G / (G - 1) sum over buckets of (sum - rows x mean)^2, over the buckets that have rows; infinite with fewer than
    two of them.
    """
    used = counts > 0
    groups = int(used.sum())
    if groups < 2:
        return np.full(sums.shape[1], np.inf)
    kept, rows = sums[used], counts[used]
    deviation = kept - rows[:, None] * (kept.sum(axis=0) / rows.sum())
    return np.asarray((deviation**2).sum(axis=0) * (groups / (groups - 1)))

"""Covariance matrices of blocks of weights, those of one size in one array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandit.domain import FloatArray, IntArray
from bandit.models.gaussian import positive_root


@dataclass(slots=True, eq=False)
class BlockStack:
    """B blocks of s weights each: the weights' places (B, s), and covariances (B, s, s)."""

    places: IntArray
    covariance: FloatArray

    def columns(self, rows: FloatArray) -> FloatArray:
        """Return each block's columns of (n, D) rows, (B, n, s)."""
        return np.ascontiguousarray(rows[:, self.places].transpose(1, 0, 2))


def stacks_of(blocks: IntArray, variance: FloatArray) -> list[BlockStack]:
    """Return the blocks of each size, the smallest first, with independent weights of (D,) `variance`."""
    order, counts = np.argsort(blocks, kind="stable"), np.unique(blocks, return_counts=True)[1]
    starts = np.cumsum(counts) - counts
    found = []
    for size in np.unique(counts).tolist():
        places = order[starts[counts == size][:, None] + np.arange(size)].astype(np.int64)
        covariance = np.zeros((*places.shape, size))
        covariance[:, np.arange(size), np.arange(size)] = variance[places]
        found.append(BlockStack(places, covariance))
    return found


def symmetric(matrices: NDArray[np.floating]) -> FloatArray:
    """Return the symmetric parts of (B, s, s) matrices, equal to their transposes to the last bit."""
    return np.asarray(0.5 * (matrices + matrices.transpose(0, 2, 1)))


def roots(covariances: FloatArray) -> FloatArray:
    """Return the Cholesky factors of (B, s, s) covariances."""
    try:
        return np.asarray(np.linalg.cholesky(covariances))
    except np.linalg.LinAlgError:
        return np.stack([positive_root(covariance) for covariance in covariances])

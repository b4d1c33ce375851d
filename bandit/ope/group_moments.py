"""Sums over clusters that are complete: their moments and blocks, which parts of a log join in any order.

`ClusterSums` keeps the sums of each cluster, since its rows may be in any batch. Where all rows of a cluster are in one
part of a log, the part's clusters are complete once it was read, and what estimates need of them is a few moments and
blocks. Which block a cluster belongs to follows from a hash of its key alone, so that neither the order of the rows nor
the split of the log into parts changes anything but the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain.mixed_numbers import mixed
from bandit.ope.sums import SUM_BLOCKS, Moments, Summary

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.domain import FloatArray
    from bandit.domain.mixed_numbers import UnsignedArray
    from bandit.ope.sums import ClusterSums


@dataclass(frozen=True, slots=True, eq=False)
class GroupMoments:
    """Moments of the sums of `groups` whole clusters over `n` rows, of p terms; parts of other clusters add with `+`.

    The moments are those of the clusters' means, weighted by the weights of their rows. `blocks` is (1 + p, b): the
    weights and the sums of the blocks. Up to SUM_BLOCKS clusters each is a block, `keys` (b,) are their hashes and
    increase; of more clusters `keys` is None, b is SUM_BLOCKS, and the hash says in which block a cluster is.
    """

    n: int
    groups: int
    moments: Moments
    blocks: FloatArray
    keys: UnsignedArray | None

    @staticmethod
    def of(sums: ClusterSums, hashes: UnsignedArray) -> GroupMoments:
        """Return the moments of clusters that are complete, from the 64-bit hashes of their keys by number."""
        found = GroupMoments.empty(sums.p)
        for ids, table in sums.in_order():
            found = found + _of_clusters(table, hashes[ids])
        return GroupMoments(sums.n, found.groups, found.moments, found.blocks, found.keys)

    @staticmethod
    def of_rows(terms: FloatArray, hashes: UnsignedArray) -> GroupMoments:
        """Return the moments of (p, k) terms of k <= SUM_BLOCKS rows, each its own cluster, from the hashes (k,)."""
        found = _of_clusters(np.concatenate([np.ones((1, len(hashes))), terms]).T, hashes)
        return GroupMoments(len(hashes), found.groups, found.moments, found.blocks, found.keys)

    @staticmethod
    def empty(p: int) -> GroupMoments:
        """Return the moments of no clusters."""
        none = np.empty(0, dtype=np.uint64)
        return GroupMoments(0, 0, Moments(0.0, np.zeros(p), np.zeros((p, p))), np.empty((1 + p, 0)), none)

    @property
    def p(self) -> int:
        """The number of terms."""
        return len(self.moments.mean)

    def __add__(self, other: GroupMoments) -> GroupMoments:
        groups, moments = self.groups + other.groups, self.moments.joined(other.moments)
        if self.keys is None or other.keys is None or groups > SUM_BLOCKS:
            return GroupMoments(self.n + other.n, groups, moments, self._hashed() + other._hashed(), None)
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys, kind="stable")
        blocks = np.concatenate([self.blocks, other.blocks], axis=1)
        return GroupMoments(self.n + other.n, groups, moments, blocks[:, order], keys[order])

    def summary(self) -> Summary:
        """Return what values and intervals are computed from, as `ClusterSums.summary` does."""
        moments, extra = self.moments, self.moments.extra
        counts, sums = self.blocks[0], self.blocks[1:]
        return Summary(
            self.n,
            self.groups,
            moments.total,
            moments.mean,
            moments.scatter,
            counts,
            sums - moments.mean[:, None] * counts,
            np.zeros(self.p) if extra is None else extra.with_weights,
            0.0 if extra is None else extra.largest,
            0.0 if extra is None else extra.squares,
        )

    def resampled(self, rng: Generator) -> GroupMoments:
        """Return the moments of as many blocks, drawn from these with replacement; each counts as one cluster.

        Blocks without clusters, of which there are some where clusters share blocks, are not drawn.
        """
        used = np.flatnonzero(self.blocks[0] > 0.0)
        drawn = self.blocks[:, used[rng.integers(len(used), size=len(used))]]
        moments = Moments.of(drawn[1:] / drawn[0], drawn[0])
        return GroupMoments(self.n, len(used), moments, drawn, np.arange(len(used), dtype=np.uint64))

    def _hashed(self) -> FloatArray:
        """Return the (1 + p, SUM_BLOCKS) blocks in which the hashes put the clusters."""
        if self.keys is None:
            return self.blocks
        place = (mixed(self.keys) % np.uint64(SUM_BLOCKS)).astype(np.int64)
        return np.stack([np.bincount(place, weights=row, minlength=SUM_BLOCKS) for row in self.blocks])


def _of_clusters(table: FloatArray, keys: UnsignedArray) -> GroupMoments:
    """Return the moments of k <= SUM_BLOCKS clusters from their weights and sums (k, 1 + p) and hashes (k,)."""
    order = np.argsort(keys, kind="stable")
    blocks = np.ascontiguousarray(table[order].T)
    moments = Moments.of(blocks[1:] / blocks[0], blocks[0])
    return GroupMoments(0, len(keys), moments, blocks, keys[order])

"""Streaming means and second moments of p terms, over rows or over clusters of rows; parts merge with `+`.

Both accumulators end in a `Summary`, of which every value and every interval is a function.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What p terms add up to: n rows in `groups` independent groups.

    `mean` is (p,), over rows. `scatter` is (p, p), the sum over groups of d d' with d = sum over the group's rows
    of (term - mean). Where each row is its own group that is the usual centred cross-product matrix.
    """

    n: int
    groups: int
    mean: FloatArray
    scatter: FloatArray


@dataclass(slots=True, eq=False)
class RowScatter:
    """Each row is independent; memory is O(p^2) whatever the number of rows.

    Batches are centred before they are squared and joined by the pairwise update of Chan, Golub and LeVeque 1983,
    "Algorithms for computing the sample variance", so that a large mean costs no digits.
    """

    p: int
    n: int = 0
    mean: FloatArray = field(init=False)
    scatter: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.scatter = np.zeros(self.p), np.zeros((self.p, self.p))

    def add(self, terms: FloatArray, cluster: IntArray | None = None) -> None:
        """Add the (p, n) terms of n rows; `cluster` is not used."""
        del cluster
        n = terms.shape[1]
        if n:
            mean = terms.mean(axis=1)
            centred = terms - mean[:, None]
            self._join(n, mean, centred @ centred.T)

    def __add__(self, other: RowScatter) -> RowScatter:
        both = RowScatter(self.p)
        for part in (self, other):
            both._join(part.n, part.mean, part.scatter)
        return both

    def summary(self) -> Summary:
        """Return what was seen so far."""
        return Summary(self.n, self.n, self.mean, self.scatter)

    def _join(self, n: int, mean: FloatArray, scatter: FloatArray) -> None:
        if not n:
            return
        total = self.n + n
        step = mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(step, step) * (self.n * n / total)
        self.mean = self.mean + step * (n / total)
        self.n = total


@dataclass(slots=True, eq=False)
class ClusterScatter:
    """Rows of one cluster hang together; keeps the p sums of every cluster, since its rows may come at any time.

    Memory is O(p x clusters). `_ids` is sorted and `_slots` says in which row of `_sums` each id's sums are;
    column 0 counts the cluster's rows.
    """

    p: int
    _ids: IntArray = field(init=False)
    _slots: IntArray = field(init=False)
    _sums: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self._ids, self._slots = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self._sums = np.zeros((0, self.p + 1))

    def add(self, terms: FloatArray, cluster: IntArray | None) -> None:
        """Add the (p, n) terms of n rows with the (n,) ids of their clusters."""
        if cluster is None:
            raise ValueError("rows without clusters")
        ids, local = np.unique(cluster, return_inverse=True)
        sums = np.empty((len(ids), self.p + 1))
        sums[:, 0] = np.bincount(local, minlength=len(ids))
        for column, term in enumerate(terms, start=1):
            sums[:, column] = np.bincount(local, weights=term, minlength=len(ids))
        self._join(ids, sums)

    def __add__(self, other: ClusterScatter) -> ClusterScatter:
        both = ClusterScatter(self.p)
        for part in (self, other):
            both._join(part._ids, part._sums[part._slots])
        return both

    def summary(self) -> Summary:
        """Return what was seen so far."""
        groups = len(self._ids)
        # In order of id, so that the order in which clusters came leaves no trace.
        sums = self._sums[self._slots]
        counts, totals = sums[:, 0], sums[:, 1:]
        n = int(counts.sum())
        mean = totals.sum(axis=0) / max(n, 1)
        deviation = totals - counts[:, None] * mean
        return Summary(n, groups, mean, deviation.T @ deviation)

    def _join(self, ids: IntArray, sums: FloatArray) -> None:
        """Add the sums of distinct, sorted ids."""
        known = len(self._ids)
        place = np.searchsorted(self._ids, ids)
        new = np.ones(len(ids), dtype=np.bool_)
        new[place < known] = self._ids[place[place < known]] != ids[place < known]
        fresh = int(new.sum())
        if known + fresh > len(self._sums):
            grown = np.zeros((max(known + fresh, 2 * len(self._sums)), self.p + 1))
            grown[:known] = self._sums[:known]
            self._sums = grown
        slots = np.empty(len(ids), dtype=np.int64)
        slots[~new] = self._slots[place[~new]]
        slots[new] = np.arange(known, known + fresh)
        self._sums[slots] += sums
        if fresh:
            self._ids = np.insert(self._ids, place[new], ids[new])
            self._slots = np.insert(self._slots, place[new], slots[new])

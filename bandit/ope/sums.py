"""Streaming sums of p terms, over independent rows or over clusters of rows; parts merge with `+`.

Both accumulators return a `Summary`, from which every value and interval is computed: means, second moments, and the
sums of at most `SUM_BLOCKS` blocks of whole groups, which give third moments and bootstrap replicates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import FloatArray, IntArray

SUM_BLOCKS = 8_192
"""The largest number of blocks; with more groups, groups share blocks.

Third cumulants of independent groups are additive, so blocks add no bias: the skewness of the total, computed from B
blocks, has a standard error of about sqrt(15) / B = 0.0005.
"""

_PAGE = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """Moments of p terms over n rows in `groups` independent groups.

    `mean` is (p,), over rows. `scatter` is (p, p), the sum over groups of d d' with d = sum over the group's rows
    of (term - mean). Where each row is its own group it is the centred cross-product matrix. `deviations`
    is (p, b), the sums of d over blocks of whole groups, and `counts` (b,) their rows; b = groups up to SUM_BLOCKS.
    `with_counts` is (p,), the sum over groups of d times the group's number of rows, 0 where groups are rows.
    `largest_group` is the largest group's number of rows and `squared_counts` the sum of their squares.
    """

    n: int
    groups: int
    mean: FloatArray
    scatter: FloatArray
    counts: FloatArray
    deviations: FloatArray
    with_counts: FloatArray
    largest_group: int
    squared_counts: float


@dataclass(slots=True, eq=False)
class RowSums:
    """Sums over independent rows, in memory of O(p^2 + p SUM_BLOCKS) for any number of rows.

    Batches are centred before they are squared and joined by the pairwise update of Chan, Golub and LeVeque 1983,
    "Algorithms for computing the sample variance", so that a large mean causes no cancellation. Row i belongs to block
    i mod SUM_BLOCKS; a merge continues the numbering with the other's rows, so it equals adding them.
    """

    p: int
    n: int = 0
    mean: FloatArray = field(init=False)
    scatter: FloatArray = field(init=False)
    _blocks: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.scatter = np.zeros(self.p), np.zeros((self.p, self.p))
        self._blocks = np.zeros((self.p, SUM_BLOCKS))

    def add(self, terms: FloatArray, cluster: IntArray | None = None) -> None:
        """Add the (p, n) terms of n rows; `cluster` is not used."""
        del cluster
        n = terms.shape[1]
        if n:
            self._add_to_blocks(terms)
            mean = terms.mean(axis=1)
            centred = terms - mean[:, None]
            self._join(n, mean, centred @ centred.T)

    def __add__(self, other: RowSums) -> RowSums:
        both = RowSums(self.p)
        both._blocks = self._blocks + np.roll(other._blocks, self.n % SUM_BLOCKS, axis=1)
        for part in (self, other):
            both._join(part.n, part.mean, part.scatter)
        return both

    def summary(self) -> Summary:
        """Return the moments of the rows so far."""
        used = min(self.n, SUM_BLOCKS)
        counts = self.n // SUM_BLOCKS + (np.arange(used) < self.n % SUM_BLOCKS).astype(np.float64)
        deviations = self._blocks[:, :used] - self.mean[:, None] * counts
        return Summary(
            self.n, self.n, self.mean, self.scatter, counts, deviations, np.zeros(self.p), min(self.n, 1), float(self.n)
        )

    def _add_to_blocks(self, terms: FloatArray) -> None:
        """Add rows to their blocks; called before `n` is increased."""
        n, place = terms.shape[1], self.n % SUM_BLOCKS
        first = min(SUM_BLOCKS - place, n)
        self._blocks[:, place : place + first] += terms[:, :first]
        rounds = (n - first) // SUM_BLOCKS
        for each in range(rounds):
            start = first + each * SUM_BLOCKS
            self._blocks += terms[:, start : start + SUM_BLOCKS]
        rest = terms[:, first + rounds * SUM_BLOCKS :]
        self._blocks[:, : rest.shape[1]] += rest

    def _join(self, n: int, mean: FloatArray, scatter: FloatArray) -> None:
        if not n:
            return
        total = self.n + n
        step = mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(step, step) * (self.n * n / total)
        self.mean = self.mean + step * (n / total)
        self.n = total


class _PagedRows:
    """A growing table of rows of q numbers, stored in pages: growth copies nothing and wastes at most one page."""

    def __init__(self, q: int) -> None:
        self.q = q
        self._pages: list[FloatArray] = []

    def add(self, slots: IntArray, sums: FloatArray) -> None:
        """Add (n, q) numbers to the rows of n distinct slots."""
        if not len(slots):
            return
        page, place = np.divmod(slots, _PAGE)
        while len(self._pages) <= int(page.max()):
            self._pages.append(np.zeros((_PAGE, self.q)))
        for number in np.unique(page).tolist():
            here = page == number
            self._pages[number][place[here]] += sums[here]

    def read(self, slots: IntArray) -> FloatArray:
        """Return the (n, q) numbers of n slots."""
        page, place = np.divmod(slots, _PAGE)
        found = np.empty((len(slots), self.q))
        for number in np.unique(page).tolist():
            here = page == number
            found[here] = self._pages[number][place[here]]
        return found


@dataclass(slots=True, eq=False)
class ClusterSums:
    """Sums over clusters of dependent rows; keeps the p sums of each cluster, since its rows may be in any batch.

    Memory is dominated by 8 (p + 1) bytes a cluster. `_ids` is sorted, and `_slots` holds the row of `_sums` of each
    id; column 0 counts the cluster's rows.
    """

    p: int
    _ids: IntArray = field(init=False)
    _slots: IntArray = field(init=False)
    _sums: _PagedRows = field(init=False)

    def __post_init__(self) -> None:
        self._ids, self._slots = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self._sums = _PagedRows(self.p + 1)

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

    def __add__(self, other: ClusterSums) -> ClusterSums:
        both = ClusterSums(self.p)
        for part in (self, other):
            for ids, sums in part.in_order():
                both._join(ids, sums)
        return both

    def summary(self) -> Summary:
        """Return the moments of the rows so far."""
        groups = len(self._ids)
        n, totals = 0.0, np.zeros(self.p)
        for _, sums in self.in_order():
            n += float(sums[:, 0].sum())
            totals += sums[:, 1:].sum(axis=0)
        mean = totals / max(n, 1.0)
        used = min(groups, SUM_BLOCKS)
        scatter, by_count = np.zeros((self.p, self.p)), np.zeros(self.p)
        counts, deviations = np.zeros(used), np.zeros((self.p, used))
        largest, squares = 0.0, 0.0
        for _, sums in self.in_order():
            count = sums[:, 0]
            deviation = sums[:, 1:] - count[:, None] * mean
            scatter += deviation.T @ deviation
            by_count += count @ deviation
            # Group k belongs to block k mod SUM_BLOCKS, and each part starts at a multiple of SUM_BLOCKS.
            counts[: len(count)] += count
            deviations[:, : len(count)] += deviation.T
            largest, squares = max(largest, float(count.max())), squares + float(count @ count)
        return Summary(round(n), groups, mean, scatter, counts, deviations, by_count, round(largest), squares)

    def sums_of(self, ids: IntArray) -> FloatArray:
        """Return the (n, p) sums so far of n clusters; 0 for those without rows."""
        found = np.zeros((len(ids), self.p))
        place = np.searchsorted(self._ids, ids)
        known = place < len(self._ids)
        known[known] = self._ids[place[known]] == ids[known]
        if known.any():
            found[known] = self._sums.read(self._slots[place[known]])[:, 1:]
        return found

    def in_order(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield ids and (k, 1 + p) row counts and sums in order of id, SUM_BLOCKS at a time.

        So results do not depend on the order of rows.
        """
        for start in range(0, len(self._ids), SUM_BLOCKS):
            part = slice(start, start + SUM_BLOCKS)
            yield self._ids[part], self._sums.read(self._slots[part])

    def _join(self, ids: IntArray, sums: FloatArray) -> None:
        """Add the sums of distinct, sorted ids."""
        known = len(self._ids)
        place = np.searchsorted(self._ids, ids)
        new = np.ones(len(ids), dtype=np.bool_)
        new[place < known] = self._ids[place[place < known]] != ids[place < known]
        fresh = int(new.sum())
        slots = np.empty(len(ids), dtype=np.int64)
        slots[~new] = self._slots[place[~new]]
        slots[new] = np.arange(known, known + fresh)
        self._sums.add(slots, sums)
        if fresh:
            self._ids = np.insert(self._ids, place[new], ids[new])
            self._slots = np.insert(self._slots, place[new], slots[new])

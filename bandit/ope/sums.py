"""Streaming sums of p terms, over independent rows or over clusters of rows; parts merge with `+`.

Both accumulators return a `Summary`, from which every value and interval is computed: means, second moments, and the
sums of at most `SUM_BLOCKS` blocks of whole groups, which give third moments and bootstrap replicates. Rows may stand
for other numbers of decisions than one: with such weights s a mean is sum(s t) / sum(s), the deviation of a row is
s (t - mean), and where rows are counted their weights are summed.
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
    """Moments of p terms over n rows in `groups` independent groups; the rows' weights, 1 as a rule, sum to `total`.

    `mean` is (p,), over rows. `scatter` is (p, p), the sum over groups of d d' with d = sum over the group's rows
    of weight (term - mean). Where each row is its own group it is the centred cross-product matrix. `deviations`
    is (p, b), the sums of d over blocks of whole groups, and `counts` (b,) the weights of their rows; b = groups up to
    SUM_BLOCKS. `with_counts` is (p,), the sum over groups of d times the weight of the group's rows, 0 where groups are
    rows without weights. `largest_group` is the weight of the largest group's rows and `squared_counts` the sum of
    their squares.
    """

    n: int
    groups: int
    total: float
    mean: FloatArray
    scatter: FloatArray
    counts: FloatArray
    deviations: FloatArray
    with_counts: FloatArray
    largest_group: float
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
    _moments: Moments = field(init=False)
    _blocks: FloatArray = field(init=False)
    # None while all rows have the weight 1: then the weights of the blocks are their numbers of rows.
    _block_weights: FloatArray | None = field(init=False)

    def __post_init__(self) -> None:
        self._moments = Moments(0.0, np.zeros(self.p), np.zeros((self.p, self.p)))
        self._blocks, self._block_weights = np.zeros((self.p, SUM_BLOCKS)), None

    def add(self, terms: FloatArray, cluster: IntArray | None = None, weight: FloatArray | None = None) -> None:
        """Add the (p, n) terms of n rows with their (n,) weights, 1 by default; `cluster` is not used."""
        del cluster
        n = terms.shape[1]
        if not n:
            return
        if weight is not None or self._block_weights is not None:
            weights = np.ones(n) if weight is None else weight
            self._block_weights = self._weights_of_blocks(SUM_BLOCKS)
            self._add_to_blocks(self._block_weights[None, :], weights[None, :])
        self._add_to_blocks(self._blocks, terms if weight is None else terms * weight)
        self._moments = self._moments.joined(Moments.of(terms, weight))
        self.n += n

    def __add__(self, other: RowSums) -> RowSums:
        both = RowSums(self.p, self.n + other.n)
        both._blocks = self._blocks + np.roll(other._blocks, self.n % SUM_BLOCKS, axis=1)
        if self._block_weights is not None or other._block_weights is not None:
            mine, theirs = self._weights_of_blocks(SUM_BLOCKS), other._weights_of_blocks(SUM_BLOCKS)
            both._block_weights = mine + np.roll(theirs, self.n % SUM_BLOCKS)
        for part in (self, other):
            both._moments = both._moments.joined(part._moments)
        return both

    def summary(self) -> Summary:
        """Return the moments of the rows so far."""
        used, moments = min(self.n, SUM_BLOCKS), self._moments
        counts = self._weights_of_blocks(used)
        deviations = self._blocks[:, :used] - moments.mean[:, None] * counts
        return Summary(
            self.n,
            self.n,
            moments.total,
            moments.mean,
            moments.scatter,
            counts,
            deviations,
            np.zeros(self.p) if moments.extra is None else moments.extra.with_weights,
            float(min(self.n, 1)) if moments.extra is None else moments.extra.largest,
            moments.total if moments.extra is None else moments.extra.squares,
        )

    def _weights_of_blocks(self, used: int) -> FloatArray:
        """Return the weights of the rows in each of the first blocks, (used,)."""
        if self._block_weights is not None:
            return self._block_weights[:used]
        return self.n // SUM_BLOCKS + (np.arange(used) < self.n % SUM_BLOCKS).astype(np.float64)

    def _add_to_blocks(self, blocks: FloatArray, terms: FloatArray) -> None:
        """Add rows to their blocks; called before `n` is increased."""
        n, place = terms.shape[1], self.n % SUM_BLOCKS
        first = min(SUM_BLOCKS - place, n)
        blocks[:, place : place + first] += terms[:, :first]
        rounds = (n - first) // SUM_BLOCKS
        for each in range(rounds):
            start = first + each * SUM_BLOCKS
            blocks += terms[:, start : start + SUM_BLOCKS]
        rest = terms[:, first + rounds * SUM_BLOCKS :]
        blocks[:, : rest.shape[1]] += rest


@dataclass(frozen=True, slots=True, eq=False)
class WeightMoments:
    """What rows with weights s have besides: sum of s^2 (t - mean), (p,), the sum of s^2, and the largest s."""

    with_weights: FloatArray
    squares: float
    largest: float


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mean and scatter of p terms over rows whose weights sum to `total`; `extra` is None where all weights are 1."""

    total: float
    mean: FloatArray
    scatter: FloatArray
    extra: WeightMoments | None = None

    @staticmethod
    def of(terms: FloatArray, weight: FloatArray | None) -> Moments:
        """Return those of (p, n) terms."""
        if weight is None:
            mean = terms.mean(axis=1)
            centred = terms - mean[:, None]
            return Moments(float(terms.shape[1]), mean, centred @ centred.T)
        total = float(weight.sum())
        mean = terms @ weight / total
        deviation = (terms - mean[:, None]) * weight
        extra = WeightMoments(deviation @ weight, float(weight @ weight), float(weight.max()))
        return Moments(total, mean, deviation @ deviation.T, extra)

    def joined(self, other: Moments) -> Moments:
        """Return those of the rows of both."""
        if not other.total:
            return self
        if not self.total:
            return other
        total = self.total + other.total
        step = other.mean - self.mean
        mean = self.mean + step * (other.total / total)
        if self.extra is None and other.extra is None:
            spread = np.outer(step, step) * (self.total * other.total / total)
            return Moments(total, mean, self.scatter + other.scatter + spread)
        mine = self._around(mean, step * (-other.total / total))
        theirs = other._around(mean, step * (self.total / total))
        one, two = mine.extra, theirs.extra
        extra = None
        if one is not None and two is not None:
            extra = WeightMoments(
                one.with_weights + two.with_weights, one.squares + two.squares, max(one.largest, two.largest)
            )
        return Moments(total, mean, mine.scatter + theirs.scatter, extra)

    def _around(self, centre: FloatArray, step: FloatArray) -> Moments:
        """Return the sums of the same rows around another centre, which is the mean minus `step`."""
        extra = self.extra or WeightMoments(np.zeros(len(self.mean)), self.total, 1.0)
        cross = np.outer(extra.with_weights, step)
        scatter = self.scatter + cross + cross.T + np.outer(step, step) * extra.squares
        moved = WeightMoments(extra.with_weights + extra.squares * step, extra.squares, extra.largest)
        return Moments(self.total, centre, scatter, moved)


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
    id; column 0 has the sum of the weights of the cluster's rows, without weights their number.
    """

    p: int
    n: int = 0
    _ids: IntArray = field(init=False)
    _slots: IntArray = field(init=False)
    _sums: _PagedRows = field(init=False)

    def __post_init__(self) -> None:
        self._ids, self._slots = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self._sums = _PagedRows(self.p + 1)

    def add(self, terms: FloatArray, cluster: IntArray | None, weight: FloatArray | None = None) -> None:
        """Add the (p, n) terms of n rows with the (n,) ids of their clusters and their (n,) weights, 1 by default."""
        if cluster is None:
            raise ValueError("rows without clusters")
        ids, local = np.unique(cluster, return_inverse=True)
        sums = np.empty((len(ids), self.p + 1))
        sums[:, 0] = np.bincount(local, weights=weight, minlength=len(ids))
        for column, term in enumerate(terms, start=1):
            counted = term if weight is None else term * weight
            sums[:, column] = np.bincount(local, weights=counted, minlength=len(ids))
        self._join(ids, sums)
        self.n += len(cluster)

    def __add__(self, other: ClusterSums) -> ClusterSums:
        both = ClusterSums(self.p, self.n + other.n)
        for part in (self, other):
            for ids, sums in part.in_order():
                both._join(ids, sums)
        return both

    def summary(self) -> Summary:
        """Return the moments of the rows so far."""
        groups = len(self._ids)
        total, totals = 0.0, np.zeros(self.p)
        for _, sums in self.in_order():
            total += float(sums[:, 0].sum())
            totals += sums[:, 1:].sum(axis=0)
        mean = totals / (total or 1.0)
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
        return Summary(self.n, groups, total, mean, scatter, counts, deviations, by_count, largest, squares)

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
        """Yield ids and (k, 1 + p) weights of rows and sums in order of id, SUM_BLOCKS at a time.

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

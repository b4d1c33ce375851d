"""Which ids of a file were seen before, in eight bytes an id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain.text_hashes import text_hashes

if TYPE_CHECKING:
    from bandit.domain import BoolArray, IntArray


_PARTS = 16

_LAST_OF_PARTS = np.array([(place << 60) - 1 for place in range(-7, 9)], dtype=np.int64)
"""The largest hash of each part."""


class SeenIds:
    """The ids seen so far, as sorted arrays of 64-bit hashes: eight bytes a row.

    The range of the hashes is cut into parts, so that little is held twice while arrays are joined. Two ids of one hash
    would be taken for the same; among a million rows that happens in one of 37 million files.
    """

    def __init__(self) -> None:
        self._parts: list[list[IntArray]] = [[] for _ in range(_PARTS)]

    def add(self, ids: Sequence[str]) -> BoolArray:
        """Add a column of ids; return which of them were seen before, or stand earlier in the column, (n,)."""
        return self.add_hashes(text_hashes(ids).view(np.int64))

    def add_hashes(self, hashes: IntArray) -> BoolArray:
        """Add a column of hashes, (n,); return what `add` returns."""
        order = np.argsort(hashes, kind="stable")
        rising = hashes[order]
        first = np.ones(len(rising), dtype=np.bool_)
        first[1:] = rising[1:] != rising[:-1]
        distinct = rising[first]
        ends = np.searchsorted(distinct, _LAST_OF_PARTS, side="right").tolist()
        before = np.zeros(len(distinct), dtype=np.bool_)
        for start, end, runs in zip([0, *ends], ends, self._parts, strict=False):
            if start < end:
                before[start:end] = _add(runs, distinct[start:end])
        repeated = ~first
        repeated[first] = before
        found = np.empty(len(hashes), dtype=np.bool_)
        found[order] = repeated
        return found


def _add(runs: list[IntArray], distinct: IntArray) -> BoolArray:
    """Add rising hashes to sorted arrays of hashes; return which of them were there, (n,)."""
    before = np.zeros(len(distinct), dtype=np.bool_)
    for run in runs:
        before |= run[np.minimum(np.searchsorted(run, distinct), len(run) - 1)] == distinct
    run = distinct[~before]
    if not len(run):
        return before
    while runs and len(runs[-1]) <= 2 * len(run):  # few long runs: each id is moved log n times
        run = np.concatenate((runs.pop(), run))
    runs.append(np.sort(run))
    return before


class Occurrences:
    """Counts how many rows before each one have the same hash: eight bytes a row, and more for those that repeat."""

    def __init__(self) -> None:
        self._seen = SeenIds()
        self._counts: dict[int, int] = {}

    def add(self, hashes: IntArray) -> IntArray:
        """Add a column of hashes, (n,); return how many rows before each have the same, (n,)."""
        distinct, which, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        before = np.zeros(len(distinct), dtype=np.int64)
        for place in np.flatnonzero(self._seen.add_hashes(distinct)).tolist():
            before[place] = self._counts.get(int(distinct[place]), 1)
        after = before + counts
        for place in np.flatnonzero(after > 1).tolist():
            self._counts[int(distinct[place])] = int(after[place])
        order = np.argsort(which, kind="stable")
        starts = np.cumsum(counts) - counts
        rank = np.empty(len(hashes), dtype=np.int64)
        rank[order] = np.arange(len(hashes)) - np.repeat(starts, counts)
        return rank + before[which]

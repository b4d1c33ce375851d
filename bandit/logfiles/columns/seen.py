"""Which ids of a file were seen before, in eight bytes an id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain.text_hashes import text_hashes

if TYPE_CHECKING:
    from bandit.domain import BoolArray, IntArray


class SeenIds:
    """The ids seen so far, as sorted arrays of 64-bit hashes: eight bytes a row.

    Two ids of one hash would be taken for the same; among a million rows that happens in one of 37 million files.
    """

    def __init__(self) -> None:
        self._runs: list[IntArray] = []

    def add(self, ids: Sequence[str]) -> BoolArray:
        """Add a column of ids; return which of them were seen before, or stand earlier in the column, (n,)."""
        return self.add_hashes(text_hashes(ids).view(np.int64))

    def add_hashes(self, hashes: IntArray) -> BoolArray:
        """Add a column of hashes, (n,); return what `add` returns."""
        order = np.argsort(hashes, kind="stable")
        rising = hashes[order]
        first = np.ones(len(rising), dtype=np.bool_)
        first[1:] = rising[1:] != rising[:-1]
        repeated = ~first
        distinct = rising[first]
        for run in self._runs:
            seen = run[np.minimum(np.searchsorted(run, distinct), len(run) - 1)] == distinct
            if seen.any():
                repeated[np.flatnonzero(first)[seen]] = True
        if len(distinct):
            self._append(distinct)
        found = np.empty(len(hashes), dtype=np.bool_)
        found[order] = repeated
        return found

    def _append(self, run: IntArray) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):  # few long runs: each id is moved log n times
            run = np.concatenate((self._runs.pop(), run))
        run.sort()
        self._runs.append(run)


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

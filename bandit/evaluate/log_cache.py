"""A log that is read once and kept in memory, for computations that read it many times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import LoggedBatch, LogView
from bandit.evaluate.distinct_masks import DistinctMasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.domain import BoolArray, IntArray, Log

MOST_CACHED = 1_000_000
"""A log of more decisions is read again instead: this many with a dozen facts take some 200 MB."""


@dataclass(frozen=True, eq=False)
class CachedLog(LogView):
    """The decisions of a log in memory, each distinct eligible set once.

    `rows` has no eligible sets of its own, (n, 0): `masks` (u, N) are the distinct sets, `which` (n,) that of a row.
    """

    log: Log
    rows: LoggedBatch
    masks: BoolArray
    which: IntArray

    @property
    def n(self) -> int:
        """The number of decisions."""
        return len(self.rows)

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        for start in range(0, self.n, size):
            part = self.rows.take(slice(start, start + size))
            if len(self.masks) == 1:
                eligible = np.broadcast_to(self.masks[0], (len(part), self.masks.shape[1]))
            else:
                eligible = self.masks[self.which[start : start + size]]
            yield replace(part, eligible=eligible)


def cache_log(log: Log, size: int, most: int = MOST_CACHED) -> Log:
    """Return the log in memory, or as it is where it is empty or has more than `most` decisions."""
    if not 0 < log.n <= most or isinstance(log, CachedLog):
        return log
    masks = DistinctMasks()
    parts, which = [], []
    for batch in log.batches(size):
        which.append(masks.number(batch.eligible))
        no_masks = np.zeros((len(batch), 0), dtype=np.bool_)
        parts.append(replace(batch, contexts=batch.contexts.without_text(), eligible=no_masks))
    rows = LoggedBatch.concat(parts)
    return CachedLog(log, rows, masks.stack(), np.concatenate(which))

"""A log sorted by time in bounded memory, for logs written in another order, such as customer by customer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import IntArray, LoggedBatch, LogView

if TYPE_CHECKING:
    from bandit.domain import Log

SORTED_ROWS = 262_144
"""About how many decisions are sorted at once; fewer with many offers."""

SORTED_CELLS = 64_000_000
"""The largest number of (decision, offer) cells in memory at once, except that equal times stay together."""

TIME_BINS = 65_536
"""The number of equal time bins in which decisions are counted to find the cuts."""


class TimeOrdered(LogView):
    """A `bandit.domain.Log` of another log's decisions in order of time; decisions of equal time keep their order.

    A sorted log is passed through. Otherwise its time is cut into intervals that fit into memory, each of which is
    read in one pass over the log and sorted (stable). `first` and `last` are the earliest and latest time, in
    microseconds since 1970 UTC.
    """

    def __init__(self, log: Log, *, rows: int = SORTED_ROWS) -> None:
        """Read the log's times: once if they are sorted, twice if not."""
        self.log = log
        self.first = self.last = 0
        self._ordered = True
        n_offers, n = 1, 0
        for batch in log.batches():
            if not len(batch):
                continue
            times = batch.time
            ends = int(times.min()), int(times.max())
            self._ordered &= not bool((np.diff(times) < 0).any()) and (not n or self.last <= int(times[0]))
            self.first = ends[0] if not n else min(self.first, ends[0])
            self.last = ends[1] if not n else max(self.last, ends[1])
            n, n_offers = n + len(batch), batch.eligible.shape[1]
        self._n = n
        self._cuts = [] if self._ordered else self._find_cuts(max(1, min(rows, SORTED_CELLS // n_offers)))

    @property
    def n(self) -> int:
        """The number of decisions."""
        return self._n

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order of time, at most `size` at a time."""
        if self._ordered:
            yield from self.log.batches(size)
            return
        for low, high in zip(self._cuts[:-1], self._cuts[1:], strict=True):
            parts = [batch.take((batch.time >= low) & (batch.time < high)) for batch in self.log.batches()]
            joined = LoggedBatch.concat([part for part in parts if len(part)])
            joined = joined.take(np.argsort(joined.time, kind="stable"))
            for start in range(0, len(joined), size):
                yield joined.take(slice(start, start + size))

    def _find_cuts(self, rows: int) -> list[int]:
        """Return the times that cut the log into non-empty intervals of about `rows` decisions."""
        width = (self.last - self.first) // TIME_BINS + 1
        counts = np.zeros(TIME_BINS, dtype=np.int64)
        for batch in self.log.batches():
            counts += np.bincount((batch.time - self.first) // width, minlength=TIME_BINS)
        filled = np.flatnonzero(counts)
        interval = (np.cumsum(counts[filled]) - 1) // rows
        starts: IntArray = filled[np.flatnonzero(np.diff(interval, prepend=-1))]
        return [*(self.first + starts * width).tolist(), self.last + 1]

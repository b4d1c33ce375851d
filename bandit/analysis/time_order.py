"""A log in order of time, whatever order it was written in: campaigns are often exported customer by customer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Contexts, IntArray, LoggedBatch, LogView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import Log

ROWS = 262_144
"""About so many decisions are sorted at once, fewer where there are many offers."""

CELLS = 64_000_000
"""Most (decision, offer) cells held at once, but for decisions of one moment, which stay together."""

BINS = 65_536
"""Equal stretches of time that decisions are counted in, to find where to cut."""


class TimeOrdered(LogView):
    """A `bandit.domain.Log` of another log's decisions by time; those of one moment keep their order.

    A log that is in order already is passed through. Else its time is cut into stretches that fit into memory, each
    of which is read by a pass over the log and sorted. `first` and `last` are the times of the ends, in microseconds.
    """

    def __init__(self, log: Log, *, rows: int = ROWS) -> None:
        """Read the log's times: once where they are in order, twice where they are not."""
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
        self._cuts = [] if self._ordered else self._find_cuts(max(1, min(rows, CELLS // n_offers)))

    @property
    def n(self) -> int:
        """The number of decisions."""
        return self._n

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions by time, at most `size` at a time."""
        if self._ordered:
            yield from self.log.batches(size)
            return
        for low, high in zip(self._cuts[:-1], self._cuts[1:], strict=True):
            parts = [batch.take((batch.time >= low) & (batch.time < high)) for batch in self.log.batches()]
            stretch = _joined([part for part in parts if len(part)])
            stretch = stretch.take(np.argsort(stretch.time, kind="stable"))
            for start in range(0, len(stretch), size):
                yield stretch.take(slice(start, start + size))

    def _find_cuts(self, rows: int) -> list[int]:
        """Return times that cut the log into stretches of about `rows` decisions, none of them empty."""
        width = (self.last - self.first) // BINS + 1
        counts = np.zeros(BINS, dtype=np.int64)
        for batch in self.log.batches():
            counts += np.bincount((batch.time - self.first) // width, minlength=BINS)
        filled = np.flatnonzero(counts)
        stretch = (np.cumsum(counts[filled]) - 1) // rows
        starts: IntArray = filled[np.flatnonzero(np.diff(stretch, prepend=-1))]
        return [*(self.first + starts * width).tolist(), self.last + 1]


def _joined(parts: Sequence[LoggedBatch]) -> LoggedBatch:
    """Return the rows of all parts, of which there is at least one."""
    if len(parts) == 1:
        return parts[0]
    each = [part.contexts for part in parts]
    contexts = Contexts(
        sum(context.n for context in each),
        {name: np.concatenate([context.columns[name] for context in each]) for name in each[0].columns},
        {name: np.concatenate([context.text[name] for context in each]) for name in each[0].text},
        np.concatenate([context.customers for context in each]),
    )
    return LoggedBatch(
        contexts,
        np.concatenate([part.offer for part in parts]),
        np.concatenate([part.eligible for part in parts]),
        np.concatenate([part.propensity for part in parts]),
        np.concatenate([part.converted for part in parts]),
        np.concatenate([part.revenue for part in parts]),
        np.concatenate([part.reward for part in parts]),
        np.concatenate([part.time for part in parts]),
    )

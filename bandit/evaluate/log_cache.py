"""A log read once and kept in memory, for what reads it many times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import Contexts, LoggedBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bandit.domain import BoolArray, IntArray, Log, ObjectArray

MOST_CACHED = 1_000_000
"""A longer log is read again instead: so many decisions with a dozen facts are some 200 MB."""


@dataclass(frozen=True, eq=False)
class CachedLog:
    """The decisions of a log in memory, each distinct eligible set once; `catalogue` is that of the log."""

    catalogue: object
    rows: LoggedBatch
    masks: BoolArray
    which: IntArray

    @property
    def n(self) -> int:
        """The number of decisions."""
        return len(self.rows)

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        n_offers = self.masks.shape[1]
        for start in range(0, self.n, size):
            part = self.rows.take(slice(start, start + size))
            which = self.which[start : start + size]
            one = len(self.masks) == 1
            yield _with_masks(part, np.broadcast_to(self.masks[0], (len(part), n_offers)) if one else self.masks[which])


def cache_log(log: Log, size: int, most: int = MOST_CACHED) -> Log:
    """Return the log in memory, or as it is where it is longer than `most` or empty."""
    if not 0 < log.n <= most or isinstance(log, CachedLog):
        return log
    sets: dict[bytes, int] = {}
    masks: list[BoolArray] = []
    parts, which = [], []
    for batch in log.batches(size):
        which.append(_numbered(batch.eligible, sets, masks))
        parts.append(_with_masks(batch, np.zeros((len(batch), 0), dtype=np.bool_)))
    return CachedLog(getattr(log, "catalogue", None), _joined(parts), np.stack(masks), np.concatenate(which))


def _numbered(eligible: BoolArray, sets: dict[bytes, int], masks: list[BoolArray]) -> IntArray:
    """Return the number of each row's eligible set; new ones are added."""
    if len(eligible) and eligible.strides[0] == 0:
        distinct, back = eligible[:1], np.zeros(len(eligible), dtype=np.int64)
    else:
        packed = np.packbits(eligible, axis=1)
        keys = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()
        first, back = np.unique(keys, return_index=True, return_inverse=True)[1:]
        distinct = eligible[first]
    numbers = np.empty(len(distinct), dtype=np.int64)
    for place, mask in enumerate(distinct):
        numbers[place] = sets.setdefault(mask.tobytes(), len(masks))
        if numbers[place] == len(masks):
            masks.append(mask.copy())
    return numbers[back]


def _joined(parts: Sequence[LoggedBatch]) -> LoggedBatch:
    """Return one batch of all; the customers' categorical facts as texts are left behind."""
    first = parts[0].contexts
    columns = {name: np.concatenate([part.contexts.columns[name] for part in parts]) for name in first.columns}
    customers: ObjectArray = np.concatenate([part.contexts.customers for part in parts])
    contexts = Contexts(sum(len(part) for part in parts), columns, {}, customers)
    names = ("offer", "eligible", "propensity", "converted", "revenue", "reward", "time")
    return LoggedBatch(contexts, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _with_masks(batch: LoggedBatch, masks: BoolArray) -> LoggedBatch:
    return LoggedBatch(
        batch.contexts,
        batch.offer,
        masks,
        batch.propensity,
        batch.converted,
        batch.revenue,
        batch.reward,
        batch.time,
    )

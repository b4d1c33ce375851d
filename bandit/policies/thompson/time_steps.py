"""Outcomes in steps of time: the parts between which a belief that moves is moved."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from bandit.domain import MICROSECONDS, Log, LoggedBatch, Outcomes

ONE_DAY = 86_400 * MICROSECONDS

MOVE_STEP = ONE_DAY // 4
"""Least time by which a belief is moved at once, in microseconds; a longer batch is learned day by day."""


def newest_time(outcomes: Outcomes) -> int:
    """Return the newest time of outcomes that have times."""
    return int(outcomes.time[0]) if len(outcomes) == 1 else int(outcomes.time.max())


def daily_parts(outcomes: Outcomes, since: int) -> list[Outcomes]:
    """Return outcomes that take more than a day in parts, one for each day that the newest time so far falls into.

    Times before `since` count as `since`.
    """
    if len(outcomes) == 1 or int(outcomes.time.max()) - max(since, int(outcomes.time.min())) <= ONE_DAY:
        return [outcomes]
    day = np.maximum.accumulate(np.maximum(outcomes.time, since)) // ONE_DAY
    bounds = [0, *(np.flatnonzero(day[1:] != day[:-1]) + 1).tolist(), len(outcomes)]
    return [outcomes.take(slice(start, stop)) for start, stop in pairwise(bounds)]


def time_span(log: Log) -> tuple[int, int]:
    """Return the first and the last time of a log, (0, 0) for one without times."""
    first, last = [], []
    for batch in log.batches():
        if len(batch.time):
            first.append(int(batch.time.min()))
            last.append(int(batch.time.max()))
    return min(first, default=0), max(last, default=0)


def ordered_batches(log: Log, size: int) -> Iterator[LoggedBatch]:
    """Yield the batches of a log, each in order of time; a log itself is kept in that order."""
    for batch in log.batches(size):
        yield batch if (np.diff(batch.time) >= 0).all() else batch.take(np.argsort(batch.time, kind="stable"))

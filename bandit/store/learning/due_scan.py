"""Finds the decisions that may be due for learning without scanning the whole log.

A decision becomes due in one of four ways: an event came (a conversion, a return, "closed"); it is open and old enough
to reach a level of `conversion_delay.LEVELS`, so that more of its silence is known; its window ended; or it was itself
written late, when it was old enough already.

So each policy keeps a watermark (event, seq, time, levels): all events up to the number `event` are processed, and of
the decisions up to the number `seq`, those made up to `time` had their window end, and those made up to `levels[k]` had
reached level k. The decisions that may be due since then are

- the decisions of events numbered above `event`                       a range of the table of events,
- the decisions made after `time` whose window is over now             a range of the index on time,
- the decisions made after `levels[k]` that are at that level now      a range of the index on time for each level,
- the decisions numbered above `seq` that are at the first level now   a range of the table of decisions.

With nothing new, all of them are empty. Numbers are given under the write lock and never reused, so no row appears
behind the watermark. A scan is one pass from a watermark to the next; it goes by decision number and may take several
steps of learning, so its position is stored. The first scan, and one that would read a large part of the log anyway,
walks the decisions in order. A scan may return a candidate twice without harm: the ledger compares each candidate with
what was last learned of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.store.learning.conversion_delay import LEVELS
from bandit.store.learning.records import DueScan, Watermark

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import IntArray

EARLIEST_TIME = -(2**63)
"""A time before all others."""

INITIAL_WATERMARK = Watermark(0, 0, EARLIEST_TIME, (EARLIEST_TIME,) * len(LEVELS))
"""The watermark of a policy that has not looked at anything."""

MAX_CANDIDATES = 65_536
"""Candidates that are compared at once; bounds the memory of a scan."""

ScanState = tuple[Watermark, Watermark, int | None]
"""The watermark, the target of an unfinished scan and its position; None without an unfinished scan."""

# A unary plus keeps SQLite from using an index for that term: each part is a range of its own.
_REACHED = """
SELECT seq FROM decisions WHERE time > :time{0} AND time <= :to_time{0} AND +seq > :position AND +seq <= :to_seq
UNION
"""
_CHANGED = f"""
SELECT seq FROM events NOT INDEXED WHERE id > :event AND +seq > :position AND +seq <= :to_seq
UNION
{"".join(_REACHED.format(place) for place in range(len(LEVELS) + 1))}
SELECT seq FROM decisions WHERE seq > MAX(:seq, :position) AND seq <= :to_seq AND +time <= :to_first
ORDER BY seq LIMIT :limit
"""  # noqa: S608 - put together once, of constants

# The same, unsorted and with repetitions, and at most so many rows of each part: no part is read to its end only to
# learn that it is long. Parameters: event, seq, to_seq, to_first, limit,
# then the bounds of each range of times.
_TIMES = """
SELECT * FROM (SELECT seq FROM decisions WHERE time > ?{} AND time <= ?{} AND +seq <= ?3 LIMIT ?5)
UNION ALL
"""
_FIRST_TIME = 6
_FEW = f"""
SELECT seq FROM events NOT INDEXED WHERE id > ?1 AND +seq <= ?3
UNION ALL
{"".join(_TIMES.format(place, place + 1) for place in range(_FIRST_TIME, _FIRST_TIME + 2 * len(LEVELS) + 1, 2))}
SELECT seq FROM decisions WHERE seq > ?2 AND seq <= ?3 AND +time <= ?4
LIMIT 2 * ?5
"""  # noqa: S608 - put together once, of constants

_WALK = "SELECT seq FROM decisions WHERE seq > :position AND seq <= :to_seq ORDER BY seq LIMIT :limit"


def is_large(scan: DueScan) -> bool:
    """Say whether to walk the decisions in order, which costs less where much of the log is new."""
    return scan.start == INITIAL_WATERMARK or scan.n_new > max(scan.target.seq // 4, MAX_CANDIDATES)


def candidates(raw: sqlite3.Connection, scan: DueScan, limit: int, *, walks: bool) -> IntArray:
    """Return the numbers of the next decisions that may be due, at most `limit`; none at the end of the scan."""
    values = _bounds(scan) | {"position": scan.position, "limit": limit}
    rows = raw.execute(_WALK if walks else _CHANGED, values).fetchall()
    return np.array(rows, dtype=np.int64).reshape(-1)


def few_candidates(raw: sqlite3.Connection, scan: DueScan, limit: int) -> list[int]:
    """Return the numbers of all decisions that may be due, or at least `limit` of them; for a scan at its start."""
    start, target = scan.start, scan.target
    to_first = max(target.time, *target.levels)
    values = [start.event, start.seq, target.seq, to_first, limit, start.time, target.time]
    for bounds in zip(start.levels, target.levels, strict=True):
        values += bounds
    rows = raw.execute(_FEW, values).fetchall()
    return [rows[0][0]] if len(rows) == 1 else sorted({row[0] for row in rows})


def _bounds(scan: DueScan) -> dict[str, int]:
    """Return the parameters of the statements that find candidates."""
    start, target = scan.start, scan.target
    times, to_times = (start.time, *start.levels), (target.time, *target.levels)
    return {
        "event": start.event,
        "seq": start.seq,
        "to_seq": target.seq,
        "to_first": max(to_times),
        **{f"time{place}": time for place, time in enumerate(times)},
        **{f"to_time{place}": time for place, time in enumerate(to_times)},
    }


_STATE = """
SELECT (SELECT COALESCE(MAX(id), 0) FROM events), (SELECT COALESCE(MAX(seq), 0) FROM decisions),
    (SELECT MAX(step) FROM policy_steps WHERE policy_id = ?1),
    r.event, r.seq, r.time, r.levels, COALESCE(r.to_event, 0), COALESCE(r.to_seq, 0), COALESCE(r.to_time, 0),
    r.to_levels, r.position
FROM (SELECT 1) LEFT JOIN learning_reach r ON r.policy_id = ?1 AND r.criterion = ?2
"""


def load_scan_state(
    raw: sqlite3.Connection, policy_id: int, criterion: str
) -> tuple[ScanState | None, tuple[int, int], int | None]:
    """Return a policy's watermark and unfinished scan, the last numbers of events and decisions, and its newest step.

    The first is None before the first scan and after a change of criterion.
    """
    last_event, last_seq, step, *state = raw.execute(_STATE, (policy_id, criterion)).fetchone()
    last = int(last_event), int(last_seq)
    if state[0] is None:
        return None, last, step
    return (_watermark(*state[:4]), _watermark(*state[4:8]), state[8]), last, step


def save_scan_state(raw: sqlite3.Connection, policy_id: int, scan: DueScan) -> None:
    """Store a policy's watermark, and the target and position of an unfinished scan."""
    mark = scan.target if scan.complete else scan.start
    rest = (None,) * 5 if scan.complete else (*_columns(scan.target), scan.position)
    raw.execute(
        "INSERT INTO learning_reach (policy_id, criterion, event, seq, time, levels, to_event, to_seq, to_time, "
        "to_levels, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (policy_id) DO UPDATE SET "
        "criterion = excluded.criterion, event = excluded.event, seq = excluded.seq, time = excluded.time, "
        "levels = excluded.levels, to_event = excluded.to_event, to_seq = excluded.to_seq, "
        "to_time = excluded.to_time, to_levels = excluded.to_levels, position = excluded.position",
        (policy_id, scan.criterion, *_columns(mark), *rest),
    )


@lru_cache(maxsize=64)
def _watermark(event: int, seq: int, time: int, levels: str | None) -> Watermark:
    """Return a stored watermark; without `levels`, nothing younger than `time` had been looked at."""
    if levels is None:
        return Watermark(event, seq, time, (time,) * len(LEVELS))
    return Watermark(event, seq, time, msgspec.json.decode(levels, type=tuple[int, ...]))


def _columns(mark: Watermark) -> tuple[int, int, int, str]:
    return mark.event, mark.seq, mark.time, msgspec.json.encode(mark.levels).decode()

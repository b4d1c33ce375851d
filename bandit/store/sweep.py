"""How a lineage finds what is new without looking at everything.

A decision becomes due in one of three ways: an event came (a conversion, a return, "closed"), its window ended, or it
was itself written late, with its window already over.
A lineage therefore remembers how far it has looked, as (event, seq, time): all events up to the number `event` are
taken in, and all decisions up to the number `seq` that were made up to `time` had their window end. What may be due
since then is

- the decisions of events numbered above `event`                       a range of the table of events,
- the decisions made after `time` whose window is over now             a range of the index on time,
- the decisions numbered above `seq` whose window is over now          a range of the table of decisions.

With nothing new, all three are empty. Numbers are given under the write lock and never twice, so nothing appears
behind the mark. One pass over what is new is a sweep; it goes by decision number and may take several steps, so it
keeps its position. The first sweep, and one that would look at a large part of the log anyway, walks the decisions in
order. What is learned twice is no matter of these marks: a candidate is compared with what was last learned of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.store.rows import Reach, Sweep

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import IntArray

NOWHERE = Reach(0, 0, -(2**63))
"""The reach of a lineage that has not looked at anything."""

CHUNK = 65_536
"""Candidates that are looked at together; bounds the memory of a sweep."""

ReachRow = tuple[int, int, int, int, int, int, int | None]
"""Event, seq and time that were reached; those a sweep goes to, and its position, None where none was begun."""

# A plus sign keeps SQLite from using that term for the look-up: each of the three is a range of its own.
_TOUCHED = """
SELECT seq FROM events NOT INDEXED WHERE id > :event AND +seq > :position AND +seq <= :to_seq
UNION
SELECT seq FROM decisions WHERE time > :time AND time <= :to_time AND +seq > :position AND +seq <= :to_seq
UNION
SELECT seq FROM decisions WHERE seq > MAX(:seq, :position) AND seq <= :to_seq AND +time <= :to_time
ORDER BY seq LIMIT :limit
"""

_WALK = "SELECT seq FROM decisions WHERE seq > :position AND seq <= :to_seq ORDER BY seq LIMIT :limit"


def is_large(sweep: Sweep) -> bool:
    """Say whether to walk through the decisions in order, which costs less where much of the log is new."""
    new = sweep.target.seq - sweep.start.seq + sweep.target.event - sweep.start.event
    return sweep.start == NOWHERE or new > max(sweep.target.seq // 4, CHUNK)


def candidates(raw: sqlite3.Connection, sweep: Sweep, limit: int, *, walks: bool) -> IntArray:
    """Return the next decisions that may be due, by number, at most `limit`; none at the end of the sweep."""
    rows = raw.execute(
        _WALK if walks else _TOUCHED,
        {
            "event": sweep.start.event,
            "seq": sweep.start.seq,
            "time": sweep.start.time,
            "to_seq": sweep.target.seq,
            "to_time": sweep.target.time,
            "position": sweep.position,
            "limit": limit,
        },
    ).fetchall()
    return np.array(rows, dtype=np.int64).reshape(-1)


def reach_row(raw: sqlite3.Connection, policy_id: int, criterion: str) -> ReachRow | None:
    """Return how far a lineage has looked; None at the beginning, and after a change of criterion."""
    row: ReachRow | None = raw.execute(
        "SELECT event, seq, time, COALESCE(to_event, 0), COALESCE(to_seq, 0), COALESCE(to_time, 0), position "
        "FROM learning_reach "
        "WHERE policy_id = ? AND criterion = ?",
        (policy_id, criterion),
    ).fetchone()
    return row


def keep_reach(raw: sqlite3.Connection, policy_id: int, sweep: Sweep) -> None:
    """Write how far a lineage has looked, and the position of a sweep that is not done."""
    reach = sweep.target if sweep.complete else sweep.start
    rest: tuple[int | None, ...] = (
        (None,) * 4 if sweep.complete else (sweep.target.event, sweep.target.seq, sweep.target.time, sweep.position)
    )
    raw.execute(
        "INSERT INTO learning_reach (policy_id, criterion, event, seq, time, to_event, to_seq, to_time, position) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (policy_id) DO UPDATE SET criterion = excluded.criterion, "
        "event = excluded.event, seq = excluded.seq, time = excluded.time, to_event = excluded.to_event, "
        "to_seq = excluded.to_seq, to_time = excluded.to_time, position = excluded.position",
        (policy_id, sweep.criterion, reach.event, reach.seq, reach.time, *rest),
    )

"""How a learner finds what is new without looking at everything.

A decision becomes due in one of four ways: an event came (a conversion, a return, "closed"), it is open and old enough
that more of its silence is known (it has reached a level of `bandit.store.learning.conversion_delay`), its window ended, or it was itself
written late, when it was old enough already.
A learner therefore remembers how far it has looked, as (event, seq, time, levels): all events up to the number `event`
are taken in, and of the decisions up to the number `seq` those made up to `time` had their window end, those made up
to `levels[k]` had reached the level k. What may be due since then is

- the decisions of events numbered above `event`                       a range of the table of events,
- the decisions made after `time` whose window is over now             a range of the index on time,
- the decisions made after `levels[k]` that are at that level now      a range of the index on time for each level,
- the decisions numbered above `seq` that are at the first level now   a range of the table of decisions.

With nothing new, all of them are empty. Numbers are given under the write lock and never twice, so nothing appears
behind the mark. One pass over what is new is a sweep; it goes by decision number and may take several steps, so it
keeps its position. The first sweep, and one that would look at a large part of the log anyway, walks the decisions in
order. What is learned twice is no matter of these marks: a candidate is compared with what was last learned of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.store.learning.conversion_delay import LEVELS
from bandit.store.records import Reach, Sweep

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import IntArray

NEVER = -(2**63)
"""A time before everything."""

NOWHERE = Reach(0, 0, NEVER, (NEVER,) * len(LEVELS))
"""The reach of a learner that has not looked at anything."""

CHUNK = 65_536
"""Candidates that are looked at together; bounds the memory of a sweep."""

ReachRow = tuple[Reach, Reach, int | None]
"""What was reached, what a sweep goes to, and its position, None where none was begun."""

# A plus sign keeps SQLite from using that term for the look-up: each part is a range of its own.
_REACHED = """
SELECT seq FROM decisions WHERE time > :time{0} AND time <= :to_time{0} AND +seq > :position AND +seq <= :to_seq
UNION
"""
_TOUCHED = f"""
SELECT seq FROM events NOT INDEXED WHERE id > :event AND +seq > :position AND +seq <= :to_seq
UNION
{"".join(_REACHED.format(place) for place in range(len(LEVELS) + 1))}
SELECT seq FROM decisions WHERE seq > MAX(:seq, :position) AND seq <= :to_seq AND +time <= :to_first
ORDER BY seq LIMIT :limit
"""  # noqa: S608 - put together once, of constants

_WALK = "SELECT seq FROM decisions WHERE seq > :position AND seq <= :to_seq ORDER BY seq LIMIT :limit"


def is_large(sweep: Sweep) -> bool:
    """Say whether to walk through the decisions in order, which costs less where much of the log is new."""
    new = sweep.target.seq - sweep.start.seq + sweep.target.event - sweep.start.event
    return sweep.start == NOWHERE or new > max(sweep.target.seq // 4, CHUNK)


def candidates(raw: sqlite3.Connection, sweep: Sweep, limit: int, *, walks: bool) -> IntArray:
    """Return the next decisions that may be due, by number, at most `limit`; none at the end of the sweep."""
    start, target = sweep.start, sweep.target
    reached, to_reach = (start.time, *start.levels), (target.time, *target.levels)
    rows = raw.execute(
        _WALK if walks else _TOUCHED,
        {
            "event": start.event,
            "seq": start.seq,
            "to_seq": target.seq,
            "to_first": max(to_reach),
            "position": sweep.position,
            "limit": limit,
            **{f"time{place}": time for place, time in enumerate(reached)},
            **{f"to_time{place}": time for place, time in enumerate(to_reach)},
        },
    ).fetchall()
    return np.array(rows, dtype=np.int64).reshape(-1)


def reach_row(raw: sqlite3.Connection, policy_id: int, criterion: str) -> ReachRow | None:
    """Return how far a learner has looked; None at the beginning, and after a change of criterion."""
    row = raw.execute(
        "SELECT event, seq, time, levels, COALESCE(to_event, 0), COALESCE(to_seq, 0), COALESCE(to_time, 0), to_levels, "
        "position FROM learning_reach WHERE policy_id = ? AND criterion = ?",
        (policy_id, criterion),
    ).fetchone()
    return None if row is None else (_reach(*row[:4]), _reach(*row[4:8]), row[8])


def keep_reach(raw: sqlite3.Connection, policy_id: int, sweep: Sweep) -> None:
    """Write how far a learner has looked, and the position of a sweep that is not done."""
    reach = sweep.target if sweep.complete else sweep.start
    rest = (None,) * 5 if sweep.complete else (*_columns(sweep.target), sweep.position)
    raw.execute(
        "INSERT INTO learning_reach (policy_id, criterion, event, seq, time, levels, to_event, to_seq, to_time, "
        "to_levels, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (policy_id) DO UPDATE SET "
        "criterion = excluded.criterion, event = excluded.event, seq = excluded.seq, time = excluded.time, "
        "levels = excluded.levels, to_event = excluded.to_event, to_seq = excluded.to_seq, "
        "to_time = excluded.to_time, to_levels = excluded.to_levels, position = excluded.position",
        (policy_id, sweep.criterion, *_columns(reach), *rest),
    )


def _reach(event: int, seq: int, time: int, levels: str | None) -> Reach:
    """Return a reach as it was written; before levels were, nothing younger than `time` had been looked at."""
    if levels is None:
        return Reach(event, seq, time, (time,) * len(LEVELS))
    return Reach(event, seq, time, msgspec.json.decode(levels, type=tuple[int, ...]))


def _columns(reach: Reach) -> tuple[int, int, int, str]:
    return reach.event, reach.seq, reach.time, msgspec.json.encode(reach.levels).decode()

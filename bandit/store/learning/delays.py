"""How long conversions took, read from the log, for the share of them that has come by an age."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.store.learning.conversion_delay import estimate

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import IntArray
    from bandit.store.connection import Connection

CONVERSIONS = 1_000
"""Conversions that are looked at, the newest of those known in full first."""

DECISIONS = 100_000
"""Decisions among which they are looked for, on each side of the newest one whose window is over."""

_FRESH = 100
"""An estimate is used again until this part of a window has passed."""

# Learning knows of a conversion from when it was recorded on. Where that was after its window, a log was brought in
# from elsewhere, and when it happened is all that is known. A correction does not make a conversion a later one.
_DELAYS = """
SELECT MIN(CASE WHEN e.recorded_at <= d.time + :window THEN MAX(e.time, e.recorded_at) ELSE e.time END) - d.time, d.time
FROM events e CROSS JOIN decisions d ON d.seq = e.seq
WHERE e.seq > :after AND e.seq <= :through AND e.event = :event AND e.version = 0 AND e.time <= d.time + :window
    AND d.time > :after_time AND d.time <= :through_time
GROUP BY e.seq ORDER BY e.seq {} LIMIT :limit
"""
_NEWEST, _OLDEST = _DELAYS.format("DESC"), _DELAYS.format("ASC")

_SETTLED = "SELECT seq FROM decisions WHERE time <= ? ORDER BY time DESC LIMIT 1"


class Delays:
    """Reads how long conversions took, and keeps what it found for a while."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[tuple[str, int], tuple[int, IntArray]] = {}

    def level_ages(self, objective_event: str, window: int, now: int) -> IntArray:
        """Return the age in microseconds at which a decision reaches each level of `bandit.store.learning.conversion_delay`."""
        key = (objective_event, window)
        kept = self._kept.get(key)
        if kept is not None and abs(now - kept[0]) * _FRESH < window:
            return kept[1]
        with self._connection.reading() as raw:
            delay, age = _delays(raw, objective_event, window, now)
        ages = estimate(delay, age, window).level_ages()
        self._kept[key] = now, ages
        return ages


def _delays(raw: sqlite3.Connection, objective_event: str, window: int, now: int) -> tuple[IntArray, IntArray]:
    """Return the delays of conversions that have come, and how old their decisions are; (n,) each.

    Those of decisions whose window is over say all, the newest first; where they are few, the oldest of the open ones
    say most. Both are taken by decision, so that quick conversions are not taken before slow ones.
    """
    over = now - window - 1
    row = raw.execute(_SETTLED, (over,)).fetchone()
    settled = 0 if row is None else int(row[0])
    columns = {"event": objective_event, "window": window}
    rows = raw.execute(
        _NEWEST,
        columns
        | {"after": settled - DECISIONS, "through": settled, "after_time": -(2**63), "through_time": over}
        | {"limit": CONVERSIONS},
    ).fetchall()
    if len(rows) < CONVERSIONS:
        rows += raw.execute(
            _OLDEST,
            columns
            | {"after": settled, "through": settled + DECISIONS, "after_time": over, "through_time": now}
            | {"limit": CONVERSIONS - len(rows)},
        ).fetchall()
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    delay, age = np.maximum(table[:, 0], 0), now - table[:, 1]
    seen = delay <= age
    return delay[seen], age[seen]

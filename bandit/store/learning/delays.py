"""Reads conversion delays from the log, and caches the ages at which decisions reach the levels of knowledge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.store.learning.conversion_delay import estimate
from bandit.store.records import Activation
from bandit.store.tables.activation import ACTIVATED, parameters

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import IntArray
    from bandit.store.connection import Connection

MAX_CONVERSIONS = 1_000
"""Maximum number of conversions that an estimate uses."""

MAX_DECISIONS = 100_000
"""Decisions that are searched for conversions, on each side of the newest one whose window is over."""

_ESTIMATES_PER_WINDOW = 100
"""An estimate is renewed after this fraction (1/100) of a window."""

# A conversion is known to learning from its time of recording. One recorded after its window came with an imported
# log, and only the time of the event is known. A correction does not delay a conversion: version 0 counts.
_DELAYS = """
SELECT MIN(CASE WHEN e.recorded_at <= d.time + :window THEN MAX(e.time, e.recorded_at) ELSE e.time END) - d.time, d.time
FROM events e CROSS JOIN decisions d ON d.seq = e.seq
WHERE e.seq > :after AND e.seq <= :through AND e.event = :event AND e.version = 0
    AND e.time BETWEEN d.time AND d.time + :window
    AND d.time > :after_time AND d.time <= :through_time {}
GROUP BY e.seq ORDER BY e.seq {} LIMIT :limit
"""
_ORDERS = ("DESC", "ASC")
_ALL = tuple(_DELAYS.format("", order) for order in _ORDERS)
_ACTIVATED = tuple(_DELAYS.format(f"AND {ACTIVATED}", order) for order in _ORDERS)

_SETTLED = "SELECT seq FROM decisions WHERE time <= ? ORDER BY time DESC LIMIT 1"


class Delays:
    """Estimates conversion delays, and caches the estimates for a while."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cache: dict[tuple[str, int, str | None], tuple[int, IntArray]] = {}

    def share(self, other: Delays) -> None:
        """Use the estimates of another connection to the same store, and give it those that are made here."""
        self._cache = other._cache

    def known_levels(
        self, objective_event: str, window: int, activation: str | None, now: int
    ) -> tuple[int, ...] | None:
        """Return the latest times of decisions that are at each level by now, None where that is to be estimated."""
        cached = self._cache.get((objective_event, window, activation))
        if cached is None or abs(now - cached[0]) * _ESTIMATES_PER_WINDOW >= window:
            return None
        return tuple((now - cached[1]).tolist())

    def level_ages(self, objective_event: str, window: int, now: int, activation: str | None = None) -> IntArray:
        """Return the (L,) ages in microseconds at which a decision reaches the levels of `conversion_delay.LEVELS`.

        With `activation`, only the conversions of decisions with an event of that name count.
        """
        key = (objective_event, window, activation)
        cached = self._cache.get(key)
        if cached is not None and abs(now - cached[0]) * _ESTIMATES_PER_WINDOW < window:
            return cached[1]
        with self._connection.reading() as raw:
            delay, age = _delays(raw, objective_event, window, now, activation)
        ages = estimate(delay, age, window).level_ages()
        self._cache[key] = now, ages
        return ages


def _delays(
    raw: sqlite3.Connection, objective_event: str, window: int, now: int, activation: str | None
) -> tuple[IntArray, IntArray]:
    """Return the (n,) delays of past conversions and the (n,) ages of their decisions.

    Decisions whose window is over come first, newest before oldest, as their delays are fully observed; then the open
    ones, oldest before newest. Both are taken by decision, so that quick conversions are not preferred to slow ones.
    """
    over = now - window - 1
    row = raw.execute(_SETTLED, (over,)).fetchone()
    settled = 0 if row is None else int(row[0])
    columns: dict[str, object] = {"event": objective_event, "window": window}
    newest, oldest = _ALL if activation is None else _ACTIVATED
    if activation is not None:
        columns |= parameters(Activation(activation, window))
    rows = raw.execute(
        newest,
        columns
        | {"after": settled - MAX_DECISIONS, "through": settled, "after_time": -(2**63), "through_time": over}
        | {"limit": MAX_CONVERSIONS},
    ).fetchall()
    if len(rows) < MAX_CONVERSIONS:
        rows += raw.execute(
            oldest,
            columns
            | {"after": settled, "through": settled + MAX_DECISIONS, "after_time": over, "through_time": now}
            | {"limit": MAX_CONVERSIONS - len(rows)},
        ).fetchall()
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    delay, age = np.maximum(table[:, 0], 0), now - table[:, 1]
    seen = delay <= age
    return delay[seen], age[seen]

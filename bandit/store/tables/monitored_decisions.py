"""Counts the decisions and events that guardrails are about, from one point of the log to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.domain import IntArray
from bandit.store.corruption import decoding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.store.connection import Connection

# Who served is in decision_arms; without a row there it was the policy or, in another group, that group's own policy.
# A decision with a fault was served by the fallback, and imported decisions by other programs.
_COUNTED = """
d.fault IS NULL AND d.seq > :since_seq AND (:since IS NULL OR d.time >= :since)
AND d.policy_id NOT IN (SELECT id FROM policies WHERE json_extract(spec, '$.kind') = 'imported')
AND CASE WHEN :policy_group IS NULL OR d.grp = :policy_group
    THEN a.arm IS NULL OR a.arm = 'policy' OR a.arm LIKE 'challenger:%'
    ELSE a.arm IS NOT 'fallback' AND d.grp IN (SELECT value FROM json_each(:against)) END
"""
_SIDE = """
CASE WHEN :policy_group IS NULL OR d.grp = :policy_group THEN 0
    ELSE (SELECT 1 + key FROM json_each(:against) WHERE value = d.grp) END
"""

_DECISIONS = f"""
SELECT CASE WHEN :by_customer THEN d.customer_id ELSE 0 END AS customer, {_SIDE} AS side, count(*)
FROM decisions d LEFT JOIN decision_arms a ON a.seq = d.seq
WHERE d.seq > :after AND d.seq <= :through AND {_COUNTED} GROUP BY 1, 2
"""  # noqa: S608 - assembled from the constants above

_TOUCHED = """
SELECT DISTINCT seq FROM events
WHERE id > :after AND id <= :through
    AND (corrects IS NOT NULL OR event IN (SELECT value FROM json_each(:events)))
ORDER BY seq
"""

# CROSS JOIN keeps SQLite from starting at the decisions. An event is current if no event up to `through` corrects it.
_MARKS = f"""
SELECT e.seq, d.customer_id, {_SIDE} AS side, j.key
FROM events e CROSS JOIN decisions d ON d.seq = e.seq
CROSS JOIN json_each(:events) j ON j.value = e.event
LEFT JOIN decision_arms a ON a.seq = d.seq
WHERE e.seq IN (SELECT value FROM json_each(:seqs)) AND e.id <= :through
    AND e.time >= d.time AND (e.time <= d.time + :window OR j.value = :activation)
    AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id AND n.id <= :through) AND {_COUNTED}
GROUP BY e.seq, j.key ORDER BY e.seq
"""  # noqa: S608

_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class MonitoredSelection:
    """Which decisions and events are counted, on which side.

    Side 0 are the decisions that the policy (or a challenger) served, in `policy_group` or, if that is None, in every
    group; side 1 + i are those of the group `against[i]`. Decisions count with a number above `since_seq` and a time
    of at least `since` (microseconds since 1970 UTC); events within `window` microseconds after the decision, and
    the event `activation` at any time after it.
    """

    events: tuple[str, ...]
    window: int
    activation: str | None = None
    policy_group: str | None = None
    against: tuple[str, ...] = ()
    since_seq: int = 0
    since: int | None = None

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of the statements."""
        return {
            "events": msgspec.json.encode(self.events).decode(),
            "window": self.window,
            "activation": self.activation,
            "policy_group": self.policy_group,
            "against": msgspec.json.encode(self.against).decode(),
            "since_seq": self.since_seq,
            "since": self.since,
        }


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A point of the log: its newest decision and event, by number, and its newest deletion of decisions."""

    seq: int
    event: int
    deletion: int


@dataclass(frozen=True, slots=True, eq=False)
class EventMarks:
    """n pairs of a counted decision and an event that it has: (n,) numbers, ascending, customers, sides and events.

    `event` is the place in `MonitoredSelection.events`; each pair is there once.
    """

    seq: IntArray
    customer: IntArray
    side: IntArray
    event: IntArray


class MonitoredDecisions:
    """Reads counts of `decisions`, `decision_arms` and `events`; rows are only ever added, except by a deletion."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def position(self) -> LogPosition:
        """Return the end of the log."""
        with self._connection.reading() as raw:
            row = raw.execute(
                "SELECT (SELECT COALESCE(MAX(seq), 0) FROM decisions), (SELECT COALESCE(MAX(id), 0) FROM events), "
                "(SELECT COALESCE(MAX(id), 0) FROM upkeep WHERE kind <> 'backup')"
            ).fetchone()
        return LogPosition(*map(int, row))

    def decisions(
        self, selection: MonitoredSelection, after: int, through: int, *, by_customer: bool
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Return the counted decisions with numbers in (after, through] as columns: customer, side, how many.

        Without `by_customer` there is one row a side, with the customer 0.
        """
        parameters = selection.parameters | {"after": after, "through": through, "by_customer": by_customer}
        with self._connection.reading() as raw:
            rows = raw.execute(_DECISIONS, parameters).fetchall()
        with decoding(self._connection.path, "a decision"):
            table = np.array(rows, dtype=np.int64).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]

    def touched(self, selection: MonitoredSelection, after: int, through: int) -> IntArray:
        """Return the numbers of the decisions whose marks the events in (after, through] may have changed."""
        with self._connection.reading() as raw:
            rows = raw.execute(_TOUCHED, selection.parameters | {"after": after, "through": through}).fetchall()
        return np.array(rows, dtype=np.int64).reshape(-1)

    def marks(self, selection: MonitoredSelection, seqs: IntArray, through: int) -> Iterator[EventMarks]:
        """Yield the marks of the decisions with these ascending numbers, from the events up to the number `through`."""
        parameters = selection.parameters | {"through": through}
        for start in range(0, len(seqs), _AT_ONCE):
            part = msgspec.json.encode(seqs[start : start + _AT_ONCE].tolist()).decode()
            with self._connection.reading() as raw:
                rows = raw.execute(_MARKS, parameters | {"seqs": part}).fetchall()
            with decoding(self._connection.path, "an event"):
                table = np.array(rows, dtype=np.int64).reshape(-1, 4)
            yield EventMarks(table[:, 0], table[:, 1], table[:, 2], table[:, 3])

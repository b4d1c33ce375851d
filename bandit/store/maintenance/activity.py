"""What happened lately in a store, and how far learning is behind: a few numbers that are read quickly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.domain import IntArray
    from bandit.store.connection import Connection

# The group's customers as one text: a column of integers without an object a row.
_NEW_ROWS = """
SELECT grp, group_concat(customer_id), count(*), max(seq) FROM decisions
WHERE seq > :after AND (:catalogues IS NULL OR catalogue_id IN (SELECT value FROM json_each(:catalogues)))
GROUP BY grp
"""
_BY_GROUP = """
SELECT grp, count(*), count(DISTINCT customer_id) FROM decisions
WHERE time >= :since AND (:catalogues IS NULL OR catalogue_id IN (SELECT value FROM json_each(:catalogues)))
GROUP BY grp
"""
_CONVERSIONS = """
SELECT count(DISTINCT e.seq) FROM events e CROSS JOIN decisions d ON d.seq = e.seq
WHERE e.event = :event AND e.time >= :since AND e.time BETWEEN d.time AND d.time + :window
    AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
"""
_WRITERS = """
SELECT d.policy_id, p.spec ->> '$.kind', count(*) FROM decisions d LEFT JOIN policies p ON p.id = d.policy_id
GROUP BY d.policy_id ORDER BY d.policy_id
"""
_LAG = """
SELECT s.step, s.recorded_at,
    (SELECT count(*) FROM decisions WHERE seq > COALESCE(r.seq, 0)),
    (SELECT count(*) FROM events WHERE id > COALESCE(r.event, 0))
FROM policy_steps s LEFT JOIN learning_reach r ON r.policy_id = s.policy_id
WHERE s.policy_id = ? ORDER BY s.step DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class LearningLag:
    """A policy's newest step, when it was learned (microseconds), and the decisions and events since it looked."""

    step: int
    learned_at: int
    decisions: int
    events: int


class ActivityReader:
    """Reads the numbers of a status; each is a range of an index, or one pass over the events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def writers(self) -> tuple[tuple[int | None, str | None, int], ...]:
        """Return the policies that wrote decisions: number and kind, None where they were imported, and how many."""
        with self._connection.reading() as raw:
            rows = raw.execute(_WRITERS).fetchall()
        return tuple((number, kind, int(n)) for number, kind, n in rows)

    def decisions(self) -> int:
        """Return the number of decisions."""
        return self._number("SELECT count(*) FROM decisions WHERE seq > ?", 0)

    def decisions_since(self, time: int) -> int:
        """Return the number of decisions made at this time (microseconds since 1970 UTC) or later."""
        return self._number("SELECT count(*) FROM decisions WHERE time >= ?", time)

    def last_decision_time(self) -> int | None:
        """Return the time of the decision with the latest one, None without any."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT max(time) FROM decisions").fetchone()
        return None if row[0] is None else int(row[0])

    def conversions_since(self, event: str, window: int, time: int) -> int:
        """Return the number of decisions with this event, within their window, at this time or later."""
        with self._connection.reading() as raw:
            row = raw.execute(_CONVERSIONS, {"event": event, "since": time, "window": window}).fetchone()
        return int(row[0])

    def groups_since(self, time: int, catalogue_ids: Sequence[int] | None = None) -> dict[str, tuple[int, int]]:
        """Return (decisions, customers) by group at this time or later, under some catalogue versions or all."""
        with self._connection.reading() as raw:
            rows = raw.execute(_BY_GROUP, {"since": time, "catalogues": _json(catalogue_ids)}).fetchall()
        return {str(group): (int(decisions), int(customers)) for group, decisions, customers in rows}

    def learning_lag(self, policy_id: int) -> LearningLag | None:
        """Return how far a policy is behind, None for one without steps."""
        with self._connection.reading() as raw:
            row = raw.execute(_LAG, (policy_id,)).fetchone()
        return None if row is None else LearningLag(*row)

    def group_sizes(self, catalogue_ids: Sequence[int] | None = None) -> GroupSizes:
        """Return the sizes of the groups, under some catalogue versions or all, which can be brought up to date."""
        sizes = GroupSizes(self._connection, catalogue_ids)
        sizes.update()
        return sizes

    def _number(self, statement: str, value: int) -> int:
        with self._connection.reading() as raw:
            return int(raw.execute(statement, (value,)).fetchone()[0])


class GroupSizes:
    """Numbers of decisions and of customers by group; `update` reads only what is new.

    Memory is 8 bytes a customer and group. What an erasure removes meanwhile is not subtracted.
    """

    def __init__(self, connection: Connection, catalogue_ids: Sequence[int] | None = None) -> None:
        self._connection = connection
        self.catalogue_ids = None if catalogue_ids is None else tuple(catalogue_ids)
        self._after = 0
        self._customers: dict[str, IntArray] = {}
        self.decisions: dict[str, int] = {}

    def update(self) -> None:
        """Add the decisions that came since the last call."""
        with self._connection.reading() as raw:
            values = {"after": self._after, "catalogues": _json(self.catalogue_ids)}
            rows = raw.execute(_NEW_ROWS, values).fetchall()
        for group, customers, n, last in rows:
            new = np.array(customers.split(","), dtype=np.int64)
            known = self._customers.get(group, np.zeros(0, dtype=np.int64))
            self._customers[group] = np.union1d(known, new)
            self.decisions[group] = self.decisions.get(group, 0) + int(n)
            self._after = max(self._after, int(last))

    def customers(self) -> tuple[Mapping[str, int], int]:
        """Return the customers seen in one group only, by group, and the number of those seen in several."""
        if not self._customers:
            return {}, 0
        every, counts = np.unique(np.concatenate(list(self._customers.values())), return_counts=True)
        several = every[counts > 1]
        single = {name: int((~np.isin(each, several)).sum()) for name, each in self._customers.items()}
        return single, len(several)


def _json(catalogue_ids: Sequence[int] | None) -> str | None:
    return None if catalogue_ids is None else msgspec.json.encode(list(catalogue_ids)).decode()

"""Counts the recorded events by name, time and amounts, so that what does not count can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bandit.store.corruption import decoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.store.connection import Connection

_SHAPE = """
SELECT d.catalogue_id, e.event,
    CASE WHEN e.time < d.time THEN -1 WHEN e.time > d.time + c.objective_window THEN 1 ELSE 0 END AS timing,
    (e.revenue > 0) - (e.revenue < 0) AS sign, e.reward IS NOT NULL AS rewarded, count(*)
FROM events e CROSS JOIN decisions d ON d.seq = e.seq CROSS JOIN catalogues c ON c.id = d.catalogue_id
"""
_NEW = f"""
{_SHAPE}
WHERE e.id > :after AND e.id <= :through AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - assembled from the constants above
_CORRECTED = f"""
{_SHAPE}
WHERE e.id <= :after AND e.id IN (SELECT corrects FROM events n WHERE n.id > :after AND n.id <= :through)
GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608
_POSITION = """
SELECT (SELECT COALESCE(MAX(id), 0) FROM events), (SELECT COALESCE(MAX(id), 0) FROM upkeep WHERE kind <> 'backup')
"""

# A revenue below 0 counts whatever the event's name is, one above 0 where the decision converted.
_UNCOUNTED = """
SELECT count(DISTINCT e.seq) FROM learned l
CROSS JOIN events e ON e.seq = l.seq CROSS JOIN decisions d ON d.seq = l.seq
WHERE l.policy_id = :policy_id AND l.step > :step
    AND e.event NOT IN (SELECT value FROM json_each(:silent))
    AND (e.time NOT BETWEEN d.time AND d.time + :window
        OR (e.event NOT IN (SELECT value FROM json_each(:known)) AND CASE WHEN :rewards THEN e.reward IS NULL
            ELSE NOT COALESCE(e.revenue < 0 OR (e.revenue > 0 AND l.converted), 0) END))
    AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
"""


@dataclass(frozen=True, slots=True)
class EventShape:
    """What recorded events have in common: catalogue, name, timing and amounts.

    `timing` is -1 before the decision, 0 within its window, 1 after it; `sign` that of the revenue, None without one.
    """

    catalogue_id: int
    event: str
    timing: int
    sign: int | None
    rewarded: bool


class EventCounts:
    """Numbers of current events by shape; `update` reads only what is new, unless something was deleted."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._after = 0
        self._deletion = 0
        self.counts: dict[EventShape, int] = {}

    def update(self) -> None:
        """Bring the numbers up to date."""
        with self._connection.reading() as raw:
            through, deletion = map(int, raw.execute(_POSITION).fetchone())
            if deletion != self._deletion or through < self._after:
                self.counts, self._after = {}, 0
            values = {"after": self._after, "through": through}
            new = raw.execute(_NEW, values).fetchall() if through > self._after else []
            gone = raw.execute(_CORRECTED, values).fetchall() if through > self._after > 0 else []
        with decoding(self._connection.path, "an event"):
            for rows, sign in ((new, 1), (gone, -1)):
                for catalogue_id, event, timing, revenue, rewarded, n in rows:
                    shape = EventShape(int(catalogue_id), str(event), int(timing), revenue, bool(rewarded))
                    self.counts[shape] = self.counts.get(shape, 0) + sign * int(n)
        self._after, self._deletion = through, deletion


class EventUseReader:
    """Reads which of the recorded events count."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def counts(self) -> EventCounts:
        """Return the numbers of events by shape, which can be brought up to date: one pass over the events."""
        counts = EventCounts(self._connection)
        counts.update()
        return counts

    def uncounted(
        self, policy_id: int, step: int, window: int, known: Sequence[str], silent: Sequence[str], *, rewards: bool
    ) -> int:
        """Return how many outcomes that a policy learned after a step have an event that does not count.

        That is one outside the time from the decision to the end of its window, or of a name not among the `known`
        whose amount does not count; those named in `silent` are passed over. With `rewards`, rewards count, else
        revenues.
        """
        values = {
            "policy_id": policy_id,
            "step": step,
            "window": window,
            "known": msgspec.json.encode(list(known)).decode(),
            "silent": msgspec.json.encode(list(silent)).decode(),
            "rewards": rewards,
        }
        with self._connection.reading() as raw:
            return int(raw.execute(_UNCOUNTED, values).fetchone()[0])

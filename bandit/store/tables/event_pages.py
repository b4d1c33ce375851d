"""Reads all events, corrected ones among them, in pages of columns: what an export of the whole log writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.store.corruption import decoding
from bandit.store.numbers import last_number
from bandit.store.records import object_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
    from bandit.store.connection import Connection

_COLUMNS = """
e.id, e.seq, {customer}, e.event_id, e.event, e.time, e.recorded_at, e.revenue, e.reward, COALESCE(e.corrects, -1)
"""
_N_COLUMNS = 10

_OF_DECISIONS = f"""
SELECT {_COLUMNS.format(customer="NULL")} FROM events e CROSS JOIN decisions d ON d.seq = e.seq
WHERE e.seq > :after_seq AND e.seq <= :through_seq AND e.id <= :through_id AND d.time >= :since
ORDER BY e.seq, e.id
"""  # noqa: S608 - put together once, of constants

# The order by decision is made by SQLite, which sorts in a file what does not fit into its memory.
_NEW_OF_KNOWN = f"""
SELECT {_COLUMNS.format(customer="k.key")} FROM events e CROSS JOIN decisions d ON d.seq = e.seq
    CROSS JOIN customers k ON k.id = d.customer_id
WHERE e.id > :after_id AND e.id <= :through_id AND e.seq <= :through_seq AND d.time >= :since
ORDER BY e.seq, e.id
"""  # noqa: S608

_LAST_ID = "SELECT COALESCE(MAX(id), 0) FROM events"

_IDS = "SELECT d.seq, d.decision_id FROM json_each(:seqs) j CROSS JOIN decisions d ON d.seq = j.value"


@dataclass(frozen=True, slots=True, eq=False)
class EventPage:
    """n events in the order of their decisions' numbers, `seq`, and of their own, `id`.

    `customer` is the customer of each decision in stored form, None for events that are read beside their decisions.
    `revenue` and `reward` are NaN where there is none, `corrects` is the number of the event that one corrects, -1
    where it corrects none.
    """

    id: IntArray
    seq: IntArray
    customer: ObjectArray
    event_id: ObjectArray
    event: ObjectArray
    time: IntArray
    recorded_at: IntArray
    revenue: FloatArray
    reward: FloatArray
    corrects: IntArray

    def __len__(self) -> int:
        return len(self.id)

    def take(self, rows: IntArray | BoolArray | slice) -> EventPage:
        """Return the chosen rows."""
        return EventPage(*(getattr(self, name)[rows] for name in EventPage.__slots__))


class EventPages:
    """Reads the table `events` in the order of the decisions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last_id(self) -> int:
        """Return the number of the newest event, 0 without any."""
        with self._connection.reading() as raw:
            return int(raw.execute(_LAST_ID).fetchone()[0])

    def highest_seq(self) -> int:
        """Return the largest number that a decision ever had in this database, 0 without any."""
        with self._connection.reading() as raw:
            return last_number(raw, "decisions")

    def decision_ids(self, seqs: Sequence[int]) -> dict[int, str]:
        """Return the ids of the decisions with these numbers, without those that are not there."""
        with self._connection.reading() as raw:
            rows = raw.execute(_IDS, {"seqs": msgspec.json.encode(list(seqs)).decode()}).fetchall()
        return {int(seq): str(decision_id) for seq, decision_id in rows}

    def of_decisions(self, after_seq: int, through_seq: int, through_id: int, since: int) -> EventPage:
        """Return the events up to `through_id` of the decisions with a range of numbers, made at `since` or later."""
        numbers = {"after_seq": after_seq, "through_seq": through_seq, "through_id": through_id, "since": since}
        with self._connection.reading() as raw:
            return self._page(raw.execute(_OF_DECISIONS, numbers).fetchall())

    def new_of_known(
        self, after_id: int, through_id: int, through_seq: int, since: int, size: int = 65_536
    ) -> Iterator[EventPage]:
        """Yield the events with a range of numbers on decisions up to `through_seq`, at most `size` at a time."""
        numbers = {"after_id": after_id, "through_id": through_id, "through_seq": through_seq, "since": since}
        with self._connection.reading() as raw:
            cursor = raw.execute(_NEW_OF_KNOWN, numbers)
            while rows := cursor.fetchmany(size):
                yield self._page(rows)

    def _page(self, rows: Sequence[tuple[object, ...]]) -> EventPage:
        columns = list(zip(*rows, strict=True)) or [()] * _N_COLUMNS
        with decoding(self._connection.path, "an event"):
            return EventPage(
                id=np.array(columns[0], dtype=np.int64),
                seq=np.array(columns[1], dtype=np.int64),
                customer=object_array(columns[2]),
                event_id=object_array(columns[3]),
                event=object_array(columns[4]),
                time=np.array(columns[5], dtype=np.int64),
                recorded_at=np.array(columns[6], dtype=np.int64),
                revenue=np.array(columns[7], dtype=np.float64),
                reward=np.array(columns[8], dtype=np.float64),
                corrects=np.array(columns[9], dtype=np.int64),
            )

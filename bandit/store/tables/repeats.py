"""The table `repeats`: requests that were answered with an earlier decision of the same customer, its original.

A repeat is no decision of its own: nothing is drawn for it, and what is recorded under its id belongs to its original.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import repeat
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.domain import FloatArray, IntArray, ObjectArray
from bandit.errors import DuplicateError
from bandit.store.chain.kinds import REPEATS
from bandit.store.records import UNKNOWN_POLICY, RowIndex, object_array
from bandit.store.tables.catalogues import spec_text
from bandit.store.text import reject_zero_characters

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from bandit.store.connection import Connection

# The original is the customer's newest decision of the last `duration` that did not end in a fault. Where it was
# imported, was made in another group or under another catalogue, or one of the events `until` came, nothing is held.
# A unary plus keeps SQLite from the index on time: a customer's decisions are few.
_HELD = """
SELECT {place}, d.seq, d.decision_id, d.offer, d.propensity, d.eligible_set_id, d.context,
    CASE WHEN :probabilities THEN d.probabilities END, a.arm
FROM {requests} CROSS JOIN customers k ON k.key = {customer}
CROSS JOIN decisions d ON d.seq = (
    SELECT h.seq FROM decisions h
    WHERE h.customer_id = k.id AND +h.time <= {time} AND +h.time > {time} - :duration AND h.fault IS NULL
    ORDER BY h.seq DESC LIMIT 1
)
CROSS JOIN policies p ON p.id = d.policy_id
LEFT JOIN decision_arms a ON a.seq = d.seq
WHERE d.seq > :not_before_seq AND d.catalogue_id = :catalogue_id AND d.grp = {group} AND p.spec <> :unknown
    AND NOT EXISTS (
        SELECT 1 FROM events e
        WHERE e.seq = d.seq AND e.time >= d.time AND e.time <= {time}
            AND e.event IN (SELECT value FROM json_each(:until))
            AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
    )
"""
_HELD_ONE = _HELD.format(place="0", requests="(SELECT 1)", customer=":customer", time=":time", group=":grp")
_HELD_MANY = (
    _HELD.format(
        place="j.key",
        requests="json_each(:requests) j",
        customer="json_extract(j.value, '$[0]')",
        time="json_extract(j.value, '$[1]')",
        group="json_extract(j.value, '$[2]')",
    )
    + "ORDER BY j.key"
)

_INSERT = """
INSERT INTO repeats (decision_id, seq, time, context, through) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (decision_id) DO NOTHING
"""

_STORED = """
SELECT j.value, r.seq, r.time, r.context FROM json_each(?) j CROSS JOIN repeats r ON r.decision_id = j.value
ORDER BY j.key
"""

_DECISION_WITH_ID = """
SELECT j.value FROM json_each(?) j CROSS JOIN decisions d ON d.decision_id = j.value ORDER BY j.key LIMIT 1
"""

_EXISTING = """
SELECT j.value FROM json_each(?) j CROSS JOIN repeats r ON r.decision_id = j.value ORDER BY j.key LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """What a hold depends on apart from the customer: the catalogue, how long it lasts, and what ends it before.

    `duration` is in microseconds. Decisions with a number up to `not_before_seq` are not held.
    """

    catalogue_id: int
    duration: int
    until: tuple[str, ...]
    not_before_seq: int = 0
    probabilities: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class HeldDecisions:
    """The m decisions that are held, of n requests; `row` (m,) ascends and says for which request.

    `probabilities` has float64 bytes or None, `arm` what served it under a roll-out or None. `through` is the number of
    the newest event when they were looked up.
    """

    row: IntArray
    seq: IntArray
    decision_id: ObjectArray
    offer: IntArray
    propensity: FloatArray
    eligible_set_id: IntArray
    context: ObjectArray
    probabilities: ObjectArray
    arm: ObjectArray
    through: int

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: RowIndex) -> HeldDecisions:
        """Return the chosen ones."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def shifted(self, start: int) -> HeldDecisions:
        """Return the same for requests that begin at another row."""
        return replace(self, row=self.row + start)

    @staticmethod
    def concat(parts: Sequence[HeldDecisions]) -> HeldDecisions:
        """Return the rows of one or more parts, with the number of an event that all of them had seen."""
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
        return HeldDecisions(**columns, through=min(part.through for part in parts))


_COLUMNS = tuple(field.name for field in fields(HeldDecisions) if field.name != "through")


@dataclass(frozen=True, slots=True, eq=False)
class RepeatRows:
    """n repeats to append: the ids of the requests, the originals' numbers, the times and the contexts as JSON.

    `through` is the number of the newest event that was known when the originals were looked up.
    """

    decision_ids: Sequence[str]
    seq: IntArray
    time: IntArray
    contexts_json: Sequence[str]
    through: int

    def __len__(self) -> int:
        return len(self.decision_ids)


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """A repeat as stored: its id, the number of its original, its time and its context."""

    decision_id: str
    seq: int
    time: int
    context: str


class Repeats:
    """Reads and appends repeats, and finds the decisions that customers still hold."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def held(
        self, customers: Sequence[str] | ObjectArray, times: IntArray, groups: str | Sequence[str], hold: HoldRequest
    ) -> HeldDecisions:
        """Return which of n requests are for a customer who still holds a decision, and those decisions.

        Customers are in stored form; a request has a time and a group.
        """
        parameters = {
            "duration": hold.duration,
            "until": msgspec.json.encode(hold.until).decode(),
            "catalogue_id": hold.catalogue_id,
            "not_before_seq": hold.not_before_seq,
            "unknown": spec_text(UNKNOWN_POLICY),
            "probabilities": hold.probabilities,
        }
        every = [groups] * len(times) if isinstance(groups, str) else list(groups)
        if len(times) == 1:
            statement, parameters["grp"] = _HELD_ONE, every[0]
            parameters |= {"customer": customers[0], "time": int(times[0])}
        else:
            requests = list(zip(customers, times.tolist(), every, strict=True))
            statement, parameters["requests"] = _HELD_MANY, msgspec.json.encode(requests).decode()
        with self._connection.reading() as raw:
            rows = raw.execute(statement, parameters).fetchall()
            through = raw.execute("SELECT COALESCE(MAX(id), 0) FROM events").fetchone()[0] if rows else 0
        columns = list(zip(*rows, strict=True)) or [()] * 9
        row, seq, offer, sets = (np.array(columns[place], dtype=np.int64) for place in (0, 1, 3, 5))
        return HeldDecisions(
            row=row,
            seq=seq,
            decision_id=object_array(columns[2]),
            offer=offer,
            propensity=np.array(columns[4], dtype=np.float64),
            eligible_set_id=sets,
            context=object_array(columns[6]),
            probabilities=object_array(columns[7]),
            arm=object_array(columns[8]),
            through=int(through),
        )

    def append(self, rows: RepeatRows, check: Callable[[], None] | None = None) -> None:
        """Write repeats in one transaction; those that are stored already with the same content are left as they are.

        `check` is called inside, before anything is written; what it raises leaves everything as it was.
        DuplicateError for an id that a decision has, or a repeat with other content.
        """
        if not len(rows):
            return
        reject_zero_characters("decision id", rows.decision_ids)
        with self._connection.transaction():
            if check is not None:
                check()
            raw = self._connection.raw
            ids = msgspec.json.encode(list(rows.decision_ids)).decode()
            taken = raw.execute(_DECISION_WITH_ID, (ids,)).fetchone()
            if taken is not None:
                raise _duplicate(taken[0])
            sent = list(zip(rows.decision_ids, rows.seq.tolist(), rows.time.tolist(), rows.contexts_json, strict=True))
            before = raw.total_changes
            known = set() if len(sent) == 1 else {row[0] for row in raw.execute(_STORED, (ids,))}
            raw.executemany(_INSERT, ((*each, through) for each, through in zip(sent, repeat(rows.through))))
            n_new = raw.total_changes - before
            written = [each for each in sent if each[0] not in known] if n_new else []
            self._connection.chain.add(
                REPEATS, [(0, seq, name, time, context, rows.through) for name, seq, time, context in written]
            )
            if n_new < len(sent):
                for old, new in zip(raw.execute(_STORED, (ids,)).fetchall(), sent, strict=True):
                    if tuple(old) != new:
                        raise _duplicate(new[0])

    def get(self, decision_id: str) -> RepeatRow | None:
        """Return a repeat by its id; None if no repeat has it."""
        with self._connection.reading() as raw:
            row = raw.execute(
                "SELECT decision_id, seq, time, context FROM repeats WHERE decision_id = ?", (decision_id,)
            ).fetchone()
        return None if row is None else RepeatRow(*row)

    def of_decision(self, seq: int) -> tuple[RepeatRow, ...]:
        """Return the repeats of a decision, in order of time."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT decision_id, seq, time, context FROM repeats WHERE seq = ? ORDER BY time, decision_id", (seq,)
            ).fetchall()
        return tuple(RepeatRow(*row) for row in rows)

    def originals(self, decision_ids: Sequence[str]) -> dict[str, int]:
        """Return the numbers of the originals of those ids that are repeats."""
        with self._connection.reading() as raw:
            text = msgspec.json.encode(list(decision_ids)).decode()
            return {row[0]: int(row[1]) for row in raw.execute(_STORED, (text,))}

    def first_existing(self, decision_ids: Sequence[str]) -> str | None:
        """Return the first of the ids that a repeat has, None if none has."""
        with self._connection.reading() as raw:
            return _first_existing(raw, decision_ids)

    def reject(self, decision_ids: Sequence[str]) -> None:
        """Raise DuplicateError if a repeat has one of these ids, inside the caller's transaction."""
        known = _first_existing(self._connection.raw, decision_ids)
        if known is not None:
            raise _duplicate(known)


def _first_existing(raw: sqlite3.Connection, decision_ids: Sequence[str]) -> str | None:
    if len(decision_ids) == 1:
        row = raw.execute("SELECT decision_id FROM repeats WHERE decision_id = ?", (decision_ids[0],)).fetchone()
    elif raw.execute("SELECT 1 FROM repeats LIMIT 1").fetchone() is None:
        return None
    else:
        row = raw.execute(_EXISTING, (msgspec.json.encode(list(decision_ids)).decode(),)).fetchone()
    return None if row is None else str(row[0])


def _duplicate(decision_id: str) -> DuplicateError:
    return DuplicateError(f'the decision id "{decision_id}" is already there; give a new request a new id')

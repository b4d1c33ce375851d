"""Appends events: each once, corrections as new rows, a whole batch or nothing."""

from __future__ import annotations

import math
import sqlite3
import time
from itertools import repeat
from operator import is_, itemgetter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.domain import MICROSECONDS, FloatArray
from bandit.errors import DuplicateError, NumberError, StoreError, UnknownDecisionError
from bandit.store.chain.kinds import EVENTS, MAX_NUMBER
from bandit.store.numbers import number_of_new
from bandit.store.records import EventReceipt, EventRows, object_array
from bandit.store.text import ZERO, reject_zero_characters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.store.connection import Connection
    from bandit.store.tables.cache import Cache
    from bandit.store.tables.repeats import Repeats

_INSERT = f"""
INSERT INTO events (id, seq, event_id, version, event, time, recorded_at, revenue, reward)
VALUES ({number_of_new("events")}, ?, ?, 0, ?, ?, ?, ?, ?)
ON CONFLICT (seq, event_id, version) DO NOTHING
"""  # noqa: S608 - put together once, of constants

_LAST = "SELECT COALESCE(MAX(id), 0) FROM events"

_CURRENT = """
SELECT id, version, time, event, revenue, reward FROM events
WHERE seq = ? AND event_id = ? ORDER BY version DESC LIMIT 1
"""

_CORRECT = f"""
INSERT INTO events (id, seq, event_id, version, event, time, recorded_at, revenue, reward, corrects)
VALUES ({number_of_new("events")}, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608 - put together once, of constants


class EventWriter:
    """Writes the table `events`; `latest` is that of the decision writer on the same connection."""

    def __init__(self, connection: Connection, repeats: Repeats, latest: Cache[str, tuple[int, int]]) -> None:
        self._connection = connection
        self._repeats = repeats
        self._latest = latest

    def append(self, rows: EventRows, *, correct: bool = False) -> EventReceipt:
        """Write a batch in one transaction.

        An event whose id the decision already has is a repeat if event, revenue and reward are the same. Otherwise it
        is a correction with `correct`, and a DuplicateError without. UnknownDecisionError for an unknown decision.
        An event under the id of a repeat is one of its original; without an id of its own, its id is NAME@REPEAT, so
        that it is another event than one of the same name under another id.
        """
        _check(rows)
        if not len(rows):
            return EventReceipt(0, 0, 0)
        known = rows.decision_ids is not None and len(rows) == 1 and self._latest.get(rows.decision_ids[0]) is not None
        try:
            return self._append(rows, correct=correct)
        except UnknownDecisionError:
            if not known:
                raise
        return self._append(rows, correct=correct)  # it was erased meanwhile; the rollback has cleared the cache

    def _append(self, rows: EventRows, *, correct: bool) -> EventReceipt:
        n = len(rows)
        names = [rows.event] * n if isinstance(rows.event, str) else rows.event
        ids = names if rows.event_ids is None else _default_ids(rows.event_ids, rows.event)
        now = time.time_ns() * MICROSECONDS // 1_000_000_000 if rows.recorded_at is None else rows.recorded_at
        with self._connection.transaction():
            raw = self._connection.raw
            seqs, decided, repeated = self._decisions(rows)
            if repeated:
                ids = _ids_under_repeats(ids, names, rows, repeated)
            amounts = _none_for_nan(rows.revenue), _none_for_nan(rows.reward)
            columns = (seqs, ids, names, rows.time.tolist(), repeat(now), *amounts)
            try:
                last, n_new = _insert(raw, list(zip(*columns)))  # noqa: B905 - `repeat` has no end
            except sqlite3.IntegrityError as fault:
                if "FOREIGN KEY" not in str(fault):
                    raise
                raise UnknownDecisionError(
                    f"an event names a decision number that {self._connection.path} does not have; "
                    "write the decisions first"
                ) from fault
            n_corrected = 0
            if n_new == 1 == n:
                content = (0, last + 1, seqs[0], ids[0], 0, names[0], columns[3][0], now, *amounts[0], *amounts[1])
                self._connection.chain.add_one(EVENTS, (*content, None))
            else:
                if n_new < n:
                    n_corrected = self._apply_repeats(rows, seqs, ids, names, now, correct=correct)
                self._connection.chain.add_stored(raw, EVENTS, last + 1, MAX_NUMBER)
        if rows.on_delays is not None and len(decided) == n and (rows.time_given or not correct):
            rows.on_delays(rows.time - np.array(decided, dtype=np.int64))
        return EventReceipt(n_new, n - n_new - n_corrected, n_corrected)

    def _decisions(self, rows: EventRows) -> tuple[list[int], list[int], Mapping[str, int]]:
        """Return the (n,) numbers and times of the decisions, and the numbers of the ids that are repeats.

        There are no times where decisions are named by number.
        """
        raw, ids = self._connection.raw, rows.decision_ids
        if ids is None:
            return [] if rows.seq is None else rows.seq.tolist(), [], {}
        found: list[int | None]
        times: list[int | None]
        if len(ids) == 1:
            known = self._latest.get(ids[0])
            if known is not None:
                return [known[0]], [known[1]], {}
            row = raw.execute("SELECT seq, time FROM decisions WHERE decision_id = ?", (ids[0],)).fetchone()
            found, times = [row and row[0]], [row and row[1]]
        else:
            text = msgspec.json.encode(list(ids)).decode()
            rows_found = raw.execute(
                "SELECT d.seq, d.time FROM json_each(?) j LEFT JOIN decisions d ON d.decision_id = j.value "
                "ORDER BY j.key",
                (text,),
            ).fetchall()
            found, times = list(map(itemgetter(0), rows_found)), list(map(itemgetter(1), rows_found))
        repeated: Mapping[str, int] = {}
        if None in found:
            repeated = self._repeats.originals([name for name, seq in zip(ids, found, strict=True) if seq is None])
            found = [repeated.get(name) if seq is None else seq for name, seq in zip(ids, found, strict=True)]
            times = [self._time_of(seq) if time is None else time for seq, time in zip(found, times, strict=True)]
        seqs = list(filter(None, found))  # numbers start at 1
        if len(seqs) < len(found):
            more = len(found) - len(seqs) - 1
            raise UnknownDecisionError(
                f'there is no decision "{ids[found.index(None)]}" in {self._connection.path}'
                f"{f' (nor {more} more)' if more else ''}; record events for decisions that were logged"
            )
        return seqs, [0 if time is None else time for time in times], repeated

    def _time_of(self, seq: int | None) -> int | None:
        row = self._connection.raw.execute("SELECT time FROM decisions WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else int(row[0])

    def _apply_repeats(
        self,
        rows: EventRows,
        seqs: Sequence[int],
        ids: Sequence[str],
        names: Sequence[str],
        now: int,
        *,
        correct: bool,
    ) -> int:
        """Correct the events of a batch whose ids are stored with other content; return how many there were."""
        raw, n_corrected = self._connection.raw, 0
        times = rows.time.tolist()
        revenue = _none_for_nan(rows.revenue)
        reward = _none_for_nan(rows.reward)
        for row, key in enumerate(zip(seqs, ids, strict=True)):
            number, version, old_time, *old = raw.execute(_CURRENT, key).fetchone()
            new = [names[row], revenue[row], reward[row]]
            retimed = correct and rows.time_given and times[row] != old_time
            if old == new and not retimed:
                continue
            if not correct:
                raise DuplicateError(self._conflict(key, old, new))
            when = times[row] if rows.time_given else old_time
            raw.execute(_CORRECT, (*key, version + 1, new[0], when, now, new[1], new[2], number))
            n_corrected += 1
        return n_corrected

    def _conflict(self, key: tuple[int, str], old: Sequence[object], new: Sequence[object]) -> str:
        row = self._connection.raw.execute("SELECT decision_id FROM decisions WHERE seq = ?", key[:1]).fetchone()
        return (
            f'the event "{key[1]}" of decision "{row[0]}" is already there as {_show(old)} and was sent again as '
            f"{_show(new)}; send another event under an event id of its own, or replace this one with correct=True "
            "(--correct)"
        )


def _insert(raw: sqlite3.Connection, rows: list[tuple[object, ...]]) -> tuple[int, int]:
    """Insert events; return the number of the last event before them, and how many were new."""
    if len(rows) == 1:
        cursor = raw.execute(_INSERT, rows[0])
        if cursor.rowcount == 1:
            return int(cursor.lastrowid or 0) - 1, 1
        return int(raw.execute(_LAST).fetchone()[0]), 0
    last, before = int(raw.execute(_LAST).fetchone()[0]), raw.total_changes
    raw.executemany(_INSERT, rows)
    return last, raw.total_changes - before


def _ids_under_repeats(
    ids: Sequence[str], names: Sequence[str], rows: EventRows, repeated: Mapping[str, int]
) -> list[str]:
    """Return the event ids, with NAME@REPEAT where an event under the id of a repeat has none of its own."""
    given = rows.event_ids or repeat(None)
    return [
        f"{name}@{decision_id}" if own is None and decision_id in repeated else event_id
        for event_id, name, decision_id, own in zip(ids, names, rows.decision_ids or (), given)  # noqa: B905 - `repeat` has no end
    ]


def _default_ids(event_ids: Sequence[str | None], event: str | Sequence[str]) -> list[str]:
    """Return the event ids, with the event's name in place of None."""
    if isinstance(event, str):
        return list(map({None: event}.get, event_ids, event_ids))  # type: ignore[arg-type]  # no id is None after this
    ids = object_array(event_ids)
    unnamed = np.fromiter(map(is_, event_ids, repeat(None)), dtype=np.bool_, count=len(ids))
    ids[unnamed] = object_array(event)[unnamed]
    return ids.tolist()  # type: ignore[no-any-return]


def _none_for_nan(numbers: FloatArray) -> list[float | None]:
    """Return amounts as SQLite stores them: NULL for no amount, and no negative zero."""
    if len(numbers) == 1:
        value = numbers.item()
        return [None if value != value else value + 0.0]  # noqa: PLR0124 - true of NaN alone
    values = (numbers + 0.0).tolist()
    return [None if each != each else each for each in values]  # noqa: PLR0124 - true of NaN alone


def _show(content: Sequence[object]) -> str:
    event, revenue, reward = content
    parts = [str(event)]
    parts += [] if revenue is None else [f"revenue {revenue!r}".removesuffix(".0")]  # all digits, since they may differ
    parts += [] if reward is None else [f"reward {reward!r}".removesuffix(".0")]
    return ", ".join(parts)


def _is_valid_single(rows: EventRows) -> bool:
    """Do the check of `_check` for one event that is named by its decision's id, with scalars, which is faster."""
    ids, event, own = rows.decision_ids, rows.event, rows.event_ids
    if ids is None or not len(rows) == len(ids) == len(rows.revenue) == len(rows.reward) == 1:
        return False
    if not isinstance(event, str) or ZERO in event or ZERO in ids[0]:
        return False
    if own is not None and (len(own) != 1 or (own[0] is not None and ZERO in own[0])):
        return False
    return not (math.isinf(rows.revenue.item()) or math.isinf(rows.reward.item()))


def _check(rows: EventRows) -> None:
    """Raise the error of the first column that is not valid."""
    if _is_valid_single(rows):
        return
    n = len(rows)
    for what, texts in (("event", rows.event), ("event id", rows.event_ids), ("decision id", rows.decision_ids)):
        reject_zero_characters(what, texts)
    named = rows.seq if rows.decision_ids is None else rows.decision_ids
    if named is None:
        raise StoreError("events need the decisions they belong to; give decision_ids or seq")
    lengths = {n, len(named), len(rows.revenue), len(rows.reward)}
    if not isinstance(rows.event, str):
        lengths.add(len(rows.event))
    if rows.event_ids is not None:
        lengths.add(len(rows.event_ids))
    if len(lengths) > 1:
        raise StoreError(f"the columns of a batch of events differ in length: {sorted(lengths)}")
    for name, column in (("revenue", rows.revenue), ("reward", rows.reward)):
        if np.isinf(column).any():
            raise NumberError(f"the {name} of event {int(np.argmax(np.isinf(column)))} is infinite; send a number")

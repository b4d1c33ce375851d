"""The way in: decisions and events go into the database, or into a spool beside it until the database takes them.

A spool is folded into the database in the order of its lines, each line whole and exactly once: how far it has been
folded is written in the transaction that folds it. A line that the database refuses (the id of a decision that is
there with other content, an event of a decision that nobody made) is kept, with the reason, in a file of its own.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bandit.errors import InputError, StoreError
from bandit.store.records import EventReceipt
from bandit.store.spool.file import Spool, keep_refused, left_spool, spools
from bandit.store.spool.records import SpooledDecisions, read_spooled, spooled_decisions, spooled_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bandit.store.connection import Connection
    from bandit.store.records import DecisionRows, EventRows
    from bandit.store.spool.file import Line
    from bandit.store.tables.decision_writer import DecisionWriter
    from bandit.store.tables.event_writer import EventWriter

T = TypeVar("T")

AT_ONCE = 256
"""Lines of a spool that are folded with one write: it delays that write by some milliseconds."""

RETRY = 1.0
"""Seconds for which a database that could not be written is not asked again: decisions do not wait for it meanwhile."""

PATIENCE = 0.05
"""Seconds that are waited for it when it is asked again."""

_MARK = "spool/"


@dataclass(frozen=True, slots=True)
class FoldReport:
    """What became of spools: lines folded, lines refused, and spools left, of processes that live or for a fault."""

    lines: int = 0
    refused: int = 0
    left: int = 0


def outage(fault: StoreError) -> bool:
    """Say whether a fault is the database's, not of what was to be written and not of a store that is closed."""
    return isinstance(fault.__cause__, sqlite3.Error) and not isinstance(
        fault.__cause__, (sqlite3.ProgrammingError, sqlite3.IntegrityError)
    )


def closed(fault: StoreError) -> bool:
    """Say whether a fault is only that the store is closed."""
    return fault.__cause__ is None or isinstance(fault.__cause__, sqlite3.ProgrammingError)


def _of_references(fault: StoreError) -> bool:
    return isinstance(fault.__cause__, sqlite3.IntegrityError)


class SpoolRecovery:
    """Takes lines of spools into the database."""

    def __init__(self, connection: Connection, decisions: DecisionWriter, events: EventWriter) -> None:
        self._connection = connection
        self._decisions = decisions
        self._events = events

    def fold_left(self) -> FoldReport:
        """Fold what processes that are gone have left beside the database; StoreError where it cannot be written."""
        lines = refused = left = 0
        for path in spools(self._connection.path):
            with left_spool(path) as spool:
                if spool is None:
                    left += path.exists()
                    continue
                while True:
                    part, done = self.fold(spool.token, spool.read)
                    lines, refused = lines + part.lines, refused + part.refused
                    if done:
                        break
                path.unlink(missing_ok=True)
                self.forget(spool.token)
        return FoldReport(lines, refused, left)

    def fold(self, token: str, read: Callable[[int], Iterator[Line]], limit: int = AT_ONCE) -> tuple[FoldReport, bool]:
        """Fold the next lines in one transaction, and say whether the end was reached."""
        lines = refused = 0
        done = True
        with self._connection.transaction():
            raw = self._connection.raw
            row = raw.execute("SELECT value FROM meta WHERE name = ?", (_MARK + token,)).fetchone()
            start = place = 0 if row is None else int(row[0])
            for line in read(start):
                if lines == limit:
                    done = False
                    break
                reason = self._take(line)
                if reason is not None:
                    refused += 1
                    keep_refused(self._connection.path, line.text, reason)
                lines, place = lines + 1, line.end
            if place != start:
                raw.execute(
                    "INSERT INTO meta (name, value) VALUES (?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (_MARK + token, str(place)),
                )
        return FoldReport(lines, refused), done

    def forget(self, token: str) -> None:
        """Forget how far a spool was folded that is no more."""
        with self._connection.transaction():
            self._connection.raw.execute("DELETE FROM meta WHERE name = ?", (_MARK + token,))

    def _take(self, line: Line) -> str | None:
        """Write what a line has, within the caller's transaction; the reason where it is refused."""
        try:
            content = read_spooled(line.record)
        except msgspec.ValidationError as fault:
            return f"the line is damaged: {fault}"
        try:
            if isinstance(content, SpooledDecisions):
                self._decisions.append(content.rows())
            else:
                self._events.append(content.rows(), correct=content.correct)
        except (InputError, ValueError, LookupError, TypeError, OverflowError) as fault:
            return str(fault)
        except StoreError as fault:
            if outage(fault):
                raise
            return str(fault)
        return None


class SpooledWriter:
    """One process's way into one store; the caller lets in one thread at a time."""

    def __init__(self, connection: Connection, decisions: DecisionWriter, events: EventWriter) -> None:
        self._connection = connection
        self._decisions = decisions
        self._events = events
        self._folder = SpoolRecovery(connection, decisions, events)
        self._spool = Spool(connection.path, sync=connection.durability == "full")
        self._places: dict[str, int] = {}
        self._why: StoreError | None = None
        self._not_before = 0.0
        self.refused = 0
        self.last_ok: bool | None = None
        self.last_time: int | None = None

    @property
    def spooled(self) -> int:
        """How many lines wait in this process's spool."""
        return len(self._spool)

    @property
    def path(self) -> Path | None:
        """Where they wait, None where none does."""
        return self._spool.path if len(self._spool) else None

    def why_not(self) -> StoreError | None:
        """Return why the database is not asked just now, None where it is."""
        return self._why if time.monotonic() < self._not_before else None

    def decisions(self, rows: DecisionRows) -> None:
        """Write decisions; StoreError where the database does not take them in time, and InputError as ever."""
        self._guarded(lambda: self._decisions.append(rows))
        self._fold_some()

    def spool_decisions(self, rows: DecisionRows, customer_keys: Sequence[str]) -> str | None:
        """Keep decisions beside the database; return why not where that cannot be done either."""
        try:
            start = self._spool.append(spooled_decisions(rows, customer_keys))
        except OSError as fault:
            return f"and its spool cannot be written ({fault.strerror})"
        self._places |= dict.fromkeys(rows.decision_ids, start)
        return None

    def waiting(self, decision_id: str) -> tuple[DecisionRows, int] | None:
        """Return the decisions that were spooled with one that waits, and its row among them."""
        start = self._places.get(decision_id)
        if start is None:
            return None
        try:
            content = read_spooled(next(self._spool.read(start)).record)
        except (OSError, StopIteration, msgspec.ValidationError):  # the spool was damaged meanwhile
            return None
        if not isinstance(content, SpooledDecisions):
            return None
        return content.rows(), content.decision_ids.index(decision_id)

    def events(self, rows: EventRows, *, correct: bool) -> EventReceipt:
        """Write events, or keep them beside the database; StoreError where neither can be done.

        While anything waits, events wait behind it, so that their order stays.
        """
        self._fold_some()
        why = self._why if self.spooled or self.why_not() else None
        if why is None:
            try:
                return self._guarded(lambda: self._events.append(rows, correct=correct))
            except StoreError as fault:
                if not outage(fault):
                    raise
                why = fault
        try:
            self._spool.append(spooled_events(rows, correct=correct))
        except OSError as second:
            raise StoreError(f"{why}; and its spool cannot be written ({second.strerror})") from why
        return EventReceipt(0, 0, 0, n_spooled=len(rows))

    def fold_all(self) -> None:
        """Fold all that waits; StoreError where the database does not take it, and then the rest waits on."""
        while self.spooled:
            self._fold(AT_ONCE)

    def let_go(self) -> None:
        """Leave what waits to whoever opens the database next; in the child of a fork, to the parent."""
        self._spool.let_go()
        self._places = {}
        self._why, self._not_before = None, 0.0

    def _fold_some(self) -> None:
        """Fold some of what waits, unless the database was just found not to take anything."""
        if not self.spooled or self.why_not() is not None:
            return
        # What goes wrong here must not be taken for a fault of what was written just before: the rest waits on.
        with contextlib.suppress(StoreError, OSError):
            self._guarded(lambda: self._fold(AT_ONCE))

    def _fold(self, limit: int) -> None:
        folded, done = self._folder.fold(self._spool.token, self._spool.read, limit)
        self.refused += folded.refused
        if done:
            token = self._spool.token
            self._spool.remove()
            self._places, self._why = {}, None
            self._folder.forget(token)

    def _guarded(self, write: Callable[[], T]) -> T:
        """Write, remember whether that went well, and do not wait long for a database that was just found locked."""
        try:
            if self._why is None:
                done = self._twice(write)
            else:
                with self._connection.patience(PATIENCE):
                    done = self._twice(write)
        except StoreError as fault:
            if outage(fault):
                self._why, self._not_before = fault, time.monotonic() + RETRY
                self.last_ok, self.last_time = False, time.time_ns() // 1_000
            raise
        if not self.spooled:
            self._why = None
        self._not_before = 0.0
        self.last_ok, self.last_time = True, time.time_ns() // 1_000
        return done

    def _twice(self, write: Callable[[], T]) -> T:
        try:
            return write()
        except StoreError as fault:
            if not _of_references(fault):
                raise
            # A customer was erased by another process; the numbers that were remembered are forgotten by now.
            return write()

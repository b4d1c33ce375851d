"""Writes decisions and events to the database, or to a spool beside it while the database cannot be written."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bandit.errors import DuplicateError, StoreError
from bandit.store.corruption import DECODING_FAULTS, raise_if_damaged
from bandit.store.file_identity import FileChange
from bandit.store.records import EventReceipt
from bandit.store.spool.file import Spool
from bandit.store.spool.records import SpooledDecisions, read_spooled, spooled_decisions, spooled_events
from bandit.store.spool.recovery import SpoolRecovery
from bandit.store.spool.turns import Turn
from bandit.store.sqlite_errors import file_change, is_committed_elsewhere, is_outage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bandit.store.connection import Connection
    from bandit.store.records import DecisionRows, EventRows
    from bandit.store.tables.decision_writer import DecisionWriter
    from bandit.store.tables.event_writer import EventWriter
    from bandit.store.tables.repeats import RepeatRows, Repeats

T = TypeVar("T")

RETRY = 1.0
"""Seconds after an outage before the database is tried again: until then decisions do not wait for it."""

RETRY_LOCK_TIMEOUT = 0.05
"""Seconds that such a retry waits for a lock on the database."""


class SpooledWriter:
    """One process's writer to one store; its caller admits one thread at a time."""

    def __init__(
        self, connection: Connection, decisions: DecisionWriter, events: EventWriter, repeats: Repeats
    ) -> None:
        self._connection = connection
        self._decisions = decisions
        self._events = events
        self._repeats = repeats
        self._folder = connection.path.parent
        self._spool = Spool(connection.path, sync=connection.durability == "full")
        self._recovery = SpoolRecovery(connection, decisions, events, lambda: self.path)
        self._offsets: dict[str, int] = {}
        self._last_outage: StoreError | None = None
        self._retry_at = 0.0
        self._taken_over = 0
        self.refused = 0
        self.last_ok: bool | None = None
        self.last_time: int | None = None

    @property
    def spooled(self) -> int:
        """The number of lines in this process's spool."""
        return self._spool.lines

    @property
    def path(self) -> Path | None:
        """The spool's file, None while the spool is empty."""
        return self._spool.path if len(self._spool) else None

    def outage(self) -> StoreError | None:
        """Return the fault for which the database is not tried at the moment, None if it is tried."""
        return self._last_outage if self._retry_at and time.monotonic() < self._retry_at else None

    @property
    def is_replaced(self) -> bool:
        """Whether another file was at the database's path when it was last tried, or it has another customer key."""
        return self._last_outage is not None and self.change in {FileChange.REPLACED, FileChange.REKEYED}

    @property
    def change(self) -> FileChange | None:
        """What had happened to the database's file when it was last tried, None if nothing had."""
        return None if self._last_outage is None else file_change(self._last_outage)

    @property
    def outage_words(self) -> str | None:
        """Why the database took nothing when it was last tried, None if it did."""
        return None if self._last_outage is None else str(self._last_outage)

    def decisions(self, rows: DecisionRows, *, named: bool = False) -> None:
        """Write decisions; StoreError if the database does not take them in time, or any error of `append`.

        If the file turns out to have been moved by the time they are in it, they are spooled as they are: it may come
        back. From one that was replaced it is as if they had not been written. With `named` the ids are the caller's,
        and DuplicateError says that one of them waits in the spool of another writer by now.
        """
        turn = Turn(self._folder) if named else None
        check = None if turn is None else partial(self._reject_waiting, rows.decision_ids, turn)
        try:
            self._write(lambda: self._decisions.append(rows, check))
        except StoreError as fault:
            comes_back = is_committed_elsewhere(fault) and file_change(fault) is FileChange.GONE
            if not comes_back or rows.customer_keys is None:
                raise
            if self.spool_decisions(rows, list(rows.customer_keys)) is not None:
                raise
            return
        finally:
            if turn is not None:
                turn.release()
        self.fold_some()

    def repeats(self, rows: RepeatRows) -> None:
        """Write repeats of decisions, which are never spooled; the errors are those of `decisions` with `named`."""
        turn = Turn(self._folder)
        try:
            self._write(lambda: self._repeats.append(rows, partial(self._reject_waiting, rows.decision_ids, turn)))
        finally:
            turn.release()
        self.fold_some()

    def _reject_waiting(self, decision_ids: Sequence[str], turn: Turn) -> None:
        """Raise DuplicateError if one of these ids waits in another spool; none is added there before `turn` ends."""
        turn.take(alone=False)
        self._reject(self._recovery.others.first_existing(decision_ids))

    @contextlib.contextmanager
    def turn_to_spool(self, decision_ids: Sequence[str], *, committed: bool = False) -> Iterator[bool]:
        """Let nobody else write decisions with ids of their callers' until these ones are spooled.

        DuplicateError if somebody has done so by now. Yields False if the database could not be searched for them. It
        is not searched where these very ones were `committed` to it as it was moved or replaced: it did not have them.
        """
        turn, searched = Turn(self._folder), True
        try:
            if decision_ids:
                turn.take(alone=True)
                self._reject(self._recovery.others.first_existing(decision_ids))
                searched = not self._connection.is_replaced and (committed or self._has_none(decision_ids))
            yield searched
        finally:
            turn.release()

    def _has_none(self, decision_ids: Sequence[str]) -> bool:
        """Say that the database has none of these ids, False if it cannot be read; DuplicateError if it has one."""
        try:
            with self.short_waits():
                self._reject(self._decisions.first_existing(decision_ids))
                self._reject(self._repeats.first_existing(decision_ids))
        except StoreError as fault:
            if not is_outage(fault):
                raise
            return False
        return True

    def _reject(self, known: str | None) -> None:
        if known is not None:
            raise DuplicateError(f'the decision id "{known}" is already in the log; send a new id with a new request')

    def short_waits(self) -> AbstractContextManager[None]:
        """Wait inside for other connections for a short time only, if the database is not tried at the moment."""
        if self.outage() is None:
            return contextlib.nullcontext()
        return self._connection.lock_timeout(RETRY_LOCK_TIMEOUT)

    def spool_decisions(self, rows: DecisionRows, customer_keys: Sequence[str]) -> str | None:
        """Append decisions to the spool; return the reason if that fails too."""
        line = spooled_decisions(rows, customer_keys, self._decisions.customers.check)
        # Before the line is there: an exception between the two must not leave a line that a retry does not find.
        self._offsets |= dict.fromkeys(rows.decision_ids, self._spool.end)
        try:
            self._spool.append(line)
        except OSError as fault:
            return f"and its spool cannot be written ({fault.strerror})"
        return None

    def waiting(self, decision_id: str) -> tuple[DecisionRows, int] | None:
        """Return the batch with a decision that waits in a spool, and its row there; None if it is in none.

        It may be this writer's spool or another one's. Look into the database after that, not before.
        """
        found = self._own_waiting(decision_id) or self._waiting_elsewhere(decision_id)
        if found is None:
            return None
        try:
            return self._recovery.under_present_keys(found[0]), found[1]
        except StoreError as fault:
            if not is_outage(fault):
                raise
            return found

    def _own_waiting(self, decision_id: str) -> tuple[DecisionRows, int] | None:
        start = self._offsets.get(decision_id)
        if start is None:
            return None
        try:
            content = read_spooled(next(self._spool.read(start)).record)
            if not isinstance(content, SpooledDecisions):
                return None
            return content.rows(), content.decision_ids.index(decision_id)
        except (OSError, StopIteration, ValueError, TypeError, LookupError, msgspec.MsgspecError):  # damaged meanwhile
            return None

    def _waiting_elsewhere(self, decision_id: str) -> tuple[DecisionRows, int] | None:
        found = self._recovery.others.find(decision_id)
        if found is None:
            return None
        # Its writer may be cut short and withdraw the line. By the next turn it has done so, or will not do it.
        turn = Turn(self._folder)
        try:
            turn.take(alone=False)
            return self._recovery.others.find(decision_id)
        finally:
            turn.release()

    def others_ended(self) -> bool:
        """Say whether one of those writers has ended, so that its spool can be folded."""
        return self._recovery.has_abandoned()

    def events(self, rows: EventRows, *, correct: bool) -> EventReceipt:
        """Write events, or append them to the spool; StoreError if both fail.

        While the spool has lines, events are appended to it, so that their order is kept.
        """
        self.fold_some()
        outage = self._last_outage if self.spooled or self.outage() else None
        if outage is None:
            try:
                return self._write(lambda: self._recovery.append_events(rows, correct=correct))
            except StoreError as fault:
                if not is_outage(fault):
                    raise
                outage = fault
        try:
            self._spool.append(spooled_events(rows, correct=correct))
        except OSError as second:
            raise StoreError(f"{outage}; and its spool cannot be written ({second.strerror})") from outage
        return EventReceipt(0, 0, 0, n_spooled=len(rows))

    def fold_all(self) -> None:
        """Fold the whole spool into the database; after a StoreError the rest stays in the spool."""
        while self.spooled:
            self._fold()

    def take_over(self, other: SpooledWriter, catalogues: Mapping[int, int], policies: Mapping[int, int]) -> None:
        """Continue the spool of a writer to another database, given the numbers that this one has for its own.

        OSError if that cannot be written; the spool then stays, and a second call goes on from the line that failed.
        """
        for line in other._spool.read(other._taken_over):
            try:
                content = read_spooled(line.record)
            except msgspec.ValidationError:
                self._spool.append(line.record or {})  # refused when it is folded, and kept then
                other._taken_over = line.end
                continue
            if isinstance(content, SpooledDecisions):
                content = content.elsewhere(catalogues, policies)
            start = self._spool.append(msgspec.to_builtins(content))
            other._taken_over = line.end
            if isinstance(content, SpooledDecisions):
                self._offsets |= dict.fromkeys(content.decision_ids, start)
        other._spool.remove()
        other.release()

    def release(self) -> None:
        """Leave the spool to the next process that opens the database, or to the parent after a fork."""
        self._spool.release()
        self._offsets = {}
        self._last_outage, self._retry_at = None, 0.0

    def fold_some(self) -> None:
        """Fold some lines of the spool, unless the database is not tried at the moment."""
        if not self.spooled or self.outage() is not None:
            return
        # A fault here is not one of the rows that were just written: the rest stays in the spool.
        with contextlib.suppress(StoreError, OSError):
            self._write(self._fold)

    def _fold(self) -> None:
        folded, done = self._recovery.fold(self._spool.token, self._spool.read)
        self.refused += folded.refused
        if done:
            token = self._spool.token
            self._spool.remove()
            self._offsets, self._last_outage = {}, None
            self._recovery.forget(token)

    def _write(self, write: Callable[[], T]) -> T:
        """Call `write` and note its success or outage; after an outage it waits for locks only for a short time."""
        try:
            if self._last_outage is None:
                result = write()
            else:
                with self._connection.lock_timeout(RETRY_LOCK_TIMEOUT):
                    self._connection.files.require_in_place(self._connection.raw, committed=False)
                    result = write()
        except DECODING_FAULTS as fault:
            raise_if_damaged(self._connection.path, fault)
            raise
        except StoreError as fault:
            if is_outage(fault):
                self._last_outage, self._retry_at = fault, time.monotonic() + RETRY
                self.last_ok, self.last_time = False, time.time_ns() // 1_000
            raise
        if not self._spool.lines:
            self._last_outage = None
        self._retry_at = 0.0
        self.last_ok, self.last_time = True, time.time_ns() // 1_000
        return result

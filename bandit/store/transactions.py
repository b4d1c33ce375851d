"""Transactions, readings and lock waits of one connection, as context managers that survive an exception at any line.

They are classes: a context manager made of a generator costs as much as a begin and a commit. Each is one of the
thread's `HOLDINGS` while it lasts, since an exception may come before the first line of its `__exit__`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import AbstractContextManager
from threading import get_ident
from typing import TYPE_CHECKING, Any

from bandit.store.holdings import HOLDINGS, forget, give_up_after
from bandit.store.sqlite_errors import raise_store_error

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from bandit.store.connection import Connection


class Exclusive(AbstractContextManager[Any]):
    """Keeps the other threads of a connection out; the base of all that happens on it.

    With a `patience`, in seconds, it waits for them no longer, and enters with False.
    """

    __slots__ = ("_connection", "_level", "_locked", "_patience")

    def __init__(self, connection: Connection, patience: float | None = None) -> None:
        self._connection = connection
        self._patience = -1.0 if patience is None else patience
        self._level = 0
        self._locked = False

    def __enter__(self) -> Any:  # noqa: ANN401 - each subclass says what
        connection = self._connection
        try:
            HOLDINGS.taken.append(self)
            if connection.owner != get_ident():
                self._locked = True  # before it is: an exception between the two must not leave the lock taken
                if not connection.lock.acquire(timeout=self._patience):
                    self._locked = False
                    forget(self)
                    return False
                connection.owner = get_ident()
            return self._begin(connection)
        except BaseException as fault:
            self.give_up()
            _translate(connection.path, fault)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        try:
            if fault is None:
                self._end(connection)
            else:
                give_up_after(self)  # an inner one whose `__exit__` was cut off at its first line
                self._undo(connection)
            if self._locked:
                connection.owner = None
                connection.lock.release()
                self._locked = False
            forget(self)
        except BaseException as second:
            self.give_up()
            _translate(connection.path, second)
            raise
        if fault is not None:
            _translate(connection.path, fault)

    def give_up(self) -> None:
        """Undo what is unfinished and let go of the lock; does nothing where that has been done."""
        connection = self._connection
        try:
            with contextlib.suppress(sqlite3.Error):  # a connection that fails even here is closed by SQLite
                self._undo(connection)
        finally:
            if self._locked:
                if connection.owner == get_ident():
                    connection.owner = None
                with contextlib.suppress(RuntimeError):  # not taken yet, or released already
                    connection.lock.release()
                self._locked = False
            forget(self)

    def _begin(self, connection: Connection) -> Any:  # noqa: ANN401 - each subclass says what
        connection.wait_for_locks(connection.patience)
        return True

    def _end(self, connection: Connection) -> None:
        """End it after success; what is below is what `_undo` finds if this is cut short."""
        self._undo(connection)

    def _undo(self, connection: Connection) -> None:
        """End it after a failure; safe to call again."""


class _Levelled(Exclusive):
    """What is one level of a connection's stack of open transactions."""

    __slots__ = ()

    def _push(self, connection: Connection) -> int:
        levels = connection.levels
        levels.append(self)
        self._level = len(levels)
        return self._level

    def _is_open(self, connection: Connection) -> bool:
        level = self._level
        return 0 < level <= len(connection.levels) and connection.levels[level - 1] is self

    def _undo(self, connection: Connection) -> None:
        if self._is_open(connection):
            connection.roll_back(self._level)
            del connection.levels[self._level - 1 :]


class Transaction(_Levelled):
    """Writes all or nothing; inside another transaction it is a savepoint of that one."""

    __slots__ = ()

    def _begin(self, connection: Connection) -> None:
        level = self._push(connection)
        if level == 1:
            connection.begin_immediate()
        else:
            connection.begin_savepoint(level)

    def _end(self, connection: Connection) -> None:
        level = self._level
        connection.commit(level)
        del connection.levels[level - 1 :]
        if level == 1:
            connection.files.require_in_place(connection.raw, committed=True)


class Reading(_Levelled):
    """Reads from one consistent state; inside another reading or a transaction, from the state of that."""

    __slots__ = ()

    def _begin(self, connection: Connection) -> sqlite3.Connection:
        if not connection.levels:
            self._push(connection)
            connection.begin_reading()
        return connection.raw

    def _undo(self, connection: Connection) -> None:
        if self._level and self._is_open(connection):
            connection.end_reading()  # nothing was written; a commit would fail on a damaged page
            del connection.levels[:]


class InnerReading(AbstractContextManager[sqlite3.Connection]):
    """Reads inside a reading or a transaction of the same thread: it takes nothing, so it has nothing to give back."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        return self._connection.raw

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if fault is not None:
            _translate(self._connection.path, fault)


class Upgradable(_Levelled):
    """A transaction that begins by reading; one that has only read ends as a reading does."""

    __slots__ = ("_changes",)

    def _begin(self, connection: Connection) -> None:
        self._changes = 0
        self._push(connection)
        connection.wait_for_disk(False)
        connection.begin_reading(waits=False)
        self._changes = connection.raw.total_changes

    def _end(self, connection: Connection) -> None:
        wrote = connection.raw.total_changes != self._changes
        if wrote:
            connection.commit(1)
        else:
            connection.end_reading()
        del connection.levels[:]
        if wrote:
            connection.files.look_around(connection.raw)


class LockTimeout(Exclusive):
    """Waits inside at most some seconds, and at most `busy_timeout`, for the lock of another connection."""

    __slots__ = ("_seconds",)

    def __init__(self, connection: Connection, seconds: float) -> None:
        super().__init__(connection)
        self._seconds = seconds

    def _begin(self, connection: Connection) -> None:
        connection.wait_for_locks(min(self._seconds, connection.busy_timeout))

    def _undo(self, connection: Connection) -> None:
        connection.wait_for_locks(connection.busy_timeout)


class WithoutForeignKeys(Exclusive):
    """Does not check references inside; to be entered before a transaction, not within one."""

    __slots__ = ()

    def _begin(self, connection: Connection) -> None:
        connection.raw.execute("PRAGMA foreign_keys = OFF")

    def _undo(self, connection: Connection) -> None:
        connection.raw.execute("PRAGMA foreign_keys = ON")


def _translate(path: Path, fault: BaseException) -> None:
    """Raise the StoreError for an error of SQLite; return for any other."""
    if isinstance(fault, (sqlite3.Error, UnicodeError, OverflowError)):
        raise_store_error(path, fault)

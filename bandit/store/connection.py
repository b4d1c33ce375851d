"""One SQLite connection: opened, checked, locked, with explicit transactions and errors in plain words."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import weakref
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bandit.errors import InputError, StoreError
from bandit.store.database_file import look_before_opening
from bandit.store.fork_safety import watch
from bandit.store.schema import APPLICATION_ID, VERSION, user_version
from bandit.store.schema.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

Durability = Literal["full", "process"]

_CACHE_KIB = 32_768
_LOG_BYTES = 32 << 20
_FIRST_PAUSE, _LAST_PAUSE = 0.0002, 0.004

_WORDS = {
    sqlite3.SQLITE_BUSY: "is locked by another process; try again, or open it with a longer busy_timeout",
    sqlite3.SQLITE_LOCKED: "is locked by another use of this connection; finish that first",
    sqlite3.SQLITE_NOTADB: "is not a database; give the path of a store, or of a new file",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; make room and try again, nothing was written",
    sqlite3.SQLITE_READONLY: "is open for reading only; open it for writing, or make the file writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that the directory exists and may be written to",
    sqlite3.SQLITE_IOERR: "could not be read or written by the system; look at the disk, its room and its quotas",
    sqlite3.SQLITE_PERM: "may not be accessed; check its permissions",
    sqlite3.SQLITE_AUTH: "may not be accessed; check its permissions",
}


class Connection:
    """The one connection of a store; `lock` guards it, so that threads may share it.

    It is closed before the process forks, and parent and child open one of their own when they next use it: SQLite
    must not be carried over a fork. A fork from within a transaction leaves the child without one (StoreError).
    """

    def __init__(self, path: Path, durability: Durability, busy_timeout: float, *, read_only: bool) -> None:
        self.path = path
        self.durability: Durability = durability
        self.read_only = read_only
        self.busy_timeout = self._patience = busy_timeout
        self.lock = threading.RLock()
        self._forget: list[Callable[[], None]] = []
        self._depth = 0
        self._open: sqlite3.Connection | None = None
        self._left: sqlite3.Connection | None = None
        self._closed = False
        # Closing a file drops all locks that the process has on it, also SQLite's; what is open was looked at before.
        if not any(other.holds(path) for other in list(_OPEN)):
            look_before_opening(path, read_only=read_only)
        self._connect()
        _OPEN.add(self)
        watch(self, outer=False)

    @property
    def raw(self) -> sqlite3.Connection:
        """SQLite's connection; asked for under the lock, since it is another one after a fork."""
        found = self._open
        return self._connect() if found is None else found

    def on_rollback(self, forget: Callable[[], None]) -> None:
        """Call `forget` whenever something is rolled back: numbers that were given may be void."""
        self._forget.append(forget)

    def forget(self) -> None:
        """Forget all that was looked up: rows were removed."""
        for forget in self._forget:
            forget()

    def close(self) -> None:
        """Close; nothing happens the second time."""
        with self.lock:
            self._closed = True
            if self._open is not None:
                self._open.close()

    @contextlib.contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Wait at most so long for another's lock, or as long as usual where that is less."""
        with self.lock, self.plain_words():
            self._patience = min(seconds, self.busy_timeout)
            try:
                self.raw.execute(f"PRAGMA busy_timeout = {round(1_000 * self._patience):d}")
                yield
            finally:
                self._patience = self.busy_timeout
                self.raw.execute(f"PRAGMA busy_timeout = {round(1_000 * self.busy_timeout):d}")

    @contextlib.contextmanager
    def free_within(self, seconds: float) -> Iterator[bool]:
        """Wait at most so long for the threads that are at it, and keep them out inside; False where they stay."""
        if not self.lock.acquire(timeout=seconds):
            yield False
            return
        try:
            yield True
        finally:
            self.lock.release()

    def data_version(self) -> int:
        """Return a number that is another once a different connection has written to the file."""
        with self.lock, self.plain_words():
            return int(self.raw.execute("PRAGMA data_version").fetchone()[0])

    def holds(self, path: Path) -> bool:
        """Say whether this has the file open."""
        try:
            return self._open is not None and not self._closed and self.path.samefile(path)
        except OSError:
            return False

    def before_fork(self) -> None:
        """Close, once no other thread is at it; what this thread has in a transaction stays open for the parent."""
        self.lock.acquire()
        self._left = self._open if self._depth and not self._closed else None
        if self._left is None and self._open is not None:
            self._open.close()
            self._open = None

    def after_fork(self, *, child: bool) -> None:
        """Go on; in the child without what was left open, which is kept, untouched, for as long as this lives."""
        if child and self._left is not None:
            self._open, self._depth, self._closed = None, 0, True
        self.lock.release()

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed; open it again")
        with self.plain_words():
            mode = "ro" if self.read_only else "rwc"
            opened = self._open = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=self.busy_timeout,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            try:
                self._prepare(self.durability)
            except BaseException:
                opened.close()
                self._open = None
                raise
        return opened

    def transaction(self) -> AbstractContextManager[None]:
        """Write all or nothing; an inner transaction is a savepoint of the outer one."""
        return _Transaction(self)

    def begin(self) -> None:
        """Begin a transaction, or a savepoint within one; the caller has the lock."""
        if self._depth:
            self.raw.execute("SAVEPOINT inner_one")
        else:
            self._begin_to_write()
        self._depth += 1

    def commit(self) -> None:
        """Make what was begun last part of what is around it, or of the file."""
        self.raw.execute("RELEASE inner_one" if self._depth > 1 else "COMMIT")
        self._depth -= 1

    def undo(self) -> None:
        """Take back what was begun last."""
        self._depth -= 1
        for forget in self._forget:
            forget()
        # A full disk rolls back by itself, and then there is nothing left to undo.
        if self.raw.in_transaction:
            for statement in ("ROLLBACK TO inner_one", "RELEASE inner_one") if self._depth else ("ROLLBACK",):
                self.raw.execute(statement)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read from one consistent state of the database."""
        with self.lock, self.plain_words():
            if self._depth:
                yield self.raw
                return
            self.raw.execute("BEGIN")
            self._depth += 1
            try:
                yield self.raw
            finally:
                self._depth -= 1
                if self.raw.in_transaction:
                    self.raw.execute("ROLLBACK")  # nothing was written; a commit would stumble over a damaged page

    @contextlib.contextmanager
    def plain_words(self) -> Iterator[None]:
        """Turn what SQLite raises into a StoreError of one sentence."""
        try:
            yield
        except (sqlite3.Error, UnicodeError, OverflowError) as fault:
            self.explain(fault)
            raise

    def explain(self, fault: BaseException) -> None:
        """Raise a StoreError of one sentence for what SQLite raises; nothing happens for any other fault.

        InputError for what cannot be given to SQLite at all: half a character, a number of more than 64 bits.
        """
        if isinstance(fault, sqlite3.ProgrammingError):
            if "closed database" in str(fault):
                raise StoreError(f"{self.path}: the store is closed; open it again") from fault
        elif isinstance(fault, UnicodeEncodeError):
            raise InputError(f"the text {fault.object[:80]!r} has half a character; send whole ones") from fault
        elif isinstance(fault, OverflowError) and "SQLite INTEGER" in str(fault):
            raise InputError("a number has more than 64 bits and cannot be stored; send a smaller one") from fault
        elif isinstance(fault, UnicodeDecodeError):  # SQLite quotes a damaged schema, and that is no text
            raise StoreError(f"{self.path}: {_WORDS[sqlite3.SQLITE_CORRUPT]}") from fault
        elif isinstance(fault, sqlite3.Error):
            code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
            if "decode to UTF-8" in str(fault):  # and the text, which is nobody's business
                code = sqlite3.SQLITE_CORRUPT
            words = _WORDS.get(code, f"could not be used, SQLite says: {fault}; see `doctor` for its state")
            raise StoreError(f"{self.path}: {words}") from fault

    def _begin_to_write(self) -> None:
        """Take the lock that one writer has, or wait for it.

        SQLite itself asks again after ever longer pauses, up to a tenth of a second: with many writers one may wait
        for seconds while others come and go. Here the pauses are about as long as a transaction takes.
        """
        raw = self.raw
        raw.execute("PRAGMA busy_timeout = 0")
        try:
            deadline, pause = 0.0, _FIRST_PAUSE
            while True:
                try:
                    raw.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as fault:
                    now = time.monotonic()
                    deadline = deadline or now + self._patience
                    if getattr(fault, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or now >= deadline:
                        raise
                    # The clock's last digits keep two that wait from asking at the same moments for ever.
                    spread = 0.5 + time.monotonic_ns() % 1_000 / 1_000
                    time.sleep(min(pause * spread, deadline - now))
                    pause = min(2.0 * pause, _LAST_PAUSE)
                else:
                    return
        finally:
            raw.execute(f"PRAGMA busy_timeout = {round(1_000 * self._patience):d}")

    def _switch_to_wal(self) -> str:
        """Ask for the write-ahead log until it is given: SQLite does not wait for this lock by itself."""
        deadline = time.monotonic() + self.busy_timeout
        while True:
            try:
                return str(self.raw.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError as fault:
                busy = getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def _prepare(self, durability: Durability) -> None:
        raw = self.raw
        raw.execute("BEGIN")  # one state for all three: another process may be creating the tables just now
        n_things = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = int(raw.execute("PRAGMA application_id").fetchone()[0])
        version = user_version(raw)
        raw.execute("COMMIT")
        if application != APPLICATION_ID and (n_things or version or application):
            raise StoreError(
                f"{self.path}: is a database of another application; give the path of a store, or of a new file"
            )
        if version > VERSION:
            raise StoreError(
                f"{self.path}: has version {version} of the schema and this program knows {VERSION}; "
                "install a newer offer-bandit"
            )
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA recursive_triggers = ON")  # else REPLACE would delete behind the guards
        raw.execute(f"PRAGMA cache_size = {-_CACHE_KIB:d}")
        if self.read_only:
            if version < VERSION:
                raise StoreError(
                    f"{self.path}: has version {version} of the schema, {VERSION} is needed; open it once for writing "
                    "(`offer-bandit verify` does), which keeps a copy and brings it up to date"
                )
            return
        if self._switch_to_wal() != "wal":
            raise StoreError(f"{self.path}: cannot keep a write-ahead log there; use a local disk")
        # A reader that stays long lets the log grow; once it is gone, the log is cut to this size.
        raw.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES:d}")
        raw.execute("PRAGMA synchronous = FULL" if durability == "full" else "PRAGMA synchronous = NORMAL")
        if version < VERSION:
            migrate(raw, self.path)


class _Transaction(AbstractContextManager[None]):
    """A transaction as a plain context manager: one made of a generator costs as much as beginning and committing."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        connection = self._connection
        connection.lock.acquire()
        try:
            connection.begin()
        except BaseException as fault:
            connection.lock.release()
            connection.explain(fault)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        try:
            if fault is None:
                try:
                    connection.commit()
                except BaseException:
                    connection.undo()
                    raise
            else:
                connection.undo()
                connection.explain(fault)
        except sqlite3.Error as second:
            connection.explain(second)
            raise
        finally:
            connection.lock.release()


_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()

"""One SQLite connection that threads share: explicit transactions, waiting for locks, safe over a fork."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import weakref
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.errors import StoreError
from bandit.store.chain.links import Chain
from bandit.store.connection_setup import Durability, prepare
from bandit.store.database_file import check_before_opening, create_private, file_size, resolved, wal_path
from bandit.store.file_guard import FileGuard
from bandit.store.file_identity import inode_of
from bandit.store.fork_safety import register_for_fork
from bandit.store.sqlite_errors import is_busy, is_unwritable, raise_store_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_FIRST_PAUSE, _LAST_PAUSE = 0.0002, 0.004


class Connection:
    """The one connection of a store; `lock` guards it, so that threads may share it.

    It is closed before the process forks, and parent and child each open their own at the next use: SQLite must not be
    carried over a fork. A fork inside a transaction leaves the child with a closed store (StoreError).

    The path is resolved once, so that a later change of the working directory changes nothing. A file is created only
    here and with `create`. Later connections must find the same file: a transaction raises StoreError, with a
    `DisplacedFileError` as its cause, once the path names no file or another one.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability,
        busy_timeout: float,
        *,
        read_only: bool,
        create: bool = False,
        same_as: Connection | None = None,
    ) -> None:
        """Open the file; with `same_as`, StoreError unless it is the one which that connection has open."""
        self.path: Path = resolved(path) if same_as is None else same_as.path
        self.durability: Durability = durability
        self.read_only = read_only
        self.busy_timeout = self._lock_timeout = busy_timeout
        self.lock = threading.RLock()
        self.chain = Chain()
        self._cache_clearers: list[Callable[[], None]] = []
        self._depth = 0
        self._waits_for_disk = True
        self._sqlite_waits: float | None = None
        self._open: sqlite3.Connection | None = None
        self._kept_by_parent: sqlite3.Connection | None = None
        self._closed = False
        self._creates = create and not read_only
        self.files: FileGuard = FileGuard(self.path, None if same_as is None else same_as.files.inode)
        self.files.before_opening()
        # The check opens and closes the file, which drops all locks of this process on it, those of SQLite too.
        if not any(other.holds(path) for other in list(_OPEN)):
            check_before_opening(path, create=self._creates)
        if self._creates:
            with contextlib.suppress(OSError):  # it is there, or SQLite finds out what is wrong
                create_private(self.path)
        self._connect()
        self._creates = False
        _OPEN.add(self)
        register_for_fork(self, outer=False)

    @property
    def raw(self) -> sqlite3.Connection:
        """SQLite's connection; to be read under the lock, since a fork replaces it."""
        found = self._open
        return self._connect() if found is None else found

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction or a reading is going on; to be read under the lock."""
        return self._depth > 0

    def on_rollback(self, clear: Callable[[], None]) -> None:
        """Call `clear` after each rollback: cached row numbers may be void."""
        self._cache_clearers.append(clear)

    def clear_caches(self) -> None:
        """Clear all caches of row numbers: rows were removed."""
        for clear in self._cache_clearers:
            clear()

    def close(self) -> None:
        """Close; a second call does nothing."""
        with self.lock:
            self._closed = True
            if self._open is not None:
                self._open.close()

    @contextlib.contextmanager
    def lock_timeout(self, seconds: float) -> Iterator[None]:
        """Wait inside at most `seconds`, and at most `busy_timeout`, for the lock of another connection."""
        with self.lock, self.translated_errors():
            self._lock_timeout = min(seconds, self.busy_timeout)
            try:
                self._let_sqlite_wait(self._lock_timeout)
                yield
            finally:
                self._lock_timeout = self.busy_timeout
                self._let_sqlite_wait(self.busy_timeout)

    @contextlib.contextmanager
    def exclusive_within(self, seconds: float) -> Iterator[bool]:
        """Wait at most `seconds` for the other threads of this connection; True with them kept out, False otherwise."""
        if not self.lock.acquire(timeout=seconds):
            yield False
            return
        try:
            yield True
        finally:
            self.lock.release()

    def data_version(self) -> int:
        """Return a number that changes when another connection has written to the file."""
        with self.lock, self.translated_errors():
            if not self._depth:
                self._let_sqlite_wait(self._lock_timeout)
            return int(self.raw.execute("PRAGMA data_version").fetchone()[0])

    def holds(self, path: Path) -> bool:
        """Say whether this connection has the file open."""
        return self._open is not None and not self._closed and self.files.inode == inode_of(path)

    def before_fork(self) -> None:
        """Close once no other thread uses it; inside a transaction of this thread it stays open, for the parent."""
        self.lock.acquire()
        self._kept_by_parent = self._open if self._depth and not self._closed else None
        if self._kept_by_parent is None and self._open is not None:
            self._open.close()
            self._open = None

    def after_fork(self, *, child: bool) -> None:
        """Go on; a child does without a connection that stayed open, and keeps it referenced but untouched."""
        if child and self._kept_by_parent is not None:
            self._open, self._depth, self._closed = None, 0, True
        self.lock.release()

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed; open it again")
        self.files.before_opening()
        with self.translated_errors():
            if not self.read_only:
                return self._connect_as("mode=rwc" if self._creates else "mode=rw")
            try:
                return self._connect_as("mode=ro")
            except sqlite3.OperationalError as fault:
                if not is_unwritable(fault):
                    raise
                # Readers share a small file beside the database, which SQLite cannot make in this folder.
                if file_size(wal_path(self.path)):
                    raise StoreError(
                        f"{self.path}: has changes in {wal_path(self.path).name} that cannot be read in a folder where "
                        "nothing may be written; copy both files to another folder"
                    ) from fault
                return self._connect_as("immutable=1")

    def _connect_as(self, mode: str) -> sqlite3.Connection:
        """Open the file in a mode of SQLite's, and prepare the connection."""
        self._sqlite_waits = None
        opened = self._open = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=self.busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            self.chain.reset()
            prepare(
                opened, self.path, self.durability, self.busy_timeout, read_only=self.read_only, create=self._creates
            )
            self.files.opened()
        except BaseException:
            opened.close()
            self._open = None
            raise
        return opened

    def transaction(self) -> AbstractContextManager[None]:
        """Write all or nothing; an inner transaction is a savepoint of the outer one."""
        return _Transaction(self)

    def upgradable(self) -> AbstractContextManager[None]:
        """Read from one state of the database, and write all or nothing from the first statement that writes on.

        That statement fails at once, with the StoreError of a lock, where another connection writes or has written
        since the first reading: SQLite does not wait for a lock with a state to keep. Not inside another transaction.
        Its commit does not wait for the disk: what a power cut takes from the end of the log must be such that it is
        done again. It is on the disk with the next commit of a `transaction`, of any process.
        """
        return _Upgradable(self)

    def begin(self) -> None:
        """Begin a transaction, or a savepoint inside one; the caller has the lock."""
        if self._depth:
            self.raw.execute("SAVEPOINT inner_one")
            self.chain.mark()
        else:
            self._begin_immediate()
        self._depth += 1

    def commit(self) -> None:
        """Commit the transaction, or release the innermost savepoint."""
        if self._depth > 1:
            self.chain.release(self.raw)
            self.raw.execute("RELEASE inner_one")
        else:
            self.chain.write(self.raw)
            self.raw.execute("COMMIT")
        self._depth -= 1

    def rollback(self) -> None:
        """Roll back the transaction, or to the innermost savepoint."""
        self._depth -= 1
        self.chain.undo(savepoint=bool(self._depth))
        self.clear_caches()
        # SQLite rolls back by itself when the disk is full, and then nothing is left to undo.
        if self.raw.in_transaction:
            for statement in ("ROLLBACK TO inner_one", "RELEASE inner_one") if self._depth else ("ROLLBACK",):
                self.raw.execute(statement)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Read from one consistent state of the database."""
        return _Reading(self)

    def begin_reading(self, *, waits: bool = True) -> bool:
        """Begin to read from one state, and say whether that is the outermost; the caller has the lock.

        A reader waits only where another connection recovers the file or closes it as the last one.
        """
        if self._depth:
            return False
        if waits:
            self._let_sqlite_wait(self._lock_timeout)
        self.raw.execute("BEGIN")
        self._depth += 1
        return True

    def end_reading(self) -> None:
        """End the outermost reading."""
        self._depth -= 1
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK")  # nothing was written; a commit would fail on a damaged page

    @contextlib.contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turn SQLite's errors into StoreErrors of one sentence."""
        try:
            yield
        except (sqlite3.Error, UnicodeError, OverflowError) as fault:
            raise_store_error(self.path, fault)
            raise

    def wait_for_disk(self, waits: bool) -> None:
        """Let the commits from now on wait for the disk, with durability "full", or not; outside a transaction.

        SQLite writes all commits to one log, in order, and a commit that waits has everything before it on the disk.
        """
        if waits is self._waits_for_disk or self.durability != "full":
            return
        self._waits_for_disk = False  # unless the statement is known to have been executed
        self.raw.execute("PRAGMA synchronous = FULL" if waits else "PRAGMA synchronous = NORMAL")
        self._waits_for_disk = waits

    def _begin_immediate(self) -> None:
        """Take SQLite's write lock, waiting for it up to the lock timeout.

        SQLite's own busy handler retries after ever longer pauses, up to 0.1 s: with many writers one of them may wait
        for seconds while others come and go. Here the pauses are about as long as a transaction takes.
        """
        if self._open is not None and self.files.must_reopen(self._open):
            self._open.close()
            self._open = None
        raw = self.raw
        self.wait_for_disk(True)
        self._let_sqlite_wait(0.0)
        deadline, pause = 0.0, _FIRST_PAUSE
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as fault:
                now = time.monotonic()
                deadline = deadline or now + self._lock_timeout
                if not is_busy(fault) or now >= deadline:
                    raise
                # Jitter of the clock's last digits keeps two waiting writers from retrying in step.
                jitter = 0.5 + time.monotonic_ns() % 1_000 / 1_000
                time.sleep(min(pause * jitter, deadline - now))
                pause = min(2.0 * pause, _LAST_PAUSE)
            else:
                return

    def _let_sqlite_wait(self, seconds: float) -> None:
        """Let SQLite's own busy handler wait so long from now on; a statement only where that changes something."""
        if seconds == self._sqlite_waits:
            return
        self._sqlite_waits = None  # unless the statement is known to have been executed
        self.raw.execute(f"PRAGMA busy_timeout = {round(1_000 * seconds):d}")
        self._sqlite_waits = seconds


class _Transaction(AbstractContextManager[None]):
    """A transaction as a class: a context manager made of a generator costs as much as the begin and the commit."""

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
            raise_store_error(connection.path, fault)
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
                    connection.rollback()
                    raise
                if not connection.in_transaction:
                    connection.files.require_in_place(connection.raw, committed=True)
            else:
                connection.rollback()
                raise_store_error(connection.path, fault)
        except sqlite3.Error as second:
            raise_store_error(connection.path, second)
            raise
        finally:
            connection.lock.release()


class _Upgradable(_Transaction):
    """A transaction that begins by reading; one that has only read ends as a reading does."""

    __slots__ = ("_changes",)

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._changes = 0

    def __enter__(self) -> None:
        connection = self._connection
        connection.lock.acquire()
        try:
            connection.wait_for_disk(False)
            connection.begin_reading(waits=False)
            self._changes = connection.raw.total_changes
        except BaseException as fault:
            connection.lock.release()
            raise_store_error(connection.path, fault)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        if fault is not None or connection.raw.total_changes != self._changes:
            super().__exit__(kind, fault, trace)
            return
        try:
            connection.end_reading()
        finally:
            connection.lock.release()


class _Reading(AbstractContextManager[sqlite3.Connection]):
    """Reading as a class, for the reason of `_Transaction`: one learned outcome reads a dozen times."""

    __slots__ = ("_connection", "_outermost")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outermost = False

    def __enter__(self) -> sqlite3.Connection:
        connection = self._connection
        connection.lock.acquire()
        try:
            self._outermost = connection.begin_reading()
        except BaseException as fault:
            connection.lock.release()
            _translate(connection.path, fault)
            raise
        return connection.raw

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        try:
            if self._outermost:
                connection.end_reading()
            if fault is not None:
                _translate(connection.path, fault)
        except sqlite3.Error as second:
            raise_store_error(connection.path, second)
            raise
        finally:
            connection.lock.release()


def _translate(path: Path, fault: BaseException) -> None:
    """Raise the StoreError for an error of SQLite; return for any other."""
    if isinstance(fault, (sqlite3.Error, UnicodeError, OverflowError)):
        raise_store_error(path, fault)


_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()

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
from bandit.store.connection_setup import Durability, postpone_checkpoints, prepare
from bandit.store.database_file import check_before_opening, create_private, file_size, resolved, wal_path
from bandit.store.file_guard import FileGuard
from bandit.store.file_identity import inode_of
from bandit.store.fork_safety import OPENING, register_for_fork
from bandit.store.former_log import take_former_log_away
from bandit.store.sqlite_errors import is_busy, is_unwritable, raise_store_error
from bandit.store.transactions import (
    Exclusive,
    InnerReading,
    LockTimeout,
    Reading,
    Transaction,
    Upgradable,
    WithoutForeignKeys,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST_PAUSE, _LAST_PAUSE = 0.0002, 0.004


class Connection:
    """The one connection of a store; `lock` guards it, so that threads may share it.

    It is closed before the process forks, and parent and child each open their own at the next use: SQLite must not be
    carried over a fork. A fork inside a transaction leaves the child with a closed store (StoreError).

    The path is resolved once, so that a later change of the working directory changes nothing. A file is created only
    here and with `create`. Later connections must find the same file: a transaction raises StoreError, with a
    `DisplacedFileError` as its cause, once the path names no file or another one.

    `owner` is the thread that is inside, and `levels` are its open transactions and readings, the outermost first.
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
        self.owner: int | None = None
        self.levels: list[object] = []
        self.chain = Chain()
        self._cache_clearers: list[Callable[[], None]] = []
        self._open: sqlite3.Connection | None = None
        self._kept_by_parent: sqlite3.Connection | None = None
        self._closed = self._postpones = False
        self._sqlite_waits: float | None = None
        self._waits_for_disk = True
        self._creates = create and not read_only
        self.files: FileGuard = FileGuard(self.path, None if same_as is None else same_as.files.inode, is_open_here)
        self.files.before_opening()
        with OPENING:
            # Both open and close the file, which drops all locks of this process on it, those of SQLite too.
            if not is_open_here(path):
                check_before_opening(path, create=self._creates)
                take_former_log_away(self.path)
            if self._creates:
                with contextlib.suppress(OSError):  # it is there, or SQLite finds out what is wrong
                    create_private(self.path)
            self._connect()
            _OPEN.add(self)
        self._creates = False
        register_for_fork(self, outer=False)

    @property
    def raw(self) -> sqlite3.Connection:
        """SQLite's connection; to be read under the lock, since a fork replaces it."""
        found = self._open
        return self._connect() if found is None else found

    @property
    def patience(self) -> float:
        """Seconds to wait at present for the lock of another connection."""
        return self._lock_timeout

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

    def exclusive(self) -> AbstractContextManager[bool]:
        """Keep the other threads of this connection out."""
        return Exclusive(self)

    def exclusive_within(self, seconds: float) -> AbstractContextManager[bool]:
        """Wait at most `seconds` for the other threads of this connection; True with them kept out, False otherwise."""
        return Exclusive(self, seconds)

    def lock_timeout(self, seconds: float) -> AbstractContextManager[None]:
        """Wait inside at most `seconds`, and at most `busy_timeout`, for the lock of another connection."""
        return LockTimeout(self, seconds)

    def wait_for_locks(self, seconds: float) -> None:
        """Wait from now on so long for the lock of another connection; the caller keeps other threads out."""
        self._lock_timeout = seconds
        self._let_sqlite_wait(self.raw, seconds)

    def _let_sqlite_wait(self, raw: sqlite3.Connection, seconds: float) -> None:
        """Have SQLite itself wait so long, if it does not: asking it each time would cost as much as a small write."""
        if self._sqlite_waits != seconds:
            self._sqlite_waits = None  # not known, should an exception come before the end
            raw.execute(f"PRAGMA busy_timeout = {round(1_000 * seconds):d}")
            self._sqlite_waits = seconds

    def without_foreign_keys(self) -> AbstractContextManager[None]:
        """Do not check references inside, and keep the other threads out; not within a transaction."""
        return WithoutForeignKeys(self)

    def postpone_checkpoints(self) -> None:
        """Leave it to other connections to copy the write-ahead log, unless it becomes far too large."""
        with self.exclusive():
            self._postpones = True
            postpone_checkpoints(self.raw)

    def checkpoint(self) -> int:
        """Copy what can be copied of the write-ahead log, and return its length in bytes; nobody is kept waiting."""
        with self.exclusive():
            _, pages, _ = self.raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return max(0, int(pages)) * int(self.raw.execute("PRAGMA page_size").fetchone()[0])

    def data_version(self) -> int:
        """Return a number that changes when another connection has written to the file."""
        with self.exclusive():
            return int(self.raw.execute("PRAGMA data_version").fetchone()[0])

    def holds(self, path: Path) -> bool:
        """Say whether this connection has the file open."""
        return self._open is not None and not self._closed and self.files.inode == inode_of(path)

    @property
    def is_replaced(self) -> bool:
        """Whether the path names another file now than the one that was opened."""
        return inode_of(self.path) not in {None, self.files.inode}

    def leave_log(self) -> None:
        """Take the log away from the path of a file that was replaced; StoreError while others use it.

        A connection that was closed for a fork has left it then: what lies there now may be the log of the new file.
        """
        with self.lock:
            if self._open is not None:
                self.files.leave_log(self._open)

    def before_fork(self) -> None:
        """Close once no other thread uses it; inside a transaction of this thread it stays open, for the parent."""
        self.lock.acquire()
        self._kept_by_parent = self._open if self.levels and not self._closed else None
        if self._kept_by_parent is None and self._open is not None:
            if self.is_replaced and not self._closed:
                with contextlib.suppress(StoreError, sqlite3.Error):  # others who use it take it away
                    self.files.leave_log(self._open)
            self._open.close()
            self._open = None

    def after_fork(self, *, child: bool) -> None:
        """Go on; a child does without a connection that stayed open, and keeps it referenced but untouched."""
        if child and self._kept_by_parent is not None:
            self._open, self._closed = None, True
            self.levels.clear()
        self.lock.release()

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed; open it again")
        with OPENING, self.translated_errors():
            self.files.before_opening()
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
        opened = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=self.busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        prepared = False
        try:
            self.chain.reset()
            prepare(
                opened, self.path, self.durability, self.busy_timeout, read_only=self.read_only, create=self._creates
            )
            if self._postpones:
                postpone_checkpoints(opened)
            self.files.opened()
            prepared = True
        finally:
            if not prepared:
                opened.close()
        self._sqlite_waits, self._waits_for_disk = None, True
        self._open = opened  # not before it is prepared
        return opened

    def transaction(self) -> AbstractContextManager[None]:
        """Write all or nothing; an inner transaction is a savepoint of the outer one."""
        return Transaction(self)

    def upgradable(self) -> AbstractContextManager[None]:
        """Read from one state of the database, and write all or nothing from the first statement that writes on.

        That statement fails at once, with the StoreError of a lock, where another connection writes or has written
        since the first reading: SQLite does not wait for a lock with a state to keep. Not inside another transaction.
        Its commit does not wait for the disk: what a power cut takes from the end of the log must be such that it is
        done again. It is on the disk with the next commit of a `transaction`, of any process.
        """
        return Upgradable(self)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Read from one consistent state of the database."""
        if self.levels and self.owner == threading.get_ident():
            return InnerReading(self)
        return Reading(self)

    def begin_savepoint(self, level: int) -> None:
        """Begin an inner transaction, of a level above 1."""
        self.raw.execute(f"SAVEPOINT level_{level:d}")
        self.chain.mark(level)

    def commit(self, level: int) -> None:
        """Commit the transaction of level 1, or release the savepoint of another level."""
        if level == 1:
            self.chain.write(self.raw)
            self.raw.execute("COMMIT")
        else:
            self.chain.release(self.raw, level)
            self.raw.execute(f"RELEASE level_{level:d}")

    def roll_back(self, level: int) -> None:
        """Roll back the transaction of a level and all inside it; safe to call again."""
        self.clear_caches()
        self.chain.undo(level)
        found = self._open
        # SQLite rolls back by itself when the disk is full, and then nothing is left to undo.
        if found is None or not found.in_transaction:
            return
        if level == 1:
            found.execute("ROLLBACK")
            return
        with contextlib.suppress(sqlite3.OperationalError):  # the savepoint was not made, or is released
            found.execute(f"ROLLBACK TO level_{level:d}")
            found.execute(f"RELEASE level_{level:d}")

    def begin_reading(self, *, waits: bool = True) -> None:
        """Begin to read from one state; the caller has the lock.

        A reader waits only where another connection recovers the file or closes it as the last one.
        """
        raw = self.raw
        if waits:
            self._let_sqlite_wait(raw, self._lock_timeout)
        try:
            raw.execute("BEGIN")
        except sqlite3.OperationalError:
            if not self._undo_left_open(raw):
                raise
            raw.execute("BEGIN")

    def end_reading(self) -> None:
        """End the outermost reading."""
        found = self._open
        if found is not None and found.in_transaction:
            found.execute("ROLLBACK")

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
        raw = self.raw
        self._undo_left_open(raw)
        self._waits_for_disk = False  # unless the statement is known to have been executed
        raw.execute("PRAGMA synchronous = FULL" if waits else "PRAGMA synchronous = NORMAL")
        self._waits_for_disk = waits

    def begin_immediate(self) -> None:
        """Take SQLite's write lock, waiting for it up to the lock timeout; the caller keeps other threads out.

        SQLite's own busy handler retries after ever longer pauses, up to 0.1 s: with many writers one of them may wait
        for seconds while others come and go. Here the pauses are about as long as a transaction takes.
        """
        if self._open is not None and self.files.must_reopen(self._open):
            self._open.close()
            self._open = None
        raw = self.raw
        self.wait_for_disk(True)
        self._let_sqlite_wait(raw, 0.0)
        deadline, pause = 0.0, _FIRST_PAUSE
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as fault:
                if self._undo_left_open(raw):
                    continue
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

    def _undo_left_open(self, raw: sqlite3.Connection) -> bool:
        """Roll back a transaction that nobody is inside of any more, and say whether there was one."""
        if len(self.levels) > 1 or not raw.in_transaction:
            return False
        self.clear_caches()
        self.chain.undo(1)
        raw.execute("ROLLBACK")
        return True


_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()


def is_open_here(path: Path) -> bool:
    """Say whether a connection of this process has the file open that the path names now."""
    return any(each.holds(path) for each in list(_OPEN))

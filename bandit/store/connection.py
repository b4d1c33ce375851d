"""One SQLite connection: opened, checked, locked, with explicit transactions and errors in plain words."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bandit.errors import StoreError
from bandit.store.schema import APPLICATION_ID, VERSION, migrate, user_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

Durability = Literal["full", "process"]

_HEADER = b"SQLite format 3\x00"
_CACHE_KIB = 32_768

_WORDS = {
    sqlite3.SQLITE_BUSY: "is locked by another process; try again, or open it with a longer busy_timeout",
    sqlite3.SQLITE_LOCKED: "is locked by another use of this connection; finish that first",
    sqlite3.SQLITE_NOTADB: "is not a database; give the path of a store, or of a new file",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; make room and try again, nothing was written",
    sqlite3.SQLITE_READONLY: "is open for reading only; open it for writing, or make the file writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that the directory exists and may be written to",
    sqlite3.SQLITE_PERM: "may not be accessed; check its permissions",
    sqlite3.SQLITE_AUTH: "may not be accessed; check its permissions",
}


class Connection:
    """The one connection of a store; `lock` guards it, so that threads may share it."""

    def __init__(self, path: Path, durability: Durability, busy_timeout: float, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._busy_timeout = busy_timeout
        self.lock = threading.RLock()
        self._forget: list[Callable[[], None]] = []
        self._depth = 0
        _look_before_opening(path, read_only=read_only)
        with self.plain_words():
            mode = "ro" if read_only else "rwc"
            self.raw = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=busy_timeout,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            try:
                self._prepare(durability)
            except BaseException:
                self.raw.close()
                raise

    def on_rollback(self, forget: Callable[[], None]) -> None:
        """Call `forget` whenever something is rolled back: numbers that were given may be void."""
        self._forget.append(forget)

    def close(self) -> None:
        """Close; nothing happens the second time."""
        with self.lock:
            self.raw.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Write all or nothing; an inner transaction is a savepoint of the outer one."""
        return _Transaction(self)

    def begin(self) -> None:
        """Begin a transaction, or a savepoint within one; the caller has the lock."""
        self.raw.execute("SAVEPOINT inner_one" if self._depth else "BEGIN IMMEDIATE")
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
        except sqlite3.Error as fault:
            self.explain(fault)
            raise

    def explain(self, fault: BaseException) -> None:
        """Raise a StoreError of one sentence for what SQLite raises; nothing happens for any other fault."""
        if isinstance(fault, sqlite3.ProgrammingError):
            if "closed database" in str(fault):
                raise StoreError(f"{self.path}: the store is closed; open it again") from fault
        elif isinstance(fault, sqlite3.Error):
            code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
            words = _WORDS.get(code, f"could not be used, SQLite says: {fault}; see `doctor` for its state")
            raise StoreError(f"{self.path}: {words}") from fault

    def _switch_to_wal(self) -> str:
        """Ask for the write-ahead log until it is given: SQLite does not wait for this lock by itself."""
        deadline = time.monotonic() + self._busy_timeout
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
                    f"{self.path}: has version {version} of the schema, {VERSION} is needed; "
                    "open it once for writing, which brings it up to date"
                )
            return
        if self._switch_to_wal() != "wal":
            raise StoreError(f"{self.path}: cannot keep a write-ahead log there; use a local disk")
        raw.execute("PRAGMA synchronous = FULL" if durability == "full" else "PRAGMA synchronous = NORMAL")
        if version < VERSION:
            migrate(raw)


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


def wal_path(path: Path) -> Path:
    """Return where SQLite keeps the write-ahead log of a database."""
    return path.with_name(path.name + "-wal")


def file_size(path: Path) -> int:
    """Return the size in bytes, 0 where there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _look_before_opening(path: Path, *, read_only: bool) -> None:
    """Refuse what SQLite would answer in words of its own, or would not notice at once."""
    if path.is_dir():
        raise StoreError(f"{path}: is a directory; give the path of a file in it")
    if not path.exists():
        if read_only:
            raise StoreError(f"{path}: there is no such file; check the path")
        if not path.absolute().parent.is_dir():
            raise StoreError(f"{path}: its directory does not exist; create {path.absolute().parent} first")
        return
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as fault:
        raise StoreError(f"{path}: cannot be read ({fault.strerror}); check its permissions") from fault
    if header and not header.startswith(_HEADER):
        raise StoreError(f"{path}: is not a database; give the path of a store, or of a new file")
    # The header has the size of a page at byte 16 (1 stands for 65,536) and their number at byte 28. While a
    # write-ahead log is there, pages may rightly be missing from the file.
    page = int.from_bytes(header[16:18], "big")
    expected = (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    if file_size(path) < expected and not file_size(wal_path(path)):
        raise StoreError(
            f"{path}: is cut short, {file_size(path):,} of {expected:,} bytes are there; restore it from a backup"
        )

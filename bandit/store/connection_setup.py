"""Prepares a new SQLite connection: checks that the file is a store, sets the pragmas, migrates the schema."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Literal

from bandit.errors import StoreError
from bandit.store import schema
from bandit.store.schema.migrate import migrate
from bandit.store.sqlite_errors import is_busy

if TYPE_CHECKING:
    from pathlib import Path

Durability = Literal["full", "process"]

_CACHE_KIB = 32_768
_LOG_BYTES = 32 << 20

_PAGE_BYTES = 1_024
"""Size of the pages of a new database. A commit writes whole pages, and one visit changes about fifteen, so small pages
save most of what is written. With 512 bytes, files would be half as large again and slower to read."""

CHECKPOINT_BYTES = 4 << 20
"""Size of the write-ahead log at which its pages are copied to the database."""

_POSTPONED = 8
"""How many times that size the log may have where another connection sees to it."""


def prepare(
    raw: sqlite3.Connection, path: Path, durability: Durability, busy_timeout: float, *, read_only: bool, create: bool
) -> None:
    """Check and set up a connection; StoreError if the file is not a store that this program can use.

    With `create`, an empty file becomes one.
    """
    version = _checked_version(raw, path)
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("PRAGMA recursive_triggers = ON")  # without it, REPLACE would delete rows behind the guards
    raw.execute(f"PRAGMA cache_size = {-_CACHE_KIB:d}")
    if not (version or create):
        raise StoreError(f"{path}: is an empty file; import a log into it, or open an engine on it")
    if read_only:
        if version < schema.VERSION:
            raise StoreError(
                f"{path}: has version {version} of the schema, {schema.VERSION} is needed; open it once for writing "
                "(`offer-bandit verify` does), which keeps a copy and brings it up to date"
            )
        return
    raw.execute(f"PRAGMA page_size = {_PAGE_BYTES:d}")  # of a new file only
    if _switch_to_wal(raw, busy_timeout) != "wal":
        raise StoreError(f"{path}: cannot keep a write-ahead log there; use a local disk")
    # A long-lived reader lets the log grow; after the reader is gone, the log is cut to this size.
    raw.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES:d}")
    page_bytes = int(raw.execute("PRAGMA page_size").fetchone()[0])
    raw.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_BYTES // page_bytes:d}")
    raw.execute("PRAGMA synchronous = FULL" if durability == "full" else "PRAGMA synchronous = NORMAL")
    if version < schema.VERSION:
        migrate(raw, path)


def postpone_checkpoints(raw: sqlite3.Connection) -> None:
    """Let the commits of this connection copy the write-ahead log only where it has become far too large."""
    page_bytes = int(raw.execute("PRAGMA page_size").fetchone()[0])
    raw.execute(f"PRAGMA wal_autocheckpoint = {_POSTPONED * CHECKPOINT_BYTES // page_bytes:d}")


def _checked_version(raw: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema, 0 for an empty file; StoreError for a file of others or of a newer version."""
    raw.execute("BEGIN")  # one state for all three reads: another process may be creating the tables meanwhile
    n_objects = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = int(raw.execute("PRAGMA application_id").fetchone()[0])
    version = schema.user_version(raw)
    raw.execute("COMMIT")
    if application != schema.APPLICATION_ID and (n_objects or version or application):
        raise StoreError(f"{path}: is a database of another application; give the path of a store, or of a new file")
    if version > schema.VERSION:
        raise StoreError(
            f"{path}: has version {version} of the schema and this program knows {schema.VERSION}; "
            "install a newer offer-bandit"
        )
    return version


def _switch_to_wal(raw: sqlite3.Connection, busy_timeout: float) -> str:
    """Turn on the write-ahead log, and retry while the file is locked: SQLite does not wait for this lock by itself."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            return str(raw.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as fault:
            if not is_busy(fault) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)

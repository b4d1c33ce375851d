"""Copies a database to another file while other processes write, and verifies the copy."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bandit.domain import Progress
from bandit.errors import StoreError
from bandit.store.database_file import create_private, keep_mode, sync_directory
from bandit.store.schema import APPLICATION_ID
from bandit.store.schema.reported_progress import migration_progress

if TYPE_CHECKING:
    from pathlib import Path

PAGES_PER_STEP = 2_048
"""Pages copied in one step; others use the file between two steps."""

SUFFIX = ".backup"
"""Suffix of the copies that migrations make."""

PARTIAL = ".partial"
"""Suffix of a copy until it is complete."""

_BESIDE = ("", "-journal", "-wal", "-shm")
"""Suffixes of a database and of the files that SQLite puts beside it."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A finished copy: its path, its size in bytes, and the number of rows of each table.

    `recorded` says whether the backup was recorded in the journal of the database.
    """

    path: Path
    bytes: int
    rows: dict[str, int]
    recorded: bool = False


def copy_of(source: Path, target: Path, progress: Progress | None = None) -> BackupReport:
    """Copy one consistent state of a database with SQLite's online backup, and verify the copy.

    The copy gets its name only after its integrity is checked and each table has as many rows as the source. StoreError
    and no file if that fails. Its owner alone may read it; one that replaces a file keeps the permissions of that.
    """
    if not target.absolute().parent.is_dir():
        raise StoreError(f"{target}: its directory does not exist; create it first")
    partial = target.with_name(target.name + PARTIAL)
    try:
        _delete(partial)
        create_private(partial)
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as there,
            closing(sqlite3.connect(partial, isolation_level=None)) as copy,
        ):
            # An open transaction keeps the writes of others from restarting the copy.
            there.execute("BEGIN")
            expected = _rows(there)
            there.backup(
                copy,
                pages=PAGES_PER_STEP,
                progress=None if progress is None else lambda _, left, total: progress(total - left, total),
            )
            copy.execute("PRAGMA journal_mode = DELETE")  # a single file, without a log beside it
            found = [str(line) for (line,) in copy.execute("PRAGMA integrity_check(1)")]
            if found != ["ok"] or _rows(copy) != expected:
                raise StoreError(
                    f"{target}: the copy of {source} is not sound ({found[0]}), so it was not kept; look at "
                    f"{source} with `offer-bandit verify`"
                )
        keep_mode(partial, target)
        partial.replace(target)
        with contextlib.suppress(OSError):  # not every file system can; the copy is complete
            sync_directory(target.absolute().parent)
    except (sqlite3.Error, OSError) as fault:
        raise StoreError(
            f"{target}: the backup of {source} could not be made ({fault}); make room or name another place"
        ) from fault
    finally:
        _delete(partial)
    return BackupReport(target, target.stat().st_size, expected)


def before_migration(source: Path, version: int) -> Path:
    """Copy a database before its schema changes, to a file beside it with the version and the time (UTC) in its name.

    The caller holds the write lock, so no other migration is running: unfinished copies of earlier ones are deleted.
    """
    for old in beside(source, finished=False):
        _delete(old)
    stamp = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = source.with_name(f"{source.name}.version-{version}.{stamp}{SUFFIX}")
    try:
        return copy_of(source, target, migration_progress()).path
    except StoreError as fault:
        raise StoreError(
            f"{source}: has version {version} of the schema and stays as it is, since no backup could be made before "
            f"bringing it up to date: {fault}"
        ) from fault


def beside(source: Path, *, finished: bool = True) -> list[Path]:
    """Return the copies that migrations made beside a database, oldest first: the finished or the partial ones."""
    start, end = f"{source.name}.version-", SUFFIX if finished else SUFFIX + PARTIAL
    found = source.absolute().parent.iterdir()
    return sorted(path for path in found if path.name.startswith(start) and path.name.endswith(end))


def unfinished(folder: Path) -> list[Path]:
    """Return the unfinished copies of stores in a folder."""
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.absolute().glob(f"*{PARTIAL}") if _is_store(path))
    return []


def _is_store(path: Path) -> bool:
    """Say whether a file is a database with the application id of a store, at byte 68 of its header."""
    try:
        with path.open("rb") as file:
            header = file.read(72)
    except OSError:
        return False
    return header.startswith(b"SQLite format 3") and int.from_bytes(header[68:72], "big") == APPLICATION_ID


def _rows(raw: sqlite3.Connection) -> dict[str, int]:
    names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {name: int(raw.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0]) for name in names}  # noqa: S608


def _quoted(name: str) -> str:
    """Return a table's name quoted for SQL, as the file may come from anywhere."""
    return '"' + name.replace('"', '""') + '"'


def _delete(partial: Path) -> None:
    for mark in _BESIDE:
        try:
            partial.with_name(partial.name + mark).unlink(missing_ok=True)
        except OSError:  # nothing of ours can be in a directory that cannot be written
            return

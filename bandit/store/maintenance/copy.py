"""Copying a database to a file of its own while others write, and making sure of the copy."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bandit.domain import Progress
from bandit.errors import StoreError
from bandit.store.database_file import sync_directory
from bandit.store.schema import APPLICATION_ID

if TYPE_CHECKING:
    from pathlib import Path

PAGES = 2_048
"""Pages copied in one step: between two steps others get at the file."""

SUFFIX = ".backup"
"""How the names of the copies end that migrations make."""

PARTIAL = ".partial"
"""How the name of a copy ends until it is whole."""

_BESIDE = ("", "-journal", "-wal", "-shm")
"""What SQLite adds to the name of a database for its own files, and the database itself."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A copy that was made and checked: where it is, its size in bytes, and the rows of each of its tables.

    `recorded` says whether the database could note the backup among its upkeep.
    """

    path: Path
    bytes: int
    rows: dict[str, int]
    recorded: bool = False


def copy_of(source: Path, target: Path, progress: Progress | None = None) -> BackupReport:
    """Copy one consistent state of a database, by SQLite's online backup, and read the copy to its end.

    The copy appears under its name only when its integrity is checked and each table has as many rows as the state
    that was copied. StoreError, and no file, where it cannot be made.
    """
    if not target.absolute().parent.is_dir():
        raise StoreError(f"{target}: its directory does not exist; create it first")
    partial = target.with_name(target.name + PARTIAL)
    try:
        _remove(partial)
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as there,
            closing(sqlite3.connect(partial, isolation_level=None)) as copy,
        ):
            # Held open, so that what others write meanwhile does not make the copy begin anew.
            there.execute("BEGIN")
            expected = _rows(there)
            there.backup(
                copy,
                pages=PAGES,
                progress=None if progress is None else lambda _, left, total: progress(total - left, total),
            )
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
            found = [str(line) for (line,) in copy.execute("PRAGMA integrity_check(1)")]
            if found != ["ok"] or _rows(copy) != expected:
                raise StoreError(
                    f"{target}: the copy of {source} is not sound ({found[0]}), so it was not kept; look at "
                    f"{source} with `offer-bandit verify`"
                )
        partial.replace(target)
        with contextlib.suppress(OSError):  # not every file system can; the copy is whole
            sync_directory(target.absolute().parent)
    except (sqlite3.Error, OSError) as fault:
        raise StoreError(
            f"{target}: the backup of {source} could not be made ({fault}); make room or name another place"
        ) from fault
    finally:
        _remove(partial)
    return BackupReport(target, target.stat().st_size, expected)


def before_migration(source: Path, version: int) -> Path:
    """Copy a database beside itself before its schema changes; the name says the version and the time (UTC).

    The caller holds the write lock; so what an earlier migration left unfinished is nobody's, and goes.
    """
    for old in beside(source, whole=False):
        _remove(old)
    stamp = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = source.with_name(f"{source.name}.version-{version}.{stamp}{SUFFIX}")
    try:
        return copy_of(source, target).path
    except StoreError as fault:
        raise StoreError(
            f"{source}: has version {version} of the schema and stays as it is, since no backup could be made before "
            f"bringing it up to date: {fault}"
        ) from fault


def beside(source: Path, *, whole: bool = True) -> list[Path]:
    """Return the backups that migrations made beside a database, oldest first; else those left unfinished."""
    start, end = f"{source.name}.version-", SUFFIX if whole else SUFFIX + PARTIAL
    found = source.absolute().parent.iterdir()
    return sorted(path for path in found if path.name.startswith(start) and path.name.endswith(end))


def unfinished(folder: Path) -> list[Path]:
    """Return the copies of stores in a folder whose making was ended early."""
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.absolute().glob(f"*{PARTIAL}") if _is_ours(path))
    return []


def _is_ours(path: Path) -> bool:
    """Say whether a file is a database with our mark, which stands at byte 68 of its header."""
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
    """Return a table's name as SQL has it; the file may be anybody's."""
    return '"' + name.replace('"', '""') + '"'


def _remove(partial: Path) -> None:
    for mark in _BESIDE:
        try:
            partial.with_name(partial.name + mark).unlink(missing_ok=True)
        except OSError:  # a directory that cannot be written to has nothing of ours
            return

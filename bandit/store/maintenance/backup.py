"""Makes backups on request: checked, recorded in the journal, and possible without the customer key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from bandit.domain import Progress
from bandit.errors import StoreError
from bandit.store.chain.links import Chain
from bandit.store.database_file import file_size, wal_path
from bandit.store.maintenance.copy import BackupReport, copy_of
from bandit.store.maintenance.journal import record
from bandit.store.schema import APPLICATION_ID

if TYPE_CHECKING:
    from pathlib import Path


def backup(source: Path, target: Path, *, force: bool = False, progress: Progress | None = None) -> BackupReport:
    """Copy a store to a file; StoreError if the file exists, unless `force`.

    Needs no customer key and changes no schema. The run is recorded in the database if that can be written.
    """
    _require_store(source)
    if target.exists():
        if target.samefile(source):
            raise StoreError(f"{target}: is the database itself; name another file for the backup")
        if not force:
            raise StoreError(f"{target}: exists already; name a new file for the backup, or overwrite it with --force")
    # SQLite would take a log at that place for the log of the copy.
    for log in (wal_path(target), target.with_name(target.name + "-journal")):
        if file_size(log):
            raise StoreError(
                f"{target}: {log.name} lies beside it, so a database of that name is in use or was not closed; name "
                "another file for the backup"
            )
    made = copy_of(source, target, progress)
    return replace(made, recorded={"upkeep", "chain"} <= set(made.rows) and _recorded(source, made))


def _recorded(source: Path, made: BackupReport) -> bool:
    """Record a backup in the journal of its database, and say whether that succeeded."""
    try:
        with closing(
            sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0, isolation_level=None)
        ) as raw:
            raw.execute("BEGIN IMMEDIATE")
            chain = Chain()
            record(raw, chain, "backup", {"file": str(made.path.absolute()), "bytes": made.bytes})
            chain.write(raw)
            raw.execute("COMMIT")
    except sqlite3.Error:
        return False
    return True


def _require_store(source: Path) -> None:
    """StoreError if the file is not a store, or cannot be read."""
    try:
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as raw:
            ours = raw.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    except sqlite3.Error as fault:
        raise StoreError(f"{source}: cannot be read ({fault}); give the path of a store") from fault
    if not ours:
        raise StoreError(f"{source}: is not a store; give the path of one")

"""Counting what is there, and copying the file while it is used."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.errors import StoreError
from bandit.store.catalogues import spec_text
from bandit.store.connection import file_size, wal_path
from bandit.store.rows import UNKNOWN_POLICY, Counts

if TYPE_CHECKING:
    from bandit.store.connection import Connection


def counts(connection: Connection) -> Counts:
    """Return how much is in the store."""
    with connection.reading() as raw:
        row = raw.execute(
            "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM events), "
            "(SELECT count(*) FROM customers), (SELECT count(*) FROM catalogues), "
            "(SELECT count(*) FROM policies WHERE spec <> ?), "
            "(SELECT min(time) FROM decisions), (SELECT max(time) FROM decisions)",
            (spec_text(UNKNOWN_POLICY),),
        ).fetchone()
    decisions, events, customers, catalogues, policies, first_time, last_time = row
    return Counts(
        decisions=decisions,
        events=events,
        customers=customers,
        catalogues=catalogues,
        policies=policies,
        first_time=first_time,
        last_time=last_time,
        file_bytes=file_size(connection.path),
        wal_bytes=file_size(wal_path(connection.path)),
    )


def backup(connection: Connection, path: str | Path) -> None:
    """Copy a consistent state to a new file; writers go on meanwhile. StoreError where the file exists."""
    target = Path(path)
    if target.exists():
        raise StoreError(f"{target}: exists already; name a new file for the backup")
    if not target.absolute().parent.is_dir():
        raise StoreError(f"{target}: its directory does not exist; create it first")
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        # A connection of its own reads for the copy, so that the store's is free for decisions.
        with (
            connection.plain_words(),
            closing(sqlite3.connect(f"{connection.path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(partial)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)

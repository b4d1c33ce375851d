"""Migrates a database to the current schema, after copying it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from bandit.store import schema
from bandit.store.maintenance.copy import before_migration

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a database to `schema.VERSION`: a new one in one transaction, an older one a migration at a time.

    An older database is copied first. If the process dies, the file is at one version or the next. StoreError, and
    nothing changed, when the copy cannot be made.
    """
    # While a table is built anew, what refers to it refers to nothing; this can be set outside of transactions only.
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        copied_to = _migrate(connection, path)
    finally:
        connection.execute("PRAGMA foreign_keys = ON")
    if copied_to is not None:
        warnings.warn(
            f"{path} now has version {schema.VERSION} of the schema; as it was before, it is kept in {copied_to}: "
            "delete that file once the migrated database works, and whenever a customer in it is to be erased",
            stacklevel=2,
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Do what `migrate` does, and return the copy that was made of an older database."""
    import sqlite_utils  # noqa: PLC0415 - it loads pandas where that is installed, which readers of files do not need

    db = sqlite_utils.Database(connection, execute_plugins=False)
    copied_to = None
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Read under the write lock: another process may have migrated while this one waited for it.
            version = schema.user_version(connection)
            if version and version < schema.VERSION and copied_to is None:
                copied_to = before_migration(path, version)
            # A new database must not be visible half made, as it would look like one of an older version.
            upto = version + 1 if version else schema.VERSION
            for migration in schema.MIGRATIONS[version:upto]:
                migration(db)
            if version < schema.VERSION:
                connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID:d}")
                connection.execute(f"PRAGMA user_version = {upto:d}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if upto >= schema.VERSION:
            return copied_to

"""The schema of the database: numbered migrations that only go forward, and the views for people.

A migration is a module `mNNN_name` with a docstring and a function `apply(db)`. To add one, write the next number's
module, append its `apply` to `MIGRATIONS`, and store a database of the version before it as a test fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.store.schema import (
    m001_initial,
    m002_outcome_weights,
    m003_leases_and_journal,
    m004_rollout_and_repeats,
    m005_weights_imports_carried,
    m006_learned_stages,
    m007_chain,
    m008_commits_and_customers,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import sqlite_utils

APPLICATION_ID = 0x0FFE4B0A
"""Marks a file as a store in its header (PRAGMA application_id)."""

MIGRATIONS: tuple[Callable[[sqlite_utils.Database], None], ...] = (
    m001_initial.apply,
    m002_outcome_weights.apply,
    m003_leases_and_journal.apply,
    m004_rollout_and_repeats.apply,
    m005_weights_imports_carried.apply,
    m006_learned_stages.apply,
    m007_chain.apply,
    m008_commits_and_customers.apply,
)
"""Migration i takes a database from version i to i + 1; a published one never changes."""

VERSION = len(MIGRATIONS)
"""The version of the schema that this program reads and writes (PRAGMA user_version)."""


def user_version(connection: sqlite3.Connection) -> int:
    """Return the version of a database's schema, 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

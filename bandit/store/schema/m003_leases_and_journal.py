"""Migration 3: leases, the journal of maintenance runs (table `upkeep`), and the columns that deletion needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils

_LEASES = """
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT
"""

_JOURNAL = """
CREATE TABLE upkeep (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    time INTEGER NOT NULL,
    details TEXT NOT NULL CHECK (json_valid(details))
) STRICT
"""


def apply(db: sqlite_utils.Database) -> None:
    """Add the tables of leases and of maintenance runs, an index by customer, and the base of each policy's fold.

    `base_step` is the step whose state a rebuild starts from: 0, or the step that a retention run kept. `decides_from`
    is the first step whose state is still the one that decided; a refit after a deletion invalidates those before.
    """
    db.execute(_LEASES)
    db.execute(_JOURNAL)
    db.execute("CREATE INDEX decisions_by_customer ON decisions (customer_id)")
    db.execute("ALTER TABLE policies ADD COLUMN base_step INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE policies ADD COLUMN decides_from INTEGER NOT NULL DEFAULT 0")

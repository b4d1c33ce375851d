"""Migration 2: an outcome can be learned in part, with a weight between 0 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils


def apply(db: sqlite_utils.Database) -> None:
    """Add the weight with which an outcome was learned, and how far each level of it was reached.

    Rows learned before this migration were learned with weight 1. `levels` and `to_levels` are JSON lists of times;
    NULL where a policy has not looked at open decisions yet.
    """
    db.execute("ALTER TABLE learned ADD COLUMN weight REAL NOT NULL DEFAULT 1.0 CHECK (weight > 0 AND weight <= 1)")
    db.execute("ALTER TABLE learned ADD COLUMN was_weight REAL CHECK (was_weight > 0 AND was_weight <= 1)")
    db.execute("ALTER TABLE learning_reach ADD COLUMN levels TEXT")
    db.execute("ALTER TABLE learning_reach ADD COLUMN to_levels TEXT")

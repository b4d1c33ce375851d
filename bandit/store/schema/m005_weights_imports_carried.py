"""Migration 5: the weights of decisions, the files that were imported, and the policies that took over a belief."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils

# A decision without a row here has weight 1.
_WEIGHTS = """
CREATE TABLE decision_weights (
    seq INTEGER PRIMARY KEY REFERENCES decisions(seq),
    weight REAL NOT NULL CHECK (weight > 0)
) STRICT
"""

_IMPORTS = """
CREATE TABLE imports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    file TEXT NOT NULL,
    digest TEXT NOT NULL,
    catalogue_id INTEGER NOT NULL REFERENCES catalogues(id),
    n_rows INTEGER NOT NULL CHECK (n_rows >= 0),
    n_imported INTEGER NOT NULL CHECK (n_imported >= 0),
    n_repeated INTEGER NOT NULL CHECK (n_repeated >= 0),
    n_refused INTEGER NOT NULL CHECK (n_refused >= 0),
    details TEXT NOT NULL CHECK (json_valid(details))
) STRICT
"""

_CARRIED = """
CREATE TABLE carried_policies (
    policy_id INTEGER PRIMARY KEY REFERENCES policies(id),
    from_policy_id INTEGER NOT NULL REFERENCES policies(id),
    from_step INTEGER NOT NULL CHECK (from_step >= 0),
    time INTEGER NOT NULL,
    details TEXT NOT NULL CHECK (json_valid(details))
) STRICT
"""

_EXTENSIONS = """
CREATE TABLE catalogue_extensions (
    catalogue_id INTEGER PRIMARY KEY REFERENCES catalogues(id),
    extends INTEGER NOT NULL REFERENCES catalogues(id)
) STRICT
"""

_GUARDS = (
    """
CREATE TRIGGER decision_weights_keep_update BEFORE UPDATE ON decision_weights
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'decision_weights is append-only: the weight of a decision cannot be changed'); END
""",
    """
CREATE TRIGGER decision_weights_keep_delete BEFORE DELETE ON decision_weights
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'decision_weights is append-only: the weight of a decision cannot be deleted'); END
""",
)


def apply(db: sqlite_utils.Database) -> None:
    """Add the four tables; weights are append-only like decisions, and an erasure deletes those of its decisions."""
    for statement in (_WEIGHTS, _IMPORTS, _CARRIED, _EXTENSIONS, *_GUARDS):
        db.execute(statement)

"""Migration 5: weights of decisions, imported files, beliefs taken over, changed states, and which events count."""

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

# Steps whose states are others than those that decided, since an erasure took a customer out of them.
_CHANGED = """
CREATE TABLE changed_states (
    policy_id INTEGER NOT NULL REFERENCES policies(id),
    first_step INTEGER NOT NULL CHECK (first_step >= 0),
    last_step INTEGER NOT NULL CHECK (last_step >= first_step),
    PRIMARY KEY (policy_id, first_step, last_step)
) STRICT, WITHOUT ROWID
"""

# The version of which this one is an extension by options and combinations that an imported log has besides.
_EXTENDS = "ALTER TABLE catalogues ADD COLUMN extends INTEGER REFERENCES catalogues(id)"

# An event before its decision is no consequence of it.
_COUNTED_EVENTS = """
SELECT e.id, e.seq, e.event, e.time, e.revenue, e.reward, e.event = c.objective_event AS converts
FROM events e
JOIN decisions d ON d.seq = e.seq
JOIN catalogues c ON c.id = d.catalogue_id
WHERE e.time BETWEEN d.time AND d.time + c.objective_window
    AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
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
    """Add the four tables, and leave events before their decision out of the view of the events that count.

    Weights are append-only like decisions, and an erasure deletes those of its decisions. Catalogues get the number of
    the version that they extend.
    """
    for statement in (_WEIGHTS, _IMPORTS, _CARRIED, _CHANGED, _EXTENDS, *_GUARDS):
        db.execute(statement)
    db.create_view("counted_events", _COUNTED_EVENTS, replace=True)

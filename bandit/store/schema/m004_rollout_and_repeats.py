"""Migration 4: the log of roll-out changes, the arms that served decisions, and repeats of decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils

# AUTOINCREMENT, so that a number is never used twice: engines remember the newest one that they have seen.
_CHANGES = """
CREATE TABLE rollout_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    author TEXT NOT NULL CHECK (author <> ''),
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL CHECK (json_valid(state))
) STRICT
"""

_ARMS = """
CREATE TABLE decision_arms (
    seq INTEGER PRIMARY KEY REFERENCES decisions(seq),
    change_id INTEGER NOT NULL REFERENCES rollout_changes(id),
    arm TEXT NOT NULL,
    mixture TEXT NOT NULL CHECK (json_valid(mixture)),
    shadow_offer INTEGER CHECK (shadow_offer >= 0),
    shadow_propensity REAL CHECK (shadow_propensity > 0 AND shadow_propensity <= 1),
    CHECK ((shadow_offer IS NULL) = (shadow_propensity IS NULL))
) STRICT
"""

# `through` is the number of the newest event that was known when the original was looked up.
_REPEATS = """
CREATE TABLE repeats (
    decision_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL REFERENCES decisions(seq),
    time INTEGER NOT NULL,
    context TEXT NOT NULL CHECK (json_valid(context)),
    through INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""

_GUARDS = (
    """
CREATE TRIGGER rollout_changes_keep_update BEFORE UPDATE ON rollout_changes
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'rollout_changes is append-only: a change of the roll-out cannot be changed'); END
""",
    """
CREATE TRIGGER rollout_changes_keep_delete BEFORE DELETE ON rollout_changes
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'rollout_changes is append-only: a change of the roll-out cannot be deleted'); END
""",
    """
CREATE TRIGGER decision_arms_keep_update BEFORE UPDATE ON decision_arms
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'decision_arms is append-only: what served a decision cannot be changed'); END
""",
    """
CREATE TRIGGER decision_arms_keep_delete BEFORE DELETE ON decision_arms
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'decision_arms is append-only: what served a decision cannot be deleted'); END
""",
    """
CREATE TRIGGER repeats_keep_update BEFORE UPDATE ON repeats
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'repeats is append-only: a repeat of a decision cannot be changed'); END
""",
    """
CREATE TRIGGER repeats_keep_delete BEFORE DELETE ON repeats
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'repeats is append-only: a repeat of a decision cannot be deleted'); END
""",
)


def apply(db: sqlite_utils.Database) -> None:
    """Add the three tables, append-only like decisions; an erasure deletes those of the decisions that it deletes."""
    for statement in (_CHANGES, _ARMS, _REPEATS):
        db.execute(statement)
    db.execute("CREATE INDEX repeats_by_decision ON repeats (seq)")
    for guard in _GUARDS:
        db.execute(guard)

"""Migration 8: fewer pages a commit: numbers without a counter of SQLite's, and steps of learning without row numbers.

A number is still never used twice: a deletion notes the last numbers before it removes rows (`bandit.store.numbers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.store.numbers import NUMBERED, last_number, note_number

if TYPE_CHECKING:
    import sqlite_utils

_COUNTER = "SELECT seq FROM sqlite_sequence WHERE name = ?"
_DROP_COUNTER = "DELETE FROM sqlite_sequence WHERE name = ?"

# The word changes nothing in how rows are stored, so the statement is all there is to change: tables of any size are
# done at once.
_WITHOUT_COUNTER = """
UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER PRIMARY KEY AUTOINCREMENT', 'INTEGER PRIMARY KEY')
WHERE type = 'table' AND name = ?
"""

_KEEP_STEPS = "CREATE TEMP TABLE kept_steps AS SELECT policy_id, step, n, state_hash, recorded_at FROM policy_steps"
_DROP_STEPS = "DROP TABLE policy_steps"
_STEPS = """
CREATE TABLE policy_steps (
    policy_id INTEGER NOT NULL REFERENCES policies(id),
    step INTEGER NOT NULL,
    n INTEGER NOT NULL,
    state_hash TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (policy_id, step)
) STRICT, WITHOUT ROWID
"""
_TAKE_STEPS = "INSERT INTO policy_steps SELECT * FROM kept_steps ORDER BY policy_id, step"
_DROP_KEPT = "DROP TABLE kept_steps"


def apply(db: sqlite_utils.Database) -> None:
    """Take the counters out of three tables, and build the table of steps anew; references must not be enforced."""
    raw = db.conn
    for table in NUMBERED:
        counter = raw.execute(_COUNTER, (table,)).fetchone()
        if counter is not None and counter[0] > last_number(raw, table):  # the last rows were deleted
            note_number(raw, table, int(counter[0]))
    raw.execute("PRAGMA writable_schema = ON")
    for table in NUMBERED:
        raw.execute(_WITHOUT_COUNTER, (table,))
    raw.execute("PRAGMA writable_schema = RESET")
    for table in NUMBERED:
        raw.execute(_DROP_COUNTER, (table,))
    for statement in (_KEEP_STEPS, _DROP_STEPS, _STEPS, _TAKE_STEPS, _DROP_KEPT):
        raw.execute(statement)

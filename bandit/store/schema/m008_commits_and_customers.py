"""Migration 8: fewer pages a commit, and what policies have learned of single customers, by the customer's key.

Numbers have no counter of SQLite's, and steps of learning no row numbers.

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


# Empty until a policy knows very many customers.
_EFFECTS = """
CREATE TABLE customer_effects (
    policy_id INTEGER NOT NULL REFERENCES policies(id),
    customer TEXT NOT NULL,
    number INTEGER NOT NULL,
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    factors BLOB NOT NULL,
    PRIMARY KEY (policy_id, customer)
) STRICT, WITHOUT ROWID
"""

# Processes decide with states a few steps apart: each reads a row as it was in its own state.
_REPLACED = """
CREATE TABLE replaced_customer_effects (
    policy_id INTEGER NOT NULL REFERENCES policies(id),
    customer TEXT NOT NULL,
    replaced_at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    factors BLOB NOT NULL,
    PRIMARY KEY (policy_id, customer, replaced_at)
) STRICT, WITHOUT ROWID
"""

_REPLACED_INDEX = "CREATE INDEX replaced_customer_effects_at ON replaced_customer_effects (policy_id, replaced_at)"

_REACH = """
CREATE TABLE customer_effects_reach (
    policy_id INTEGER PRIMARY KEY REFERENCES policies(id),
    saved INTEGER NOT NULL,
    oldest INTEGER NOT NULL
) STRICT
"""


def apply(db: sqlite_utils.Database) -> None:
    """Take the counters out of three tables, and build the table of steps anew; references must not be enforced.

    Add the tables of customers' effects.
    """
    raw = db.conn
    for table in NUMBERED:
        counter = raw.execute(_COUNTER, (table,)).fetchone()
        if counter is not None and counter[0] > last_number(raw, table):  # the last rows were deleted
            note_number(raw, table, int(counter[0]))
    db.execute("PRAGMA writable_schema = ON")
    for table in NUMBERED:
        db.execute(_WITHOUT_COUNTER, (table,))
    db.execute("PRAGMA writable_schema = RESET")
    for table in NUMBERED:
        db.execute(_DROP_COUNTER, (table,))
    for statement in (
        _KEEP_STEPS,
        _DROP_STEPS,
        _STEPS,
        _TAKE_STEPS,
        _DROP_KEPT,
        _EFFECTS,
        _REPLACED,
        _REPLACED_INDEX,
        _REACH,
    ):
        db.execute(statement)

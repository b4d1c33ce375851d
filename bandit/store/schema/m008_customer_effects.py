"""Migration 8: what policies have learned of single customers, by the customer's key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils

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
    """Add the tables, which are empty until a policy knows very many customers."""
    for statement in (_EFFECTS, _REPLACED, _REPLACED_INDEX, _REACH):
        db.execute(statement)

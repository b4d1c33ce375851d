"""Migration 1: the catalogues, customers, decisions, events and the ledger of learning, with their guards and views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.store.schema import views

if TYPE_CHECKING:
    import sqlite_utils

_META = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID
"""

# AUTOINCREMENT, so that a number is never used twice: learning remembers how far it has looked by these numbers, and
# would miss a row that took the number of an erased one.
_CUSTOMERS = """
CREATE TABLE customers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE
) STRICT
"""

_ELIGIBLE_SETS = """
CREATE TABLE eligible_sets (
    id INTEGER PRIMARY KEY,
    catalogue_id INTEGER NOT NULL REFERENCES catalogues(id),
    digest BLOB NOT NULL,
    bits BLOB NOT NULL,
    removals TEXT CHECK (removals IS NULL OR json_valid(removals)),
    UNIQUE (catalogue_id, digest)
) STRICT
"""

_DECISIONS = """
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    decision_id TEXT NOT NULL UNIQUE,
    time INTEGER NOT NULL,
    customer_id INTEGER NOT NULL REFERENCES customers(id),
    catalogue_id INTEGER NOT NULL REFERENCES catalogues(id),
    policy_id INTEGER REFERENCES policies(id),
    policy_step INTEGER NOT NULL CHECK (policy_step >= 0),
    eligible_set_id INTEGER NOT NULL REFERENCES eligible_sets(id),
    offer INTEGER NOT NULL CHECK (offer >= 0),
    propensity REAL NOT NULL CHECK (propensity > 0 AND propensity <= 1),
    grp TEXT NOT NULL,
    position INTEGER NOT NULL,
    seed TEXT,
    batch TEXT,
    fault TEXT,
    context TEXT NOT NULL,
    probabilities BLOB
) STRICT
"""

_EVENTS = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    seq INTEGER NOT NULL REFERENCES decisions(seq),
    event_id TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 0),
    event TEXT NOT NULL,
    time INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    revenue REAL,
    reward REAL,
    corrects INTEGER REFERENCES events(id),
    UNIQUE (seq, event_id, version),
    CHECK ((version = 0) = (corrects IS NULL))
) STRICT
"""

_LEARNED = """
CREATE TABLE learned (
    policy_id INTEGER NOT NULL,
    step INTEGER NOT NULL,
    seq INTEGER NOT NULL REFERENCES decisions(seq),
    converted INTEGER NOT NULL,
    revenue REAL NOT NULL,
    value REAL NOT NULL,
    restated INTEGER NOT NULL CHECK (restated IN (0, 1)),
    was_converted INTEGER,
    was_revenue REAL,
    was_value REAL,
    through INTEGER NOT NULL,
    PRIMARY KEY (policy_id, step, seq),
    FOREIGN KEY (policy_id, step) REFERENCES policy_steps(policy_id, step)
) STRICT, WITHOUT ROWID
"""

# A row named "erasing" in meta lifts the guards; the transaction that writes it also deletes it.
_GUARDS = (
    """
CREATE TRIGGER decisions_keep_update BEFORE UPDATE ON decisions
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'decisions are append-only: a decision that was made cannot be changed'); END
""",
    """
CREATE TRIGGER decisions_keep_delete BEFORE DELETE ON decisions
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'decisions are append-only: a decision that was made cannot be deleted'); END
""",
    """
CREATE TRIGGER events_keep_update BEFORE UPDATE ON events
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'events are append-only: record a correction in place of changing an event'); END
""",
    """
CREATE TRIGGER events_keep_delete BEFORE DELETE ON events
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'events are append-only: record a correction in place of deleting an event'); END
""",
    """
CREATE TRIGGER learned_keep_update BEFORE UPDATE ON learned
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'what was learned is append-only: a rebuild needs it as it was'); END
""",
    """
CREATE TRIGGER learned_keep_delete BEFORE DELETE ON learned
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'erasing')
BEGIN SELECT RAISE(ABORT, 'what was learned is append-only: a rebuild needs it as it was'); END
""",
)


def apply(db: sqlite_utils.Database) -> None:
    """Create all tables, indices, triggers and views; in SQL what sqlite-utils cannot express."""
    _create_catalogues(db)
    _create_log(db)
    _create_ledger(db)
    for guard in _GUARDS:
        db.execute(guard)
    db.create_view("event_log", views.EVENT_LOG)
    db.create_view("counted_events", views.COUNTED_EVENTS)
    db.create_view("decision_log", views.DECISION_LOG)


def _create_catalogues(db: sqlite_utils.Database) -> None:
    db.execute(_META)
    db.create_table(
        "catalogues",
        {
            "id": int,
            "version": str,
            "name": str,
            "n_offers": int,
            "objective_event": str,
            "objective_window": int,
            "content": str,
        },
        pk="id",
        not_null=("version", "name", "n_offers", "objective_event", "objective_window", "content"),
        strict=True,
    )
    db.table("catalogues").create_index(["version"], "catalogues_by_version", unique=True)
    db.create_table(
        "offers",
        {"catalogue_id": int, "offer": int, "options": str},
        pk=("catalogue_id", "offer"),
        foreign_keys=[("catalogue_id", "catalogues", "id")],
        not_null=("options",),
        strict=True,
    )
    db.create_table(
        "policies",
        {"id": int, "catalogue_id": int, "spec": str},
        pk="id",
        foreign_keys=[("catalogue_id", "catalogues", "id")],
        not_null=("catalogue_id", "spec"),
        strict=True,
    )
    db.table("policies").create_index(["catalogue_id", "spec"], "policies_by_spec", unique=True)


def _create_log(db: sqlite_utils.Database) -> None:
    db.execute(_CUSTOMERS)
    db.execute(_ELIGIBLE_SETS)
    db.execute(_DECISIONS)
    db.table("decisions").create_index(["time"], "decisions_by_time")
    db.execute(_EVENTS)
    # Holds corrections alone, so that asking whether an event is current costs next to nothing.
    db.execute("CREATE UNIQUE INDEX events_by_corrects ON events (corrects) WHERE corrects IS NOT NULL")


def _create_ledger(db: sqlite_utils.Database) -> None:
    db.create_table(
        "policy_steps",
        {"policy_id": int, "step": int, "n": int, "state_hash": str, "recorded_at": int},
        pk=("policy_id", "step"),
        foreign_keys=[("policy_id", "policies", "id")],
        not_null=("n", "state_hash", "recorded_at"),
        strict=True,
    )
    db.create_table(
        "snapshots",
        {"policy_id": int, "step": int, "state": bytes},
        pk=("policy_id", "step"),
        foreign_keys=[("policy_id", "policies", "id")],
        not_null=("state",),
        strict=True,
    )
    db.execute(_LEARNED)
    db.execute("CREATE INDEX learned_by_decision ON learned (policy_id, seq, step)")
    db.create_table(
        "learning_reach",
        {
            "policy_id": int,
            "criterion": str,
            "event": int,
            "seq": int,
            "time": int,
            "to_event": int,
            "to_seq": int,
            "to_time": int,
            "position": int,
        },
        pk="policy_id",
        foreign_keys=[("policy_id", "policies", "id")],
        not_null=("criterion", "event", "seq", "time"),
        strict=True,
    )

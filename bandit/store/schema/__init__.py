"""The schema, as numbered migrations that only go forward, and the views for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlite_utils

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

APPLICATION_ID = 0x0FFE4B0A
"""Marks a file as ours in its header (PRAGMA application_id)."""

_META = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID
"""

# AUTOINCREMENT, so that a number is never given twice: learning remembers how far it has looked by these numbers,
# and would miss a row that took the number of one that was erased.
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

# A row named "erasing" in meta lifts the guards; whoever writes it deletes it in the same transaction.
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

_EVENT_LOG = """
SELECT e.id, d.decision_id, e.event_id, e.event,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1e6, 'unixepoch') AS time,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.recorded_at / 1e6, 'unixepoch') AS recorded_at,
    e.revenue, e.reward, e.corrects,
    NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id) AS current
FROM events e JOIN decisions d ON d.seq = e.seq
"""

_COUNTED_EVENTS = """
SELECT e.id, e.seq, e.event, e.time, e.revenue, e.reward, e.event = c.objective_event AS converts
FROM events e
JOIN decisions d ON d.seq = e.seq
JOIN catalogues c ON c.id = d.catalogue_id
WHERE e.time <= d.time + c.objective_window AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
"""

_DECISION_LOG = """
SELECT d.decision_id,
    strftime('%Y-%m-%dT%H:%M:%fZ', d.time / 1e6, 'unixepoch') AS time,
    k.key AS customer, c.name AS catalogue, c.version AS catalogue_version,
    o.options AS offer, d.propensity, d.grp AS "group", d.policy_id AS policy, d.policy_step AS step,
    d.context, d.fault,
    (SELECT count(*) FROM counted_events e WHERE e.seq = d.seq) AS events,
    (SELECT COALESCE(sum(e.converts), 0) > 0 AND NOT (COALESCE(min(e.revenue), 0) < 0 AND sum(e.revenue) <= 1e-6)
        FROM counted_events e WHERE e.seq = d.seq) AS converted,
    (SELECT COALESCE(sum(e.revenue), 0) FROM counted_events e WHERE e.seq = d.seq) AS revenue
FROM decisions d
JOIN customers k ON k.id = d.customer_id
JOIN catalogues c ON c.id = d.catalogue_id
LEFT JOIN offers o ON o.catalogue_id = d.catalogue_id AND o.offer = d.offer
"""


def _first(db: sqlite_utils.Database) -> None:
    """Create everything; sqlite-utils where it can say it, SQL for checks, composite keys and triggers."""
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
    db.execute(_CUSTOMERS)
    db.execute(_ELIGIBLE_SETS)
    db.execute(_DECISIONS)
    db.table("decisions").create_index(["time"], "decisions_by_time")
    db.execute(_EVENTS)
    # Only corrections are in it, so that asking whether an event is current costs next to nothing.
    db.execute("CREATE UNIQUE INDEX events_by_corrects ON events (corrects) WHERE corrects IS NOT NULL")
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
    for guard in _GUARDS:
        db.execute(guard)
    db.create_view("event_log", _EVENT_LOG)
    db.create_view("counted_events", _COUNTED_EVENTS)
    db.create_view("decision_log", _DECISION_LOG)


def _weights(db: sqlite_utils.Database) -> None:
    """Remember how much of an outcome was learned; what was learned before this had a meaning was learned whole.

    `levels` and `to_levels` are JSON lists of times; NULL where a learner has not looked at open decisions.
    """
    db.execute("ALTER TABLE learned ADD COLUMN weight REAL NOT NULL DEFAULT 1.0 CHECK (weight > 0 AND weight <= 1)")
    db.execute("ALTER TABLE learned ADD COLUMN was_weight REAL CHECK (was_weight > 0 AND was_weight <= 1)")
    db.execute("ALTER TABLE learning_reach ADD COLUMN levels TEXT")
    db.execute("ALTER TABLE learning_reach ADD COLUMN to_levels TEXT")


_LEASES = """
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT
"""

_UPKEEP = """
CREATE TABLE upkeep (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    time INTEGER NOT NULL,
    details TEXT NOT NULL CHECK (json_valid(details))
) STRICT
"""


def _upkeep(db: sqlite_utils.Database) -> None:
    """Make room for leases and for the record of upkeep; find a customer's decisions without reading them all.

    `base_step` is the step whose state the ledger's fold begins from: 0, or the one that a retention run kept.
    `decides_from` is the first step whose state is still the one that decided; a refit leaves those before behind.
    """
    db.execute(_LEASES)
    db.execute(_UPKEEP)
    db.execute("CREATE INDEX decisions_by_customer ON decisions (customer_id)")
    db.execute("ALTER TABLE policies ADD COLUMN base_step INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE policies ADD COLUMN decides_from INTEGER NOT NULL DEFAULT 0")


MIGRATIONS: tuple[Callable[[sqlite_utils.Database], None], ...] = (_first, _weights, _upkeep)
"""Migration i takes a database from version i to i + 1; a published one never changes."""

VERSION = len(MIGRATIONS)
"""The version this code reads and writes (PRAGMA user_version)."""


def user_version(connection: sqlite3.Connection) -> int:
    """Return the version of a database, 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

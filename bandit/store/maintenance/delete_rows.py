"""Deletes decisions with everything that refers to them, and replaces the states of the policies that learned them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.errors import StoreError
from bandit.store.chain.kinds import CUSTOMERS, DECISIONS, EVENTS, REPEATS, SETS, STATES, STEPS
from bandit.store.learning.ledger import state_hash
from bandit.store.numbers import note_last_numbers
from bandit.store.tables.customer_effects import replace_all

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

    from bandit.domain.customer_rows import CustomerRows
    from bandit.store.chain.deletion import DeletedPlaces

_QUERIES = {
    "customer": "SELECT seq FROM decisions WHERE customer_id = :value",
    "before": "SELECT seq FROM decisions WHERE time < :value",
}

_SETS = "SELECT DISTINCT eligible_set_id FROM decisions WHERE seq IN ({})"

# Batches that lose some of their decisions: the random generator of a batch is seeded with all of its ids, so the rest
# cannot be recomputed, and the batch is named after one of its ids.
_UNSET_BATCH = "UPDATE decisions SET seed = NULL, batch = NULL WHERE seq = ?"

_IN_BATCHES = """
SELECT seq FROM decisions
WHERE batch IN (SELECT DISTINCT batch FROM decisions WHERE seq IN ({0}) AND policy_id IS NOT NULL)
    AND policy_id IS NOT NULL AND seq NOT IN ({0})
"""

# The same for few decisions, without a look at all others: the numbers of a batch, written at once, follow each other.
_IN_FEW_BATCHES = """
SELECT DISTINCT o.seq
FROM (
    SELECT DISTINCT batch, seq - position AS first FROM decisions
    WHERE seq IN ({0}) AND policy_id IS NOT NULL AND batch IS NOT NULL
) d CROSS JOIN decisions o ON o.seq BETWEEN d.first AND d.first + 8191 AND o.batch = d.batch
WHERE o.policy_id IS NOT NULL AND o.seq NOT IN ({0})
ORDER BY o.seq
"""
_FEW = 2_000
"""Decisions whose batches are looked for around them."""
_REPEATED = "SELECT DISTINCT seq FROM repeats WHERE seq IN ({})"
_EVENTS = "SELECT id FROM events WHERE seq IN ({})"
_LEARNED_IN = "SELECT DISTINCT policy_id, step FROM learned WHERE seq IN ({})"
_CUSTOMERS_OF = "SELECT DISTINCT customer_id FROM decisions WHERE seq IN ({})"
_DELETE_CUSTOMER = """
DELETE FROM customers WHERE id = ? AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.customer_id = customers.id)
RETURNING id
"""
_USED_SETS = "SELECT DISTINCT eligible_set_id FROM decisions"
_LATE_SETS = "SELECT DISTINCT eligible_set_id FROM decisions WHERE seq > (SELECT MAX(seq) FROM decisions) - 100000"


@dataclass(frozen=True, slots=True)
class DeletionTarget:
    """The decisions to delete: those of one customer, by number, or those made before a time (microseconds)."""

    customer: int | None = None
    before: int | None = None

    @property
    def query(self) -> str:
        """The statement that selects the numbers of these decisions, with one parameter, `value`."""
        return _QUERIES["before" if self.customer is None else "customer"]

    @property
    def value(self) -> int:
        """The parameter of `query`."""
        return int((self.before if self.customer is None else self.customer) or 0)


@dataclass(frozen=True, slots=True)
class StateReplacement:
    """The states that replace those of a policy in a deletion.

    `seen` is the newest step when they were computed, and `state` the state after the step that follows it; None resets
    the policy to its beginning. A rebuild starts from `base`, the state after `base_step`; decisions made with a state
    before `decides_from` cannot be recomputed, nor those made with one of a step from `changed_from` to `seen`. `first`
    replaces the state before anything was learned. `customers` are the update that `state` is of and the rows of its
    customers, where they are stored by key.
    """

    policy_id: int
    seen: int
    state: bytes | None
    base_step: int = 0
    base: bytes | None = None
    decides_from: int = 0
    first: bytes | None = None
    changed_from: int | None = None
    customers: tuple[int, CustomerRows] | None = None


@dataclass(frozen=True, slots=True)
class DeletionCounts:
    """Numbers of deleted rows."""

    decisions: int
    events: int
    customers: int


def count(raw: sqlite3.Connection, target: DeletionTarget) -> DeletionCounts:
    """Return how many rows a deletion would delete."""
    row = raw.execute(
        f"SELECT (SELECT count(*) FROM ({target.query})), "  # noqa: S608 - assembled from constants
        f"(SELECT count(*) FROM events WHERE seq IN ({target.query})), "
        f"(SELECT count(*) FROM (SELECT DISTINCT customer_id AS id FROM decisions WHERE seq IN ({target.query})) c "
        f"WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE d.customer_id = c.id AND d.seq NOT IN ({target.query})))",
        {"value": target.value},
    ).fetchone()
    return DeletionCounts(*row)


def delete_rows(raw: sqlite3.Connection, target: DeletionTarget, places: DeletedPlaces) -> DeletionCounts:
    """Delete decisions with all that refers to them, and customers and eligible sets left without decisions.

    All of them, and the rows that change, are noted in `places`.
    """
    value = {"value": target.value}
    note_last_numbers(raw)
    places.add(DECISIONS, _numbers(raw, target.query, value))
    n_decisions = raw.execute(f"SELECT count(*) FROM ({target.query})", value).fetchone()[0]  # noqa: S608 - constants
    others = _numbers(raw, (_IN_FEW_BATCHES if n_decisions <= _FEW else _IN_BATCHES).format(target.query), value)
    leaving = _numbers(raw, _CUSTOMERS_OF.format(target.query), value)
    places.add(DECISIONS, others, changed=True)
    places.add(REPEATS, _numbers(raw, _REPEATED.format(target.query), value))
    places.add(EVENTS, _numbers(raw, _EVENTS.format(target.query), value))
    places.add_steps(STEPS, raw.execute(_LEARNED_IN.format(target.query), value), changed=True)
    raw.executemany(_UNSET_BATCH, [(seq,) for seq in others])
    sets = {row[0] for row in raw.execute(_SETS.format(target.query), value)}
    for (policy_id,) in raw.execute("SELECT id FROM policies").fetchall():
        for table in ("learned", "learned_stages"):
            raw.execute(
                f"DELETE FROM {table} WHERE policy_id = :policy AND seq IN ({target.query})",  # noqa: S608
                value | {"policy": policy_id},
            )
    for table in ("decision_arms", "decision_weights", "repeats"):
        raw.execute(f"DELETE FROM {table} WHERE seq IN ({target.query})", value)  # noqa: S608 - one of three names
    n_events = raw.execute(f"DELETE FROM events WHERE seq IN ({target.query})", value).rowcount  # noqa: S608
    n_decisions = raw.execute(f"DELETE FROM decisions WHERE seq IN ({target.query})", value).rowcount  # noqa: S608
    customers = [number for each in leaving for (number,) in raw.execute(_DELETE_CUSTOMER, (each,))]
    places.add(CUSTOMERS, customers)
    places.add(SETS, _delete_unused_sets(raw, sets))
    return DeletionCounts(n_decisions, n_events, len(customers))


def _numbers(raw: sqlite3.Connection, query: str, value: Mapping[str, int] | tuple[()] = ()) -> list[int]:
    return [row[0] for row in raw.execute(query, value)]


def _delete_unused_sets(raw: sqlite3.Connection, sets: set[int]) -> set[int]:
    """Delete the sets that no decision uses any more, and return them; never the last, whose number would be reused."""
    last = raw.execute("SELECT COALESCE(MAX(id), 0) FROM eligible_sets").fetchone()[0]
    unused = sets - {last}
    for statement in (_LATE_SETS, _USED_SETS):  # most sets are found among the latest decisions
        if unused:
            unused -= set(_numbers(raw, statement))
    raw.executemany("DELETE FROM eligible_sets WHERE id = ?", [(number,) for number in unused])
    return unused


def replace_states(raw: sqlite3.Connection, new: StateReplacement, path: Path, places: DeletedPlaces) -> None:
    """Replace the states of a policy, noted in `places`; StoreError if it has learned since they were computed."""
    policy, now = new.policy_id, time.time_ns() // 1_000
    newest = raw.execute("SELECT MAX(step) FROM policy_steps WHERE policy_id = ?", (policy,)).fetchone()[0]
    if newest != new.seen:
        raise StoreError(
            f"{path}: policy {policy} learned while its state was recomputed, so nothing was removed; "
            "stop what learns, or give the command again"
        )
    places.add_policy(raw, policy, begins_anew=new.state is None)
    replace_all(raw, policy, *((0, None) if new.customers is None else new.customers))
    if new.state is None:
        for table in ("learned_stages", "learned", "snapshots", "policy_steps", "learning_reach", "changed_states"):
            raw.execute(f"DELETE FROM {table} WHERE policy_id = ?", (policy,))  # noqa: S608 - one of six names
        raw.execute("UPDATE policies SET base_step = 0, decides_from = 0 WHERE id = ?", (policy,))
        return
    raw.execute(
        "UPDATE policy_steps SET n = (SELECT count(*) FROM learned l WHERE l.policy_id = policy_steps.policy_id AND "
        "l.step = policy_steps.step), state_hash = CASE WHEN step > 0 THEN '' ELSE state_hash END WHERE policy_id = ?",
        (policy,),
    )
    raw.execute("DELETE FROM snapshots WHERE policy_id = ? AND step > 0", (policy,))
    if new.first is not None:
        _store_state(raw, policy, 0, new.first)
    if new.base is not None and new.base_step > 0:
        _store_state(raw, policy, new.base_step, new.base)
    raw.execute(
        "INSERT INTO policy_steps (policy_id, step, n, state_hash, recorded_at) VALUES (?, ?, 0, '', ?)",
        (policy, new.seen + 1, now),
    )
    places.add_steps(STEPS, [(policy, new.seen + 1)], changed=True)
    places.add_steps(STATES, [(policy, new.seen + 1)], changed=True)
    _store_state(raw, policy, new.seen + 1, new.state)
    if new.changed_from is not None:
        raw.execute("DELETE FROM changed_states WHERE policy_id = ? AND first_step >= ?", (policy, new.changed_from))
        raw.execute("INSERT INTO changed_states VALUES (?, ?, ?)", (policy, new.changed_from, new.seen))
    raw.execute(
        "UPDATE policies SET base_step = ?, decides_from = ? WHERE id = ?",
        (new.base_step, new.decides_from, policy),
    )


def _store_state(raw: sqlite3.Connection, policy_id: int, step: int, state: bytes) -> None:
    """Store a state and its hash."""
    raw.execute("INSERT OR REPLACE INTO snapshots (policy_id, step, state) VALUES (?, ?, ?)", (policy_id, step, state))
    raw.execute(
        "UPDATE policy_steps SET state_hash = ? WHERE policy_id = ? AND step = ?", (state_hash(state), policy_id, step)
    )

"""The ledger of learning: what each policy has learned, step by step, and the states after it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.catalogue.objective import bounded_amounts
from bandit.domain import BoolArray, FloatArray
from bandit.errors import StoreError
from bandit.store.chain.kinds import REACH, STATES, STEPS, stored_outcomes
from bandit.store.learning.due_outcomes import DueCriterion, DueOutcomes
from bandit.store.learning.one_outcome import OneDue
from bandit.store.learning.records import DueColumns, PolicyStep, Snapshot
from bandit.store.learning.set_aside import SetAside, without
from bandit.store.tables.learned_stages import stages_as_learned, take_over_stages, write_stages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bandit.store.connection import Connection
    from bandit.store.tables.decision_reader import DecisionReader


_INSERT = """
INSERT INTO learned (
    policy_id, step, seq, weight, converted, revenue, value, restated, was_weight, was_converted, was_revenue,
    was_value, through
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_INSERT_STEP = "INSERT INTO policy_steps (policy_id, step, n, state_hash, recorded_at) VALUES (?, ?, ?, ?, ?)"

_AS_LEARNED = """
SELECT seq, converted, revenue, value, restated, COALESCE(was_converted, 0), COALESCE(was_revenue, 0.0),
    COALESCE(was_value, 0.0), through, weight, COALESCE(was_weight, restated)
FROM learned WHERE policy_id = ? AND step = ? ORDER BY seq
"""

_TAKE_OVER = """
INSERT INTO learned (policy_id, step, seq, weight, converted, revenue, value, restated, through)
SELECT :policy, 0, l.seq, l.weight, l.converted, l.revenue, l.value, 0, l.through
FROM learned l
WHERE l.policy_id = :other
    AND l.step = (SELECT MAX(m.step) FROM learned m WHERE m.policy_id = :other AND m.seq = l.seq)
    AND l.seq NOT IN (SELECT value FROM json_each(:aside))
"""

_TAKE_OVER_ONE = """
INSERT INTO learned (policy_id, step, seq, weight, converted, revenue, value, restated, through)
SELECT :policy, 0, l.seq, l.weight, l.converted, l.revenue, l.value, 0, l.through
FROM learned l WHERE l.policy_id = :other AND l.seq = :seq AND l.step = :step
"""


def state_hash(state: bytes) -> str:
    """Return the hash of a policy's state: blake2b-128 in hex (RFC 7693)."""
    return hashlib.blake2b(state, digest_size=16).hexdigest()


class Ledger:
    """The tables `policy_steps`, `learned`, `learned_stages`, `snapshots` and `learning_reach`."""

    def __init__(self, connection: Connection, reader: DecisionReader) -> None:
        self._connection = connection
        self._reader = reader
        self._due = DueOutcomes(connection, reader)
        self.set_aside = SetAside(connection)

    def share_delays(self, other: Ledger) -> None:
        """Use the estimates of the conversion delay that another connection to the same store has made."""
        self._due.delays.share(other._due.delays)

    def few_due(
        self, policy_id: int, criterion: DueCriterion, now: int, limit: int, at_step: int | None = None
    ) -> DueColumns | OneDue | None:
        """Return what `due` returns if it is less than `limit` and found at once, else None.

        A single outcome is returned as plain values. None, too, where the policy's newest step is not `at_step`.
        """
        return self._due.few(policy_id, criterion, now, limit, at_step)

    def due(
        self,
        policy_id: int,
        objective_event: str,
        window: int,
        now: int,
        *,
        limit: int = 65_536,
        counts_at_once: bool = False,
        silent: tuple[str, ...] = (),
        activation: str | None = None,
        stages: tuple[str, ...] = (),
    ) -> DueColumns:
        """Return the next outcomes that a policy should learn or relearn, by decision number, at most `limit`.

        With `counts_at_once` a decision with a revenue or a reward is settled before its window ends. Decisions of the
        groups in `silent` are left out, and with `activation` those without an event of that name. `stages` are the
        objective's.
        """
        criterion = DueCriterion(objective_event, window, counts_at_once, silent, activation, stages)
        return self._due.next(policy_id, criterion, now, limit)

    def record_step(
        self,
        policy_id: int,
        step: int,
        rows: DueColumns | None,
        digest: str,
        snapshot: bytes | None,
        *,
        begins: bool = False,
    ) -> None:
        """Store what a step learned and the state after it, in one transaction; StoreError for a gap in the steps.

        Without a snapshot, the state follows from the previous snapshot and the steps since; the digest may be empty.
        With `begins`, the caller writes what step 0 has learned, and adds the step to the chain.
        """
        if snapshot is not None and state_hash(snapshot) != digest:
            raise StoreError("the hash of a policy's state is not that of its bytes; use bandit.store.state_hash")
        with self._connection.transaction():
            latest = self.latest_step(policy_id)
            expected = 0 if latest is None else latest + 1
            if step != expected:
                raise StoreError(
                    f"policy {policy_id} expects step {expected} and was given step {step}; "
                    "another process has learned meanwhile, or a step was left out: open the engine again"
                )
            self.append_step(policy_id, step, rows, digest)
            if step == 0 and rows is None and not begins:
                self._connection.chain.add_stored(self._connection.raw, STEPS, 0, owner=policy_id)
            if snapshot is not None:
                self._replace_snapshot(policy_id, step, snapshot)

    def append_step(
        self, policy_id: int, step: int, rows: DueColumns | OneDue | None, digest: str = "", *, small: bool = False
    ) -> None:
        """Write what the next step learned, inside the caller's transaction; its state follows from the steps.

        How far a `small` step looked is written once in a while only.
        """
        raw, chain = self._connection.raw, self._connection.chain
        recorded_at = time.time_ns() // 1_000
        raw.execute(_INSERT_STEP, (policy_id, step, 0 if rows is None else len(rows), digest, recorded_at))
        if isinstance(rows, OneDue):
            row = rows.learned_row(policy_id, step)
            raw.execute(_INSERT, row)
            chain.add_one(STEPS, (policy_id, step, recorded_at, (row[2:],), ()))
        elif rows is not None:
            raw.executemany(_INSERT, _learned_rows(policy_id, step, rows))
            write_stages(raw, policy_id, step, rows)
        if rows is not None and rows.scan is not None and self._due.learned(raw, policy_id, rows.scan, in_memory=small):
            chain.add_stored(raw, REACH, policy_id)
        if (step or rows is not None) and not isinstance(rows, OneDue):
            chain.add_one(STEPS, (policy_id, step, recorded_at, *stored_outcomes(raw, policy_id, step)))
        if digest:
            chain.add_one(STATES, (policy_id, step, digest))

    def record_first_step(self, policy_id: int, parts: Iterable[DueColumns], digest: str, snapshot: bytes) -> None:
        """Store the state that a policy begins with, and what that state has learned already, in one transaction."""
        with self._connection.transaction():
            self.record_step(policy_id, 0, None, digest, snapshot, begins=True)
            raw, n = self._connection.raw, 0
            for rows in parts:
                raw.executemany(_INSERT, _learned_rows(policy_id, 0, rows))
                write_stages(raw, policy_id, 0, rows)
                n += len(rows)
            raw.execute("UPDATE policy_steps SET n = ? WHERE policy_id = ? AND step = 0", (n, policy_id))
            self._connection.chain.add_stored(raw, STEPS, 0, owner=policy_id)

    def record_carried_step(self, policy_id: int, from_policy_id: int, digest: str, snapshot: bytes) -> int:
        """Store the state that a policy takes over from another, and that it has learned what the other one has.

        Of each decision the other policy's newest outcome counts, so that a later change of it updates what was taken
        over, once. All is written in one transaction; the number of decisions is returned.
        """
        with self._connection.transaction():
            self.record_step(policy_id, 0, None, digest, snapshot, begins=True)
            raw = self._connection.raw
            aside = self.set_aside.learned_before(from_policy_id)
            given = {"policy": policy_id, "other": from_policy_id, "aside": json_list(seq for seq, _ in aside)}
            n = int(raw.execute(_TAKE_OVER, given).rowcount)
            for seq, newest in aside:
                n += int(raw.execute(_TAKE_OVER_ONE, given | {"seq": seq, "step": newest}).rowcount)
            take_over_stages(raw, policy_id, from_policy_id)
            raw.execute("UPDATE policy_steps SET n = ? WHERE policy_id = ? AND step = 0", (n, policy_id))
            self._connection.chain.add_stored(raw, STEPS, 0, owner=policy_id)
        return n

    def candidates(self) -> frozenset[int]:
        """Return the policies that joined the store with a state that had learned its log already, elsewhere."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT policies.id FROM policies CROSS JOIN policy_steps s ON s.policy_id = policies.id "
                "WHERE s.step = 0 AND s.n > 0 AND policies.id NOT IN (SELECT policy_id FROM carried_policies)"
            ).fetchall()
        return frozenset(int(row[0]) for row in rows)

    def save_state(self, policy_id: int, step: int, state: bytes) -> bool:
        """Write the state after the newest step; False, and nothing written, if that is another step."""
        with self._connection.transaction():
            if self.latest_step(policy_id) != step:
                return False
            self._replace_snapshot(policy_id, step, state)
            self._connection.raw.execute(
                "UPDATE policy_steps SET state_hash = ? WHERE policy_id = ? AND step = ?",
                (state_hash(state), policy_id, step),
            )
            self._connection.chain.add_stored(self._connection.raw, STATES, step, owner=policy_id)
        return True

    def _replace_snapshot(self, policy_id: int, step: int, state: bytes) -> None:
        """Write a state in place of all but the first one and the base."""
        raw = self._connection.raw
        raw.execute(
            "DELETE FROM snapshots WHERE policy_id = ?1 AND step > 0 "
            "AND step <> (SELECT base_step FROM policies WHERE id = ?1)",
            (policy_id,),
        )
        raw.execute("INSERT INTO snapshots (policy_id, step, state) VALUES (?, ?, ?)", (policy_id, step, state))

    def repair_snapshot(self, policy_id: int, step: int, state: bytes, *, unreadable: bool = False) -> bool:
        """Replace the newest snapshot by the state after the newest step if it is damaged; say whether it was.

        It is replaced as well where the caller found that it is `unreadable`, though it is as it was written.
        """
        with self._connection.transaction():
            stored = self.snapshot(policy_id, newest=True)
            sound = stored is not None and (not stored.state_hash or state_hash(stored.state) == stored.state_hash)
            if (sound and not unreadable) or self.latest_step(policy_id) != step:
                return False
            raw = self._connection.raw
            if stored is not None:
                raw.execute("DELETE FROM snapshots WHERE policy_id = ? AND step = ?", (policy_id, stored.step))
            raw.execute(
                "INSERT INTO snapshots (policy_id, step, state) VALUES (?1, ?2, ?3) "
                "ON CONFLICT (policy_id, step) DO UPDATE SET state = excluded.state",
                (policy_id, step, state),
            )
            raw.execute(
                "UPDATE policy_steps SET state_hash = ? WHERE policy_id = ? AND step = ?",
                (state_hash(state), policy_id, step),
            )
            self._connection.chain.add_stored(self._connection.raw, STATES, step, owner=policy_id)
            return True

    def steps(self, policy_id: int) -> tuple[PolicyStep, ...]:
        """Return all steps of a policy, in order."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT step, n, state_hash FROM policy_steps WHERE policy_id = ? ORDER BY step", (policy_id,)
            ).fetchall()
        return tuple(PolicyStep(*row) for row in rows)

    def latest_step(self, policy_id: int) -> int | None:
        """Return the number of the newest step, None before the first one."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT MAX(step) FROM policy_steps WHERE policy_id = ?", (policy_id,)).fetchone()
        return None if row[0] is None else int(row[0])

    def learned_rows(self, policy_id: int, step: int, objective_event: str, window: int) -> DueColumns:
        """Return the outcomes of a step as they were learned, so that a rebuild learns the same batches.

        Those that the step set aside are left out.
        """
        with self._connection.reading() as raw:
            rows = raw.execute(_AS_LEARNED, (policy_id, step)).fetchall()
            columns = list(zip(*rows, strict=True)) or [()] * 11
            seq, last = (np.array(columns[place], dtype=np.int64) for place in (0, 8))
            converted, is_update, previous_converted = (np.array(columns[place], dtype=np.bool_) for place in (1, 4, 5))
            revenue, value, previous_revenue, previous_value, weight, previous_weight = (
                np.array(columns[place], dtype=np.float64) for place in (2, 3, 6, 7, 9, 10)
            )
            revenue, value, previous_revenue, previous_value = map(
                bounded_amounts, (revenue, value, previous_revenue, previous_value)
            )
            decisions = self._reader.by_seq(seq, objective_event, window)
            if len(decisions) != len(seq):
                raise StoreError(
                    f"{self._connection.path}: step {step} of policy {policy_id} learned from {len(seq)} decisions and "
                    f"{len(decisions)} of them can be read, so the file is damaged; restore it from a backup"
                )
            stage, previous_stage = stages_as_learned(raw, policy_id, step, seq)
        learned = replace(decisions, converted=converted, revenue=revenue, value=value, last_event_id=last)
        found = DueColumns(
            learned,
            weight,
            is_update,
            previous_weight,
            previous_converted,
            previous_revenue,
            previous_value,
            None,
            stage,
            previous_stage,
        )
        return without(found, self.set_aside.in_step(policy_id, step))

    def snapshot(self, policy_id: int, *, newest: bool) -> Snapshot | None:
        """Return the newest snapshot, or with `newest` false the one that a rebuild starts from."""
        with self._connection.reading() as raw:
            row = raw.execute(
                "SELECT s.step, s.state, p.state_hash FROM snapshots s "
                "JOIN policy_steps p ON p.policy_id = s.policy_id AND p.step = s.step "
                "WHERE s.policy_id = ? AND (? OR s.step = (SELECT base_step FROM policies WHERE id = s.policy_id)) "
                "ORDER BY s.step DESC LIMIT 1",
                (policy_id, newest),
            ).fetchone()
        return None if row is None else Snapshot(*row)


def json_list(numbers: Iterable[int]) -> str:
    """Return whole numbers as the JSON text that SQLite's `json_each` reads."""
    return msgspec.json.encode(list(numbers)).decode()


def _learned_rows(policy_id: int, step: int, rows: DueColumns) -> zip[tuple[object, ...]]:
    """Return the rows of the table `learned`; the previous outcome is NULL where nothing was learned before."""
    decisions, is_update = rows.decisions, rows.is_update

    def before(column: BoolArray | FloatArray) -> list[object]:
        values = column.astype(object)
        values[~is_update] = None
        return list(values)

    return zip(
        repeat(policy_id),
        repeat(step),
        decisions.seq.tolist(),
        rows.weight.tolist(),
        decisions.converted.tolist(),
        decisions.revenue.tolist(),
        decisions.value.tolist(),
        is_update.tolist(),
        before(rows.previous_weight),
        before(rows.previous_converted),
        before(rows.previous_revenue),
        before(rows.previous_value),
        decisions.last_event_id.tolist(),
    )  # fmt: skip

"""The ledger of learning: what a learner has learned, step by step, and what is due."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.errors import StoreError
from bandit.store.learning.conversion_delay import WEIGHTS
from bandit.store.learning.delays import Delays
from bandit.store.learning.due_scan import CHUNK, NOWHERE, candidates, is_large, keep_reach, reach_row
from bandit.store.records import DueColumns, Reach, Snapshot, Step, Sweep, concatenate

if TYPE_CHECKING:
    import sqlite3

    from bandit.store.connection import Connection
    from bandit.store.learning.due_scan import ReachRow
    from bandit.store.tables.decision_reader import DecisionReader


_LAST_LEARNED = """
SELECT l.seq, l.weight, l.converted, l.revenue, l.value
FROM json_each(:seqs) j CROSS JOIN learned l ON l.policy_id = :policy_id AND l.seq = j.value
WHERE l.step = (SELECT MAX(m.step) FROM learned m WHERE m.policy_id = :policy_id AND m.seq = j.value)
"""

_INSERT = """
INSERT INTO learned (
    policy_id, step, seq, weight, converted, revenue, value, restated, was_weight, was_converted, was_revenue,
    was_value, through
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_AS_LEARNED = """
SELECT seq, converted, revenue, value, restated, COALESCE(was_converted, 0), COALESCE(was_revenue, 0.0),
    COALESCE(was_value, 0.0), through, weight, COALESCE(was_weight, restated)
FROM learned WHERE policy_id = ? AND step = ? ORDER BY seq
"""


def state_hash(state: bytes) -> str:
    """Return the hash that names a policy's state: blake2b-128 in hex (RFC 7693)."""
    return hashlib.blake2b(state, digest_size=16).hexdigest()


class Ledger:
    """The tables `policy_steps`, `learned`, `snapshots` and `learning_reach`."""

    def __init__(self, connection: Connection, reader: DecisionReader) -> None:
        self._connection = connection
        self._reader = reader
        self._delays = Delays(connection)
        # A sweep that found nothing is remembered here and not in the file, so that asking never writes.
        self._idle: dict[int, tuple[tuple[str, ReachRow | None], Reach]] = {}
        connection.on_rollback(self._idle.clear)

    def due(
        self,
        policy_id: int,
        objective_event: str,
        window: int,
        now: int,
        *,
        limit: int = 65_536,
        counts_at_once: bool = False,
    ) -> DueColumns:
        """Return the next decisions that this learner should learn or learn anew, by number, at most `limit`."""
        criterion = msgspec.json.encode([objective_event, window, counts_at_once]).decode()
        with self._connection.reading() as raw:
            while True:
                row = reach_row(raw, policy_id, criterion)
                ages = None if counts_at_once else self._delays.level_ages(objective_event, window, now)
                levels = NOWHERE.levels if ages is None else tuple((now - ages).tolist())
                sweep, resumed = self._open_sweep(raw, policy_id, criterion, row, now - window - 1, levels)
                parts: list[DueColumns] = []
                missing, walks, ahead = limit, is_large(sweep), limit
                while missing > 0:
                    seqs = candidates(raw, sweep, ahead, walks=walks)
                    ahead = min(2 * ahead, max(limit, CHUNK))
                    if not len(seqs):
                        sweep = replace(sweep, complete=True)
                        break
                    part = self._due_among(
                        raw, policy_id, seqs, objective_event, window, now, missing, sweep.target.levels,
                        counts_at_once=counts_at_once,
                    )  # fmt: skip
                    full = len(part) == missing
                    sweep = replace(sweep, position=int((part.decisions.seq if full else seqs)[-1]))
                    missing -= len(part)
                    parts += [part] if len(part) else []
                if parts or not sweep.complete:
                    return replace(concatenate(parts), sweep=sweep)
                self._idle[policy_id] = ((criterion, row), sweep.target)
                if not resumed:
                    return replace(self._none(objective_event, window), sweep=sweep)
                # The rest of a sweep begun earlier had nothing: look at what came since it began.

    def record_step(
        self, policy_id: int, step: int, rows: DueColumns | None, digest: str, snapshot: bytes | None
    ) -> None:
        """Write what a step learned and the state after it, in one transaction; StoreError for a gap in the steps.

        Without a snapshot the state is that of the snapshot before and the steps since; the digest may then be empty.
        """
        if snapshot is not None and state_hash(snapshot) != digest:
            raise StoreError("the hash of a policy's state is not that of its bytes; use bandit.store.state_hash")
        connection, raw = self._connection, self._connection.raw
        with connection.transaction():
            latest = self.latest_step(policy_id)
            expected = 0 if latest is None else latest + 1
            if step != expected:
                raise StoreError(
                    f"policy {policy_id} goes on with step {expected} and step {step} came; "
                    "another process has learned meanwhile, or a step was left out: open the engine again"
                )
            raw.execute(
                "INSERT INTO policy_steps (policy_id, step, n, state_hash, recorded_at) VALUES (?, ?, ?, ?, ?)",
                (policy_id, step, 0 if rows is None else len(rows), digest, time.time_ns() // 1_000),
            )
            if rows is not None:
                raw.executemany(_INSERT, _learned_rows(policy_id, step, rows))
                if rows.sweep is not None:
                    keep_reach(raw, policy_id, rows.sweep)
            if snapshot is not None:
                raw.execute(
                    "DELETE FROM snapshots WHERE policy_id = ?1 AND step > 0 "
                    "AND step <> (SELECT base_step FROM policies WHERE id = ?1)",
                    (policy_id,),
                )
                raw.execute(
                    "INSERT INTO snapshots (policy_id, step, state) VALUES (?, ?, ?)", (policy_id, step, snapshot)
                )

    def mend_snapshot(self, policy_id: int, step: int, state: bytes) -> bool:
        """Put the state after the newest step in the place of a newest one that is damaged; say whether it was."""
        with self._connection.transaction():
            kept = self.snapshot(policy_id, newest=True)
            sound = kept is not None and (not kept.state_hash or state_hash(kept.state) == kept.state_hash)
            if sound or self.latest_step(policy_id) != step:
                return False
            raw = self._connection.raw
            if kept is not None:
                raw.execute("DELETE FROM snapshots WHERE policy_id = ? AND step = ?", (policy_id, kept.step))
            raw.execute(
                "INSERT INTO snapshots (policy_id, step, state) VALUES (?1, ?2, ?3) "
                "ON CONFLICT (policy_id, step) DO UPDATE SET state = excluded.state",
                (policy_id, step, state),
            )
            raw.execute(
                "UPDATE policy_steps SET state_hash = ? WHERE policy_id = ? AND step = ?",
                (state_hash(state), policy_id, step),
            )
            return True

    def steps(self, policy_id: int) -> tuple[Step, ...]:
        """Return all steps of a learner, in order."""
        with self._connection.reading() as raw:
            rows = raw.execute(
                "SELECT step, n, state_hash FROM policy_steps WHERE policy_id = ? ORDER BY step", (policy_id,)
            ).fetchall()
        return tuple(Step(*row) for row in rows)

    def latest_step(self, policy_id: int) -> int | None:
        """Return the number of the newest step, None before the first."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT MAX(step) FROM policy_steps WHERE policy_id = ?", (policy_id,)).fetchone()
        return None if row[0] is None else int(row[0])

    def learned_rows(self, policy_id: int, step: int, objective_event: str, window: int) -> DueColumns:
        """Return what a step learned as it was then, so that a rebuild folds the same batches."""
        with self._connection.reading() as raw:
            rows = raw.execute(_AS_LEARNED, (policy_id, step)).fetchall()
            columns = list(zip(*rows, strict=True)) or [()] * 11
            seq, last = (np.array(columns[place], dtype=np.int64) for place in (0, 8))
            converted, is_update, previous_converted = (np.array(columns[place], dtype=np.bool_) for place in (1, 4, 5))
            revenue, value, previous_revenue, previous_value, weight, previous_weight = (
                np.array(columns[place], dtype=np.float64) for place in (2, 3, 6, 7, 9, 10)
            )
            decisions = self._reader.these(seq, objective_event, window)
        learned = replace(decisions, converted=converted, revenue=revenue, value=value, last_event_id=last)
        return DueColumns(
            learned, weight, is_update, previous_weight, previous_converted, previous_revenue, previous_value, None
        )

    def snapshot(self, policy_id: int, *, newest: bool) -> Snapshot | None:
        """Return the newest state that is kept, or the one that the ledger's fold begins from."""
        with self._connection.reading() as raw:
            row = raw.execute(
                "SELECT s.step, s.state, p.state_hash FROM snapshots s "
                "JOIN policy_steps p ON p.policy_id = s.policy_id AND p.step = s.step "
                "WHERE s.policy_id = ? AND (? OR s.step = (SELECT base_step FROM policies WHERE id = s.policy_id)) "
                "ORDER BY s.step DESC LIMIT 1",
                (policy_id, newest),
            ).fetchone()
        return None if row is None else Snapshot(*row)

    def _open_sweep(
        self,
        raw: sqlite3.Connection,
        policy_id: int,
        criterion: str,
        row: ReachRow | None,
        settled: int,
        levels: tuple[int, ...],
    ) -> tuple[Sweep, bool]:
        """Return the sweep that was begun, or a new one up to now, and whether it was begun before."""
        start = NOWHERE if row is None else row[0]
        idle = self._idle.get(policy_id)
        if idle is not None and idle[0] == (criterion, row):
            start = idle[1]
        elif row is not None and row[2] is not None:
            return Sweep(criterion, start, row[1], row[2], complete=False), True
        last = raw.execute(
            "SELECT (SELECT COALESCE(MAX(id), 0) FROM events), (SELECT COALESCE(MAX(seq), 0) FROM decisions)"
        ).fetchone()
        return Sweep(criterion, start, Reach(last[0], last[1], settled, levels), 0, complete=False), False

    def _due_among(
        self,
        raw: sqlite3.Connection,
        policy_id: int,
        seqs: IntArray,
        objective_event: str,
        window: int,
        now: int,
        limit: int,
        levels: tuple[int, ...],
        *,
        counts_at_once: bool,
    ) -> DueColumns:
        came = self._reader.outcomes(seqs, objective_event, window)
        previous_weight, previous_converted, previous_revenue, previous_value = _last_learned(raw, policy_id, seqs)
        time = self._reader.times(seqs)
        settled = came.converted | came.closed | (time + window < now)
        if counts_at_once:
            settled |= came.valued
        n_levels = (time[:, None] <= np.array(levels)).sum(axis=1)
        # What was learned in full may be taken back, but is never again open: a weight does not fall.
        weight = np.maximum(np.where(settled, 1.0, WEIGHTS[n_levels]), previous_weight)
        is_update = previous_weight > 0.0
        changed = (
            (came.converted != previous_converted) | (came.revenue != previous_revenue) | (came.value != previous_value)
        )
        rows = np.flatnonzero((weight > previous_weight) | (is_update & changed))[:limit]
        return DueColumns(
            self._reader.these(seqs[rows], objective_event, window),
            weight[rows],
            is_update[rows],
            previous_weight[rows],
            previous_converted[rows],
            previous_revenue[rows],
            previous_value[rows],
            None,
        )

    def _none(self, objective_event: str, window: int) -> DueColumns:
        nothing = np.zeros(0)
        no = nothing.astype(np.bool_)
        decisions = self._reader.these(nothing.astype(np.int64), objective_event, window)
        return DueColumns(decisions, nothing, no, nothing, no, nothing, nothing, None)


def _last_learned(
    raw: sqlite3.Connection, policy_id: int, seqs: IntArray
) -> tuple[FloatArray, BoolArray, FloatArray, FloatArray]:
    """Return the weight with which each was learned last, 0 where it never was, and as what."""
    n = len(seqs)
    weight, converted, revenue, value = np.zeros(n), np.zeros(n, np.bool_), np.zeros(n), np.zeros(n)
    text = msgspec.json.encode(seqs.tolist()).decode()
    rows = raw.execute(_LAST_LEARNED, {"seqs": text, "policy_id": policy_id}).fetchall()
    if rows:
        columns = list(zip(*rows, strict=True))
        places = np.searchsorted(seqs, np.array(columns[0], dtype=np.int64))
        weight[places] = columns[1]
        converted[places] = np.array(columns[2], dtype=np.bool_)
        revenue[places] = columns[3]
        value[places] = columns[4]
    return weight, converted, revenue, value


def _learned_rows(policy_id: int, step: int, rows: DueColumns) -> zip[tuple[object, ...]]:
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

"""Finds the outcomes that are due for learning: new ones, changed ones, and silence of which more is known by now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.store.learning.conversion_delay import LEVEL_WEIGHTS
from bandit.store.learning.delays import Delays
from bandit.store.learning.due_scan import INITIAL_WATERMARK, MAX_CANDIDATES, candidates, is_large, load_scan_state
from bandit.store.learning.records import DueColumns, DueScan, Watermark
from bandit.store.records import Activation
from bandit.store.tables.learned_stages import last_learned_stages, stages_reached

if TYPE_CHECKING:
    import sqlite3

    from bandit.store.connection import Connection
    from bandit.store.learning.due_scan import ScanState
    from bandit.store.tables.decision_reader import DecisionReader

_LAST_LEARNED = """
SELECT l.seq, l.weight, l.converted, l.revenue, l.value
FROM json_each(:seqs) j CROSS JOIN learned l ON l.policy_id = :policy_id AND l.seq = j.value
WHERE l.step = (SELECT MAX(m.step) FROM learned m WHERE m.policy_id = :policy_id AND m.seq = j.value)
"""


@dataclass(frozen=True, slots=True)
class DueCriterion:
    """When an outcome is due: the event that converts, the window in microseconds, and whether rewards are final.

    With `counts_at_once` a decision with a revenue or a reward is settled before its window ends. Decisions of the
    groups in `silent` are never due, nor are those without an event named `activation` if one is named. `stages` are
    the events before the conversion: an outcome has changed where another stage was reached.
    """

    objective_event: str
    window: int
    counts_at_once: bool
    silent: tuple[str, ...] = ()
    activation: str | None = None
    stages: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the text that the database keeps with a watermark."""
        parts: list[object] = [self.objective_event, self.window, self.counts_at_once]
        if self.stages:
            parts += [self.silent, self.activation, self.stages]
        elif self.activation is not None:
            parts += [self.silent, self.activation]
        elif self.silent:
            parts.append(self.silent)
        return msgspec.json.encode(parts).decode()


@dataclass(frozen=True, slots=True, eq=False)
class _Learned:
    """What was last learned of n decisions; a weight of 0 stands for nothing."""

    weight: FloatArray
    converted: BoolArray
    revenue: FloatArray
    value: FloatArray


class DueOutcomes:
    """Finds due outcomes policy by policy, each from the watermark that the policy has reached."""

    def __init__(self, connection: Connection, reader: DecisionReader) -> None:
        self._connection = connection
        self._reader = reader
        self._delays = Delays(connection)
        # The target of a scan that found nothing is cached here and not stored, so that asking never writes.
        self._idle: dict[int, tuple[tuple[str, ScanState | None], Watermark]] = {}
        connection.on_rollback(self._idle.clear)

    def next(self, policy_id: int, criterion: DueCriterion, now: int, limit: int) -> DueColumns:
        """Return the next due outcomes of a policy by decision number, at most `limit`."""
        text, window = criterion.to_json(), criterion.window
        with self._connection.reading() as raw:
            while True:
                state = load_scan_state(raw, policy_id, text)
                levels = INITIAL_WATERMARK.levels
                if not criterion.counts_at_once:
                    ages = self._delays.level_ages(criterion.objective_event, window, now, criterion.activation)
                    levels = tuple((now - ages).tolist())
                scan, resumed = self._start_scan(raw, policy_id, text, state, now - window - 1, levels)
                parts: list[DueColumns] = []
                missing, walks, ahead = limit, is_large(scan), limit
                while missing > 0:
                    seqs = candidates(raw, scan, ahead, walks=walks)
                    ahead = min(2 * ahead, max(limit, MAX_CANDIDATES))
                    if not len(seqs):
                        scan = replace(scan, complete=True)
                        break
                    part = self._due_among(raw, policy_id, seqs, criterion, now, scan.target.levels, missing)
                    full = len(part) == missing
                    scan = replace(scan, position=int((part.decisions.seq if full else seqs)[-1]))
                    missing -= len(part)
                    parts += [part] if len(part) else []
                if parts or not scan.complete:
                    return replace(DueColumns.concat(parts), scan=scan)
                self._idle[policy_id] = ((text, state), scan.target)
                if not resumed:
                    return replace(self._none(criterion), scan=scan)
                # The rest of a resumed scan had nothing due: continue with what came since it was started.

    def _start_scan(
        self,
        raw: sqlite3.Connection,
        policy_id: int,
        criterion: str,
        state: ScanState | None,
        settled: int,
        levels: tuple[int, ...],
    ) -> tuple[DueScan, bool]:
        """Return the unfinished scan, or else a new one up to now, and whether it is an unfinished one."""
        start = INITIAL_WATERMARK if state is None else state[0]
        idle = self._idle.get(policy_id)
        if idle is not None and idle[0] == (criterion, state):
            start = idle[1]
        elif state is not None and state[2] is not None:
            return DueScan(criterion, start, state[1], state[2], complete=False), True
        last = raw.execute(
            "SELECT (SELECT COALESCE(MAX(id), 0) FROM events), (SELECT COALESCE(MAX(seq), 0) FROM decisions)"
        ).fetchone()
        return DueScan(criterion, start, Watermark(last[0], last[1], settled, levels), 0, complete=False), False

    def _due_among(
        self,
        raw: sqlite3.Connection,
        policy_id: int,
        seqs: IntArray,
        criterion: DueCriterion,
        now: int,
        levels: tuple[int, ...],
        limit: int,
    ) -> DueColumns:
        """Return the due outcomes among the candidates, at most `limit`."""
        event, window = criterion.objective_event, criterion.window
        current = self._reader.outcomes(seqs, event, window)
        previous = _last_learned(raw, policy_id, seqs)
        time = self._reader.times(seqs)
        settled = current.converted | current.closed | (time + window < now)
        if criterion.counts_at_once:
            settled |= current.valued
        n_levels = (time[:, None] <= np.array(levels)).sum(axis=1)
        # An outcome learned in full may be corrected, but is never open again: a weight does not fall.
        weight = np.maximum(np.where(settled, 1.0, LEVEL_WEIGHTS[n_levels]), previous.weight)
        is_update = previous.weight > 0.0
        stage, previous_stage = np.zeros(len(seqs), dtype=np.int64), np.zeros(len(seqs), dtype=np.int64)
        if criterion.stages:
            stage = stages_reached(raw, seqs, criterion.stages, event, window)
            previous_stage = last_learned_stages(raw, policy_id, seqs)
        changed = (
            (stage != previous_stage)
            | (current.converted != previous.converted)
            | (current.revenue != previous.revenue)
            | (current.value != previous.value)
        )
        due = (weight > previous.weight) | (is_update & changed)
        if criterion.silent:
            due &= ~np.isin(self._reader.groups(seqs), criterion.silent)
        if criterion.activation is not None and due.any():
            due[due] = self._reader.activated(seqs[due], Activation(criterion.activation, window))
        rows = np.flatnonzero(due)[:limit]
        return DueColumns(
            self._reader.by_seq(seqs[rows], event, window),
            weight[rows],
            is_update[rows],
            previous.weight[rows],
            previous.converted[rows],
            previous.revenue[rows],
            previous.value[rows],
            None,
            stage[rows],
            previous_stage[rows],
        )

    def _none(self, criterion: DueCriterion) -> DueColumns:
        numbers = np.zeros(0)
        flags = numbers.astype(np.bool_)
        decisions = self._reader.by_seq(numbers.astype(np.int64), criterion.objective_event, criterion.window)
        none = decisions.seq
        return DueColumns(decisions, numbers, flags, numbers, flags, numbers, numbers, None, none, none)


def _last_learned(raw: sqlite3.Connection, policy_id: int, seqs: IntArray) -> _Learned:
    """Return what the policy last learned of each decision; the (n,) numbers ascend."""
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
    return _Learned(weight, converted, revenue, value)

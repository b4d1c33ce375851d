"""Finds the outcomes that are due for learning: new ones, changed ones, and silence of which more is known by now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.catalogue.objective import bounded_amounts
from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
from bandit.errors import StoreError
from bandit.store.learning.conversion_delay import LEVEL_WEIGHTS
from bandit.store.learning.delays import Delays
from bandit.store.learning.due_scan import (
    INITIAL_WATERMARK,
    MAX_CANDIDATES,
    candidates,
    few_candidates,
    is_large,
    load_scan_state,
    save_scan_state,
)
from bandit.store.learning.one_outcome import OneDue, one_due
from bandit.store.learning.records import DueColumns, DueScan, Watermark
from bandit.store.records import Activation, object_array
from bandit.store.tables.learned_stages import last_learned_stages, stages_reached

if TYPE_CHECKING:
    import sqlite3

    from bandit.store.connection import Connection
    from bandit.store.learning.due_scan import ScanState
    from bandit.store.tables.decision_reader import DecisionReader

_LAST_LEARNED = """
SELECT d.time, d.grp, COALESCE(l.weight, 0.0), COALESCE(l.converted, 0), COALESCE(l.revenue, 0.0),
    COALESCE(l.value, 0.0)
FROM json_each(:seqs) j CROSS JOIN decisions d ON d.seq = j.value
LEFT JOIN learned l ON l.policy_id = :policy_id AND l.seq = d.seq
    AND l.step = (SELECT MAX(m.step) FROM learned m WHERE m.policy_id = :policy_id AND m.seq = d.seq)
ORDER BY d.seq
"""

KEPT_IN_MEMORY = 256
"""Rows of the log that a watermark in memory may be ahead of the stored one: what a new reader looks at twice, so that
a step that learns one outcome need not write how far it looked."""


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

    @lru_cache(maxsize=16)  # noqa: B019 - criteria are small and few
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
    """The times and groups of n decisions, and what was last learned of each; a weight of 0 stands for nothing."""

    time: IntArray
    group: ObjectArray
    weight: FloatArray
    converted: BoolArray
    revenue: FloatArray
    value: FloatArray


class DueOutcomes:
    """Finds due outcomes policy by policy, each from the watermark that the policy has reached."""

    def __init__(self, connection: Connection, reader: DecisionReader) -> None:
        self._connection = connection
        self._reader = reader
        self.delays = Delays(connection)
        # How far a policy has looked, where it is further than what is stored, with the stored state that this follows:
        # the target of a scan that found nothing, so that asking never writes, or that found a few outcomes.
        self._ahead: dict[int, tuple[tuple[str, ScanState | None], Watermark]] = {}
        connection.on_rollback(self._ahead.clear)
        self._nothing: DueColumns | None = None

    def next(self, policy_id: int, criterion: DueCriterion, now: int, limit: int) -> DueColumns:
        """Return the next due outcomes of a policy by decision number, at most `limit`."""
        text, window = criterion.to_json(), criterion.window
        with self._connection.reading() as raw:
            while True:
                state, last, _ = load_scan_state(raw, policy_id, text)
                levels = INITIAL_WATERMARK.levels
                if not criterion.counts_at_once:
                    ages = self.delays.level_ages(criterion.objective_event, window, now, criterion.activation)
                    levels = tuple((now - ages).tolist())
                scan = self._start_scan(policy_id, text, state, Watermark(*last, now - window - 1, levels))
                resumed = scan.resumed
                parts: list[DueColumns] = []
                missing, walks, ahead = limit, is_large(scan), limit
                while missing > 0 and not scan.complete:
                    seqs = candidates(raw, scan, ahead, walks=walks)
                    if not len(seqs):
                        scan = replace(scan, complete=True)
                        break
                    part = self._due_among(raw, policy_id, seqs, criterion, now, scan.target.levels, missing)
                    full = len(part) == missing
                    position = int((part.decisions.seq if full else seqs)[-1])
                    # Fewer than were asked for are the last ones.
                    scan = replace(scan, position=position, complete=len(seqs) < ahead and position == seqs[-1])
                    ahead = min(2 * ahead, max(limit, MAX_CANDIDATES))
                    missing -= len(part)
                    parts += [part] if len(part) else []
                if parts or not scan.complete:
                    return replace(DueColumns.concat(parts), scan=scan)
                self._ahead[policy_id] = ((text, state), scan.target)
                if not resumed:
                    return replace(self._none(criterion), scan=scan)
                # The rest of a resumed scan had nothing due: continue with what came since it was started.

    def few(
        self, policy_id: int, criterion: DueCriterion, now: int, limit: int, at_step: int | None = None
    ) -> DueColumns | OneDue | None:
        """Return all due outcomes of a policy, or None where it takes longer than a decision does to find them.

        None, too, where the policy's newest step is not `at_step`. It takes longer where `limit` or more decisions or
        events are new or have grown old enough, in the midst of a scan, and where the conversion delay is to be
        estimated anew.
        """
        text = criterion.to_json()
        with self._connection.reading() as raw:
            state, last, newest = load_scan_state(raw, policy_id, text)
            if at_step is not None and newest != at_step:
                return None
            levels: tuple[int, ...] | None = INITIAL_WATERMARK.levels
            if not criterion.counts_at_once:
                key = criterion.objective_event, criterion.window, criterion.activation
                levels = self.delays.known_levels(*key, now)
            if levels is None:
                return None
            begun = self._start_scan(policy_id, text, state, Watermark(*last, now - criterion.window - 1, levels))
            if begun.resumed or begun.start == INITIAL_WATERMARK or begun.n_new >= limit:
                return None
            seqs = few_candidates(raw, begun, limit)
            if len(seqs) >= limit:
                return None
            scan = DueScan(text, begun.start, begun.target, 0, complete=True, stored=begun.stored)
            due: DueColumns | OneDue | None = None
            if len(seqs) == 1 and criterion.activation is None and not criterion.stages:
                due = one_due(raw, self._connection.path, policy_id, seqs[0], criterion, now, scan)
                if due is not None:
                    return due
            elif seqs:
                every = np.array(seqs, dtype=np.int64)
                due = replace(self._due_among(raw, policy_id, every, criterion, now, levels, limit), scan=scan)
            if due is None or not len(due):
                self._ahead[policy_id] = ((text, state), scan.target)
                return replace(self._none(criterion), scan=scan)
        return due

    def learned(self, raw: sqlite3.Connection, policy_id: int, scan: DueScan, *, in_memory: bool) -> bool:
        """Note, in the transaction that writes a step, how far its scan has come: in memory only where it is little.

        Returns whether it was written. What is in the memory of this connection, others look at once more.
        """
        stored = scan.stored
        if in_memory and stored is not None and scan.complete:
            new = scan.target.event - stored[0].event + scan.target.seq - stored[0].seq
            if 0 <= new < KEPT_IN_MEMORY:
                self._ahead[policy_id] = ((scan.criterion, stored), scan.target)
                return False
        save_scan_state(raw, policy_id, scan)
        return True

    def _start_scan(self, policy_id: int, criterion: str, state: ScanState | None, target: Watermark) -> DueScan:
        """Return the unfinished scan, or else a new one up to the target."""
        start = INITIAL_WATERMARK if state is None else state[0]
        ahead = self._ahead.get(policy_id)
        if ahead is not None and ahead[0] == (criterion, state):
            start = ahead[1]
        elif state is not None and state[2] is not None:
            return DueScan(criterion, start, state[1], state[2], complete=False, resumed=True)
        stored = state if state is not None and state[2] is None else None
        return DueScan(criterion, start, target, 0, complete=False, stored=stored)

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
        time = previous.time
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
            due &= ~np.isin(previous.group, criterion.silent)
        if criterion.activation is not None and due.any():
            due[due] = self._reader.activated(seqs[due], Activation(criterion.activation, window))
        rows = np.flatnonzero(due)[:limit]
        decisions = self._reader.by_seq(seqs[rows], event, window, outcomes=current.take(rows))
        if len(decisions) != len(rows):
            raise StoreError(
                f"{self._connection.path}: {len(rows)} decisions are to be learned and {len(decisions)} of them can be "
                "read, so the file is damaged; restore it from a backup"
            )
        return DueColumns(
            decisions,
            weight[rows],
            is_update[rows],
            previous.weight[rows],
            previous.converted[rows],
            previous.revenue[rows],
            previous.value[rows],
            None,
            stage[rows],
            previous_stage[rows],
            bool((current.n_counted == current.n_events).all()),
        )

    def _none(self, criterion: DueCriterion) -> DueColumns:
        """Return no outcomes."""
        if self._nothing is None:
            numbers = np.zeros(0)
            flags = numbers.astype(np.bool_)
            decisions = self._reader.by_seq(numbers.astype(np.int64), criterion.objective_event, criterion.window)
            none = decisions.seq
            self._nothing = DueColumns(decisions, numbers, flags, numbers, flags, numbers, numbers, None, none, none)
        return self._nothing


def _last_learned(raw: sqlite3.Connection, policy_id: int, seqs: IntArray) -> _Learned:
    """Return what the policy last learned of each decision; the (n,) numbers ascend."""
    text = msgspec.json.encode(seqs.tolist()).decode()
    rows = raw.execute(_LAST_LEARNED, {"seqs": text, "policy_id": policy_id}).fetchall()
    time, group, weight, converted, revenue, value = zip(*rows, strict=True) if rows else ((),) * 6
    return _Learned(
        np.array(time, dtype=np.int64),
        object_array(group),
        np.array(weight, dtype=np.float64),
        np.array(converted, dtype=np.bool_),
        bounded_amounts(np.array(revenue, dtype=np.float64)),
        bounded_amounts(np.array(value, dtype=np.float64)),
    )

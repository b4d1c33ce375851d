"""The stages of the objective that decisions have reached, and those that policies have learned of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from bandit.domain import BoolArray, IntArray
    from bandit.store.learning.records import DueColumns

# A later stage implies the earlier ones, so that the furthest one says all.
_REACHED = """
SELECT e.seq, MAX(s.key) + 1
FROM events e CROSS JOIN decisions d ON d.seq = e.seq CROSS JOIN json_each(:stages) s ON s.value = e.event
WHERE e.seq IN (SELECT value FROM json_each(:seqs)) AND e.time BETWEEN d.time AND d.time + :window
    AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)
GROUP BY e.seq
"""

_LAST_LEARNED = """
SELECT j.value, s.stage
FROM json_each(:seqs) j CROSS JOIN learned_stages s ON s.policy_id = :policy_id AND s.seq = j.value
WHERE s.step = (SELECT MAX(m.step) FROM learned m WHERE m.policy_id = :policy_id AND m.seq = j.value)
"""

_AS_LEARNED = "SELECT seq, stage, was_stage FROM learned_stages WHERE policy_id = ? AND step = ? ORDER BY seq"

_INSERT = "INSERT INTO learned_stages (policy_id, seq, step, stage, was_stage) VALUES (?, ?, ?, ?, ?)"

_TAKE_OVER = """
INSERT INTO learned_stages (policy_id, seq, step, stage, was_stage)
SELECT :policy, s.seq, 0, s.stage, 0
FROM learned_stages s
WHERE s.policy_id = :other AND s.stage > 0
    AND s.step = (SELECT MAX(m.step) FROM learned m WHERE m.policy_id = :other AND m.seq = s.seq)
"""


def stages_reached(raw: sqlite3.Connection, seqs: IntArray, stages: Sequence[str], event: str, window: int) -> IntArray:
    """Return how many of the stages the decisions with these (n,) ascending numbers have reached within the window.

    The conversion `event` implies all of them, even if it was returned later.
    """
    found = np.zeros(len(seqs), dtype=np.int64)
    if stages and len(seqs):
        named = msgspec.json.encode([*stages, event]).decode()
        rows = raw.execute(_REACHED, {"seqs": _json(seqs), "stages": named, "window": window}).fetchall()
        _spread(found, seqs, rows)
    return np.minimum(found, len(stages))


def last_learned_stages(raw: sqlite3.Connection, policy_id: int, seqs: IntArray) -> IntArray:
    """Return how many stages a policy last learned of each of the decisions with these (n,) ascending numbers."""
    found = np.zeros(len(seqs), dtype=np.int64)
    _spread(found, seqs, raw.execute(_LAST_LEARNED, {"seqs": _json(seqs), "policy_id": policy_id}).fetchall())
    return found


def stages_as_learned(raw: sqlite3.Connection, policy_id: int, step: int, seqs: IntArray) -> tuple[IntArray, IntArray]:
    """Return the stages that a step learned of its decisions, (n,) ascending numbers, and those learned before."""
    rows = raw.execute(_AS_LEARNED, (policy_id, step)).fetchall()
    stage, previous = np.zeros(len(seqs), dtype=np.int64), np.zeros(len(seqs), dtype=np.int64)
    _spread(stage, seqs, [row[:2] for row in rows])
    _spread(previous, seqs, [(row[0], row[2]) for row in rows])
    return stage, previous


def write_stages(raw: sqlite3.Connection, policy_id: int, step: int, rows: DueColumns) -> None:
    """Store the stages that a step learned."""
    if not (rows.stage.any() or rows.previous_stage.any()):
        return
    kept = np.flatnonzero((rows.stage > 0) | (rows.previous_stage > 0))
    numbers = rows.decisions.seq[kept].tolist(), rows.stage[kept].tolist(), rows.previous_stage[kept].tolist()
    raw.executemany(_INSERT, [(policy_id, seq, step, one, before) for seq, one, before in zip(*numbers, strict=True)])


def take_over_stages(raw: sqlite3.Connection, policy_id: int, other: int) -> None:
    """Store that a policy has learned the stages that another one has."""
    raw.execute(_TAKE_OVER, {"policy": policy_id, "other": other})


def stage_columns(stage: IntArray, n_stages: int) -> BoolArray:
    """Return which of the stages n decisions have reached, (n, S), from how many they have.

    >>> stage_columns(np.array([1, 0]), 2).tolist()
    [[True, False], [False, False]]
    """
    return np.asarray(stage[:, None] > np.arange(n_stages))


def _spread(column: IntArray, seqs: IntArray, rows: Sequence[Sequence[int]]) -> None:
    if rows:
        table = np.array(rows, dtype=np.int64)
        column[np.searchsorted(seqs, table[:, 0])] = table[:, 1]


def _json(seqs: IntArray) -> str:
    return msgspec.json.encode(seqs.tolist()).decode()

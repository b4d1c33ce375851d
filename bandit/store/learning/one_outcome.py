"""Reads what is due of one decision with one statement: what an engine that learns after every visit does each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.catalogue.objective import LARGEST_AMOUNT, Objective
from bandit.store.corruption import decoding
from bandit.store.learning.conversion_delay import LEVEL_WEIGHTS
from bandit.store.learning.records import DueColumns
from bandit.store.records import DecisionColumns
from bandit.store.tables.decision_reader import COUNTED, DECISION_COLUMNS, N_DECISION_COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
    from bandit.store.learning.due_outcomes import DueCriterion

_ONE = f"""
SELECT {DECISION_COLUMNS}, COALESCE(w.weight, 1.0), COALESCE(l.weight, 0.0), COALESCE(l.converted, 0),
    COALESCE(l.revenue, 0.0), COALESCE(l.value, 0.0), o.*
FROM (SELECT {COUNTED} FROM events e CROSS JOIN decisions d ON d.seq = e.seq
    WHERE e.seq = :seq AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)) o
CROSS JOIN decisions d CROSS JOIN customers k ON k.id = d.customer_id
LEFT JOIN decision_weights w ON w.seq = d.seq
LEFT JOIN learned l ON l.policy_id = :policy_id AND l.seq = d.seq
    AND l.step = (SELECT MAX(m.step) FROM learned m WHERE m.policy_id = :policy_id AND m.seq = d.seq)
WHERE d.seq = :seq
"""  # noqa: S608 - put together once, of constants


def one_due(
    raw: sqlite3.Connection,
    path: Path,
    policy_id: int,
    seq: int,
    criterion: DueCriterion,
    now: int,
    levels: tuple[int, ...],
) -> DueColumns | None:
    """Return the outcome of one decision as `DueOutcomes` does for many, None where it is not due.

    For a criterion without an activation and without stages.
    """
    window = criterion.window
    row = raw.execute(
        _ONE,
        {
            "seq": seq,
            "policy_id": policy_id,
            "event": criterion.objective_event,
            "window": window,
            "probabilities": False,
        },
    ).fetchone()
    if row is None:
        return None
    with decoding(path, "a decision"):
        decision, rest = row[:N_DECISION_COLUMNS], row[N_DECISION_COLUMNS:]
        stands_for, known, was_converted, was_revenue, was_value = rest[:5]
        happened, returned, revenue, value, n_valued, closed, n_events, last_event, n_counted = (
            0 if each is None else each for each in rest[5:]
        )
        revenue, value = _bounded(revenue), _bounded(value)
        converted = bool(Objective.conversions(_flag(happened > 0), _flag(returned > 0), _number(revenue))[0])
        time = decision[2]
        was_revenue, was_value = _bounded(was_revenue), _bounded(was_value)
        settled = converted or closed > 0 or time + window < now or (criterion.counts_at_once and n_valued > 0)
        weight = max(1.0 if settled else float(LEVEL_WEIGHTS[sum(time <= each for each in levels)]), known)
        is_update = known > 0.0
        changed = (converted, revenue, value) != (bool(was_converted), was_revenue, was_value)
        if not (weight > known or (is_update and changed)) or decision[11] in criterion.silent:
            return None
        rest = (converted, revenue, value, closed > 0, n_events, last_event, stands_for)
        columns = DecisionColumns(*(make(each) for make, each in zip(_COLUMN_OF, (*decision, *rest), strict=True)))
        return DueColumns(
            columns,
            _number(weight),
            _flag(is_update),
            _number(known),
            _flag(was_converted),
            _number(was_revenue),
            _number(was_value),
            None,
            _integer(0),
            _integer(0),
            all_count=n_counted == n_events,
        )


def _bounded(amount: float) -> float:
    return min(max(amount, -LARGEST_AMOUNT), LARGEST_AMOUNT)


def _integer(value: object) -> IntArray:
    return np.array([value], dtype=np.int64)


def _number(value: object) -> FloatArray:
    return np.array([value], dtype=np.float64)


def _flag(value: object) -> BoolArray:
    return np.array([value], dtype=np.bool_)


def _object(value: object) -> ObjectArray:
    column = np.empty(1, dtype=object)
    column[0] = value
    return column


_MAKERS: Mapping[str, Callable[[object], Any]] = {"i": _integer, "f": _number, "b": _flag, "o": _object}
_COLUMN_OF = tuple(map(_MAKERS.__getitem__, "ioioiiioiifoooioobffbiif"))
"""For each column of `DecisionColumns`, what makes it of one value."""

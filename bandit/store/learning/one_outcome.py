"""Reads what is due of one decision with one statement: what an engine that learns after every visit does each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.catalogue.objective import LARGEST_AMOUNT, RETURNED_REVENUE
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
    from bandit.store.learning.records import DueScan

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


_WEIGHTS: tuple[float, ...] = tuple(LEVEL_WEIGHTS.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class OneDue:
    """One decision whose outcome is due, as plain values; `columns` returns them as `DueColumns`.

    `decision` has the values of `decision_reader.DECISION_COLUMNS`. All other names are those of `DueColumns` and
    `DecisionColumns`.
    """

    decision: tuple[Any, ...]
    stands_for: float
    converted: bool
    revenue: float
    value: float
    closed: bool
    n_events: int
    last_event_id: int
    weight: float
    previous_weight: float
    previous_converted: bool
    previous_revenue: float
    previous_value: float
    all_count: bool
    scan: DueScan

    def __len__(self) -> int:
        return 1

    @property
    def seq(self) -> int:
        """The number of the decision."""
        return int(self.decision[0])

    @property
    def is_update(self) -> bool:
        """Whether the policy learned the decision before."""
        return self.previous_weight > 0.0

    def columns(self) -> DueColumns:
        """Return the same as columns of one row."""
        outcome = (self.converted, self.revenue, self.value, self.closed, self.n_events, self.last_event_id)
        values = zip(_COLUMN_OF, (*self.decision, *outcome, self.stands_for), strict=True)
        return DueColumns(
            DecisionColumns(*(make(each) for make, each in values)),
            _number(self.weight),
            _flag(self.is_update),
            _number(self.previous_weight),
            _flag(self.previous_converted),
            _number(self.previous_revenue),
            _number(self.previous_value),
            self.scan,
            _integer(0),
            _integer(0),
            all_count=self.all_count,
        )

    def learned_row(self, policy_id: int, step: int) -> tuple[object, ...]:
        """Return the row of the table `learned` as SQLite stores it: NULL where nothing was learned before."""
        before: tuple[object, ...] = (None, None, None, None)
        if self.is_update:
            before = (self.previous_weight, int(self.previous_converted), self.previous_revenue, self.previous_value)
        now = (self.weight, int(self.converted), self.revenue, self.value, int(self.is_update))
        return policy_id, step, self.seq, *now, *before, self.last_event_id


def one_due(
    raw: sqlite3.Connection, path: Path, policy_id: int, seq: int, criterion: DueCriterion, now: int, scan: DueScan
) -> OneDue | None:
    """Return the outcome of one decision as `DueOutcomes` does for many, None where it is not due.

    For a criterion without an activation and without stages; the levels are those of the scan's target.
    """
    window = criterion.window
    event = criterion.objective_event
    row = raw.execute(
        _ONE, {"seq": seq, "policy_id": policy_id, "event": event, "window": window, "probabilities": False}
    ).fetchone()
    if row is None:
        return None
    with decoding(path, "a decision"):
        decision, rest = row[:N_DECISION_COLUMNS], row[N_DECISION_COLUMNS:]
        stands_for, known, was_converted, was_revenue, was_value = rest[:5]
        was_converted = bool(was_converted)
        happened, returned, revenue, value, n_valued, closed, n_events, last_event, n_counted = (
            [0 if each is None else each for each in rest[5:]] if None in rest else rest[5:]
        )
        revenue, value = _bounded(float(revenue)), _bounded(float(value))
        was_revenue, was_value = _bounded(was_revenue), _bounded(was_value)
        converted = happened > 0 and not (returned > 0 and revenue <= RETURNED_REVENUE)  # `Objective.conversions`
        time = decision[2]
        if converted or closed > 0 or time + window < now or (criterion.counts_at_once and n_valued > 0):
            weight = 1.0
        else:
            levels = scan.target.levels
            weight = max(_WEIGHTS[sum([time <= each for each in levels])], known)
        if weight <= known:  # nothing more is known: due where what is known has changed
            changed = (converted, revenue, value) != (was_converted, was_revenue, was_value)
            if not (changed and known > 0.0):
                return None
        if decision[11] in criterion.silent:
            return None
        return OneDue(
            decision,
            stands_for,
            converted,
            revenue,
            value,
            closed > 0,
            n_events,
            last_event,
            weight,
            known,
            was_converted,
            was_revenue,
            was_value,
            n_counted == n_events,
            scan,
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

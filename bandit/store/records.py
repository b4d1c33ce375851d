"""The frozen column records that go into the store and come out of it.

Shapes: n rows, N offers of a catalogue. Times are whole microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RowIndex = IntArray | BoolArray | slice

UNKNOWN_POLICY: Mapping[str, object] = {"kind": "imported", "propensities": "unknown"}
"""Stands in the table of policies for one that wrote decisions of which nobody knows how probable they were."""

PLACEHOLDER = 1.0
"""What the column of propensities has in such decisions; `StoreLog` gives NaN in its place, and nothing may read it."""


@dataclass(frozen=True, slots=True, eq=False)
class DecisionRows:
    """n decisions to append, all under one catalogue, policy and step.

    `eligible` is (n, N), or (1, N) where all rows share one set. `policy_id` is None for imported decisions, or that
    of `Store.unknown_policy` where their propensities are unknown and `propensity` is the `PLACEHOLDER`.
    `removals` gives the JSON of what the rules removed for a row; it is asked only for an eligible set that is new.
    Row i has the position `first_position + i` in its batch. `customer_keys` are the customers as the store writes
    them, where the caller has asked for them already; they are worked out where it has not.
    """

    decision_ids: Sequence[str]
    time: IntArray
    customers: Sequence[str]
    catalogue_id: int
    policy_id: int | None
    policy_step: int
    contexts_json: Sequence[str]
    eligible: BoolArray
    offer: IntArray
    propensity: FloatArray
    group: str | Sequence[str] = "policy"
    seed: str | None = None
    batch: str | None = None
    first_position: int = 0
    probabilities: FloatArray | None = None
    fault: str | None = None
    removals: Callable[[int], str] | None = None
    customer_keys: Sequence[str] | ObjectArray | None = None

    def __len__(self) -> int:
        return len(self.decision_ids)


@dataclass(frozen=True, slots=True, eq=False)
class EventRows:
    """n events to append; NaN stands for no revenue and no reward.

    Decisions are named by `decision_ids`, or by `seq` as `append_decisions` returned it. An event id of None is the
    event's name. Where `time_given` is false the time is only that of arrival: a correction keeps the old one.
    """

    event: str | Sequence[str]
    time: IntArray
    revenue: FloatArray
    reward: FloatArray
    decision_ids: Sequence[str] | None = None
    seq: IntArray | None = None
    event_ids: Sequence[str | None] | None = None
    time_given: bool = True
    recorded_at: int | None = None

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class EventReceipt:
    """What became of appended events; `n_spooled` wait beside the database, and are looked at when it takes them."""

    n_new: int
    n_repeated: int
    n_corrected: int
    n_spooled: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DecisionColumns:
    """n decisions read back, by `seq`, with what came of each.

    `customer` is the key as stored, `policy_id` is -1 where the decision was imported with its propensity (that of
    `Store.unknown_policy` where it was imported without, and `propensity` is then no more than the `PLACEHOLDER`),
    `context` is JSON text,
    `probabilities` has float64 bytes or None. `converted`, `revenue` and `value` count events within the window;
    `closed` and `n_events` all current events; `last_event_id` is 0 where there is none.
    """

    seq: IntArray
    decision_id: ObjectArray
    time: IntArray
    customer: ObjectArray
    catalogue_id: IntArray
    policy_id: IntArray
    policy_step: IntArray
    context: ObjectArray
    eligible_set_id: IntArray
    offer: IntArray
    propensity: FloatArray
    group: ObjectArray
    seed: ObjectArray
    batch: ObjectArray
    position: IntArray
    fault: ObjectArray
    probabilities: ObjectArray
    converted: BoolArray
    revenue: FloatArray
    value: FloatArray
    closed: BoolArray
    n_events: IntArray
    last_event_id: IntArray

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, rows: RowIndex) -> DecisionColumns:
        """Return the chosen rows."""
        return DecisionColumns(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a learner has looked: all events up to `event`, all decisions up to `seq` and made up to `time`.

    Decisions made up to `levels[k]` had reached the level k of `bandit.store.learning.conversion_delay`; there is one time for each level.
    """

    event: int
    seq: int
    time: int
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One pass of a learner over what is new, from `start` to `target`, done up to the decision `position`."""

    criterion: str
    start: Reach
    target: Reach
    position: int
    complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class DueColumns:
    """n decisions to be learned, and what was learned of them before; `sweep` goes back with `record_step`.

    `weight` is how much of each outcome is known and `was_weight` how much of it was learned, as in `Outcomes`.
    """

    decisions: DecisionColumns
    weight: FloatArray
    is_update: BoolArray
    previous_weight: FloatArray
    previous_converted: BoolArray
    previous_revenue: FloatArray
    previous_value: FloatArray
    sweep: Sweep | None

    def __len__(self) -> int:
        return len(self.decisions)

    def take(self, rows: RowIndex) -> DueColumns:
        """Return the chosen rows; the sweep stays."""
        return DueColumns(
            self.decisions.take(rows),
            self.weight[rows],
            self.is_update[rows],
            self.previous_weight[rows],
            self.previous_converted[rows],
            self.previous_revenue[rows],
            self.previous_value[rows],
            self.sweep,
        )


@dataclass(frozen=True, slots=True, eq=False)
class EventColumns:
    """All events of one decision, by id; `corrects` is -1 where an event replaces none."""

    id: IntArray
    event_id: ObjectArray
    event: ObjectArray
    time: IntArray
    recorded_at: IntArray
    revenue: FloatArray
    reward: FloatArray
    corrects: IntArray
    current: BoolArray

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class Where:
    """Which decisions to read; None does not filter. `after_time` is inclusive, `before_time` exclusive.

    `settled_before` leaves out decisions made then or later, unless they were closed: with (now - window), those of
    which something may still come: to judge them by what has come so far would count late answers as silence.
    """

    policy_id: int | None = None
    catalogue_id: int | None = None
    after_time: int | None = None
    before_time: int | None = None
    group: str | None = None
    batch: str | None = None
    settled_before: int | None = None


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """A catalogue version that the store has."""

    id: int
    version: str
    name: str


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A learner: a policy's settings over a catalogue version.

    Its state is folded from that of `base_step` on. Decisions made with a state before `decides_from` cannot be
    computed again, since what was learned by then has been removed in part.
    """

    id: int
    catalogue_id: int
    spec: Mapping[str, object]
    base_step: int = 0
    decides_from: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of learning: how many outcomes it folded and the hash of the state after it."""

    step: int
    n: int
    state_hash: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A policy's state after a step."""

    step: int
    state: bytes
    state_hash: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is in the store; the sizes are in bytes."""

    decisions: int
    events: int
    customers: int
    catalogues: int
    policies: int
    first_time: int | None
    last_time: int | None
    file_bytes: int
    wal_bytes: int


def object_array(values: Sequence[object]) -> ObjectArray:
    """Return a 1-d object array, whatever the values are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def concatenate(parts: Sequence[DueColumns]) -> DueColumns:
    """Return the rows of all parts, one after the other; at least one part, and the sweep of the first."""
    if len(parts) == 1:
        return parts[0]

    def decisions(name: str) -> ObjectArray:
        return np.concatenate([getattr(part.decisions, name) for part in parts])

    return DueColumns(
        DecisionColumns(*(decisions(field.name) for field in fields(DecisionColumns))),  # type: ignore[arg-type]
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.is_update for part in parts]),
        np.concatenate([part.previous_weight for part in parts]),
        np.concatenate([part.previous_converted for part in parts]),
        np.concatenate([part.previous_revenue for part in parts]),
        np.concatenate([part.previous_value for part in parts]),
        parts[0].sweep,
    )

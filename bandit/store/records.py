"""The frozen column records that are written to the store and read from it.

Shapes: n rows, N offers of a catalogue. Times are whole microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bandit.catalogue.events import EventNote
    from bandit.catalogue.objective import Objective
    from bandit.store.tables.decision_arms import ArmRows

RowIndex = IntArray | BoolArray | slice

UNKNOWN_POLICY: Mapping[str, object] = {"kind": "imported", "propensities": "unknown"}
"""The settings of the placeholder policy of imported decisions whose propensities are unknown."""

PLACEHOLDER = 1.0
"""The stored propensity of such decisions; it has no meaning, and `StoreLog` gives NaN in its place."""


@dataclass(frozen=True, slots=True, eq=False)
class DecisionRows:
    """n decisions to append, all under one catalogue, policy and step.

    `eligible` is (n, N), or (1, N) where all rows share one set. `policy_id` is None for imported decisions; if their
    propensities are unknown, it is `Catalogues.unknown_policy` and `propensity` is the `PLACEHOLDER`. `removals(row)`
    returns the JSON of what the rules removed for a row; it is called only for eligible sets that are new.
    Row i has the position `first_position + i` in its batch. `customer_keys` are the customers in stored form, if the
    caller has them already; otherwise the store computes them. `arms` are those of a roll-out that served them.
    `weights` (n,) above 0 are how many decisions each stands for, one where there are none. `key_check` says under
    which keys the `customer_keys` were made, as `Customers.present` reads it.
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
    arms: ArmRows | None = None
    weights: FloatArray | None = None
    key_check: str | None = None

    def __len__(self) -> int:
        return len(self.decision_ids)


@dataclass(frozen=True, slots=True, eq=False)
class EventRows:
    """n events to append; NaN stands for no revenue and no reward.

    Decisions are named by `decision_ids`, or by `seq` as `DecisionWriter.append` returned it. An event id of None is
    the event's name. With `time_given` false, `time` is only the time of arrival: a correction keeps the time of the
    event that it corrects. `on_delays` is called with how long after its decision each event came, (n,) microseconds,
    once they are written; not for events named by `seq`, nor while they wait in the spool.
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
    on_delays: Callable[[IntArray], None] | None = None

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class EventReceipt:
    """How many of the appended events were new, repeated or corrections; `n_spooled` wait in the spool, unchecked.

    `notes` say which of the events do not count, or not as their sender may think, and why.
    """

    n_new: int
    n_repeated: int
    n_corrected: int
    n_spooled: int = 0
    notes: tuple[EventNote, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class DecisionColumns:
    """n decisions read back, by `seq`, with their outcomes.

    `customer` is in stored form, `context` is JSON text, `probabilities` has float64 bytes or None. `policy_id` is -1
    for decisions imported with their propensities, and that of `Catalogues.unknown_policy` for those imported without,
    whose `propensity` is the meaningless `PLACEHOLDER`. `converted`, `revenue` and `value` count events within the
    window; `closed` and `n_events` count all current events; `last_event_id` is 0 for a decision without events.
    `weight` is how many decisions each stands for, as a rule 1.
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
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, rows: RowIndex) -> DecisionColumns:
        """Return the chosen rows."""
        return DecisionColumns(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class EventColumns:
    """All events of one decision, by id; `corrects` is -1 for an event that is not a correction."""

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
class Activation:
    """The event without which a decision has no outcome, and the window, in microseconds, within which it counts."""

    event: str
    window: int

    @staticmethod
    def of(objective: Objective) -> Activation | None:
        """Return what an objective asks for; None where every decision has an outcome."""
        return None if objective.activation is None else Activation(objective.activation, objective.window)


@dataclass(frozen=True, slots=True)
class Where:
    """A filter of decisions; None does not filter. `after_time` is inclusive, `before_time` exclusive.

    `settled_before` leaves out decisions made at that time or later, unless they were closed. With (now - window) it
    leaves out the open ones: counting their outcomes so far would count late answers as silence. `groups` and
    `catalogue_ids` keep the decisions of any of these groups and of any of these catalogue versions. `activation`
    leaves out the decisions without its event.
    """

    policy_id: int | None = None
    catalogue_id: int | None = None
    after_time: int | None = None
    before_time: int | None = None
    group: str | None = None
    batch: str | None = None
    settled_before: int | None = None
    groups: tuple[str, ...] | None = None
    catalogue_ids: tuple[int, ...] | None = None
    activation: Activation | None = None


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """A catalogue version in the store; `extends` is the one that an import extended to it, None for one given."""

    id: int
    version: str
    name: str
    extends: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy: its settings over a catalogue version.

    Its state is the fold of its steps from `base_step` on. Decisions made with a state before `decides_from`, or of a
    step in one of the ranges `changed` (first and last step), cannot be recomputed, because part of what was learned
    by then has been deleted.
    """

    id: int
    catalogue_id: int
    spec: Mapping[str, object]
    base_step: int = 0
    decides_from: int = 0
    changed: tuple[tuple[int, int], ...] = ()

    def has_state_of(self, steps: IntArray) -> BoolArray:
        """Return whether the state of each step is the one that decided, (n,)."""
        kept = np.asarray(steps >= self.decides_from)
        for first, last in self.changed:
            kept &= (steps < first) | (steps > last)
        return kept


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """Numbers of rows in the store, the range of decision times, and the sizes of the files in bytes."""

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
    """Return a (n,) object array of any values, also of sequences, which numpy would make a second dimension of.

    >>> object_array([(1, 2), (3, 4)]).shape
    (2,)
    """
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array

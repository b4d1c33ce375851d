"""The outcomes of decisions, from their events: what the database computes in SQL, in columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.objective import Objective, bounded_amounts
from bandit.logfiles.mapping.mapping import CLOSED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import BoolArray, FloatArray, IntArray
    from bandit.store import Activation


@dataclass(frozen=True, slots=True, eq=False)
class EventArrays:
    """n events in any order: their number, the row of their decision, their name as a place in `names`, time, amounts.

    `corrects` is the number of the event that one corrects, -1 where it corrects none; amounts are NaN for none.
    """

    number: IntArray
    row: IntArray
    name: IntArray
    names: Sequence[str]
    time: IntArray
    revenue: FloatArray
    reward: FloatArray
    corrects: IntArray

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True, slots=True, eq=False)
class LoggedOutcomes:
    """What became of n decisions; see `DecisionColumns`. `was_closed` counts closings that were corrected later, too.

    `stage` is how many of the objective's stages each has reached, `activated` whether it has an outcome at all.
    """

    converted: BoolArray
    revenue: FloatArray
    value: FloatArray
    closed: BoolArray
    was_closed: BoolArray
    n_events: IntArray
    last_event: IntArray
    stage: IntArray
    activated: BoolArray


def logged_outcomes(
    rows: IntArray, times: IntArray, events: EventArrays, objective: Objective, activation: Activation | None
) -> LoggedOutcomes:
    """Return the outcomes of decisions with these ascending numbers and times, (n,), from their events.

    An event counts within the objective's window after its decision, if no other corrects it; "closed" counts always.
    An activation counts even if it was corrected. Events of other decisions are passed over.
    """
    n = len(rows)
    place = np.searchsorted(rows, events.row)
    place[place == n] = 0
    known = rows[place] == events.row if n else np.zeros(len(events), dtype=np.bool_)
    current = known & ~np.isin(events.number, events.corrects[events.corrects >= 0])
    after = events.time - times[place] if n else events.time
    within = (after >= 0) & (after <= objective.window)
    counted = current & within

    def named(name: str) -> BoolArray:
        return np.asarray(events.name == (events.names.index(name) if name in events.names else -1))

    def any_of(which: BoolArray) -> BoolArray:
        found = np.zeros(n, dtype=np.bool_)
        found[place[which]] = True
        return found

    def total(amounts: FloatArray) -> FloatArray:
        which = counted & ~np.isnan(amounts)
        return bounded_amounts(np.bincount(place[which], weights=amounts[which], minlength=n).astype(np.float64))

    revenue, is_closed = total(events.revenue), named(CLOSED)
    last = np.zeros(n, dtype=np.int64)
    np.maximum.at(last, place[current], events.number[current])
    stage = np.zeros(n, dtype=np.int64)
    for reached, name in enumerate(objective.stages, start=1):
        stage[place[counted & named(name)]] = np.maximum(stage[place[counted & named(name)]], reached)
    stage[place[counted & named(objective.event)]] = len(objective.stages)
    activated = np.ones(n, dtype=np.bool_)
    if activation is not None:
        in_time = known & (after >= 0) & (after <= activation.window)
        activated = any_of(in_time & named(activation.event))
    return LoggedOutcomes(
        converted=Objective.conversions(
            any_of(counted & named(objective.event)), any_of(counted & (events.revenue < 0)), revenue
        ),
        revenue=revenue,
        value=total(events.reward),
        closed=any_of(current & is_closed),
        was_closed=any_of(known & is_closed),
        n_events=np.bincount(place[current], minlength=n).astype(np.int64),
        last_event=last,
        stage=stage,
        activated=activated,
    )

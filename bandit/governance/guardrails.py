"""Watches the guardrails of a catalogue: counts what is new in the log, and says which bounds are broken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.clock import now as clock_now
from bandit.governance.guardrail_status import GuardrailStatus, difference_status, rate_status
from bandit.ope.sums import ClusterSums
from bandit.store.tables.monitored_decisions import LogPosition, MonitoredSelection

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.catalogue.live_schema import GuardrailFile
    from bandit.domain import FloatArray, IntArray
    from bandit.store import Store
    from bandit.store.tables.monitored_decisions import EventMarks

__all__ = ["GuardrailMonitor", "GuardrailStatus", "last_restart"]

_POLICY = "policy"
_RESTART = "resume"
_BEGINNING = LogPosition(0, 0, 0)
_AT_ONCE = 16_384


def last_restart(store: Store) -> int | None:
    """Return the time of the newest restart by hand (microseconds since 1970 UTC), None if there was none."""
    times = [change.time for change in store.rollout_changes.all() if change.action == _RESTART]
    return times[-1] if times else None


class GuardrailMonitor:
    """Counts the decisions and events that a catalogue's guardrails are about, and remembers what it has counted.

    A check reads only what was added to the log since the one before: decisions by their numbers, and events by
    theirs, so that an event or a correction that comes late for an old decision is counted in the check that follows.
    After a deletion of decisions, and for another `since`, it counts anew. Where guardrails compare groups, memory
    grows with the number of customers. One thread at a time may use a monitor.
    """

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self.guardrails: tuple[GuardrailFile, ...] = catalogue.guardrails
        self._log = store.monitored
        self._counts = _Counts(_selection(catalogue))

    def check(
        self, *, since: int | None = None, since_seq: int = 0, now: int | None = None
    ) -> tuple[GuardrailStatus, ...]:
        """Return the status of every guardrail, in the order of the catalogue.

        Decisions count if they were made at the time `since` (microseconds since 1970 UTC) or later and have a number
        above `since_seq`: those since the policy was last started by hand. `now` is the time of the look.
        """
        time = clock_now() if now is None else now
        if not self.guardrails:
            return ()
        counts, position = self._counts, self._log.position()
        selection = replace(counts.selection, since=since, since_seq=since_seq)
        if selection != counts.selection or position.deletion != counts.position.deletion:
            counts = _Counts(selection, replace(_BEGINNING, seq=since_seq, deletion=position.deletion))
        # Until it is complete, what was counted so far is not kept: after an error the next check counts anew.
        self._counts = _Counts(selection)
        self._advance(counts, position)
        self._counts = counts
        return tuple(self._status(guardrail, counts, time) for guardrail in self.guardrails)

    def _advance(self, counts: _Counts, position: LogPosition) -> None:
        """Add what the log has between the point that was counted and `position`."""
        before, selection = counts.position, counts.selection
        if selection.activation is None:
            # In parts, since the store's other threads wait meanwhile.
            for start in range(before.seq, position.seq, _AT_ONCE):
                end = min(start + _AT_ONCE, position.seq)
                by_customer = counts.customers is not None
                counts.add_decisions(*self._log.decisions(selection, start, end, by_customer=by_customer))
        if position.event > before.event:
            touched = self._log.touched(selection, before.event, position.event)
            if before.event:
                # What these decisions, if they have been counted already, counted for.
                for marks in self._log.marks(selection, touched[touched <= before.seq], before.event):
                    counts.add_marks(marks, -1)
            for marks in self._log.marks(selection, touched, position.event):
                counts.add_marks(marks, 1)
        counts.position = position

    @staticmethod
    def _status(guardrail: GuardrailFile, counts: _Counts, time: int) -> GuardrailStatus:
        selection = counts.selection
        event = 1 + selection.events.index(guardrail.event)
        if guardrail.against is None:
            decisions, events = counts.totals[0, [0, event]].tolist()
            return rate_status(guardrail, events, decisions, selection.since, time)
        side = 1 + selection.against.index(guardrail.against)
        return difference_status(guardrail, *counts.of_customers(event, side), selection.since, time)


@dataclass(slots=True, eq=False)
class _Counts:
    """What has been counted up to a point of the log.

    `totals` is (sides, 1 + events): of each side its decisions, and for each event those that have it. `customers`
    has the same by customer, sides after each other, if sides are compared.
    """

    selection: MonitoredSelection
    position: LogPosition = _BEGINNING
    totals: IntArray = field(init=False)
    customers: ClusterSums | None = field(init=False)

    def __post_init__(self) -> None:
        sides, columns = 1 + len(self.selection.against), 1 + len(self.selection.events)
        self.totals = np.zeros((sides, columns), dtype=np.int64)
        self.customers = ClusterSums(sides * columns) if self.selection.against else None

    def add_decisions(self, customer: IntArray, side: IntArray, n: IntArray) -> None:
        """Add numbers of decisions by customer and side."""
        self._add(customer, side, np.zeros(len(n), dtype=np.int64), n)

    def add_marks(self, marks: EventMarks, sign: int) -> None:
        """Add the marks of decisions, or with the sign -1 take them away.

        Where decisions count once they are activated, those that are add to the decisions, and only theirs count.
        """
        activation = self.selection.activation
        counts, column = np.ones(len(marks.seq), dtype=np.bool_), 1 + marks.event
        if activation is not None:
            first = marks.event == self.selection.events.index(activation)
            counts = np.isin(marks.seq, marks.seq[first])
            self._add(marks.customer[first], marks.side[first], np.zeros(int(first.sum()), dtype=np.int64), sign)
        self._add(marks.customer[counts], marks.side[counts], column[counts], sign)

    def _add(self, customer: IntArray, side: IntArray, column: IntArray, amount: IntArray | int) -> None:
        np.add.at(self.totals, (side, column), amount)
        if self.customers is None or not len(customer):
            return
        places = side * self.totals.shape[1] + column
        terms = np.zeros((self.totals.size, len(customer)))
        terms[places, np.arange(len(customer))] = amount
        self.customers.add(terms, customer)

    def of_customers(self, event: int, side: int) -> tuple[FloatArray, FloatArray]:
        """Return the (customers, 2) decisions with an event and all decisions, of the policy and of a side."""
        if self.customers is None:
            raise ValueError("counted without customers")
        columns, found = self.totals.shape[1], [np.empty((0, 1 + self.totals.size))]
        found += [sums for _, sums in self.customers.in_order()]
        sums = np.concatenate(found)[:, 1:]
        decisions = sums[:, [0, side * columns]]
        seen = (decisions > 0.0).any(axis=1)
        return sums[:, [event, side * columns + event]][seen], decisions[seen]


def _selection(catalogue: Catalogue) -> MonitoredSelection:
    """Return what the guardrails of a catalogue count."""
    activation, guardrails = catalogue.objective.activation, catalogue.guardrails
    events = (each.event for each in guardrails)
    against = (each.against for each in guardrails if each.against is not None)
    return MonitoredSelection(
        events=tuple(dict.fromkeys([*events, *(() if activation is None else (activation,))])),
        window=catalogue.objective.window,
        activation=activation,
        policy_group=None if catalogue.groups is None else _POLICY,
        against=tuple(dict.fromkeys(against)),
    )

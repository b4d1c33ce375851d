"""What the processes of the disturbed soak had acknowledged, compared with the database while they work and at the end.

A decision or event is looked for from the moment it is acknowledged. One that waits in a spool may come late; one that
is still missing at the end is lost. Customers who were erased must not be there.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.bench.durability.acknowledgements import same

GRACE_SECONDS = 10.0
"""Seconds after which a decision that was acknowledged and is not in the database counts as late."""

_LOOKED_UP_AT_ONCE = 500

_DECISIONS = "SELECT decision_id, offer, propensity FROM decisions WHERE decision_id IN ({})"
_CURRENT_EVENTS = (
    "SELECT d.decision_id, e.event, e.revenue FROM decisions d JOIN events e ON e.seq = d.seq "
    "WHERE d.decision_id IN ({}) AND NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)"
)
_ERASED = "SELECT count(*) FROM customers WHERE key = ?"


@dataclass(slots=True)
class AcknowledgedDecision:
    """A decision as it was acknowledged: offer, propensity, its own time, the real time, and whether it was found."""

    offer: int
    propensity: float
    time: int
    at: float
    found: bool = False


@dataclass(slots=True)
class ExpectedEvent:
    """The amounts that an event may have: the last acknowledged one, and those that were asked for since."""

    amounts: list[float | None]
    acknowledged: bool = False


@dataclass(slots=True)
class Expectation:
    """The expected content of the database, kept up by the notes of all processes."""

    decisions: dict[str, AcknowledgedDecision] = field(default_factory=dict)
    events: dict[str, dict[str, ExpectedEvent]] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    guests: dict[str, set[str]] = field(default_factory=dict)
    erased: dict[str, str] = field(default_factory=dict)
    late: Counter[str] = field(default_factory=Counter)
    latest_seconds: float = 0.0
    acknowledged: int = 0
    problems: Counter[str] = field(default_factory=Counter)

    def add(self, note: dict[str, Any]) -> None:
        """Take up a line of the notes."""
        match note["what"]:
            case "decided":
                rows = zip(
                    *(note[name] for name in ("ids", "customers", "offers", "propensities", "times")), strict=True
                )
                for name, customer, offer, propensity, moment in rows:
                    self._decided(name, customer, AcknowledgedDecision(offer, propensity, moment, note["at"]))
            case "recording" | "recorded":
                self._recorded(note["id"], note["event"], note["revenue"], done=note["what"] == "recorded")
            case "erasing":
                for name in self.guests.pop(note["customer"], ()):
                    self._drop(name)
            case "erased":
                self.erased[note["customer"]] = note["key"]
            case "retaining":
                for name in [name for name, each in self.decisions.items() if each.time < note["before"]]:
                    if name in self.pending and note["at"] - self.decisions[name].at > 3 * GRACE_SECONDS:
                        self.problems["decisions were acknowledged and never seen in the database"] += 1
                    self._drop(name)

    def _decided(self, name: str, customer: str, decision: AcknowledgedDecision) -> None:
        self.acknowledged += 1
        self.decisions[name] = decision
        self.pending.add(name)
        if customer.startswith("guest"):
            self.guests.setdefault(customer, set()).add(name)

    def _recorded(self, name: str, event: str, revenue: float | None, *, done: bool) -> None:
        expected = self.events.setdefault(name, {}).setdefault(event, ExpectedEvent([]))
        if done:
            expected.amounts, expected.acknowledged = [revenue], True
        else:
            expected.amounts.append(revenue)

    def _drop(self, name: str) -> None:
        self.decisions.pop(name, None)
        self.events.pop(name, None)
        self.pending.discard(name)

    def look(self, path: Path, *, at_last: bool = False) -> None:
        """Look for what was not found yet, at last for everything; nothing happens while the database is locked."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_reading(path)) as raw:
            names = list(self.decisions if at_last else self.pending)
            for start in range(0, len(names), _LOOKED_UP_AT_ONCE):
                self._look_for(raw, names[start : start + _LOOKED_UP_AT_ONCE], at_last=at_last)
            if at_last:
                self._erased(raw)
                return
        now = time.time()
        for name in self.pending:
            if now - self.decisions[name].at > GRACE_SECONDS:
                self.late[name] = 1

    def _look_for(self, raw: sqlite3.Connection, names: Sequence[str], *, at_last: bool) -> None:
        marks = ",".join("?" * len(names))
        found = {
            name: (offer, propensity) for name, *(offer, propensity) in raw.execute(_DECISIONS.format(marks), names)
        }
        for name in names:
            expected = self.decisions[name]
            if name not in found:
                if at_last:
                    self.problems[
                        f"acknowledged decisions are lost ({'seen before' if expected.found else 'never seen'})"
                    ] += 1
                continue
            if found[name] != (expected.offer, expected.propensity):
                self.problems["acknowledged decisions have another content"] += 1
            if name in self.late and not expected.found:
                self.latest_seconds = max(self.latest_seconds, time.time() - expected.at)
            expected.found = True
            self.pending.discard(name)
        if at_last:
            self._events(_current_events(raw, names), [name for name in names if name in found])

    def _events(self, rows: Iterable[tuple[str, str, float | None]], names: Sequence[str]) -> None:
        there = Counter((name, event) for name, event, _ in rows)
        amounts = {(name, event): revenue for name, event, revenue in rows}
        self.problems["events are there twice"] += sum(count - 1 for count in there.values())
        for name in names:
            for event, expected in self.events.get(name, {}).items():
                if (name, event) not in amounts:
                    if expected.acknowledged:
                        self.problems[f'acknowledged events "{event.split()[0]}" are lost'] += 1
                elif not any(_same(amounts[name, event], amount) for amount in expected.amounts):
                    self.problems["acknowledged events have another amount"] += 1

    def _erased(self, raw: sqlite3.Connection) -> None:
        for key in self.erased.values():
            if raw.execute(_ERASED, (key,)).fetchone()[0]:
                self.problems["erased customers are in the database"] += 1

    def backup_problems(self, path: Path, begun: float) -> list[str]:
        """Return what a backup lacks of what was found in the database before the backup began."""
        names = [name for name, each in self.decisions.items() if each.found and each.at < begun - GRACE_SECONDS]
        names = names[:: max(1, len(names) // 2_000)]
        with contextlib.closing(_reading(path)) as raw:
            lost = 0
            for start in range(0, len(names), _LOOKED_UP_AT_ONCE):
                some = names[start : start + _LOOKED_UP_AT_ONCE]
                lost += len(some) - len(raw.execute(_DECISIONS.format(",".join("?" * len(some))), some).fetchall())
            sound = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
        problems = [f"a backup lacks {lost} decisions that were in the database before it began"] if lost else []
        return problems + ([] if sound == "ok" else [f"a backup is not sound: {sound}"])


def _current_events(raw: sqlite3.Connection, names: Sequence[str]) -> list[tuple[str, str, float | None]]:
    return raw.execute(_CURRENT_EVENTS.format(",".join("?" * len(names))), names).fetchall()


def _same(found: float | None, amount: float | None) -> bool:
    return found is None if amount is None else same(found, amount)


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2.0)

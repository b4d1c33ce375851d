"""What a killed process had acknowledged or begun, and the content of its database before."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.bench.durability.worker import AcknowledgementLog


def beside_lock(notes: Path) -> Path:
    """Return the file that the processes beside the killed one keep locked while they run."""
    return notes.with_name(f"{notes.name}.beside")


@dataclass(slots=True)
class Acknowledged:
    """What killed processes had acknowledged, what the last one had begun, and all decisions that were requested."""

    decided: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    recorded: dict[tuple[str, str], float] = field(default_factory=dict)
    began: dict[str, dict[str, Any]] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    learned: tuple[int, str] | None = None
    backups: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    fault: str | None = None

    @staticmethod
    def read(notes: AcknowledgementLog) -> Acknowledged:
        """Read the acknowledgements of the killed process, and what was answered to the processes beside it."""
        acknowledged = Acknowledged()
        for line in notes.read():
            acknowledged._add(line)
        for path in sorted(notes.path.parent.glob(f"{notes.path.name}-*")):
            acknowledged._merge(AcknowledgementLog(path))
        return acknowledged

    def _merge(self, notes: AcknowledgementLog) -> None:
        """Add what was answered to another process; its requests were all answered."""
        other = Acknowledged()
        for line in notes.read():
            other._add(line)
        self.decided |= other.decided
        self.recorded |= other.recorded
        self.called |= other.called
        self.problems += other.problems
        self.refusals += other.refusals
        self.fault = self.fault or other.fault
        if other.learned is not None and (self.learned is None or other.learned[0] > self.learned[0]):
            self.learned = other.learned
        if "ended" not in other.finished:
            self.problems.append("a process beside the killed one did not end")

    def _add(self, line: dict[str, Any]) -> None:
        what = line["what"]
        if what == "decided":
            rows = zip(line["customers"], line["offers"], line["propensities"], strict=True)
            self.decided |= dict(zip(line["ids"], rows, strict=True))
            self.began.pop("deciding", None)
        elif what == "recorded":
            self.recorded |= {
                (name, line["event"]): amount for name, amount in zip(line["ids"], line["revenue"], strict=True)
            }
            self.began.pop("recording", None)
        elif what == "learned":
            self.learned = (line["step"], line["state"])
        elif what in {"deciding", "recording", "erasing", "retaining", "importing"}:
            self.began[what] = line
            self.called |= set(line.get("ids", []))
        else:
            self._add_other(line)

    def _add_other(self, line: dict[str, Any]) -> None:
        match line["what"]:
            case "backed up":
                self.backups.append(line["name"])
            case "refused":
                self.refusals.append(line["sentence"])
                self.began.pop("recording", None)
            case "fault":
                self.fault = line["text"]
            case "problem":
                self.problems.append(line["sentence"])
            case what:
                self.finished.add(what)


@dataclass(frozen=True, slots=True)
class DatabaseContent:
    """The content of a database before a process worked on it: customers by decision, amounts by decision and event."""

    decisions: dict[str, str]
    times: dict[str, int]
    events: dict[tuple[str, str], float]

    @staticmethod
    def read(path: Path) -> DatabaseContent:
        """Read a database of any version; empty where there is none."""
        if not path.exists():
            return DatabaseContent({}, {}, {})
        with contextlib.closing(sqlite3.connect(path)) as raw:
            rows = raw.execute(
                "SELECT d.decision_id, k.key, d.time FROM decisions d JOIN customers k ON k.id = d.customer_id"
            ).fetchall()
            return DatabaseContent(
                {name: key for name, key, _ in rows}, {name: time for name, _, time in rows}, events_in(raw)[0]
            )


def events_in(raw: sqlite3.Connection) -> tuple[dict[tuple[str, str], float], int]:
    """Return the current amount of each event, and the number of events that are current twice."""
    rows = raw.execute(
        "SELECT d.decision_id, e.event, e.revenue FROM events e JOIN decisions d ON d.seq = e.seq "
        "WHERE NOT EXISTS (SELECT 1 FROM events n WHERE n.corrects = e.id)"
    ).fetchall()
    found = {(name, event): float("nan") if revenue is None else revenue for name, event, revenue in rows}
    return found, len(rows) - len(found)


def same(found: float | None, amount: float) -> bool:
    """Return whether an amount was found and is this one; NaN means no amount."""
    return found is not None and (found == amount or (found != found and amount != amount))  # noqa: PLR0124 - NaN

"""What a killed process had acknowledged or begun, and the content of its database before."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.bench.durability.worker import AcknowledgementLog


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
    fault: str | None = None

    @staticmethod
    def read(notes: AcknowledgementLog) -> Acknowledged:
        """Read the acknowledgements."""
        acknowledged = Acknowledged()
        for line in notes.read():
            what = line["what"]
            if what == "decided":
                rows = zip(line["customers"], line["offers"], line["propensities"], strict=True)
                acknowledged.decided |= dict(zip(line["ids"], rows, strict=True))
                acknowledged.began.pop("deciding", None)
            elif what == "recorded":
                acknowledged.recorded |= {
                    (name, line["event"]): amount for name, amount in zip(line["ids"], line["revenue"], strict=True)
                }
                acknowledged.began.pop("recording", None)
            elif what == "learned":
                acknowledged.learned = (line["step"], line["state"])
            elif what == "backed up":
                acknowledged.backups.append(line["name"])
            elif what == "refused":
                acknowledged.refusals.append(line["sentence"])
                acknowledged.began.pop("recording", None)
            elif what == "fault":
                acknowledged.fault = line["text"]
            elif what in {"deciding", "recording", "erasing", "retaining", "importing"}:
                acknowledged.began[what] = line
                acknowledged.called |= set(line.get("ids", []))
            else:
                acknowledged.finished.add(what)
        return acknowledged


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

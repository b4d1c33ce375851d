"""What the notes of the disturbed soak's processes say: counted, measured, and handed to the expectation."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bandit.store import file_size, wal_path
from bandit.store.spool.file import spools
from simulator.bench.durability.disturbed.expectation import Expectation
from simulator.bench.durability.disturbed.notes import LatencyCounts, NoteReader
from simulator.bench.durability.disturbed.processes import WorkingProcess
from simulator.bench.durability.disturbed.report import DisturbedRow, DisturbedSoakReport
from simulator.bench.durability.disturbed.settings import SoakSettings

KEPT_BACKUPS = 3
MAX_TRACEBACKS = 50
"""Tracebacks that are kept in the file `faults.txt` of the folder."""

_VARYING = re.compile(r"\d[\d,.]*|decider\S+|\"[^\"]*\"|/\S+")


def kind_of(sentence: str) -> str:
    """Return a sentence without its numbers, names and paths, so that equal ones can be counted.

    >>> kind_of('policy 3 of "anna" in /data/x.db')
    'policy * of * in *'
    """
    return _VARYING.sub("*", sentence)[:240]


@dataclass(slots=True)
class _Window:
    """What was counted since the last row."""

    begun: float
    decisions: int = 0
    decide: LatencyCounts = field(default_factory=LatencyCounts)
    record: LatencyCounts = field(default_factory=LatencyCounts)
    rss: float = 0.0
    fallbacks: int = 0
    dead_spool: float = 0.0
    unlearned: float = 0.0


class Measurements:
    """Reads the notes and measures the files; `row` returns what was found since the last row.

    `unseen` are ids that a second process answered though it could not look into the database, and said so.
    """

    def __init__(
        self, settings: SoakSettings, report: DisturbedSoakReport, running: Callable[[], list[WorkingProcess]]
    ) -> None:
        self.settings = settings
        self.report = report
        self.running = running
        self.expectation = Expectation(problems=report.problems)
        self.reader = NoteReader(settings.notes)
        self.window = _Window(time.monotonic())
        self.total = {name: LatencyCounts() for name in ("decide", "record")}
        self.steady, self.learned_at = 0.0, time.monotonic()
        self.spool_since: dict[Path, float] = {}
        self.backups: list[Path] = []
        self.unseen: set[str] = set()
        self._take: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "report": self._reported,
            "learned": self._learned,
            "fault": self._raised,
            "backed up": self._backed_up,
        }

    def read(self) -> None:
        """Read the new notes."""
        report = self.report
        for note in self.reader.read():
            match note["what"]:
                case "happened":
                    report.happened[note["event"]] += 1
                case "interrupted":
                    report.happened["signals that interrupted"] += 1
                case "refused":
                    report.refused[f"{note['during']}: {kind_of(note['sentence'])}"] += 1
                case "problem":
                    report.problems[kind_of(note["sentence"])] += 1
                case "unknown":
                    report.problems["an acknowledged decision was unknown when an event came for it"] += 1
                case "otherwise":
                    report.problems["a retried request got another decision from another process"] += 1
                case "unseen":
                    report.happened["retries answered while the database was out of reach"] += 1
                    self.unseen.add(note["id"])
                case what:
                    self._take.get(what, self.expectation.add)(note)

    def _learned(self, _note: dict[str, Any]) -> None:
        now = time.monotonic()
        self.window.unlearned = max(self.window.unlearned, now - self.learned_at)
        self.learned_at = now

    def _raised(self, note: dict[str, Any]) -> None:
        self.report.problems[f"raised: {kind_of(note['text'].strip().splitlines()[-1])}"] += 1
        if self.report.problems.total() < MAX_TRACEBACKS:
            with (self.settings.folder / "faults.txt").open("a", encoding="utf-8") as file:
                file.write(note["text"] + "\n")

    def _reported(self, note: dict[str, Any]) -> None:
        window, slot = self.window, int(note["by"].removeprefix("decider").split(".")[0])
        for each in self.running():
            if (each.role, each.slot) == ("decider", slot):
                each.reported = time.monotonic()
        window.decisions += note["decisions"]
        for kind, counts in (("decide", window.decide), ("record", window.record)):
            counts.merge(note["latency"][kind])
            self.total[kind].merge(note["latency"][kind])
        window.rss = max(window.rss, note["rss"])
        self.steady = note["rss"] if slot == 0 else self.steady
        for fault, count in note["faults"].items():
            self.report.faults[kind_of(fault)] += count
            window.fallbacks += count

    def _backed_up(self, note: dict[str, Any]) -> None:
        for problem in self.expectation.backup_problems(Path(note["path"]), note["begun"]):
            self.report.problems[kind_of(problem)] += 1
        self.backups.append(Path(note["path"]))
        while len(self.backups) > KEPT_BACKUPS:
            self.backups.pop(0).unlink(missing_ok=True)

    def watch_spools(self) -> None:
        """Note since when the spools of ended processes are there."""
        now, found = time.monotonic(), spools(self.settings.path)
        self.spool_since = {
            path: self.spool_since.get(path, now)
            for path in found
            if not Path(f"/proc/{path.name.rpartition('-')[0].rpartition('-')[2]}").exists()
        }
        for since in self.spool_since.values():
            self.window.dead_spool = max(self.window.dead_spool, now - since)

    def row(self, minutes: float) -> DisturbedRow:
        """Return what was measured since the last row, and begin anew."""
        window, now = self.window, time.monotonic()
        path = self.settings.path
        self.window = _Window(now)
        row = DisturbedRow(
            minute=minutes,
            per_second=window.decisions / (now - window.begun),
            decide_p50=1e3 * window.decide.percentile(0.5),
            decide_p99=1e3 * window.decide.percentile(0.99),
            decide_longest=1e3 * window.decide.longest,
            record_p99=1e3 * window.record.percentile(0.99),
            record_longest=1e3 * window.record.longest,
            rss=window.rss,
            steady=self.steady,
            file=file_size(path) / 2**20,
            wal=file_size(wal_path(path)) / 2**20,
            spools=len(spools(path)),
            dead_spool=window.dead_spool,
            unlearned=max(window.unlearned, now - self.learned_at),
            fallbacks=window.fallbacks,
            late=sum(now_late in self.expectation.pending for now_late in self.expectation.late),
        )
        self.report.rows.append(row)
        return row

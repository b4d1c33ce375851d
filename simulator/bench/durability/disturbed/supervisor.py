"""The supervisor of the disturbed soak: runs the processes, and compares what they acknowledged with the database."""

from __future__ import annotations

import time
from collections.abc import Callable

from bandit import Engine, ThompsonSampling
from bandit.errors import OfferBanditError
from bandit.governance.verify import verify
from bandit.store import Store, refused_lines, spools
from simulator.bench.durability.disturbed.measurements import Measurements, kind_of
from simulator.bench.durability.disturbed.processes import Processes
from simulator.bench.durability.disturbed.report import DisturbedRow, DisturbedSoakReport
from simulator.bench.durability.disturbed.settings import OPENING_LOCK, SoakSettings
from simulator.bench.engines import BENCH_KEY

LOOK_SECONDS = 3.0
"""Seconds between two looks for what was acknowledged."""

LEARNED_WITHIN = 90.0
"""Seconds after the end within which an engine must learn again."""


class Supervisor:
    """Runs one disturbed soak in a folder of its own."""

    def __init__(self, settings: SoakSettings) -> None:
        self.settings = settings
        for name in ("data", "notes", "recent", "elsewhere", "away", "backups"):
            (settings.folder / name).mkdir(parents=True)
        (settings.folder / OPENING_LOCK).touch()
        self.report = DisturbedSoakReport()
        self.processes = Processes(settings, self.report)
        self.measured = Measurements(settings, self.report, lambda: self.processes.running)

    def run(self, minute: Callable[[DisturbedRow], None], row_seconds: float = 60.0) -> DisturbedSoakReport:
        """Run for the time of the settings; call `minute` with each row; return the report."""
        self._engine().close()  # creates the database before anything can happen to it
        begun = time.monotonic()
        next_row, next_look = begun + row_seconds, begun + LOOK_SECONDS
        try:
            self.processes.start_all()
            while (now := time.monotonic()) < begun + self.settings.seconds:
                time.sleep(0.05)
                self.processes.disturb()
                self.measured.read()
                if now > next_look:
                    next_look = now + LOOK_SECONDS
                    self.measured.expectation.look(self.settings.path)
                    self.measured.watch_spools()
                    self.processes.restart_hung()
                if now > next_row:
                    next_row = now + row_seconds
                    minute(self.measured.row((now - begun) / 60.0))
        finally:
            self.processes.stop_all()
        self.measured.read()
        self._finish(begun)
        return self.report

    def _engine(self) -> Engine:
        catalogue = self.settings.catalogue()
        return Engine.open(self.settings.path, catalogue, ThompsonSampling(catalogue), customer_key=BENCH_KEY)

    def _finish(self, begun: float) -> None:
        """Open the database once more, and compare everything."""
        settings, problems = self.settings, self.report.problems
        expectation, total = self.measured.expectation, self.measured.total
        try:
            self._engine().close()
            expectation.look(settings.path, at_last=True)
            if left := spools(settings.path):
                problems["spools are left at the end"] += len(left)
            for line in refused_lines(settings.path):
                if line.kind != "decisions" or not self.measured.unseen.issuperset(line.decision_ids):
                    problems[f"a spooled line was refused: {kind_of(line.reason)}"] += 1
            with Store.open(settings.path, customer_key=BENCH_KEY) as store:
                for each in verify(store).problems:
                    problems[f"verify: {kind_of(each)}"] += 1
            self._learn_on()
        except OfferBanditError as fault:
            problems[f"at the end: {type(fault).__name__}: {kind_of(str(fault))}"] += 1
        if list((settings.folder / "elsewhere").iterdir()):
            problems["a database was made in the directory that a process had changed to"] += 1
        self.report.summary |= {
            "minutes": (time.monotonic() - begun) / 60.0,
            "decisions acknowledged": float(expectation.acknowledged),
            "customers erased": float(len(expectation.erased)),
            "decisions that came late": float(len(expectation.late)),
            "the latest after seconds": expectation.latest_seconds,
            "decide p50 ms": 1e3 * total["decide"].percentile(0.5),
            "decide p99 ms": 1e3 * total["decide"].percentile(0.99),
            "decide longest ms": 1e3 * total["decide"].longest,
            "record p99 ms": 1e3 * total["record"].percentile(0.99),
            "record longest ms": 1e3 * total["record"].longest,
        }

    def _learn_on(self) -> None:
        """The engine must learn after all, and a rebuild must give its state."""
        with self._engine() as engine:
            until = time.monotonic() + LEARNED_WITHIN
            while not engine.learn().learner:
                if time.monotonic() > until:
                    self.report.problems["nobody can learn for a minute and a half after the end"] += 1
                    return
                time.sleep(1.0)
            if not engine.rebuild().same:
                self.report.problems["a rebuild gives another state than the one that served"] += 1

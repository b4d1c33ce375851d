"""The processes of the disturbed soak: started, killed, interrupted, paused, and the database moved under them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.bench.durability.disturbed.decider import Decider
from simulator.bench.durability.disturbed.report import DisturbedSoakReport
from simulator.bench.durability.disturbed.settings import DISTURBANCES, SoakSettings
from simulator.bench.durability.disturbed.upkeep import Upkeep, hold_locks, move_database

HUNG_SECONDS = 90.0
"""Seconds without a report after which a process is taken to hang."""

STOP_SECONDS = 60.0
KEPT_AWAY = 3
"""Databases that were replaced and are kept."""


@dataclass(slots=True)
class WorkingProcess:
    """A process: what it does, when it last reported, and when it goes on if it is stopped."""

    role: str
    slot: int
    pid: int
    reported: float
    resumed_at: float = 0.0


class Processes:
    """All processes of one soak."""

    def __init__(self, settings: SoakSettings, report: DisturbedSoakReport) -> None:
        self.settings = settings
        self.report = report
        self.rng = np.random.default_rng([settings.seed, 99])
        self.running: list[WorkingProcess] = []
        self.lives: Counter[str] = Counter()
        self.next: dict[str, float] = {}

    def start_all(self) -> None:
        """Start the deciders, the upkeep and the holder of locks."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until a decider has its handler
        for slot in range(self.settings.processes):
            self._start("decider", slot)
        if {"erase", "retain", "backup", "verify"} & self.settings.activities:
            self._start("upkeep", 0)
        if "locks" in self.settings.activities:
            self._start("locks", 0)

    def _start(self, role: str, slot: int) -> None:
        life = self.lives[f"{role}{slot}"]
        self.lives[f"{role}{slot}"] += 1
        pid = self._fork(
            {
                "decider": lambda: Decider(self.settings, slot, life).run(),
                "upkeep": lambda: Upkeep(self.settings, life).run(),
                "locks": lambda: hold_locks(self.settings, life),
            }[role]
        )
        self.running.append(WorkingProcess(role, slot, pid, time.monotonic()))

    def _fork(self, work: Callable[[], object]) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            errors = os.open(self.settings.folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(errors, 2)
            work()
        finally:
            os._exit(1)

    def disturb(self) -> None:
        """Kill, signal and pause processes, and move the database, each when its time has come."""
        now = time.monotonic()
        for each in self.running:
            if each.resumed_at and now > each.resumed_at:
                each.resumed_at, each.reported = 0.0, now
                os.kill(each.pid, signal.SIGCONT)
        if self._due("kills"):
            # The first decider is never killed: its memory is that of a process that lives long.
            self._kill(self._any(lambda each: (each.role, each.slot) != ("decider", 0)))
        if self._due("signals"):
            interrupted = self._any(lambda each: each.role == "decider" and not each.resumed_at)
            if interrupted is not None:
                os.kill(interrupted.pid, signal.SIGUSR1)
        if self._due("pauses"):
            paused = self._any(lambda each: each.role == "decider" and not each.resumed_at)
            if paused is not None:
                os.kill(paused.pid, signal.SIGSTOP)
                paused.resumed_at = now + self.rng.exponential(4.0)
        for what in ("moved", "replaced"):
            if self._due(what):
                self._move(replace=what == "replaced")

    def _due(self, what: str) -> bool:
        if what not in self.settings.activities:
            return False
        now = time.monotonic()
        if now < self.next.setdefault(what, now + self.rng.exponential(DISTURBANCES[what])):
            return False
        self.next[what] = now + self.rng.exponential(DISTURBANCES[what])
        if what not in {"moved", "replaced"}:
            self.report.happened[what] += 1
        return True

    def _any(self, wanted: Callable[[WorkingProcess], bool]) -> WorkingProcess | None:
        found = [each for each in self.running if wanted(each)]
        return found[self.rng.integers(len(found))] if found else None

    def _kill(self, each: WorkingProcess | None) -> None:
        if each is None:
            return
        os.kill(each.pid, signal.SIGKILL)
        os.waitpid(each.pid, 0)
        self.running.remove(each)
        self._start(each.role, each.slot)

    def _move(self, *, replace: bool) -> None:
        """Move the database in a process of its own; nobody is killed or started meanwhile."""
        for each in self.running:
            if each.resumed_at:
                os.kill(each.pid, signal.SIGCONT)
                each.resumed_at = 0.0
        number = self.lives["mover"]
        self.lives["mover"] += 1
        pid = self._fork(lambda: move_database(self.settings, number, replace=replace))
        os.waitpid(pid, 0)
        for old in sorted((self.settings.folder / "away").iterdir(), key=lambda each: each.stat().st_mtime):
            if int(old.name.split(".")[0]) <= number - KEPT_AWAY:
                old.unlink()

    def restart_hung(self) -> None:
        """Start again what has ended by itself, and kill what does nothing."""
        now = time.monotonic()
        for each in list(self.running):
            gone, code = os.waitpid(each.pid, os.WNOHANG)
            if gone:
                self.report.problems[f"a process of {each.role} ended by itself with {code}"] += 1
                self.running.remove(each)
                self._start(each.role, each.slot)
            elif each.role == "decider" and not each.resumed_at and now - each.reported > HUNG_SECONDS:
                self.report.problems["a process did nothing for a minute and a half, and was killed"] += 1
                self._kill(each)

    def stop_all(self) -> None:
        """Let the deciders close their engines and end, and kill the others."""
        for each in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGCONT)
                os.kill(each.pid, signal.SIGTERM if each.role == "decider" else signal.SIGKILL)
        until = time.monotonic() + STOP_SECONDS
        for each in self.running:
            while time.monotonic() < until and not os.waitpid(each.pid, os.WNOHANG)[0]:
                time.sleep(0.05)
            if time.monotonic() >= until:
                self.report.problems["a process did not end within a minute"] += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
                    os.waitpid(each.pid, 0)
        self.running = []

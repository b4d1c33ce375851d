"""A process of the disturbed soak that decides, records and learns, and notes what was acknowledged."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import numpy as np

from bandit import Engine, ThompsonSampling
from bandit.domain import Decision
from bandit.errors import DuplicateError, OfferBanditError, StoreError, UnknownDecisionError
from simulator.bench.durability.disturbed import own_disturbances
from simulator.bench.durability.disturbed.notes import LatencyCounts, NoteWriter
from simulator.bench.durability.disturbed.settings import (
    GUEST_SECONDS,
    OPENING_LOCK,
    REOPENED_SECONDS,
    SoakSettings,
)
from simulator.bench.durability.soak import resident
from simulator.bench.engines import BENCH_KEY

REPORT_SECONDS = 5.0
LEARN_SECONDS = 2.0
SOAK_BUSY_TIMEOUT = 1.0


class SoftTimeout(Exception):  # noqa: N818 - what it stands for is no error
    """What the handler of a signal raises, as a web server's time limit does."""


@dataclass(slots=True)
class SteppedClock:
    """The real clock and an offset in microseconds."""

    offset: int = 0

    def __call__(self) -> int:
        """Return microseconds since 1970 UTC."""
        return time.time_ns() // 1_000 + self.offset


class Decider:
    """One working process; `run` never returns into the caller's code."""

    def __init__(self, settings: SoakSettings, slot: int, life: int) -> None:
        self.settings = settings
        self.slot = slot
        self.rng = np.random.default_rng([settings.seed, slot, life])
        self.notes = NoteWriter(settings.notes, f"decider{slot}.{life}")
        self.clock = SteppedClock()
        self.latency = {"decide": LatencyCounts(), "record": LatencyCounts()}
        self.faults: dict[str, int] = {}
        self.begun = time.monotonic()
        self.next: dict[str, float] = {}
        self.turn = self.made = 0
        self.stopping = False
        self.room_back_at = 0.0
        self.context: dict[str, object] = {}

    def run(self) -> NoReturn:
        """Work until SIGTERM."""
        code = 1
        try:
            warnings.simplefilter("ignore")
            signal.signal(signal.SIGTERM, self._stop)
            signal.signal(signal.SIGUSR1, _interrupt)
            while not self.stopping:
                try:
                    self._serve()
                except SoftTimeout:
                    self.notes.write("interrupted")
            self.notes.write("ended")
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _serve(self) -> None:
        try:
            self._work()
        except StoreError as fault:
            self.refused(fault, "opening or deciding")
            time.sleep(0.2)
        except SoftTimeout:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is reported
            self.notes.write("fault", text=traceback.format_exc(limit=-6))
            time.sleep(0.2)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _work(self) -> None:
        """Serve from one engine for about a minute."""
        settings = self.settings
        path = settings.path
        with shared_lock(settings):
            if "chdir" in settings.activities:
                os.chdir(path.parent)
                path = Path(path.name)
            engine = self._opened(path)
        if "chdir" in settings.activities:
            os.chdir(settings.folder / "elsewhere")
        until = time.monotonic() + self.rng.exponential(REOPENED_SECONDS)
        with engine:
            while not self.stopping and time.monotonic() < until:
                self._turn(engine)

    def _opened(self, path: Path) -> Engine:
        catalogue = self.settings.catalogue()
        return Engine.open(
            path,
            catalogue,
            ThompsonSampling(catalogue),
            customer_key=BENCH_KEY,
            durability="full" if self.settings.durability == "full" else "process",
            clock=self.clock,
            busy_timeout=SOAK_BUSY_TIMEOUT,
        )

    def _turn(self, engine: Engine) -> None:
        self.turn += 1
        made = self.decide(engine)
        if made is not None and made.logged:
            chance = self.rng.random()
            if chance < 0.2:
                self.record(engine, made.decision_id, "purchase", round(20.0 + 40.0 * chance, 2))
            if chance < 0.05:
                self.record(engine, made.decision_id, "return", -5.0)
            if chance < 0.02:
                self.record(engine, made.decision_id, "purchase", 99.0, correct=True)
            elif 0.2 <= chance < 0.3:
                self.record(engine, made.decision_id, "closed", None)
            own_disturbances.cross(self, engine, made)
        if self.due("learn", LEARN_SECONDS):
            self.learn(engine)
        if self.turn % 10 == 0:
            self._batch(engine)
        own_disturbances.step_clock(self)
        own_disturbances.fill_disk(self)
        own_disturbances.fork(self, engine)
        if self.due("report", REPORT_SECONDS, even=True):
            self._report(engine)
        self._pace()

    def decide(self, engine: Engine) -> Decision | None:
        """Decide for one customer, and send the same request again after an interruption, as a client does."""
        guest = "erase" in self.settings.activities and self.rng.random() < 0.1
        customer = f"guest-{int(time.time()) // GUEST_SECONDS}" if guest else f"c{self.rng.integers(2_000)}"
        self.context = {"age": float(self.rng.integers(18, 90)), "member": bool(self.rng.random() < 0.5)}
        name = f"{self.notes.name}-{os.getpid()}-{self.turn}"
        for _ in range(5):
            begun = time.perf_counter()
            try:
                made = engine.decide(customer, self.context, decision_id=name)
            except SoftTimeout:
                self.notes.write("interrupted")
                continue
            self.latency["decide"].add(time.perf_counter() - begun)
            self.made += 1
            if made.fault is not None:
                self.faults[made.fault] = self.faults.get(made.fault, 0) + 1
            if made.logged:
                self.notes.write(
                    "decided",
                    ids=[name],
                    customers=[customer],
                    offers=[made.offer_index],
                    propensities=[made.propensity],
                    times=[made.time],
                )
            return made
        return None

    def _batch(self, engine: Engine) -> None:
        n = int(self.rng.integers(2, 40))
        ids = [f"{self.notes.name}-{os.getpid()}-{self.turn}-{row}" for row in range(n)]
        customers = [f"c{number}" for number in self.rng.integers(2_000, size=n)]
        contexts = [{"age": float(age), "member": age % 2 == 0} for age in self.rng.integers(18, 90, size=n)]
        try:
            batch = engine.decide_batch(customers, contexts, decision_ids=ids)
        except DuplicateError:  # this turn was interrupted after its batch, and is done again
            return
        self.made += n
        if batch.logged:
            self.notes.write(
                "decided",
                ids=ids,
                customers=customers,
                offers=batch.offer_index.tolist(),
                propensities=batch.propensity.tolist(),
                times=batch.time.tolist(),
            )

    def record(
        self, engine: Engine, decision: str, event: str, revenue: float | None, *, correct: bool = False
    ) -> None:
        """Record an event of a decision, and note before and after it."""
        self.notes.write("recording", id=decision, event=event, revenue=revenue)
        begun = time.perf_counter()
        try:
            engine.record(decision, event, revenue=revenue, correct=correct)
        except StoreError as fault:
            self.refused(fault, "record")
        except UnknownDecisionError:
            self.notes.write("unknown", id=decision)
        else:
            self.latency["record"].add(time.perf_counter() - begun)
            self.notes.write("recorded", id=decision, event=event, revenue=revenue)

    def learn(self, engine: Engine) -> None:
        """Learn, and note the step that was reached."""
        try:
            learned = engine.learn()
        except OfferBanditError as fault:
            self.refused(fault, "learn")
        else:
            if learned.learner:
                self.notes.write("learned", step=engine.step, n=learned.n)

    def refused(self, fault: OfferBanditError, during: str) -> None:
        """Note a call that was refused with a sentence."""
        self.notes.write("refused", sentence=f"{type(fault).__name__}: {fault}", during=during)

    def due(self, what: str, seconds: float, *, even: bool = False) -> bool:
        """Say whether the time for something has come, and set the next one, at random unless `even`."""
        now = time.monotonic()
        if now < self.next.setdefault(what, now + (seconds if even else self.rng.exponential(seconds))):
            return False
        self.next[what] = now + (seconds if even else self.rng.exponential(seconds))
        return True

    def _report(self, engine: Engine) -> None:
        state = engine.status()
        self.notes.write(
            "report",
            decisions=self.made,
            latency={name: counts.taken() for name, counts in self.latency.items()},
            faults=self.faults,
            rss=resident(),
            age=time.monotonic() - self.begun,
            spooled=state.spooled,
            well=state.well,
        )
        self.made, self.faults = 0, {}

    def _pace(self) -> None:
        """Sleep until the next turn is due, so that all processes together hold the rate."""
        # A turn makes one decision, and each tenth one a batch of 20 on average.
        pause = 3.0 * self.settings.processes / self.settings.rate
        now = time.monotonic()
        due = self.next.get("turn", now) + pause
        self.next["turn"] = due if due > now - 1.0 else now
        if due > now:
            time.sleep(due - now)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise SoftTimeout


@contextmanager
def shared_lock(settings: SoakSettings) -> Iterator[None]:
    """Keep the database from being moved inside."""
    with (settings.folder / OPENING_LOCK).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield

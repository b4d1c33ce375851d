"""A simulated day: a batch job decides for a million customers, is killed in the middle, resumed, and learns once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import Progress
from bandit.engine.audience import AudiencePart, decide_audience
from bandit.errors import InputError, StoreError
from bandit.store import Store, file_size
from simulator.bench.engines import BENCH_KEY, BENCH_START, ManualClock
from simulator.bench.scale.largest_memory import largest_memory
from simulator.bench.speed.fixtures import ProblemSize, catalogue_mapping

DAY_SIZE = ProblemSize(48, 4)
"""Offers and facts."""

DAY_DECISIONS = 1_000_000
AUDIENCE_PART = 10_000
"""Customers of the audience that are in memory at a time."""

FIRST_OUTCOMES = 10_000
"""Decisions of the day before, which the policy has learned."""

DAY_PURCHASES = 0.05
LEARNED_ONCE = 100_000
"""Decisions of the day whose outcomes are recorded, and learned in one call; the others stay open."""

KILLED_AT = 0.4
"""Share of the audience after which the job is killed once."""


@dataclass(frozen=True, slots=True)
class DayTiming:
    """One job over an audience: decisions, seconds, the largest resident memory in mebibytes, the size of the file.

    All seconds are of the processor, which other programs on the machine do not lengthen much. `seconds` are those of
    deciding, in both runs, `resumed` those that the second run took for the decisions it found;
    `record` and `learn` those of the outcomes of LEARNED_ONCE of them. `early` and `peak` are the memory after a tenth
    of the second run and at its end, `logged` the decisions that are in the file.
    """

    decisions: int
    seconds: float
    resumed: float
    record: float
    learn: float
    early: float
    peak: float
    megabytes: float
    logged: int

    def to_dict(self) -> dict[str, int | float]:
        """Return plain JSON values."""
        return asdict(self)


class Day:
    """An audience, and the database that its offers are decided in."""

    def __init__(self, path: Path, decisions: int, seed: int) -> None:
        self.path, self.decisions, self.seed = path, decisions, seed
        self.catalogue = Catalogue.from_dict(catalogue_mapping(DAY_SIZE))
        self.clock = ManualClock(BENCH_START)

    def engine(self) -> Engine:
        """Open the engine."""
        return Engine.open(
            self.path,
            self.catalogue,
            ThompsonSampling(self.catalogue),
            seed=5,
            customer_key=BENCH_KEY,
            durability="process",
            clock=self.clock,
            sync=None,
        )

    def parts(self, name: str, n: int) -> Iterator[AudiencePart]:
        """Yield the audience; the same again for the same name."""
        for start in range(0, n, AUDIENCE_PART):
            size = min(AUDIENCE_PART, n - start)
            columns = np.random.default_rng([self.seed, start]).standard_normal((DAY_SIZE.facts, size)).round(3)
            rows = range(start, start + size)
            yield AudiencePart(
                [f"{name}-{row}" for row in rows],
                [f"customer-{row}" for row in rows],
                {f"fact{place}": column for place, column in enumerate(columns.tolist())},
            )

    def outcomes(self, engine: Engine, name: str, n: int) -> None:
        """Record what came of the decisions: some purchases, and that nothing more will come."""
        rng = np.random.default_rng([self.seed, 2])
        for part in self.parts(name, n):
            bought = rng.random(len(part.decision_ids)) < DAY_PURCHASES
            events = np.where(bought, "purchase", "closed").tolist()
            revenue = [40.0 if one else None for one in bought.tolist()]
            engine.record_batch(part.decision_ids, events, revenue=revenue)

    def begin(self) -> None:
        """Let the policy learn a first day."""
        with self.engine() as engine:
            for _ in decide_audience(engine, self.parts("before", min(FIRST_OUTCOMES, self.decisions))):
                pass
            self.outcomes(engine, "before", min(FIRST_OUTCOMES, self.decisions))
            engine.learn()

    def run(self, progress: Progress | None, killed_at: int | None = None) -> tuple[float, float, float]:
        """Decide for the audience; return the seconds of what was known, of the rest, and the memory after a tenth.

        With `killed_at` the process is killed once so many decisions are made.
        """
        known = new = early = 0.0
        done = 0
        with self.engine() as engine:
            begun = time.process_time()
            for part in decide_audience(engine, self.parts("day", self.decisions), progress, self.decisions):
                done += len(part)
                now = time.process_time()
                if part.is_new.any():
                    new += now - begun
                else:
                    known += now - begun
                begun = now
                if not early and done >= self.decisions // 10:
                    early = largest_memory()
                if killed_at is not None and done >= killed_at:
                    os.kill(os.getpid(), signal.SIGKILL)
        return known, new, early


def measure(
    decisions: int = DAY_DECISIONS, seed: int = 1, folder: Path | None = None, progress: Progress | None = None
) -> DayTiming:
    """Measure a day; `progress` is called with decisions done and all. InputError for fewer than ten decisions.

    StoreError where a customer of the audience has another number of decisions than one.
    """
    if decisions < 10:
        raise InputError(f"a day has at least ten decisions; seen {decisions}")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        day = Day(Path(temporary) / "day.db", decisions, seed)
        day.begin()
        before = _run_and_be_killed(day, progress)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found = pool.submit(_resume, day.path, decisions, seed).result()
        with Store.open(day.path, customer_key=BENCH_KEY) as store:
            logged = store.counts().decisions - min(FIRST_OUTCOMES, decisions)
        if logged != decisions:
            raise StoreError(f"{logged:,} decisions are in the log for an audience of {decisions:,}")
        return DayTiming(decisions, before + found[1], found[0], *found[2:], file_size(day.path) / 1e6, logged)


def _run_and_be_killed(day: Day, progress: Progress | None) -> float:
    """Run the job in a process that is killed; return the seconds that it decided."""
    pid = os.fork()
    if not pid:
        try:
            day.run(progress, int(KILLED_AT * day.decisions))
        finally:
            os._exit(1)
    _, status, used = os.wait4(pid, 0)
    if not os.WIFSIGNALED(status):
        raise StoreError("the job ended before it was killed; its traceback is above")
    return used.ru_utime + used.ru_stime


def _resume(path: Path, decisions: int, seed: int) -> tuple[float, float, float, float, float, float]:
    """Run the job again in this new process, and learn once after it."""
    day = Day(path, decisions, seed)
    known, new, early = day.run(None)
    begun = time.process_time()
    with day.engine() as engine:
        day.outcomes(engine, "day", min(LEARNED_ONCE, decisions))
        recorded = time.process_time()
        engine.learn()
        learned = time.process_time()
    return known, new, recorded - begun, learned - recorded, early, largest_memory()


def report_of(progress: Callable[[str], None], every: float = 5.0) -> Progress:
    """Return a progress callback that says at most every few seconds how far the job is, and how fast."""
    begun = last = time.perf_counter()

    def told(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= every:
            last = now
            progress(f"{done:,} of {total:,} decisions, {done / (now - begun):,.0f} a second")

    return told


def markdown(timing: DayTiming) -> str:
    """Return the timing as a Markdown table."""
    rate = timing.decisions / timing.seconds
    rows = (
        ("decisions", f"{timing.decisions:,}"),
        ("in the log after a kill and a second run", f"{timing.logged:,}"),
        ("decisions a second of processor time", f"{rate:,.0f}"),
        ("seconds of processor time to decide, both runs", f"{timing.seconds:,.0f}"),
        (f"seconds to find the {KILLED_AT:.0%} that were there", f"{timing.resumed:,.1f}"),
        (f"seconds to record the outcomes of {min(LEARNED_ONCE, timing.decisions):,}", f"{timing.record:,.0f}"),
        ("seconds to learn them, once", f"{timing.learn:,.0f}"),
        ("largest memory after a tenth, MiB", f"{timing.early:,.0f}"),
        ("largest memory at the end, MiB", f"{timing.peak:,.0f}"),
        ("file, MB", f"{timing.megabytes:,.0f}"),
    )
    return "\n".join(["| a day | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)]) + "\n"

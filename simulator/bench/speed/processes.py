"""Many processes on one file: how many decisions and events a second, how long each waits, and that none is lost.

Beside it, in the same run, what plain sqlite3 does with the very same rows: as many processes insert them into tables
of the same kind, one transaction each. At the end everything acknowledged must be there, none twice, and `verify` must
be clean.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from rich.console import Console

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import FloatArray
from bandit.governance.verify import verify
from bandit.store import Store
from simulator.bench.speed.fixtures import ProblemSize, catalogue_mapping

BENCH_KEY = b"many"
Durability: TypeAlias = Literal["full", "process"]
TIMED_DURABILITIES: tuple[Durability, ...] = ("process", "full")

CROWD_SIZE = ProblemSize(144, 12)
"""Offers and facts of the catalogue that is decided for."""

PURCHASE_SHARE = 0.2
"""Share of the decisions of which a purchase is recorded."""

LATENCY_PERCENTILES = (50, 95, 99, 100)

BUSY_SECONDS = 60.0
"""Seconds that anybody waits for the file, so that the wait is measured and not cut short."""

BARRIER_SECONDS = 600.0
"""Seconds that the processes wait for each other to begin."""


COPIED_TABLES = {"decisions": "time", "events": "time"}
"""The tables whose rows are inserted once more, and what orders them."""

DISTINCT_CUSTOMERS = 500
"""Customers, and contexts, of one process."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ProcessTask:
    """What one process does, and on which files."""

    path: Path
    plain: Path
    number: int
    processes: int
    decisions: int
    durability: Durability
    learn_every: int
    seed: int


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """What one process did: decisions and events acknowledged, its faults, and the seconds that each call took."""

    decisions: tuple[str, ...]
    events: tuple[str, ...]
    faults: int
    learned: int
    decide: FloatArray
    record: FloatArray
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class ThroughputRow:
    """One row of the table: what was done, how many a second, and percentiles of milliseconds."""

    durability: str
    what: str
    n: int
    per_second: float
    percentiles: tuple[float, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DurabilityResult:
    """One durability's lines, what was wrong at the end (nothing, it is hoped), and what the run was like."""

    durability: str
    lines: tuple[ThroughputRow, ...]
    problems: tuple[str, ...]
    faults: int
    learned: int
    bytes_per_decision: float


def measure(processes: int, decisions: int, durability: Durability, learn_every: int, seed: int) -> DurabilityResult:
    """Let processes decide and record on one new file, then insert the same rows by plain sqlite3."""
    with tempfile.TemporaryDirectory() as folder:
        path, plain = Path(folder) / "many.db", Path(folder) / "plain.db"
        open_engine(path, seed, durability).close()  # the file and its tables are there before the clock runs
        tasks = [
            ProcessTask(path, plain, number, processes, decisions, durability, learn_every, seed)
            for number in range(processes)
        ]
        results = _together(serve, tasks)
        problems = _check(path, results)
        size = path.stat().st_size / (processes * decisions)
        _same_tables(path, plain)
        inserted = _together(insert, tasks)
    spent = max(result.ended for result in results) - min(result.begun for result in results)
    plainly = max(ended for _, _, ended in inserted) - min(begun for _, begun, _ in inserted)
    decide, record = (np.concatenate([getattr(result, name) for result in results]) for name in ("decide", "record"))
    single = np.concatenate([times for times, _, _ in inserted])
    lines = (
        _line(durability, "decide", decide, spent),
        _line(durability, "record", record, spent),
        _line(durability, "decide and record", np.concatenate([decide, record]), spent),
        _line(durability, "plain sqlite3 inserts of the same rows", single, plainly),
    )
    faults, learned = sum(result.faults for result in results), sum(result.learned for result in results)
    return DurabilityResult(durability, lines, problems, faults, learned, size)


def markdown(found: list[DurabilityResult]) -> str:
    """Return the table and what was found at the end."""
    text = [
        f"| durability | what | calls | a second | {' | '.join(f'p{each} ms' for each in LATENCY_PERCENTILES)} |",
        f"|---|---|{'---:|' * (2 + len(LATENCY_PERCENTILES))}",
    ]
    for each in found:
        for line in each.lines:
            shown = " | ".join(f"{value:.2f}" for value in line.percentiles)
            text.append(f"| {line.durability} | {line.what} | {line.n:,} | {line.per_second:,.0f} | {shown} |")
    for each in found:
        ended = "; ".join(each.problems) or "everything acknowledged is there, none twice, and verify finds no problem"
        text.append("")
        text.append(
            f"{each.durability}: {ended}. {each.faults:,} decisions ended in the fallback, {each.learned:,} outcomes "
            f"were learned meanwhile, the file has {each.bytes_per_decision:,.0f} bytes a decision."
        )
    return "\n".join(text) + "\n"


def run(
    processes: int, decisions: int, durabilities: tuple[Durability, ...], learn_every: int, seed: int, console: Console
) -> list[DurabilityResult]:
    """Measure each durability and say so as it goes."""
    found = []
    for durability in durabilities:
        console.print(f"{processes} processes, {decisions:,} decisions each, durability {durability} ...")
        found.append(measure(processes, decisions, durability, learn_every, seed))
    return found


def _line(durability: str, what: str, seconds: FloatArray, spent: float) -> ThroughputRow:
    shown = tuple(float(value) for value in 1_000 * np.percentile(seconds, LATENCY_PERCENTILES)) if len(seconds) else ()
    return ThroughputRow(
        durability, what, len(seconds), len(seconds) / spent, shown or (0.0,) * len(LATENCY_PERCENTILES)
    )


def _together(work: Callable[[Argument], Result], arguments: list[Argument]) -> list[Result]:
    """Run each in a process of its own, all beginning at one moment."""
    context = multiprocessing.get_context("spawn")
    n, barrier = len(arguments), context.Barrier(len(arguments))
    with ProcessPoolExecutor(n, mp_context=context, initializer=_meet, initargs=(barrier,)) as pool:
        return list(pool.map(work, arguments))


_gates: list[Barrier] = []


def _meet(barrier: Barrier) -> None:
    _gates.append(barrier)


def serve(task: ProcessTask) -> ProcessResult:
    """Decide, record a purchase of some, and learn now and then; note what was acknowledged."""
    rng = np.random.default_rng([task.seed, task.number])
    facts = np.round(rng.standard_normal((DISTINCT_CUSTOMERS, CROWD_SIZE.facts)), 3).tolist()
    contexts = [{f"fact{place}": value for place, value in enumerate(row)} for row in facts]
    bought = rng.random(task.decisions) < PURCHASE_SHARE
    decide, record = np.zeros(task.decisions), np.zeros(int(bought.sum()))
    decisions: list[str] = []
    events: list[str] = []
    faults = learned = 0
    clock = time.perf_counter
    with open_engine(task.path, task.seed, task.durability) as engine:
        engine.decide("warm", contexts[0], decision_id=f"warm-{task.number}")
        _gates[0].wait(BARRIER_SECONDS)
        begun = time.time()
        for row in range(task.decisions):
            before = clock()
            made = engine.decide(f"c{row % DISTINCT_CUSTOMERS}", contexts[row % DISTINCT_CUSTOMERS])
            decide[row] = clock() - before
            decisions.append(made.decision_id)
            faults += made.fault is not None
            if bought[row]:
                before = clock()
                engine.record(made.decision_id, "purchase", revenue=50.0)
                record[len(events)] = clock() - before
                events.append(made.decision_id)
            if task.learn_every and row % task.learn_every == task.learn_every - 1:
                learned += engine.learn().n
        ended = time.time()
    return ProcessResult(tuple(decisions), tuple(events), faults, learned, decide, record, begun, ended)


def insert(task: ProcessTask) -> tuple[FloatArray, float, float]:
    """Insert one process's part of the rows by plain sqlite3, one transaction each, in the order they had."""
    with contextlib.closing(sqlite3.connect(task.path)) as source:
        rows = [
            (time_of, place, row)
            for place, table in enumerate(COPIED_TABLES)
            for time_of, *row in source.execute(f"SELECT {COPIED_TABLES[table]}, * FROM {table}")  # noqa: S608 - constants
            if row[0] % task.processes == task.number
        ]
    rows.sort(key=lambda each: each[0])
    statements = [
        f"INSERT INTO {table} VALUES ({', '.join('?' * next(len(row) for _, at, row in rows if at == place))})"  # noqa: S608
        for place, table in enumerate(COPIED_TABLES)
    ]
    taken = np.zeros(len(rows))
    raw = sqlite3.connect(task.plain, timeout=BUSY_SECONDS, isolation_level=None)
    with contextlib.closing(raw):
        raw.execute(f"PRAGMA synchronous = {'FULL' if task.durability == 'full' else 'NORMAL'}")
        _gates[0].wait(BARRIER_SECONDS)
        begun = time.time()
        for number, (_, place, row) in enumerate(rows):
            before = time.perf_counter()
            raw.execute("BEGIN IMMEDIATE")
            raw.execute(statements[place], row)
            raw.execute("COMMIT")
            taken[number] = time.perf_counter() - before
        return taken, begun, time.time()


def _same_tables(path: Path, plain: Path) -> None:
    """Make a new file with the tables and indexes that decisions and events have, and nothing else."""
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(plain)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        for (statement,) in source.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name IN ('decisions', 'events') AND type IN ('table', 'index') "
            "AND sql IS NOT NULL ORDER BY type = 'index'"
        ):
            raw.execute(statement)
        raw.commit()


def _check(path: Path, results: list[ProcessResult]) -> tuple[str, ...]:
    """Return what is wrong: an acknowledged decision or event that is not there, or is there twice."""
    decisions = [name for result in results for name in result.decisions]
    events = [name for result in results for name in result.events]
    problems = [] if len(set(decisions)) == len(decisions) else ["two processes gave the same decision id"]
    with Store.open(path, customer_key=BENCH_KEY) as store:
        store.fold_spools()
        problems += verify(store).problems
    with contextlib.closing(sqlite3.connect(path)) as raw:
        there = Counter(name for (name,) in raw.execute("SELECT decision_id FROM decisions WHERE decision_id < 'w'"))
        happened = Counter(
            name for (name,) in raw.execute("SELECT d.decision_id FROM events e JOIN decisions d ON d.seq = e.seq")
        )
    for what, said, seen in (("decisions", decisions, there), ("events", events, happened)):
        lost, more = len(Counter(said) - seen), len(seen - Counter(said))
        if lost or more:
            problems.append(f"{lost:,} {what} that were acknowledged are not there, {more:,} are there and were not")
    return tuple(problems)


def open_engine(path: Path, seed: int, durability: Durability) -> Engine:
    catalogue = Catalogue.from_dict(catalogue_mapping(CROWD_SIZE))
    return Engine.open(
        path,
        catalogue,
        ThompsonSampling(catalogue),
        seed=seed,
        customer_key=BENCH_KEY,
        durability=durability,
        busy_timeout=BUSY_SECONDS,
    )

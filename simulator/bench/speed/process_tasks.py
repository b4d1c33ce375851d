"""The work of one of many processes on a database: decisions and events, or the same rows by plain sqlite3."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeVar

import numpy as np

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import FloatArray
from bandit.store.connection_setup import Durability
from simulator.bench.engines import BENCH_KEY
from simulator.bench.speed.fixtures import ProblemSize, catalogue_mapping

CROWD_SIZE = ProblemSize(144, 12)
"""Offers and facts of the catalogue."""

PURCHASE_SHARE = 0.2
"""Share of the decisions for which a purchase is recorded."""

BUSY_SECONDS = 60.0
"""Seconds that a process waits for a locked database, long enough that waits are measured and not cut short."""

BARRIER_SECONDS = 600.0
"""Seconds that the processes wait for each other to begin."""

COPIED_TABLES = {"decisions": "time", "events": "time"}
"""The tables whose rows plain sqlite3 inserts, and the column that orders them."""

DISTINCT_CUSTOMERS = 500
"""Customers, and contexts, of one process."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ProcessTask:
    """The work of one process, and the files it works on; `plain` is the database of plain sqlite3."""

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
    """The result of one process: acknowledged decisions and events, its faults, and the seconds of each call."""

    decisions: tuple[str, ...]
    events: tuple[str, ...]
    faults: int
    learned: int
    decide: FloatArray
    record: FloatArray
    begun: float
    ended: float


def run_together(work: Callable[[Argument], Result], arguments: list[Argument]) -> list[Result]:
    """Run `work` on each argument in a process of its own, all beginning at the same moment."""
    context = multiprocessing.get_context("spawn")
    n, barrier = len(arguments), context.Barrier(len(arguments))
    with ProcessPoolExecutor(n, mp_context=context, initializer=_meet, initargs=(barrier,)) as pool:
        return list(pool.map(work, arguments))


_gates: list[Barrier] = []


def _meet(barrier: Barrier) -> None:
    _gates.append(barrier)


def serve(task: ProcessTask) -> ProcessResult:
    """Decide, record purchases, and learn every so often; return what was acknowledged."""
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
    """Insert one process's part of the rows by plain sqlite3, one transaction each, in order of time.

    Returns the seconds of each transaction, and the times of begin and end.
    """
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


def open_engine(path: Path, seed: int, durability: Durability) -> Engine:
    """Open an engine with Thompson sampling on a database."""
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

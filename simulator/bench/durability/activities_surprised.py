"""Activities of a process that is surprised: by signals, by a change of its directory, by a move of its file."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TypeVar

from bandit import Engine
from bandit.store.spool import writer
from simulator.bench.durability.worker import Worker
from simulator.market.season import DAY

AWAY = "away.db"
"""The name of a database that was moved away, or that was replaced."""

COPY = "copy.db"
ELSEWHERE = "elsewhere"
"""The directory that a process changes to."""

_RETRIES = 50
_LONGEST_DELAY = 0.02
"""Seconds until a signal."""

Result = TypeVar("Result")


class InterruptedCall(Exception):  # noqa: N818 - a time limit, no error
    """What the handler raises."""


def interrupted(worker: Worker) -> None:
    """Decide, record and learn while a signal's handler raises in the middle; each call is repeated until answered."""
    signal.signal(signal.SIGALRM, _raise)
    moments = worker.rng.spawn(1)[0]

    def delay() -> float:
        return float(_LONGEST_DELAY * moments.random())

    with worker.engine() as engine:
        for turn in range(25):
            turn_before, clock_before, rng_before = worker.turn, worker.clock.now, worker.rng.bit_generator.state

            def again() -> list[str]:
                # The same request: the same id, time and facts.
                worker.turn, worker.clock.now = turn_before, clock_before  # noqa: B023 - called in this turn
                worker.rng.bit_generator.state = rng_before  # noqa: B023 - idem
                return worker.decide(engine, 1)

            ids = _until_answered(delay, again)
            _until_answered(delay, partial(worker.record, engine, ids, "purchase", 10.0 + turn))
            if turn % 4 == 3:
                worker.clock.now += DAY // 2
                _until_answered(delay, partial(engine.learn, now=worker.clock.now))
            _must_serve(worker, engine)


def _until_answered(delay: Callable[[], float], call: Callable[[], Result]) -> Result:
    """Call until no signal interrupts; where numpy is interrupted, it may make another exception of the handler's."""
    for _ in range(_RETRIES):
        _fired.clear()
        try:
            signal.setitimer(signal.ITIMER_REAL, delay())
            try:
                return call()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
        except Exception:
            if not _fired:
                raise
    return call()


_fired: list[int] = []


def _raise(number: int, _frame: FrameType | None) -> None:
    _fired.append(number)
    raise InterruptedCall


def _must_serve(worker: Worker, engine: Engine) -> None:
    """The engine must decide as before, and let other processes write."""
    before = sum(engine.status().faults.values())
    worker.decide(engine, 1)
    if sum(engine.status().faults.values()) > before:
        worker.notes.write("problem", sentence=f"only the fallback after an interrupt: {engine.status().last_fault}")
    try:
        with contextlib.closing(sqlite3.connect(worker.path, timeout=0.5, isolation_level=None)) as raw:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute("ROLLBACK")
    except sqlite3.OperationalError:
        worker.notes.write("problem", sentence="other processes cannot write after an interrupt")


def elsewhere(worker: Worker) -> None:
    """Open by a relative path, change the directory, and decide, record, learn and fork there."""
    place = worker.path.with_name(ELSEWHERE)
    place.mkdir()
    notes = worker.notes.path
    os.chdir(worker.path.parent)
    worker.path = Path(worker.path.name)
    with worker.engine() as engine:
        os.chdir(place)
        for turn in range(10):
            ids = worker.decide(engine, 8)
            worker.record(engine, ids[:2], "purchase", 10.0 + turn)
            worker.clock.now += DAY // 2
            worker.learn(engine)
            if turn == 5:
                _fork_and_end()
    if list(place.iterdir()):
        worker.notes.write("problem", sentence=f"files were made in another directory than {notes.parent.name}")


def _fork_and_end() -> None:
    """Fork a child that ends at once; the parent's engine goes on with a new connection."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def moved(worker: Worker) -> None:
    """Decide and record while the file is moved away for some time."""
    writer.RETRY = 0.0
    away = worker.path.with_name(AWAY)
    with worker.engine(busy_timeout=0.1) as engine:
        for turn in range(6):
            _served(worker, engine, turn)
            worker.path.rename(away)
            _served(worker, engine, turn)
            if worker.path.exists():
                worker.notes.write("problem", sentence="another database was made where the file was moved away")
                return
            away.rename(worker.path)


def replaced(worker: Worker) -> None:
    """Decide and record while a copy takes the place of the file, as when a backup is restored."""
    writer.RETRY = 0.0
    with worker.engine(busy_timeout=0.1) as engine:
        for turn in range(3):
            _served(worker, engine, turn)
            _replace(worker.path, turn)
            _served(worker, engine, turn)


def _served(worker: Worker, engine: Engine, turn: int) -> None:
    for _ in range(4):
        ids = worker.decide(engine, 3)
        worker.record(engine, ids[:1], "purchase", 20.0 + turn)


def _replace(path: Path, number: int) -> None:
    """Put a copy in the place of a database; the database's lock is held, so the copy has all that was committed."""
    copy, away = path.with_name(COPY), path.with_name(f"{number}-{AWAY}")
    raw = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    with contextlib.closing(raw):
        raw.execute("BEGIN IMMEDIATE")
        with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        for suffix in ("-wal", "-shm", ""):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.rename(away.with_name(away.name + suffix))
        copy.rename(path)
        raw.execute("ROLLBACK")


def put_back(path: Path) -> None:
    """Put a database back that was away when its process was killed, as its owner would."""
    for away in sorted(path.parent.glob(f"*{AWAY}")):
        if not path.exists():
            for suffix in ("-wal", "-shm", ""):
                beside = away.with_name(away.name + suffix)
                if beside.exists():
                    beside.rename(path.with_name(path.name + suffix))

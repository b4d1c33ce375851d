"""Activities of a process that is killed while others work on the same database, and go on after it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from bandit import Engine
from bandit.errors import OfferBanditError, StoreError, UnknownDecisionError
from bandit.governance.erasure import erase
from bandit.store.spool import writer
from bandit.store.spool.file import spools
from simulator.bench.durability.acknowledgements import beside_lock
from simulator.bench.durability.worker import ERASED_CUSTOMER, AcknowledgementLog, Worker
from simulator.market.season import DAY

BESIDE = 2
"""Processes beside the one that is killed."""

_SERVED_AFTER = 0.3
"""Seconds for which they go on after it."""

LEARNED_AGAIN_WITHIN = 5.0
"""Seconds after the death of a learning process within which another one must have learned."""

FOLDED_WITHIN = 10.0
"""Seconds within which a living engine must have written the spool of a dead process to the database."""

_LIFE = 60.0
"""Seconds after which a process beside ends in any case."""


def several(worker: Worker) -> None:
    """Decide, record and learn in several processes; the others must go on, and learn soon after this one's death."""
    _start_beside(worker, lambda other: _serve(other, learns_after=True))
    with worker.engine() as engine:
        for turn in range(12):
            _turn(worker, engine, turn)
            worker.clock.now += DAY // 4
            worker.learn(engine)


def erasing_beside(worker: Worker) -> None:
    """Erase a customer while others decide for other customers."""
    _start_beside(worker, lambda other: _serve(other, learns_after=False))
    time.sleep(0.2)
    with worker.store() as store:
        worker.notes.write("erasing")
        erase(store, ERASED_CUSTOMER)
        worker.notes.write("erased")


def dead_spool(worker: Worker) -> None:
    """Decide and record while the database is locked, with a process beside whose engine outlives this one."""
    _start_beside(worker, _fold_for_the_dead, 1)
    writer.RETRY = 0.0
    time.sleep(0.2)
    other = sqlite3.connect(worker.path, isolation_level=None)
    engine = worker.engine(busy_timeout=0.002)
    _kept.append((other, engine))  # open until this process is killed: closing would write the spool to the database
    other.execute("BEGIN IMMEDIATE")
    for turn in range(20):
        ids = worker.decide(engine, 3)
        worker.record(engine, ids[:1], "purchase", 20.0 + turn)


_kept: list[object] = []


def _start_beside(worker: Worker, work: Callable[[Worker], None], n: int = BESIDE) -> None:
    """Start processes that work until after this one's death; they note what they are told, in files of their own."""
    path = worker.notes.path
    # Each of them holds the lock, from its first moment to its end, whatever becomes of this process.
    fcntl.flock(os.open(beside_lock(path), os.O_RDWR | os.O_CREAT, 0o600), fcntl.LOCK_SH)
    for place in range(n):
        rng = worker.rng.spawn(1)[0]
        if os.fork():
            continue
        other = Worker(
            worker.path,
            AcknowledgementLog(path.with_name(f"{path.name}-{place}")),
            worker.durability,
            rng,
            worker.catalogue,
            prefix=f"beside{place}",
            spared=ERASED_CUSTOMER,
        )
        try:
            warnings.simplefilter("ignore")
            work(other)
        except BaseException:  # noqa: BLE001 - the check reports it
            other.notes.write("fault", text=traceback.format_exc(limit=-4))
        finally:
            other.notes.write("ended")
            os._exit(0)


def _serve(worker: Worker, *, learns_after: bool) -> None:
    """Decide, record and learn until some time after the parent's death, and then learn once more."""
    parent, until = os.getppid(), time.monotonic() + _LIFE
    left = float("inf")
    with worker.engine() as engine:
        turn = 0
        while time.monotonic() < min(until, left):
            turn += 1
            _turn(worker, engine, turn)
            if turn % 5 == 0:
                worker.clock.now += DAY // 4
                _learn(worker, engine)
            if os.getppid() != parent and left == float("inf"):
                left = time.monotonic() + _SERVED_AFTER
            time.sleep(0.005)
        if learns_after:
            deadline = time.monotonic() + LEARNED_AGAIN_WITHIN
            while not engine.learn(now=worker.clock.now).learner:
                if time.monotonic() > deadline:
                    worker.notes.write(
                        "problem", sentence=f"nobody learned for {LEARNED_AGAIN_WITHIN:g} s after a death"
                    )
                    return
                time.sleep(0.1)


def _learn(worker: Worker, engine: Engine) -> None:
    """Learn; an erasure may be taking the place of what was learned."""
    try:
        worker.learn(engine)
    except OfferBanditError as fault:
        worker.notes.write("refused", sentence=str(fault))


def _turn(worker: Worker, engine: Engine, turn: int) -> None:
    ids = worker.decide(engine, 1 if turn % 3 else 12)
    try:
        worker.record(engine, ids[:2], "purchase", 10.0 + turn)
    except StoreError as fault:
        worker.notes.write("refused", sentence=str(fault))


def _fold_for_the_dead(worker: Worker) -> None:
    """Serve with an engine that was opened before the spool began; it must write a dead process's spool in time."""
    parent, until = os.getppid(), time.monotonic() + _LIFE
    with worker.engine(busy_timeout=0.002) as engine:
        while os.getppid() == parent and time.monotonic() < until:
            worker.decide(engine, 1)
            time.sleep(0.01)
        told = [line for line in AcknowledgementLog(_notes_of_the_dead(worker)).read() if line["what"] == "decided"]
        if told:
            _record_for(worker, engine, told[-1]["ids"][0])
        deadline = time.monotonic() + FOLDED_WITHIN
        while any(f"-{parent}-" in path.name for path in spools(worker.path)):
            if time.monotonic() > deadline:
                sentence = f"a living engine left the spool of a dead process alone for {FOLDED_WITHIN:g} s"
                worker.notes.write("problem", sentence=sentence)
                return
            worker.decide(engine, 1)
            time.sleep(0.02)


def _record_for(worker: Worker, engine: Engine, name: str) -> None:
    """Record an event of a decision that may still be in the dead process's spool."""
    try:
        worker.record(engine, [name], "call", 5.0)
    except UnknownDecisionError:
        worker.notes.write("problem", sentence="an acknowledged decision is unknown to another process")


def _notes_of_the_dead(worker: Worker) -> Path:
    path = worker.notes.path
    return path.with_name(path.name.rpartition("-")[0])

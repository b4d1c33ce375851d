"""Activities on a small database at which a process is killed; each step is acknowledged when it is done."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable

from bandit.errors import StoreError
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.logfiles import LogMapping, import_log
from bandit.store.connection import Connection
from bandit.store.spool import writer
from simulator.bench.durability.worker import CRASH_MAPPING, ERASED_CUSTOMER, RETAINED_FROM, Worker
from simulator.market.season import DAY


def deciding(worker: Worker) -> None:
    """Decide one at a time and in batches."""
    with worker.engine() as engine:
        for turn in range(40):
            worker.decide(engine, int(worker.rng.integers(2, 100)) if turn % 4 == 3 else 1)


def recording(worker: Worker) -> None:
    """Record events, returns and corrections, one at a time and in batches."""
    with worker.engine() as engine:
        for turn in range(20):
            ids = worker.decide(engine, 12)
            worker.record(engine, ids[:1], "purchase", 20.0 + turn)
            worker.record(engine, ids[2:9], "purchase", 40.0 + turn)
            worker.record(engine, ids[:1], "purchase", 90.0 + turn, correct=True)
            worker.record(engine, ids[2:5], "return", -10.0)
            worker.record(engine, ids[10:], "closed", 0.0)


def learning_often(worker: Worker) -> None:
    """Decide, record and learn in small steps."""
    with worker.engine() as engine:
        for turn in range(15):
            ids = worker.decide(engine, 10)
            worker.record(engine, ids[:3], "purchase", 10.0 + turn)
            worker.clock.now += DAY // 2
            worker.learn(engine)


def learning_much(worker: Worker) -> None:
    """Learn waiting outcomes, in steps of some thousands."""
    with worker.engine() as engine:
        worker.learn(engine, later=40 * DAY)
        worker.decide(engine, 200)
        worker.learn(engine, later=40 * DAY)


def importing(worker: Worker) -> None:
    """Import a campaign."""
    with worker.store() as store:
        worker.notes.write("importing")
        import_log(store, worker.catalogue, LogMapping.from_dict(CRASH_MAPPING), worker.path.with_name("log.csv"))
        worker.notes.write("imported")


def opening(worker: Worker) -> None:
    """Open the database (creating, migrating or recovering it), then decide."""
    with worker.engine() as engine:
        worker.notes.write("opened")
        worker.decide(engine, 5)


def erasing(worker: Worker) -> None:
    """Erase a customer."""
    with worker.store() as store:
        worker.notes.write("erasing")
        erase(store, ERASED_CUSTOMER)
        worker.notes.write("erased")


def retaining(worker: Worker) -> None:
    """Remove old decisions."""
    with worker.store() as store:
        worker.notes.write("retaining")
        retain(store, RETAINED_FROM)
        worker.notes.write("retained")


def backing_up(worker: Worker) -> None:
    """Back up while deciding."""
    with worker.engine() as engine:
        for turn in range(4):
            worker.decide(engine, 20)
            engine.store.backup(worker.path.with_name(f"backup-{turn}.db"))
            worker.notes.write("backed up", name=f"backup-{turn}.db")


def spooling(worker: Worker) -> None:
    """Decide and record while another connection locks the database for some of the time."""
    writer.RETRY = 0.0
    other = sqlite3.connect(worker.path, isolation_level=None)
    with worker.engine(busy_timeout=0.002) as engine:
        for turn in range(8):
            if turn % 2:
                other.execute("BEGIN IMMEDIATE")
            for _ in range(4):
                ids = worker.decide(engine, int(worker.rng.integers(1, 20)))
                worker.record(engine, ids[:2], "purchase", 20.0 + turn)
            if turn % 2:
                other.execute("ROLLBACK")


def _work_without_room(worker: Worker, block: Callable[[], None]) -> None:
    """Decide, record and learn where the database cannot grow; errors are logged, and must be one sentence."""
    writer.RETRY = 0.0
    with worker.engine(busy_timeout=0.05) as engine:
        block()
        for turn in range(25):
            try:
                ids = worker.decide(engine, 1 if turn % 3 else 60)
                worker.record(engine, ids[:30], "purchase", 20.0 + turn)
                if turn % 5 == 4:
                    worker.learn(engine, later=40 * DAY)
            except StoreError as fault:
                worker.notes.write("refused", sentence=str(fault))


def full_disk(worker: Worker) -> None:
    """Work where no file may grow beyond a size, including the spool."""
    room = worker.path.stat().st_size + 60_000
    _work_without_room(worker, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY)))


def full_database(worker: Worker) -> None:
    """Work where the database has no page left; the spool has room."""
    _start_connections_with("PRAGMA max_page_count = 1")
    _work_without_room(worker, lambda: None)


def read_only(worker: Worker) -> None:
    """Work where the database cannot be written; the spool can."""
    with worker.engine():
        pass
    _start_connections_with("PRAGMA query_only = ON")
    _work_without_room(worker, lambda: None)


def _start_connections_with(statement: str) -> None:
    """Make every connection that this process opens from now on begin with a statement."""
    name = "_connect"
    connect = getattr(Connection, name)

    def prepared(connection: Connection) -> sqlite3.Connection:
        raw: sqlite3.Connection = connect(connection)
        raw.execute(statement)
        return raw

    setattr(Connection, name, prepared)

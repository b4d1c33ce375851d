"""Many processes on one file: forks, locks, and erasure by another process."""

import json
import multiprocessing
import subprocess
import sys

import pytest

import bandit
from bandit.errors import (
    UnknownDecisionError,
)
from tests.conftest import SPRING
from tests.engine.conftest import KEY, ROOT, context

FORKED = """
import json, os, sys, threading
import bandit
from tests.conftest import SPRING
catalogue = bandit.Catalogue.from_dict(SPRING)
def policy():
    return bandit.ThompsonSampling(catalogue)
engine = bandit.Engine.open(sys.argv[1], catalogue, policy(), seed=7, customer_key=b"a key for our tests", sync=None)
before = [engine.decide("c", {}).decision_id for _ in range(5)]
for name in before:
    engine.record(name, "closed")
engine.learn()
stop = threading.Event()
def busy():
    while not stop.is_set():
        engine.decide("t", {})
        engine.status()
thread = threading.Thread(target=busy)
thread.start()
children = []
for child in range(3):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        made = [engine.decide("c", {}) for _ in range(20)]
        for each in made:
            engine.record(each.decision_id, "purchase", revenue=5.0)
        learned = engine.learn()
        reports = {"ids": [each.decision_id for each in made], "offers": [each.offer_index for each in made],
                "owner": engine._worker.owner, "decisions": engine.status().decisions,
                "faults": engine.status().faults}
        engine.close()
        os.write(write, json.dumps(reports).encode())
        os._exit(0)
    os.close(write)
    children.append((pid, read))
mine = [engine.decide("c", {}) for _ in range(20)]
reports = [{"ids": [each.decision_id for each in mine], "offers": [each.offer_index for each in mine],
         "owner": engine._worker.owner, "decisions": 20, "faults": engine.status().faults}]
for pid, read in children:
    text = b""
    while piece := os.read(read, 65536):
        text += piece
    reports.append(json.loads(text))
    _, status = os.waitpid(pid, 0)
    assert status == 0
stop.set()
thread.join()
engine.sync()
verified = engine.verify()
print(json.dumps({"reports": reports, "problems": verified.problems, "counts": engine.store.counts().decisions,
                  "same": engine.rebuild().same, "here": engine.status().decisions}))
engine.close()
"""


def test_a_forked_engine_is_another_engine(tmp_path):
    """Three children of a process with a thread that decides: no id, sequence of offers or owner's name is repeated."""
    out = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "offers.db")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    result = json.loads(out.stdout)
    reports = result["reports"]
    ids = [name for each in reports for name in each["ids"]]
    assert len(set(ids)) == 80
    assert len({each["owner"] for each in reports}) == 4
    assert len({tuple(each["offers"]) for each in reports}) == 4
    assert [each["decisions"] for each in reports] == [20] * 4
    assert [each["faults"] for each in reports] == [{}] * 4
    assert result["problems"] == []
    assert result["same"]
    assert result["counts"] == result["here"] + 60


SWITCH = """
import sqlite3, sys
try:
    print(sqlite3.connect(sys.argv[1], timeout=0).execute("PRAGMA journal_mode = DELETE").fetchone()[0])
except sqlite3.OperationalError as fault:
    print(fault)
"""


def switched(path):
    """What another process is reports that wants the file for itself, as one may that believes to be alone with it."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", SWITCH, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_opening_a_file_twice_leaves_the_first_ones_locks(open_engine, tmp_path):
    """Closing a file descriptor releases all of the process's locks on the file, also those of SQLite."""
    path = tmp_path / "offers.db"
    one, two = open_engine(), open_engine()
    two.close()
    assert "locked" in switched(path)
    path.open("rb").close()  # the negative control: now they are gone
    assert switched(path) == "delete"
    one.close()


def test_a_customer_erased_by_another_process_is_a_new_customer(open_engine):
    engine = open_engine()
    decision = engine.decide("c", context(0))
    with engine.store.another() as other, other.transaction():
        raw = other._connection.raw
        raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
        raw.execute("DELETE FROM decisions")
        raw.execute("DELETE FROM customers")
        raw.execute("DELETE FROM meta WHERE name = 'erasing'")
    assert engine.decide("c", context(0)).fault is None
    assert engine.store.counts().decisions == 1
    with pytest.raises(UnknownDecisionError):
        engine.record(decision.decision_id, "purchase")


FORKED_WITHIN = """
import os, sys
from bandit.errors import StoreError
from bandit.store import Store
from bandit.catalogue import Catalogue
from tests.conftest import SPRING
store = Store.open(sys.argv[1])
with store.transaction():
    store.catalogues.register(Catalogue.from_dict(SPRING))
    pid = os.fork()
    if pid == 0:
        try:
            store.counts()
        except StoreError as fault:
            print(fault, file=sys.stderr, flush=True)
            os._exit(0)
        os._exit(1)
    print(os.waitpid(pid, 0)[1], flush=True)
print(store.counts().catalogues)
"""


def test_a_fork_within_a_transaction_leaves_the_child_without_the_store(tmp_path):
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", FORKED_WITHIN, str(tmp_path / "offers.db")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["0", "1"]
    assert "closed" in done.stderr


def _work(path, name, n, events):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), customer_key=KEY, durability="process", sync=0.05
    ) as engine:
        for row in range(n):
            decision = engine.decide(f"{name}-{row % 50}", context(row), decision_id=f"{name}-{row}")
            if decision.fault is None and row % 5 == 0 and events:
                engine.record(decision.decision_id, "purchase", revenue=20.0)
            if row % 100 == 99:
                engine.learn()
        engine.sync()


@pytest.mark.slow
def test_eight_processes_decide_record_learn_and_sync_on_one_file(tmp_path, catalogue):
    context_ = multiprocessing.get_context("spawn")
    path = tmp_path / "offers.db"
    workers = [context_.Process(target=_work, args=(path, name, 300, True)) for name in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    with bandit.Engine.resume(path, customer_key=KEY) as engine:
        counts = engine.store.counts()
        assert counts.decisions == 2_400
        assert 0 < counts.events <= 480
        assert engine.rebuild().same
        assert engine.verify().problems == ()

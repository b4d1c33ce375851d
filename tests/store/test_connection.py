"""Transactions, threads, processes and sudden death."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import DuplicateError, StoreError
from bandit.store import Store
from tests.conftest import SPRING
from tests.store.rows import WEEK, decisions, events, fill, read

N = 10


def test_an_inner_transaction_that_fails_leaves_the_outer_one(store, number):
    with store.transaction():
        store.decision_writer.append(decisions(number, N, ["a"]))
        with pytest.raises(DuplicateError):
            store.decision_writer.append(decisions(number, N, ["b", "a"], offer=np.array([1, 2])))
        store.decision_writer.append(decisions(number, N, ["c"]))
    assert read(store).decision_id.tolist() == ["a", "c"]


def test_threads_share_a_store(store, number):
    def write(worker):
        for i in range(25):
            store.decision_writer.append(decisions(number, N, [f"{worker}-{i}"]))
            store.events.append(events([f"{worker}-{i}"], revenue=1.0))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    columns = read(store)
    assert len(columns) == 100
    assert columns.converted.all()


def test_a_writer_that_waits_too_long_gets_an_error(path):
    fill(path)
    with Store.open(path) as first, Store.open(path, busy_timeout=0.05) as second, first.transaction():
        assert second.counts().decisions == 2  # readers do not wait
        with pytest.raises(StoreError, match="locked by another process"):
            second.decision_writer.append(decisions(1, N, ["c"]))


def _write_many(path, worker, n):
    with Store.open(path, durability="process", busy_timeout=60) as store:
        number = store.catalogues.register(Catalogue.from_dict(SPRING))
        for i in range(n):
            store.decision_writer.append(decisions(number, N, [f"{worker}-{i}"]))
            store.events.append(events([f"{worker}-{i}"], revenue=1.0))


def test_two_processes_create_and_write_one_file(path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(path, worker, 60)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    with Store.open(path) as store:
        assert store.counts().decisions == 120
        assert store.decisions.page("purchase", WEEK).converted.all()
        assert len(store.catalogues.all()) == 1
        assert store.check() == []


def _write_at_once(paths, barrier):
    for number, path in enumerate(paths):
        barrier.wait()  # all of them create the file at the same moment
        _write_many(path, f"{multiprocessing.current_process().name}-{number}", 1)


@pytest.mark.slow
def test_many_processes_may_create_one_file_at_the_same_moment(tmp_path):
    context = multiprocessing.get_context("spawn")
    paths, barrier = [tmp_path / f"{number}.db" for number in range(30)], context.Barrier(4, timeout=60)
    workers = [context.Process(target=_write_at_once, args=(paths, barrier)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    for path in paths:
        with Store.open(path, read_only=True) as store:
            assert store.counts().decisions == 4


_WRITER = """
import sys
from bandit.store import Store
from tests.store.rows import decisions, events
store = Store.open(sys.argv[1], durability="process")
run = sys.argv[2]
for i in range(1_000_000):
    store.decision_writer.append(decisions(1, 10, [f"{run}-{i}"]))
    store.decision_writer.append(decisions(1, 10, [f"{run}-{i}-{j}" for j in range(20)]))
    store.events.append(events([f"{run}-{i}"], revenue=1.0))
    print(i, flush=True)
"""


@pytest.mark.slow
def test_a_killed_writer_leaves_all_acknowledged_rows_and_no_half_batch(path):
    fill(path, ids=["first"])
    root = Path(__file__).resolve().parents[2]
    for run in range(4):
        writer = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _WRITER, str(path), str(run)], cwd=root, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout.readline() == "0\n"
        time.sleep(0.03 * (run + 1))
        os.kill(writer.pid, signal.SIGKILL)
        said = [line for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
        last = int(said[-1]) if said else 0
        with Store.open(path, durability="process") as store:
            assert store.check() == []
            columns = store.decisions.page("purchase", WEEK, limit=10**7)
            ids = set(columns.decision_id.tolist())
            converted = dict(zip(columns.decision_id.tolist(), columns.converted.tolist(), strict=True))
            for i in range(last + 1):
                assert converted[f"{run}-{i}"]
                assert f"{run}-{i}-19" in ids
            later = [f"{run}-{last + 1}-{j}" in ids for j in range(20)]
            assert len(set(later)) == 1

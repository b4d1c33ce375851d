"""Erasure beside other processes: readers, learners, spools, and a kill in the middle."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

import bandit
from bandit.errors import StoreError
from bandit.governance.erasure import erase
from bandit.governance.verify import verify
from bandit.store import Store
from bandit.store.spool.file import keep_refused
from tests.governance.conftest import KEY, WHO, explored_log, files, spooled_decision, traces


def test_a_reader_that_does_not_let_go_is_waited_for_and_then_named(tmp_path, catalogue):
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM decisions").fetchone()
    with Store.open(path, customer_key=KEY, busy_timeout=0.05) as store:
        with pytest.raises(StoreError, match="give the command again"):
            erase(store, WHO, timeout=0.1)
        assert store.deletion.scrub_is_due()
        reader.close()
        assert erase(store, WHO).decisions == 0  # what was left to do
        assert not store.deletion.scrub_is_due()
        stored = store.customers.stored(WHO)
    assert [trace for trace in traces(stored) if trace in b"".join(files(tmp_path).values())] == []


def test_while_another_learns_an_erasure_waits_and_then_says_so(tmp_path, catalogue):
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.ThompsonSampling(catalogue), rounds=1)
    with Store.open(path, customer_key=KEY) as store, Store.open(path, customer_key=KEY) as other:
        other.leases.take("learn/1", "another", bandit.clock.now())
        with pytest.raises(StoreError, match="another process is learning"):
            erase(store, WHO, timeout=0.1)
        assert store.counts().decisions == 240
        release = threading.Timer(0.2, other.leases.release, ("learn/1", "another"))
        release.start()
        assert erase(store, WHO).decisions == 6
        release.join()
        assert all(lease.name != "learn/1" for lease in store.leases.all())


def test_what_a_process_that_is_gone_left_in_its_spool_is_erased_as_well(tmp_path, catalogue):
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    spooled_decision(path, "left behind").release()
    with Store.open(path, customer_key=KEY) as store:
        stored = store.customers.stored(WHO)
        erased = erase(store, WHO)
        assert (erased.decisions, erased.spools) == (7, ())
    assert set(files(tmp_path)) == {"a.db"}
    assert [trace for trace in traces(stored) if trace in path.read_bytes()] == []


def test_the_spool_of_a_process_that_is_running_is_named(tmp_path, catalogue):
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    spool = spooled_decision(path, "on its way")
    with Store.open(path, customer_key=KEY) as store:
        assert erase(store, WHO).spools == (spool.path,)
        spool.release()
        erased = erase(store, WHO)
        assert (erased.decisions, erased.spools) == (1, ())


def test_lines_that_the_database_refused_lose_the_customer_and_keep_the_others(tmp_path, catalogue):
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    with Store.open(path, customer_key=KEY) as store:
        key, refused = store.customers.stored(WHO), path.with_name("a.db-spool-refused")
        for who in ("somebody", key):
            keep_refused(path, b"f00 " + msgspec.json.encode({"customer_keys": [who]}), "a reason")
        keep_refused(path, b"f00 " + msgspec.json.encode({"decision_ids": ["id-0-anna.lindqvist-7"]}), "a reason")
        erase(store, WHO)
        assert len(refused.read_bytes().splitlines()) == 1
        assert b"somebody" in refused.read_bytes()


_KILLED = """
import sys
from bandit.governance.erasure import erase
from bandit.store import Store
with Store.open(sys.argv[1], customer_key=b"a key for our tests", durability="process") as store:
    print("open", flush=True)
    erase(store, sys.argv[2])
"""


@pytest.mark.slow
def test_an_erasure_that_is_killed_took_out_all_or_nothing_and_can_be_ended(tmp_path, catalogue):
    root = Path(__file__).resolve().parents[2]
    original = tmp_path / "original.db"
    explored_log(original, catalogue, bandit.ThompsonSampling(catalogue), n=400)
    outcomes = set()
    for turn in range(10):
        path = tmp_path / f"{turn}.db"
        path.write_bytes(original.read_bytes())
        child = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _KILLED, str(path), WHO], cwd=root, stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()
        try:
            child.wait(0.06 * turn if turn < 9 else None)  # the last one may end by itself
        except subprocess.TimeoutExpired:
            os.kill(child.pid, 9)
        child.communicate()
        with Store.open(path, customer_key=KEY) as store:
            left = len(store.decisions.of_customer(store.customers.stored(WHO)))
            outcomes.add(left)
            assert left in {0, 30}
            assert store.check() == []
            assert verify(store).problems == ()
            store._connection.raw.execute("DELETE FROM leases")  # that of the killed one runs out in a minute
            if left or store.deletion.scrub_is_due():
                erase(store, WHO)
            stored = store.customers.stored(WHO)
        raw = b"".join(name.read_bytes() for name in tmp_path.glob(f"{turn}.db*"))
        assert [trace for trace in traces(stored) if trace in raw] == []
    assert outcomes == {0, 30}

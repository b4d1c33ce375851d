"""A decision never fails because of the database: outages, spools and the fallback."""

import errno
import functools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bandit
from bandit.errors import (
    StoreError,
)
from bandit.store.spool.file import spools
from tests.engine.conftest import KEY, ROOT, context


@pytest.fixture
def open_engine(open_engine, monkeypatch):
    """A function that opens the test's database, which is tried again at once after it was locked."""
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    return functools.partial(open_engine, busy_timeout=0.02)


def test_a_locked_database_gets_the_fallback_its_true_propensity_and_is_written_later(
    open_engine, locked, path, catalogue
):
    engine = open_engine()
    first = engine.decide("c", context(0))
    free = locked()
    begun = time.monotonic()
    decision = engine.decide("c", context(1), decision_id="spooled")
    assert time.monotonic() - begun < 1.0
    assert decision.offer_index == catalogue.fallback
    assert (decision.propensity, decision.probabilities[catalogue.fallback], decision.logged) == (1.0, 1.0, True)
    assert "locked by another process" in decision.fault
    assert engine.record("spooled", "purchase", revenue=20.0).n_spooled == 1
    assert engine.record(first.decision_id, "purchase", revenue=30.0).n_spooled == 1
    status = engine.status()
    assert (status.spooled, status.last_write_ok, status.well, status.faults) == (3, False, False, {"StoreError": 1})
    assert status.newest_step == 0  # readers do not wait
    free()
    engine.decide("c", context(2))
    assert engine.store.counts().decisions == 3
    assert engine.store.counts().events == 2
    assert engine.store.decisions.events_of("spooled").revenue.tolist() == [20.0]
    row = engine.store.decisions.one("spooled", "purchase", 10**15)
    assert (row.fault[0], row.propensity[0], row.time[0]) == (decision.fault, 1.0, decision.time)
    assert spools(path) == []
    assert engine.status().well
    assert engine.verify().problems == ()


class Broken:
    """A connection whose disk does not answer."""

    in_transaction = False

    def execute(self, *_):
        fault = sqlite3.OperationalError("disk I/O error")
        fault.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise fault

    def close(self):
        pass


def test_decisions_are_made_and_spooled_while_the_database_cannot_even_be_read(open_engine):
    engine = open_engine(keep_probabilities=True)
    engine.decide("c", context(0))
    connection = engine.store._connection
    sound, connection._open = connection._open, Broken()
    decision = engine.decide("c", context(1), decision_id="a")
    assert "look at the disk" in decision.fault
    ids = ["b", "c", "d"]
    batch = engine.decide_batch(ids, [context(row) for row in range(3)], decision_ids=ids)
    assert "look at the disk" in batch.fault
    assert batch.logged
    assert set(batch.propensity.tolist()) == {1.0}
    assert engine.status().newest_step is None
    connection._open = sound
    engine.decide("c", context(2))
    assert engine.store.counts().decisions == 6
    assert engine.verify().problems == ()


def test_a_long_outage_is_not_waited_for_by_every_decision(open_engine, locked, monkeypatch):
    """With a wait of 0.3 s and 50 decisions, the first waits and the rest, asked to retry in 60 s, do not."""
    engine = open_engine(busy_timeout=0.3)
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 60.0)
    free = locked()
    begun = time.monotonic()
    for row in range(50):
        assert engine.decide("c", context(row)).fault is not None
    assert time.monotonic() - begun < 3.0
    free()
    assert engine.status().spooled == 50
    engine.close()
    again = open_engine()
    assert again.store.counts().decisions == 50


def test_a_left_spool_is_written_at_the_next_opening(open_engine, locked, path):
    engine = open_engine()
    free = locked()
    decision = engine.decide("c", context(0))
    engine.record(decision.decision_id, "purchase", revenue=5.0)
    engine.close()
    assert len(spools(path)) == 1
    free()
    again = open_engine()
    assert again.store.counts().decisions == 1
    assert again.store.counts().events == 1
    assert spools(path) == []
    assert again.verify().problems == ()


def test_where_even_the_spool_cannot_be_written_the_answer_says_so(open_engine, locked, monkeypatch, catalogue):
    engine = open_engine()
    free = locked()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    decision = engine.decide("c", context(0))
    assert (decision.offer_index, decision.propensity, decision.logged) == (catalogue.fallback, 1.0, False)
    assert "No space left" in decision.fault
    assert "not logged" in decision.fault
    assert not engine.decide_batch(["a"], [context(0)]).logged
    with pytest.raises(StoreError, match="No space left"):
        engine.record(decision.decision_id, "purchase")
    assert engine.status().unlogged == 2
    free()
    assert engine.decide("c", context(1)).fault is None


def test_a_spool_that_cannot_be_deleted_does_not_fail_the_decision_that_writes_it(
    open_engine, locked, path, monkeypatch
):
    engine = open_engine()
    free = locked()
    engine.decide("c", context(0), decision_id="spooled")
    free()

    def keep(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as fixed:
        fixed.setattr(Path, "unlink", keep)
        assert engine.decide("c", context(1)).fault is None
        assert engine.decide("c", context(2)).fault is None
    assert engine.store.counts().decisions == 3
    assert engine.decide("c", context(3)).fault is None
    assert spools(path) == []
    assert engine.store.counts().decisions == 4


def test_without_a_fallback_the_draw_is_even_and_its_propensity_says_so(path, spring, locked, monkeypatch):
    """Of the 10 legal offers 4 have a tote, which is for the loyal."""
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    del spring["fallback"]
    catalogue = bandit.Catalogue.from_dict(spring)
    policy = bandit.ThompsonSampling(catalogue)
    with bandit.Engine.open(path, catalogue, policy, customer_key=KEY, busy_timeout=0.01) as engine:
        free = locked()
        assert engine.decide("c", {"loyal": True}).propensity == pytest.approx(1 / 10)
        assert engine.decide("c", {"loyal": False}).propensity == pytest.approx(1 / 6)
        free()
        engine.decide("c", {"loyal": False})
        assert engine.store.counts().decisions == 3
        assert engine.verify().problems == ()


KILLED = """
import sqlite3, sys, time
import bandit
from tests.conftest import SPRING
catalogue = bandit.Catalogue.from_dict(SPRING)
engine = bandit.Engine.open(
    sys.argv[1], catalogue, bandit.Uniform(catalogue), customer_key=b"a key for our tests", busy_timeout=0.01
)
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
for number in range(1_000_000):
    decision = engine.decide("c", {}, decision_id=f"d{number}")
    engine.record(f"d{number}", "purchase", revenue=1.0)
    print(number, flush=True)
"""


def test_what_a_killed_process_had_spooled_is_there_when_it_is_opened_again(path, catalogue):
    child = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    printed = [child.stdout.readline() for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    printed += [line for line in child.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        counts = engine.store.counts()
        assert len(printed) <= counts.events <= counts.decisions <= len(printed) + 1
        for number in range(len(printed)):
            assert engine.store.decisions.events_of(f"d{number}").revenue.tolist() == [1.0]
        assert engine.verify().problems == ()
    assert spools(path) == []

"""Serving never fails: what an engine does when its database or its policy does."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import bandit
from bandit.errors import DuplicateError, StoreError
from bandit.store.spool.file import spools
from tests.engine.test_engine import DAY, KEY, Clock, context, live

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


@pytest.fixture
def opened(path, catalogue, clock, monkeypatch):
    """A function that opens the test's database, which is asked again at once when it was locked."""
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
    engines = []

    def open_engine(policy=None, **settings):
        options = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process", "busy_timeout": 0.02}
        engine = bandit.Engine.open(path, catalogue, policy or bandit.ThompsonSampling(catalogue), **options | settings)
        engines.append(engine)
        return engine

    yield open_engine
    for engine in engines:
        engine.close()


@pytest.fixture
def locked(path):
    """A function that locks the database for all other writers until what it returns is called."""
    opened = []

    def lock():
        raw = sqlite3.connect(path, isolation_level=None, timeout=5)
        raw.execute("BEGIN EXCLUSIVE")
        opened.append(raw)
        return raw.close

    yield lock
    for raw in opened:
        raw.close()


def test_a_locked_database_gets_the_fallback_its_true_propensity_and_is_told_later(opened, locked, path, catalogue):
    engine = opened()
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


def test_a_retried_request_gets_its_spooled_decision_again(opened, locked):
    engine = opened()
    free = locked()
    first = engine.decide("c", context(1), decision_id="r")
    again = engine.decide("c", context(1), decision_id="r")
    assert (again.offer, again.propensity, again.time, again.fault) == (
        first.offer,
        first.propensity,
        first.time,
        first.fault,
    )
    with pytest.raises(DuplicateError, match="another customer"):
        engine.decide("d", context(1), decision_id="r")
    with pytest.raises(DuplicateError, match='"r"'):
        engine.decide_batch(["d"], [context(1)], decision_ids=["r"])
    free()
    assert engine.decide("c", context(1), decision_id="r").time == first.time
    engine.decide("c", context(1))
    assert engine.decide("c", context(1), decision_id="r").time == first.time
    assert engine.store.counts().decisions == 2


class Broken:
    """A connection whose disk does not answer."""

    def execute(self, *_):
        fault = sqlite3.OperationalError("disk I/O error")
        fault.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise fault

    def close(self):
        pass


def test_a_database_that_cannot_even_be_read_is_no_hindrance(opened):
    engine = opened(keep_probabilities=True)
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


def test_a_long_outage_is_not_waited_for_by_every_decision(opened, locked, monkeypatch):
    """With a wait of 0.3 s and 50 decisions, the first waits and the rest, asked to retry in 60 s, do not."""
    engine = opened(busy_timeout=0.3)
    monkeypatch.setattr("bandit.store.spool.writer.RETRY", 60.0)
    free = locked()
    begun = time.monotonic()
    for row in range(50):
        assert engine.decide("c", context(row)).fault is not None
    assert time.monotonic() - begun < 3.0
    free()
    assert engine.status().spooled == 50
    engine.close()
    again = opened()
    assert again.store.counts().decisions == 50


def test_what_waits_is_folded_in_by_whoever_opens_next(opened, locked, path):
    engine = opened()
    free = locked()
    decision = engine.decide("c", context(0))
    engine.record(decision.decision_id, "purchase", revenue=5.0)
    engine.close()
    assert len(spools(path)) == 1
    free()
    again = opened()
    assert again.store.counts().decisions == 1
    assert again.store.counts().events == 1
    assert spools(path) == []
    assert again.verify().problems == ()


def test_where_even_the_spool_cannot_be_written_the_answer_says_so(opened, locked, monkeypatch, catalogue):
    engine = opened()
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


def test_a_spool_that_cannot_be_deleted_is_no_fault_of_the_decision_that_folds_it(opened, locked, path, monkeypatch):
    engine = opened()
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


def test_a_policy_that_gives_nan_ends_in_the_fallback(opened, clock, catalogue):
    engine = opened()
    live(engine, clock, 60, np.random.default_rng(1))
    clock.now += 8 * DAY
    engine.learn()
    engine.policy._learning.belief.main.model.weights.mean[3] = np.nan
    engine.policy._samples = {}
    decision = engine.decide("c", context(0))
    assert decision.offer_index == catalogue.fallback
    assert "not finite" in decision.fault
    assert engine.status().faults == {"PolicyError": 1}
    assert engine.status().last_fault == decision.fault
    assert engine.verify().problems == ()


def damage(path, statement, *values):
    raw = sqlite3.connect(path)
    raw.execute(statement, values)
    raw.commit()
    raw.close()


def learned_once(opened, clock):
    engine = opened()
    live(engine, clock, 60, np.random.default_rng(1))
    clock.now += 8 * DAY
    assert engine.learn().step == 1
    state = engine.policy.dumps()
    engine.close()
    return state


@pytest.mark.parametrize("how", ["gone", "rotten"])
def test_a_damaged_snapshot_ends_in_the_fallback_until_the_ledger_is_folded(opened, clock, path, catalogue, how):
    """Also where the bytes can be read and are others: their hash is not the one that was written."""
    state = learned_once(opened, clock)
    damaged = bytearray(state)
    damaged[-1000] ^= 1
    damage(path, "UPDATE snapshots SET state = ? WHERE step = 1", b"" if how == "gone" else bytes(damaged))
    engine = opened(follow=None)
    decision = engine.decide("c", context(0))
    assert decision.offer_index == catalogue.fallback
    assert "rebuild it" in decision.fault
    assert not engine.status().well
    assert "rebuild it" in engine.status().policy_fault
    assert engine.follow() == 1
    assert engine.policy.dumps() == state
    assert engine.decide("c", context(0)).fault is None
    assert engine.rebuild().steps == 1
    assert engine.verify().problems == ()


def test_without_any_snapshot_the_fallback_is_served_and_following_says_why_not(opened, clock, path, catalogue):
    learned_once(opened, clock)
    damage(path, "DELETE FROM snapshots")
    engine = opened(follow=None)
    decision = engine.decide("c", context(0))
    assert decision.offer_index == catalogue.fallback
    assert "lost its first state" in decision.fault
    with pytest.raises(StoreError, match="lost its first state"):
        engine.follow()
    assert engine.decide("c", context(0)).fault is not None


def test_a_damaged_snapshot_heals_by_itself_in_a_while(opened, clock, path):
    state = learned_once(opened, clock)
    damage(path, "UPDATE snapshots SET state = x'00' WHERE step = 1")
    engine = opened(follow=0.0)
    assert engine.decide("c", context(0)).fault is not None
    engine._worker._thread.join()
    assert engine.decide("c", context(0)).fault is None
    assert engine.policy.dumps() == state


def test_status_does_not_wait_for_a_decision_that_waits(opened, locked):
    """A decision waits a second for the file; asked meanwhile, status answers and does not know the newest step."""
    engine = opened(busy_timeout=1.0)
    locked()
    waiting = threading.Thread(target=lambda: engine.decide("c", context(0)))
    waiting.start()
    time.sleep(0.2)
    begun = time.monotonic()
    status = engine.status()
    assert time.monotonic() - begun < 0.5
    assert (status.newest_step, status.lag) == (None, None)
    waiting.join()


def test_status_is_plain_json_and_never_raises(opened, path):
    engine = opened()
    engine.decide("c", context(0))
    status = engine.status()
    assert (status.decisions, status.step, status.newest_step, status.lag) == (1, 0, 0, 0)
    assert status.database_bytes + status.wal_bytes > 0
    assert not status.learning
    assert status.well
    assert status.to_dict()["well"] is True
    with engine.store.transaction():
        assert engine.status().decisions == 1
    engine.close()
    closed = engine.status()
    assert (closed.closed, closed.well, closed.newest_step) == (True, False, None)
    with pytest.raises(StoreError, match="closed"):
        engine.decide("c", context(0))
    with pytest.raises(StoreError, match="closed"):
        engine.record("d", "purchase")
    with pytest.raises(StoreError, match="closed"):
        engine.learn()


KILLED = """
import sqlite3, sys, time
import bandit
from tests.conftest import SPRING
catalogue = bandit.Catalogue.from_dict(SPRING)
engine = bandit.Engine.open(
    sys.argv[1], catalogue, bandit.Uniform(catalogue), customer_key=b"a key for tests", busy_timeout=0.01
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
    said = [child.stdout.readline() for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    said += [line for line in child.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        counts = engine.store.counts()
        assert len(said) <= counts.events <= counts.decisions <= len(said) + 1
        for number in range(len(said)):
            assert engine.store.decisions.events_of(f"d{number}").revenue.tolist() == [1.0]
        assert engine.verify().problems == ()
    assert spools(path) == []

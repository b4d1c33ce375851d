"""Spools of other workers: folded by those that live, and searched for decisions before they are."""

import os
import signal
import subprocess
import sys
import time

import pytest

import bandit
from bandit.errors import DuplicateError, InputError, UnknownDecisionError
from bandit.store.spool.file import REFUSED, spools
from tests.engine.conftest import ROOT, context
from tests.engine.test_outages import KILLED


def wait_until(true, seconds=5.0, between=lambda: None):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        between()
        time.sleep(0.05)


@pytest.fixture
def idle(open_engine, locked, catalogue, monkeypatch):
    """An engine that has spooled a decision "waiting" in a lock that is over by now, and lives on without calls."""
    monkeypatch.setattr("bandit.engine.spool_watch.SPOOL_RETRY_INTERVAL", 60.0)
    engine = open_engine(bandit.Uniform(catalogue), busy_timeout=0.02)
    free = locked()
    made = engine.decide("c", context(0), decision_id="waiting")
    assert made.logged
    free()
    assert engine.status().spooled == 1
    return engine, made


def test_a_live_engine_folds_the_spool_of_a_killed_worker_within_seconds(open_engine, path, catalogue):
    child = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    for _ in range(5):
        child.stdout.readline()
    engine = open_engine(bandit.Uniform(catalogue), busy_timeout=0.02)
    assert len(spools(path)) == 1  # the child lives, and has the database locked
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    wait_until(lambda: not spools(path), between=lambda: engine.decide("c", context(0)))
    assert engine.store.decisions.events_of("d4").revenue.tolist() == [1.0]
    assert engine.verify().problems == ()


def test_an_idle_engine_folds_its_own_spool_without_a_call(open_engine, locked, path, catalogue):
    engine, reader = open_engine(bandit.Uniform(catalogue), busy_timeout=0.02), open_engine(bandit.Uniform(catalogue))
    free = locked()
    engine.decide("c", context(0), decision_id="waiting")
    engine.record("waiting", "purchase", revenue=3.0)
    free()
    wait_until(lambda: not spools(path))
    assert reader.store.decisions.events_of("waiting").revenue.tolist() == [3.0]


def test_a_purchase_finds_the_decision_that_waits_in_the_spool_of_another_living_worker(open_engine, idle, path):
    """Written by the one that records; its own writer folds it later and finds the same decision there."""
    engine, made = idle
    other = open_engine(engine.policy)
    receipt = other.record("waiting", "purchase", revenue=20.0)
    assert (receipt.n_new, receipt.n_spooled) == (1, 0)
    assert len(spools(path)) == 1  # it is locked by a running writer, so it stays
    engine.close()
    assert spools(path) == []
    assert not path.with_name(path.name + REFUSED).exists()
    row = other.store.decisions.one("waiting", "purchase", 10**15)
    assert (row.fault[0], row.offer[0], row.revenue[0]) == (made.fault, made.offer_index, 20.0)
    assert other.store.counts().decisions == 1
    assert other.verify().problems == ()


def test_a_purchase_that_waits_itself_finds_a_decision_that_waits_in_another_spool(open_engine, idle, locked, path):
    """Both are spooled, by two workers; the one with the purchase folds first."""
    engine, _ = idle
    other = open_engine(engine.policy, busy_timeout=0.02)
    free = locked()
    assert other.record("waiting", "purchase", revenue=20.0).n_spooled == 1
    free()
    other.close()
    engine.close()
    assert not path.with_name(path.name + REFUSED).exists()
    last = open_engine(engine.policy)
    assert last.store.decisions.events_of("waiting").revenue.tolist() == [20.0]


def test_a_retried_id_finds_the_decision_that_waits_in_the_spool_of_another_worker(open_engine, idle):
    engine, made = idle
    other = open_engine(engine.policy)
    again = other.decide("c", context(0), decision_id="waiting")
    assert (again.offer_index, again.propensity, again.time, again.fault) == (
        made.offer_index, made.propensity, made.time, made.fault,
    )  # fmt: skip
    with pytest.raises(DuplicateError):
        other.decide("d", context(0), decision_id="waiting")
    with pytest.raises(DuplicateError):
        other.decide_batch(["c"], [context(0)], decision_ids=["waiting"])
    with pytest.raises(InputError, match="waits in the spool"):
        other.explain("waiting")
    assert other.store.counts().decisions == 0
    engine.close()
    assert other.store.counts().decisions == 1


def test_an_unknown_decision_stays_unknown(open_engine, idle):
    engine, _ = idle
    with pytest.raises(UnknownDecisionError):
        open_engine(engine.policy).record("nobody", "purchase")

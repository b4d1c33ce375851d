"""A decision never fails because of the policy: faulty answers and damaged states end in the fallback."""

import sqlite3

import numpy as np
import pytest

from bandit.errors import StoreError
from tests.engine.conftest import DAY, context, serve


def test_a_policy_that_gives_nan_ends_in_the_fallback(open_engine, clock, catalogue):
    engine = open_engine()
    serve(engine, clock, 60, np.random.default_rng(1))
    clock.now += 8 * DAY
    engine.learn()
    policy = engine.learner.policy  # the engine gives a copy of it
    policy._learning.belief.main.model.weights.mean[3] = np.nan
    policy._samples = {}
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


def learned_once(open_engine, clock):
    engine = open_engine()
    serve(engine, clock, 60, np.random.default_rng(1))
    clock.now += 8 * DAY
    assert engine.learn().step == 1
    state = engine.policy.dumps()
    engine.close()
    return state


@pytest.mark.parametrize("how", ["gone", "rotten"])
def test_a_damaged_snapshot_ends_in_the_fallback_until_the_ledger_is_folded(open_engine, clock, path, catalogue, how):
    """Also where the bytes can be read and are others: their hash is not the one that was written."""
    state = learned_once(open_engine, clock)
    damaged = bytearray(state)
    damaged[-1000] ^= 1
    damage(path, "UPDATE snapshots SET state = ? WHERE step = 1", b"" if how == "gone" else bytes(damaged))
    engine = open_engine(sync=None)
    decision = engine.decide("c", context(0))
    assert decision.offer_index == catalogue.fallback
    assert "rebuild it" in decision.fault
    assert not engine.status().well
    assert "rebuild it" in engine.status().policy_fault
    assert engine.sync() == 1
    assert engine.policy.dumps() == state
    assert engine.decide("c", context(0)).fault is None
    assert engine.rebuild().steps == 1
    assert engine.verify().problems == ()


def test_without_any_snapshot_the_fallback_is_served_and_sync_raises_the_reason(open_engine, clock, path, catalogue):
    learned_once(open_engine, clock)
    damage(path, "DELETE FROM snapshots")
    engine = open_engine(sync=None)
    decision = engine.decide("c", context(0))
    assert decision.offer_index == catalogue.fallback
    assert "lost its first state" in decision.fault
    with pytest.raises(StoreError, match="lost its first state"):
        engine.sync()
    assert engine.decide("c", context(0)).fault is not None


def test_a_damaged_snapshot_heals_by_itself_in_a_while(open_engine, clock, path):
    state = learned_once(open_engine, clock)
    damage(path, "UPDATE snapshots SET state = x'00' WHERE step = 1")
    engine = open_engine(sync=0.0)
    assert engine.decide("c", context(0)).fault is not None
    engine._worker._thread.join()
    assert engine.decide("c", context(0)).fault is None
    assert engine.policy.dumps() == state

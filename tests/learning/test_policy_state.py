"""States read from snapshots, and folded from the steps after them."""

import sqlite3

import numpy as np
import pytest

import bandit
from bandit.errors import PolicyError, StoreError
from bandit.learning.policy_state import StateHistory
from tests.engine.conftest import DAY, serve


@pytest.fixture
def learned(open_engine, clock):
    """An engine that learned 60 outcomes in each of three steps."""
    engine = open_engine()
    for number in range(3):
        serve(engine, clock, 60, np.random.default_rng(number), prefix=f"{number}-")
        clock.now += 8 * DAY
        assert engine.learn().n == 60
    return engine


def test_the_state_after_any_step_is_folded_from_the_base(learned, catalogue):
    """From step 0 to 1 and on to 3: the last is the current state, and 180 outcomes are in no snapshot of this fold."""
    history = StateHistory(learned.store, catalogue, learned.policy_id)
    state = history.load(history.base_snapshot(), bandit.ThompsonSampling(catalogue))
    assert (state.step, state.unsaved, state.fault) == (0, 0, None)
    one = history.fold(state, 1)
    assert (one.step, one.unsaved) == (1, 60)
    assert one.policy.dumps() != learned.policy.dumps()
    three = history.fold(one, 3)
    assert (three.step, three.unsaved) == (3, 180)
    assert three.policy.dumps() == learned.policy.dumps()
    assert [len(history.outcomes_of_step(step)) for step in (1, 2, 3)] == [60, 60, 60]


def test_a_snapshot_with_another_hash_is_not_loaded(learned, catalogue, path):
    raw = sqlite3.connect(path)
    raw.execute("UPDATE snapshots SET state = x'00' WHERE step > 0")
    raw.commit()
    raw.close()
    history = StateHistory(learned.store, catalogue, learned.policy_id)
    with pytest.raises(PolicyError, match="rebuild it"):
        history.load(history.newest_snapshot(), bandit.ThompsonSampling(catalogue))


def test_a_policy_without_snapshots_has_lost_its_first_state(learned, catalogue):
    history = StateHistory(learned.store, catalogue, learned.policy_id + 1)
    for snapshot in (history.newest_snapshot, history.base_snapshot):
        with pytest.raises(StoreError, match="lost its first state"):
            snapshot()

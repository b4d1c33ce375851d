"""A policy is moved from the state after one step to that after another."""

import numpy as np
import pytest

import bandit
from bandit.errors import PolicyError, StoreError
from bandit.learning import StateWalk
from tests.engine.conftest import DAY, serve


@pytest.fixture
def learned(open_engine, clock):
    """An engine that learned 60 outcomes in each of four steps, and the states after them, from step 0 on."""
    engine = open_engine()
    states = [engine.policy.dumps()]
    for number in range(4):
        serve(engine, clock, 60, np.random.default_rng(number), prefix=f"{number}-")
        clock.now += 8 * DAY
        assert engine.learn().n == 60
        states.append(engine.policy.dumps())
    return engine, states


def counted(walk, monkeypatch):
    """Record the steps that are folded."""
    folded, original = [], walk.history.outcomes_of_step
    monkeypatch.setattr(walk.history, "outcomes_of_step", lambda step: folded.append(step) or original(step))
    return folded


def test_the_policy_has_the_state_that_it_had_after_each_step(learned):
    engine, states = learned
    walk = StateWalk(engine.store, engine.policy_id)
    assert (walk.base_step, walk.step) == (0, 0)
    for step in (0, 2, 1, 4, 3, 3):
        assert walk.move_to(step).dumps() == states[step]
        assert walk.step == step
        assert walk.policy.dumps() == states[step]
    assert walk.catalogue.version == engine.catalogue.version


def test_going_to_and_fro_folds_no_step_more_than_twice(learned, monkeypatch):
    """Steps 2, 1, 3, 2, 4, 3: one policy learns steps 1 to 4 and the other, one step behind, 1 to 3."""
    engine, states = learned
    walk = StateWalk(engine.store, engine.policy_id)
    folded = counted(walk, monkeypatch)
    for step in (2, 1, 3, 2, 4, 3):
        assert walk.move_to(step).dumps() == states[step]
    assert sorted(folded) == [1, 1, 2, 2, 3, 3, 4]


def test_each_step_is_reported_once_when_it_is_first_reached(learned):
    engine, states = learned
    seen = []
    walk = StateWalk(engine.store, engine.policy_id, lambda step, policy: seen.append((step, policy.dumps())))
    for step in (2, 1, 2, 4):
        walk.move_to(step)
    assert seen == list(enumerate(states))[1:]


def test_a_policy_that_was_never_used_has_its_untrained_state_and_nothing_is_written(open_engine, catalogue):
    engine = open_engine()
    settings = bandit.ThompsonSampling(catalogue, draws=32).spec()
    unused = engine.store.catalogues.register_policy(engine.store.catalogues.latest()[0], settings)
    walk = StateWalk(engine.store, unused)
    assert walk.policy.spec() == settings
    assert walk.step == 0
    assert engine.store.ledger.latest_step(unused) is None
    assert engine.verify().problems == ()


def test_policies_that_are_unknown_or_of_the_programs_own_class_cannot_be_moved(open_engine):
    engine = open_engine()
    with pytest.raises(StoreError, match="has no policy 99"):
        StateWalk(engine.store, 99)
    own = engine.store.catalogues.register_policy(engine.store.catalogues.latest()[0], {"kind": "mine"})
    with pytest.raises(PolicyError, match="no policy of kind 'mine'"):
        StateWalk(engine.store, own)

"""Engines that sync with the one that learns."""

import functools
import time

import numpy as np
import pytest

import bandit
from bandit.store import learning_lease
from bandit.store.tables.leases import LEASE_DURATION
from tests.engine.conftest import DAY, Clock, context, serve


@pytest.fixture
def open_engine(open_engine):
    """A function that opens the test's database as another engine each time, which syncs only when asked to."""
    return functools.partial(open_engine, sync=None)


@pytest.mark.parametrize("kind", ["thompson", "vw", "of its own"])
def test_a_synced_state_is_the_learners_to_the_last_byte(open_engine, clock, catalogue, kind):
    """Through steps with and without a snapshot: a large state is not written at every step."""

    class Own(bandit.ThompsonSampling):
        def spec(self):
            return {**super().spec(), "kind": "own"}

    def policy():
        if kind == "vw":
            return bandit.VowpalWabbit(catalogue, warm_up=100)
        return (Own if kind == "of its own" else bandit.ThompsonSampling)(catalogue, half_life="30d")

    learner, follower = open_engine(policy()), open_engine(policy())
    rng = np.random.default_rng(1)
    for number, size in enumerate((150, 3, 2, 400, 1)):
        serve(learner, clock, size, rng, prefix=f"{number}-")
        clock.now += 8 * DAY
        learner.learn()
        serve(follower, clock, 5, rng, prefix=f"f{number}-")
        if number != 1:
            assert follower.sync() == learner.step
            assert follower.policy.dumps() == learner.policy.dumps()
    late = open_engine(policy())
    assert late.policy.dumps() == learner.policy.dumps()
    assert learner.rebuild().same if kind != "of its own" else True
    assert follower.verify().problems == () or kind == "of its own"


def test_decisions_notice_that_another_has_learned_and_do_not_wait(open_engine, clock):
    learner, follower = open_engine(), open_engine(sync=0.0)
    serve(learner, clock, 200, np.random.default_rng(1))
    clock.now += 8 * DAY
    learner.learn()
    assert follower.step == 0
    deadline = time.monotonic() + 20
    while follower.step == 0 and time.monotonic() < deadline:
        follower.decide("c", context(0))
    assert follower.step == 1
    assert follower.policy.dumps() == learner.policy.dumps()
    assert follower.status().lag == 0
    assert follower.verify().problems == ()


def test_a_follower_learns_on_from_where_the_learner_stopped(open_engine, clock):
    one, two = open_engine(), open_engine()
    rng = np.random.default_rng(1)
    for number in range(4):
        engine = (one, two)[number % 2]
        serve(engine, clock, 50, rng, prefix=f"{number}-")
        clock.now += 8 * DAY
        learned = engine.learn()
        assert (learned.n, learned.learner, learned.step) == (50, True, number + 1)
    assert one.sync() == 4
    assert one.policy.dumps() == two.policy.dumps()
    assert two.rebuild().same


def test_while_one_holds_the_lease_the_other_learns_nothing_and_says_so(open_engine, clock):
    one, two = open_engine(), open_engine()
    serve(one, clock, 50, np.random.default_rng(1))
    clock.now += 8 * DAY
    wall = Clock()
    two._worker.clock = wall
    name = learning_lease(one.policy_id)
    assert one.store.leases.take(name, "one", wall())
    learned = two.learn()
    assert (learned.n, learned.learner) == (0, False)
    wall.now += LEASE_DURATION
    assert two.learn().n == 50
    assert one.store.leases.get(name) is None

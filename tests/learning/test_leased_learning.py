"""Two learners of one policy that both want to learn."""

import numpy as np
import pytest

import bandit
from bandit.learning import PolicyLearner
from bandit.store import Lease
from bandit.store.tables.leases import LEASE_DURATION
from tests.engine.conftest import DAY, KEY, Clock, serve


@pytest.fixture
def two(tmp_path, catalogue):
    """Two learners of one policy, on connections of their own, with 300 outcomes to learn; and the clock."""
    clock = Clock()
    with bandit.Engine.open(
        tmp_path / "offers.db",
        catalogue,
        bandit.ThompsonSampling(catalogue),
        seed=7,
        customer_key=KEY,
        clock=clock,
        durability="process",
    ) as engine:
        serve(engine, clock, 300, np.random.default_rng(1))
        clock.now += 8 * DAY
        with engine.store.another() as one, engine.store.another() as other:
            yield (
                [
                    PolicyLearner(store, catalogue, engine.catalogue_id, bandit.ThompsonSampling(catalogue))
                    for store in (one, other)
                ],
                clock,
            )


def lease(learner, owner, clock):
    return Lease(learner.store.leases, "learn", owner, clock)


def test_a_learner_without_the_lease_learns_nothing_and_says_so(two):
    (one, other), clock = two
    assert one.store.leases.take("learn", "one", clock())
    learned = other.learn(clock.now, lease(other, "other", clock))
    assert (learned.n, learned.step, learned.learner) == (0, 0, False)
    clock.now += LEASE_DURATION
    learned = other.learn(clock.now, lease(other, "other", clock))
    assert (learned.n, learned.step, learned.learner) == (300, 1, True)


def test_a_learner_that_was_suspended_until_another_took_over_writes_nothing(two, monkeypatch):
    """The first is stopped between learning a step and writing it; the second learns the same outcomes meanwhile."""
    (one, other), clock = two
    write = one.store.ledger.record_step
    outcomes = type(one.policy).update

    def suspended(policy, rows):
        outcomes(policy, rows)
        if policy is not one.policy:
            monkeypatch.setattr(type(one.policy), "update", outcomes)
            clock.now += LEASE_DURATION
            assert other.learn(clock.now, lease(other, "other", clock)).n == 300

    def refuse(*_):
        raise AssertionError("it wrote")

    monkeypatch.setattr(one.store.ledger, "record_step", refuse)
    monkeypatch.setattr(type(one.policy), "update", suspended)
    learned = one.learn(clock.now, lease(one, "one", clock))
    assert (learned.n, learned.learner, learned.step) == (0, False, 1)
    assert one.policy.dumps() == other.policy.dumps()
    assert [step.step for step in one.store.ledger.steps(one.policy_id)] == [0, 1]
    monkeypatch.setattr(one.store.ledger, "record_step", write)
    assert one.rebuild().same


def test_a_step_that_another_wrote_without_a_lease_is_not_written_twice(two, monkeypatch):
    """The step is looked at as well: a lease whose clock went wrong cannot fork the ledger either."""
    (one, other), clock = two
    renewed = Lease.renew
    monkeypatch.setattr(Lease, "take", lambda self: True)
    monkeypatch.setattr(Lease, "renew", lambda self: True)
    due = one._due

    def late(moment):
        rows = due(moment)
        monkeypatch.setattr(one, "_due", due)
        other.learn(clock.now, lease(other, "other", clock))
        return rows

    monkeypatch.setattr(one, "_due", late)
    # It syncs with what the other wrote, finds nothing more to learn, and writes nothing.
    learned = one.learn(clock.now, lease(one, "one", clock))
    monkeypatch.setattr(Lease, "renew", renewed)
    assert (learned.n, learned.step) == (0, 1)
    assert len(one.store.ledger.steps(one.policy_id)) == 2

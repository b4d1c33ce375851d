"""What a policy learns from the log, and when."""

import numpy as np
import pytest

import bandit
from bandit.store import StoreLog
from tests.engine.conftest import DAY, KEY, context, serve


def test_silence_counts_in_parts_until_the_window_ends_or_the_decision_is_closed(open_engine, clock):
    engine = open_engine()
    ids = [engine.decide("c", context(row)).decision_id for row in range(3)]
    engine.record(ids[0], "purchase", revenue=40.0)
    engine.record(ids[1], "closed")
    assert engine.learn().n == 2  # the purchase at once, the closed one; the third is open
    assert engine.learn().n == 0
    clock.now += 3 * DAY
    learned = engine.learn()
    assert (learned.n, learned.n_restated) == (1, 0)
    assert 0.0 < engine.learner.history.outcomes_of_step(engine.step).weight[0] < 1.0
    assert engine.learn().n == 0
    clock.now += 4 * DAY + 1
    learned = engine.learn()
    assert (learned.n, learned.n_restated) == (1, 1)
    last = engine.learner.history.outcomes_of_step(engine.step)
    assert last.weight.tolist() == [1.0]
    assert 0.0 < last.previous.weight[0] < 1.0
    clock.now += 30 * DAY
    assert engine.learn().n == 0
    assert engine.rebuild().same


def test_a_policy_that_cannot_unlearn_waits_until_an_outcome_is_complete(open_engine, clock, catalogue):
    """40 decisions, of which the purchases are complete at once, the rest in parts: VW sees the rest a week later."""
    engine = open_engine(bandit.VowpalWabbit(catalogue, warm_up=100))
    serve(engine, clock, 40, np.random.default_rng(1))
    bought = engine.learn().n
    clock.now += 4 * DAY
    assert engine.learn().n == 40 - bought
    assert engine.policy._warmup.room == 100 - bought
    clock.now += 4 * DAY
    assert engine.learn().n == 40 - bought
    assert engine.policy._warmup.room == 60
    assert engine.policy.not_restated == 0
    assert engine.rebuild().same


def test_a_return_restates_what_was_learned(open_engine, clock):
    engine = open_engine()
    batch = serve(engine, clock, 60, np.random.default_rng(1))
    clock.now += 10 * DAY
    assert engine.learn().n == 60
    before = engine.policy.predict(engine.catalogue.contexts([context(0)]))
    (logged,) = StoreLog(engine.store, engine.catalogue).batches()
    row = int(np.flatnonzero(logged.converted)[0])
    time = int(batch.time[row]) + DAY
    engine.record(batch.decision_ids[row], "return", revenue=-float(logged.revenue[row]), time=time)
    learned = engine.learn()
    assert (learned.n, learned.n_restated) == (1, 1)
    assert engine.policy.predict(engine.catalogue.contexts([context(0)])).mean() < before.mean()
    assert engine.rebuild().same


def test_a_changed_catalogue_learns_what_still_exists_from_the_old_log(open_engine, clock, catalogue, spring, tmp_path):
    engine = open_engine(bandit.Uniform(catalogue))
    serve(engine, clock, 120, np.random.default_rng(1))
    clock.now += 8 * DAY
    engine.close()
    spring["dimensions"][0]["options"].pop()  # no more 20 %
    spring["rules"].pop(0)
    smaller = bandit.Catalogue.from_dict(spring)
    with bandit.Engine.open(
        tmp_path / "offers.db", smaller, bandit.ThompsonSampling(smaller), customer_key=KEY, clock=clock
    ) as changed:
        learned = changed.learn()
        assert learned.n + learned.n_skipped == 120
        assert learned.n > 0
        assert learned.n_skipped > 0
        changed.decide("c", context(1))
        assert changed.verify().problems == ()


def test_a_learner_that_fails_leaves_the_policy_as_the_log_knows_it(open_engine, clock, monkeypatch):
    engine = open_engine()
    serve(engine, clock, 60, np.random.default_rng(1))
    clock.now += 8 * DAY
    state = engine.policy.dumps()

    def fail(*_):
        raise RuntimeError("no memory left")

    with monkeypatch.context() as broken:
        broken.setattr(engine._worker._front.ledger.__class__, "record_step", fail)
        with pytest.raises(RuntimeError, match="no memory"):
            engine.learn()
    assert (engine.policy.dumps(), engine.step) == (state, 0)
    assert engine.decide("c", context(0)).fault is None
    assert engine.learn().n == 60
    assert engine.rebuild().same


def test_a_policy_that_cannot_be_copied_learns_in_place(open_engine, clock, catalogue):
    class Alone(bandit.ThompsonSampling):
        def spec(self):
            return {**super().spec(), "kind": "alone"}

        def __deepcopy__(self, memory):
            raise TypeError("there is one of it")

    policy = Alone(catalogue)
    one, two = open_engine(policy, sync=None), open_engine(Alone(catalogue), sync=None)
    serve(one, clock, 60, np.random.default_rng(1))
    clock.now += 8 * DAY
    assert one.learn().n == 60
    assert one.policy is policy
    assert two.sync() == 1
    assert two.policy.dumps() == policy.dumps()

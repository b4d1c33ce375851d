"""A database whose policy learned by older methods: it serves until the new one is folded anew from the log."""

import threading

import numpy as np
import pytest

import bandit
from bandit.governance.erasure import erase
from bandit.governance.verify import verify
from bandit.learning import carry_source
from bandit.learning.folding_anew import FoldingAnew
from bandit.learning.policy_state import StateHistory
from bandit.policies import close
from bandit.policies.state_erasure import has_customers
from bandit.store import Store, state_hash
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, context, serve

OLDER, NEWER = (), ("moving_draws",)


@pytest.fixture
def opened(path, clock):
    """A function that opens the test's database with a policy of these methods."""
    engines = []

    def opened(methods):
        catalogue = bandit.Catalogue.from_dict(SPRING)
        policy = bandit.ThompsonSampling(catalogue, methods=methods)
        options = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process"}
        engine = bandit.Engine.open(path, catalogue, policy, **options)
        engines.append(engine)
        return engine

    yield opened
    for engine in engines:
        engine.close()


@pytest.fixture
def learned(opened, clock):
    """A database of a policy of the older methods, with three steps of 150 outcomes."""
    engine = opened(OLDER)
    for number in range(3):
        serve(engine, clock, 150, np.random.default_rng(number), f"first {number}, ")
        clock.now += 8 * DAY
        engine.learn(now=clock.now)
    engine.close()
    return engine


@pytest.fixture
def long(monkeypatch):
    """The log counts as long from 100 outcomes on."""
    monkeypatch.setattr(carry_source, "RELEARNED_AT_ONCE", 100)
    monkeypatch.setattr("bandit.learning.folding_anew.RELEARNED_AT_ONCE", 100)


@pytest.fixture
def gate(monkeypatch):
    """An event without which no policy is folded."""
    opens, run = threading.Event(), FoldingAnew.run

    def waiting(self, progress=None, stopped=None):
        while not opens.wait(0.01):
            if stopped is not None and stopped():
                return None
        return run(self, progress, stopped)

    monkeypatch.setattr(FoldingAnew, "run", waiting)
    return opens


def _learned_in_one_go(path, methods):
    """The state of a policy of these methods that learns the steps of policy 1 in order."""
    catalogue = bandit.Catalogue.from_dict(SPRING)
    policy = bandit.ThompsonSampling(catalogue, methods=methods)
    with Store.open(path, customer_key=KEY) as store:
        history = StateHistory(store, catalogue, 1)
        for step in range(1, (store.ledger.latest_step(1) or 0) + 1):
            policy.update(history.outcomes_of_step(step))
    return policy.dumps()


def test_a_short_log_is_learned_again_when_the_database_is_opened(learned, opened, path):
    """450 outcomes in 3 steps, none of them twice: a `learn` after it finds nothing."""
    engine = opened(NEWER)
    assert (engine.policy_id, engine.step, engine.learner.carried.how) == (2, 3, "learned again")
    assert close(engine.policy.dumps(), _learned_in_one_go(path, NEWER))
    assert engine.learn().n == 0
    assert engine.verify().problems == ()


def test_the_older_policy_serves_while_a_long_log_is_folded_and_then_the_new_one_does(
    learned, opened, path, clock, long, gate
):
    """450 outcomes are more than 100: policy 1 decides and learns until policy 2 has its first state."""
    with pytest.warns(UserWarning, match="learns by other methods than policy 1, which serves until"):
        engine = opened(NEWER)
    assert (engine.policy_id, engine.decide("anna", context(1)).fault) == (1, None)
    assert "0 of 450 outcomes" in engine.status().folding
    serve(engine, clock, 40, np.random.default_rng(5), "meanwhile ")
    clock.now += 8 * DAY
    assert engine.learn(now=clock.now).n == 41
    gate.set()
    engine._methods._thread.join()
    engine.learn(now=clock.now)
    assert (engine.policy_id, engine.status().folding) == (2, None)
    assert close(engine.policy.dumps(), _learned_in_one_go(path, NEWER))
    assert engine.learner.carried.how == "folded anew"
    serve(engine, clock, 30, np.random.default_rng(6), "then ")
    clock.now += 8 * DAY
    assert engine.learn(now=clock.now).n == 30
    assert engine.rebuild().same
    assert engine.verify().problems == ()


def test_a_state_that_is_not_what_the_log_gives_is_found(learned, opened, path, long):
    """The negative control: the new policy's first state is replaced by that of a policy that learned nothing."""
    with pytest.warns(UserWarning, match="learns by other methods"):
        engine = opened(NEWER)
    assert engine.fold_anew()
    engine.close()
    untrained = bandit.ThompsonSampling(bandit.Catalogue.from_dict(SPRING), methods=NEWER).dumps()
    with Store.open(path, customer_key=KEY) as store:
        with store.transaction():
            raw = store._connection.raw
            raw.execute("UPDATE snapshots SET state = ? WHERE policy_id = 2", (untrained,))
            raw.execute("UPDATE policy_steps SET state_hash = ? WHERE policy_id = 2", (state_hash(untrained),))
        assert any("policy 2" in problem for problem in verify(store).problems)


def test_a_fold_that_is_interrupted_begins_again_with_the_next_opening(learned, opened, path, long, gate):
    """Closing stops the fold and writes nothing; the next engine folds all 450 outcomes."""
    with pytest.warns(UserWarning, match="learns by other methods"):
        opened(NEWER).close()
    with Store.open(path, customer_key=KEY) as store:
        assert [row.id for row in store.catalogues.policies()] == [1]
    gate.set()
    with pytest.warns(UserWarning, match="learns by other methods"):
        engine = opened(NEWER)
    engine.fold_anew()
    assert (engine.policy_id, engine.learner.carried.outcomes) == (2, 450)


def test_a_second_engine_takes_the_policy_up_that_the_first_one_folded(learned, opened, long, gate):
    """Two engines on one file: one folds, and the other decides with the new policy from its next look on."""
    with pytest.warns(UserWarning, match="learns by other methods"):
        one, other = opened(NEWER), opened(NEWER)
    gate.set()
    for engine in (one, other):
        engine._methods._thread.join()
    other.learn()
    one.learn()
    assert one.policy_id == other.policy_id == 2


def test_an_erased_customer_leaves_the_policy_that_was_folded_anew(learned, opened, path, clock, long):
    """After the erasure the first state is that of the log without the customer, and `verify` finds nothing."""
    with pytest.warns(UserWarning, match="learns by other methods"):
        engine = opened(NEWER)
    engine.fold_anew()
    customer = "customer-3"
    with Store.open(path, customer_key=KEY) as store:
        key = store.customers.stored(customer)
        assert has_customers(engine.policy.dumps(), {key})
    engine.close()
    with Store.open(path, customer_key=KEY) as store:
        assert erase(store, customer).decisions
        newest = store.ledger.snapshot(2, newest=True)
        assert newest is not None
        assert not has_customers(newest.state, {key})
        assert close(newest.state, _learned_in_one_go(path, NEWER))
        assert verify(store).problems == ()

"""A candidate that joins the store of the log it learned offline: nothing is learned twice, changes are learned."""

import numpy as np
import pytest

import bandit
from bandit.clock import now
from bandit.domain import MICROSECONDS
from bandit.engine.default_policy import default_policy
from bandit.errors import InputError
from bandit.evaluate import teach
from bandit.governance.erasure import erase
from bandit.governance.verify import verify
from bandit.learning import add_candidate
from bandit.policies import close
from bandit.rollout import RolloutControl
from bandit.store import Store, StoreLog, Where

KEY = b"a key for our tests"
DAY = 86_400 * MICROSECONDS


def contexts(n):
    return [{"gender": "fm"[row % 2], "recency": float(row), "loyal": row % 3 == 0} for row in range(n)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


@pytest.fixture
def log(path, catalogue):
    """600 decisions of three weeks ago by a policy that has learned them, a third of them bought; 20 more of today."""
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), seed=1, customer_key=KEY, durability="process"
    ) as engine:
        before = now() - 21 * DAY
        old = engine.decide_batch([f"customer-{row}" for row in range(600)], contexts(600), time=before)
        engine.record_batch(old.decision_ids[::3], "purchase", revenue=np.full(200, 50.0), time=before + DAY)
        new = engine.decide_batch([f"visitor-{row}" for row in range(20)], contexts(20))
        engine.learn()
    return old, new


def joined(path, catalogue, name="fresh"):
    """The candidate and its number; it has learned the settled decisions."""
    policy = bandit.ThompsonSampling(catalogue, name=name)
    with Store.open(path, customer_key=KEY) as store:
        settled = StoreLog(store, catalogue, where=Where(settled_before=now() - catalogue.objective.window))
        teach(policy, settled, 8_192)
        return policy, add_candidate(store, catalogue, policy, settled)


def resumed(path, number):
    return bandit.Engine.resume(path, policy_id=number, customer_key=KEY, durability="process")


def test_its_first_state_is_what_it_learned_offline(path, catalogue, log):
    policy, number = joined(path, catalogue)
    assert number == 2
    with resumed(path, number) as engine:
        assert (engine.step, engine.policy.name) == (0, "fresh")
        assert close(engine.policy.dumps(), policy.dumps())


def test_only_what_is_new_is_learned_later(path, catalogue, log):
    """None of the 600 decisions; of the 20 open ones the 5 that are closed. Without the notes, all 605 are due."""
    _, new = log
    _, number = joined(path, catalogue)
    with resumed(path, number) as engine:
        assert engine.learn().n == 0
        engine.record_batch(new.decision_ids[:5], "closed")
        assert engine.learn().n == 5
        assert engine.rebuild().same
        assert verify(engine.store).problems == ()
    plain = bandit.ThompsonSampling(catalogue, name="unnoted")
    with bandit.Engine.open(path, catalogue, plain, customer_key=KEY) as engine:
        assert engine.learn().n == 605


def test_what_is_activated_later_is_learned_later(tmp_path, spring):
    """Of 40 settled decisions 30 were shown in time: the candidate has learned these, and learns nothing twice."""
    spring["objective"]["activation"] = "shown"
    catalogue, path = bandit.Catalogue.from_dict(spring), tmp_path / "shown.db"
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        made = engine.decide_batch([f"c{row}" for row in range(40)], contexts(40), time=now() - 10 * DAY)
        engine.record_batch(made.decision_ids[:30], "shown", time=now() - 9 * DAY)
    _, number = joined(path, catalogue)
    with resumed(path, number) as engine:
        assert engine.store.ledger.steps(number)[0].n == 30
        assert engine.learn().n == 0
        engine.record_batch(made.decision_ids[30:35], "shown", time=now() - 9 * DAY)
        assert engine.learn().n == 5


def test_a_return_updates_what_it_learned_offline(path, catalogue, log):
    old, _ = log
    _, number = joined(path, catalogue)
    with resumed(path, number) as engine:
        engine.record(old.decision_ids[0], "return", revenue=-50.0, time=now() - 19 * DAY)
        learned = engine.learn()
        assert (learned.n, learned.n_restated) == (1, 1)
        assert engine.rebuild().same


def test_a_customer_can_be_erased_from_it(path, catalogue, log):
    _, number = joined(path, catalogue)
    with Store.open(path, customer_key=KEY) as store:
        report = erase(store, "customer-3")
        assert report.decisions == 1
        assert number in report.warm_starts
        assert verify(store).problems == ()
    with resumed(path, number) as engine:
        assert engine.learn().n == 0


def test_the_same_name_is_refused_and_leaves_everything_as_it_was(path, catalogue, log):
    joined(path, catalogue)
    with pytest.raises(InputError, match='policy 2 has these settings and the name "fresh" already'):
        joined(path, catalogue)
    assert joined(path, catalogue, "fresher")[1] == 3


def test_it_is_not_the_policy_that_serves_by_default_until_it_is_promoted(path, catalogue, log):
    joined(path, catalogue)
    with Store.open(path, customer_key=KEY) as store:
        assert default_policy(store) == 1
        control = RolloutControl(store, catalogue)
        control.challenge(2, 0.5, champion=1, author="anna")
        assert default_policy(store) == 1
        control.promote(author="anna")
        assert default_policy(store) == 2
    with resumed(path, None) as engine:
        assert engine.policy_id == 2


def test_without_policies_there_is_no_default_and_a_lone_candidate_is_it(tmp_path, catalogue):
    with Store.open(tmp_path / "new.db", customer_key=KEY) as store:
        assert default_policy(store) is None
        add_candidate(store, catalogue, bandit.ThompsonSampling(catalogue), StoreLog(store, catalogue))
        assert default_policy(store) == 1


def test_what_is_recorded_while_it_learns_is_learned_later(path, catalogue, log):
    """A return comes between learning and joining. Read from the state that was learned from, it is due; read anew, it
    would count as learned."""
    old, _ = log
    policy = bandit.ThompsonSampling(catalogue, name="fresh")
    with Store.open(path, customer_key=KEY) as store, Store.open(path, customer_key=KEY, read_only=True) as source:
        settled = StoreLog(source, catalogue, where=Where(settled_before=now() - catalogue.objective.window))
        with source.one_state():
            teach(policy, settled, 8_192)
            with bandit.Engine.resume(path, policy_id=1, customer_key=KEY, durability="process") as other:
                other.record(old.decision_ids[0], "return", revenue=-50.0, time=now() - 20 * DAY)
            number = add_candidate(store, catalogue, policy, settled, source)
    with resumed(path, number) as engine:
        report = engine.learn()
    assert report.n_restated == 1

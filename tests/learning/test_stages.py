"""An engine learns the stages that lead to a conversion from its events, and holds to what it learned of them."""

import sqlite3

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.governance.erasure import erase
from bandit.logfiles import export, from_frame, open_log
from bandit.store import Store, StoreLog
from bandit.store.learning.due_outcomes import DueCriterion
from tests.engine.conftest import DAY, KEY

HOUR = DAY // 24


@pytest.fixture
def catalogue():
    return bandit.Catalogue.from_dict(
        {
            "objective": {"kind": "profit", "event": "purchase", "window": "7d", "stages": ["click", "cart"]},
            "context": {"loyal": {"type": "boolean"}},
            "dimensions": [
                {"name": "theme", "options": [{"name": "plain"}, {"name": "bait"}, {"name": "good"}]},
                {"name": "channel", "options": [{"name": "email"}, {"name": "sms", "contact_cost": 0.01}]},
            ],
        }
    )


@pytest.fixture
def policy(catalogue):
    return bandit.ThompsonSampling(catalogue, methods=["funnel"])


def serve(engine, clock, n, prefix="d"):
    ids = [f"{prefix}{row}" for row in range(n)]
    batch = engine.decide_batch(
        [f"c{row % 20}" for row in range(n)], [{"loyal": row % 3 == 0} for row in range(n)], decision_ids=ids
    )
    clock.now += HOUR
    return list(batch.decision_ids)


def n_learned(engine):
    return [model.n_learned for model in engine.policy.online.belief.later]


def test_stages_are_learned_restated_and_rebuilt_to_the_bit(open_engine, clock, policy):
    """40 decisions: 10 clicks, of which 4 carts and 2 purchases; a purchase without a click implies both stages.

    A click that comes after the first learning is learned as a change of its decision; one after the window is not.
    """
    engine = open_engine(policy)
    ids = serve(engine, clock, 40)
    engine.record_batch(ids[:10], "click")
    engine.record_batch(ids[:4], "cart")
    engine.record_batch([*ids[:2], ids[39]], "purchase", revenue=np.full(3, 30.0))
    clock.now += 4 * DAY
    assert engine.learn().n == 40
    assert n_learned(engine) == [11, 5]
    engine.record(ids[20], "click")
    learned = engine.learn()
    assert (learned.n, learned.n_restated) == (1, 1)
    assert n_learned(engine) == [12, 5]
    outcomes = engine.learner.history.outcomes_of_step(engine.step)
    assert outcomes.stages.tolist() == [[True, False]]
    assert outcomes.previous.stages.tolist() == [[False, False]]
    assert engine.learn().n == 0
    clock.now += 4 * DAY
    engine.record(ids[21], "click")
    assert engine.learn().n == 37
    assert n_learned(engine) == [12 + 9, 5 + 2]  # the open ones once more, by the rest of their weight
    assert engine.learn().n == 0
    assert engine.rebuild().same
    assert not engine.verify().problems
    (logged,) = StoreLog(engine.store, engine.catalogue).batches()
    assert logged.stages.sum(axis=0).tolist() == [12, 5]


def test_a_return_takes_the_purchase_back_and_leaves_the_stages(open_engine, clock, policy):
    engine = open_engine(policy)
    ids = serve(engine, clock, 30)
    engine.record_batch(ids[:6], "purchase", revenue=np.full(6, 30.0))
    clock.now += 2 * DAY
    engine.learn()
    engine.record(ids[0], "return", revenue=-30.0)
    assert engine.learn().n_restated >= 1
    outcomes = engine.learner.history.outcomes_of_step(engine.step)
    row = int(np.flatnonzero(outcomes.is_update & outcomes.previous.converted)[0])
    assert (outcomes.converted[row], outcomes.stages[row].tolist()) == (False, [True, True])
    assert engine.rebuild().same


def test_a_state_goes_on_where_another_engine_opens_the_database(open_engine, clock, catalogue, policy):
    engine = open_engine(policy)
    ids = serve(engine, clock, 60)
    engine.record_batch(ids[:30], "click")
    engine.record_batch(ids, "closed")
    engine.learn()
    state = engine.policy.dumps()
    engine.close()
    again = open_engine(bandit.ThompsonSampling(catalogue, methods=["funnel"]))
    assert again.policy.dumps() == state


def test_an_erased_customer_leaves_no_stage_behind(open_engine, clock, path, catalogue, policy):
    engine = open_engine(policy)
    ids = serve(engine, clock, 40)
    engine.record_batch(ids[:20], "click")
    engine.record_batch(ids, "closed")
    engine.learn()
    engine.close()
    raw = sqlite3.connect(path)
    of_one = "SELECT count(*) FROM learned_stages WHERE seq IN (SELECT seq FROM decisions WHERE customer_id = ?)"
    number = raw.execute("SELECT customer_id FROM decisions ORDER BY seq LIMIT 1").fetchone()[0]
    assert raw.execute(of_one, (number,)).fetchone()[0] == 1
    assert raw.execute("SELECT count(*) FROM learned_stages").fetchone()[0] == 20
    with Store.open(path, customer_key=KEY) as store:
        erase(store, "c0")
    engine = open_engine(bandit.ThompsonSampling(catalogue, methods=["funnel"]))
    assert raw.execute("SELECT count(*) FROM learned_stages").fetchone()[0] == 19
    assert engine.policy.online.belief.later[0].n_learned == 19
    assert engine.rebuild().same
    raw.close()


def test_the_criterion_of_an_objective_with_stages_names_them():
    assert (
        DueCriterion("purchase", 5, False, (), None, ("click",)).to_json() == '["purchase",5,false,[],null,["click"]]'
    )


@pytest.mark.filterwarnings("ignore:10 events", "ignore:.*the conversion has other stages now")
def test_other_stages_of_a_catalogue_begin_anew_and_learn_the_log(open_engine, clock, path, catalogue, policy):
    """The clicks were recorded before anybody declared them a stage: the new policy learns them from the log."""
    plain = catalogue.to_dict()
    plain["objective"] = {**plain["objective"], "stages": []}
    before = bandit.Catalogue.from_dict(plain)
    engine = bandit.Engine.open(path, before, bandit.ThompsonSampling(before), customer_key=KEY, clock=clock, seed=1)
    ids = serve(engine, clock, 40)
    engine.record_batch(ids[:10], "click")
    engine.record_batch(ids, "closed")
    engine.learn()
    engine.close()
    later = open_engine(policy)
    later.learn()
    assert later.policy.online.belief.main.n_learned == 40
    assert n_learned(later) == [10, 0]


def test_learning_offline_from_a_log_without_stages_says_so(catalogue):
    frame = {
        "theme": ["plain", "good"] * 5,
        "channel": ["email"] * 10,
        "loyal": [True, False] * 5,
        "propensity": [0.5] * 10,
        "converted": [True, False] * 5,
        "revenue": [10.0, 0.0] * 5,
    }
    policy = bandit.ThompsonSampling(catalogue, methods=["funnel"])
    with pytest.raises(InputError, match='the stages "click", "cart"'):
        policy.fit(from_frame(frame, catalogue))
    policy.fit(from_frame({**frame, "click": [True, False] * 5, "cart": [True, False] * 5}, catalogue))
    assert [model.n_learned for model in policy.online.belief.later] == [5, 5]


@pytest.mark.parametrize("methods", [[], ["funnel"]])
def test_a_policy_with_the_other_method_learns_the_steps_again(open_engine, clock, catalogue, methods):
    """600 outcomes are beyond the warm-up, so that the belief could be taken over; the models are other ones."""
    first = [] if methods else ["funnel"]
    engine = open_engine(bandit.ThompsonSampling(catalogue, methods=first))
    ids = serve(engine, clock, 600)
    engine.record_batch(ids[:50], "click")
    engine.record_batch(ids, "closed")
    engine.learn()
    engine.close()
    later = open_engine(bandit.ThompsonSampling(catalogue, methods=methods))
    later.learn()
    assert later.policy.online.belief.main.n_learned == 600
    assert n_learned(later) == ([50, 0] if methods else [])
    assert later.rebuild().same


def test_an_export_has_a_column_a_stage_and_is_read_back_with_them(open_engine, clock, catalogue, policy, tmp_path):
    engine = open_engine(policy)
    ids = serve(engine, clock, 20)
    engine.record_batch(ids[:6], "click")
    engine.record_batch(ids[:2], "cart")
    engine.record(ids[9], "purchase", revenue=20.0)
    engine.record_batch(ids, "closed")
    target = tmp_path / "log.csv"
    export(engine.store, catalogue, target)
    (before,), (after,) = StoreLog(engine.store, catalogue).batches(), open_log(target, catalogue).batches()
    assert before.stages.sum(axis=0).tolist() == [7, 3]
    assert (before.stages == after.stages).all()

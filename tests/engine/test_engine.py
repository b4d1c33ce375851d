import sqlite3
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bandit
from bandit.analysis.replay import replay
from bandit.clock import microseconds, new_id, new_ids
from bandit.domain import MICROSECONDS
from bandit.errors import (
    ContextError,
    DuplicateError,
    InputError,
    NoEligibleOfferError,
    NumberError,
    StoreError,
    UnknownDecisionError,
)
from bandit.evaluate import evaluate, split_log
from bandit.store import StoreLog, Where
from tests.conftest import SPRING

DAY = 86_400 * MICROSECONDS
KEY = b"a key for tests"


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1_700_000_000 * MICROSECONDS

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, catalogue, clock):
    """A function that opens the test's database with a policy (Thompson sampling by default)."""
    engines = []

    def open_engine(policy=None, **settings):
        options = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process", **settings}
        engine = bandit.Engine.open(
            tmp_path / "offers.db", catalogue, policy or bandit.ThompsonSampling(catalogue), **options
        )
        engines.append(engine)
        return engine

    yield open_engine
    for engine in engines:
        engine.close()


def context(row):
    return {"gender": "fm"[row % 2], "recency": float(row % 50), "loyal": row % 3 == 0}


def live(engine, clock, n, rng, prefix="d"):
    """n decisions, a fifth of them bought within the hour."""
    rows = range(n)
    batch = engine.decide_batch(
        [f"customer-{row % 40}" for row in rows],
        [context(row) for row in rows],
        decision_ids=[f"{prefix}{row}" for row in rows],
    )
    bought = np.flatnonzero(rng.random(n) < 0.2)
    clock.now += 3_600 * MICROSECONDS
    engine.record_batch(
        [batch.decision_ids[row] for row in bought], "purchase", revenue=rng.lognormal(4.0, 0.5, len(bought))
    )
    return batch


def test_a_decision_is_on_disk_before_it_is_returned(opened, tmp_path):
    """Another connection sees it at once, with its exact propensity."""
    engine = opened()
    decision = engine.decide("customer-42", {"gender": "f", "recency": 1.4})
    other = sqlite3.connect(tmp_path / "offers.db")
    row = other.execute("SELECT decision_id, propensity, offer FROM decisions").fetchone()
    other.close()
    assert row == (decision.decision_id, decision.propensity, decision.offer_index)


def test_a_decision_says_what_was_chosen_from_what_and_why_not_the_rest(opened, catalogue):
    decision = opened().decide("customer-42", {"gender": "f", "loyal": False})
    assert set(decision.offer) == {"discount", "channel", "gift"}
    assert 0 < decision.propensity <= 1
    assert decision.propensity == decision.probabilities[decision.offer_index]
    assert decision.eligible.sum() == 6
    assert [removal.reason for removal in decision.reasons] == ["for the loyal"]
    assert catalogue.offer_index(decision.offer) == decision.offer_index
    assert decision.fault is None


def test_one_decision_is_a_batch_of_one(tmp_path, catalogue):
    made = []
    for name in ("one.db", "batch.db"):
        engine = bandit.Engine.open(
            tmp_path / name, catalogue, bandit.ThompsonSampling(catalogue), seed=7, customer_key=KEY
        )
        with engine:
            if name == "one.db":
                decision = engine.decide("c", context(1), decision_id="d1")
                made.append((decision.offer_index, decision.propensity))
            else:
                batch = engine.decide_batch(["c"], [context(1)], decision_ids=["d1"])
                made.append((int(batch.offer_index[0]), float(batch.propensity[0])))
    assert made[0] == made[1]


def test_columns_and_rows_are_decided_alike(tmp_path, catalogue):
    rows = [context(row) for row in range(20)]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    offers = []
    for name, contexts in (("rows.db", rows), ("columns.db", columns)):
        with bandit.Engine.open(
            tmp_path / name, catalogue, bandit.ThompsonSampling(catalogue), seed=7, customer_key=KEY
        ) as engine:
            batch = engine.decide_batch(["c"] * 20, contexts, decision_ids=[f"d{row}" for row in range(20)])
            offers.append(batch.offer_index.tolist())
            assert list(batch.offers) == ["discount", "channel", "gift"]
    assert offers[0] == offers[1]


def test_a_retried_request_gets_the_same_decision_and_another_request_is_refused(opened):
    engine = opened()
    first = engine.decide("c", context(1), decision_id="request-1")
    again = engine.decide("c", context(1), decision_id="request-1")
    assert (again.offer, again.propensity, again.time) == (first.offer, first.propensity, first.time)
    assert engine.store.counts().decisions == 1
    for customer, facts in (("d", context(1)), ("c", context(2))):
        with pytest.raises(DuplicateError, match="request-1"):
            engine.decide(customer, facts, decision_id="request-1")
    with pytest.raises(DuplicateError, match="request-1"):
        engine.decide_batch(["c", "c"], [context(1)] * 2, decision_ids=["request-0", "request-1"])
    with pytest.raises(DuplicateError, match="twin"):
        engine.decide_batch(["c", "c"], [context(1)] * 2, decision_ids=["twin", "twin"])
    assert engine.store.counts().decisions == 1


def test_two_engines_with_one_seed_do_not_repeat_each_others_exploration(tmp_path, catalogue):
    offers = []
    for name in ("a.db", "b.db"):
        with bandit.Engine.open(
            tmp_path / name, catalogue, bandit.Uniform(catalogue), seed=7, customer_key=KEY
        ) as engine:
            offers.append([engine.decide("c", context(0)).offer_index for _ in range(30)])
    assert offers[0] != offers[1]


def test_events_may_come_twice_late_or_corrected(opened, clock):
    engine = opened()
    decision = engine.decide("c", context(0))
    receipt = engine.record(decision.decision_id, event="purchase", revenue=52.0)
    assert (receipt.n_new, receipt.n_repeated) == (1, 0)
    receipt = engine.record(decision.decision_id, event="purchase", revenue=52.0)
    assert (receipt.n_new, receipt.n_repeated) == (0, 1)
    with pytest.raises(DuplicateError, match="correct=True"):
        engine.record(decision.decision_id, event="purchase", revenue=25.0)
    assert engine.record(decision.decision_id, event="purchase", revenue=25.0, correct=True).n_corrected == 1
    clock.now += 8 * DAY
    engine.record(decision.decision_id, event="purchase", revenue=99.0, event_id="after the window")
    log = StoreLog(engine.store, engine.catalogue)
    (batch,) = log.batches()
    assert batch.revenue.tolist() == [25.0]


@pytest.mark.parametrize("bad", [{"revenue": np.nan}, {"revenue": np.inf}, {"reward": -np.inf}])
def test_numbers_that_are_none_are_refused_and_nothing_is_written(opened, bad):
    engine = opened()
    decision = engine.decide("c", context(0))
    with pytest.raises(NumberError):
        engine.record(decision.decision_id, "purchase", **bad)
    assert engine.store.counts().events == 0


def test_an_event_for_an_unknown_decision_is_refused_whole(opened):
    engine = opened()
    decision = engine.decide("c", context(0))
    with pytest.raises(UnknownDecisionError, match="nobody"):
        engine.record_batch([decision.decision_id, "nobody"], "purchase")
    assert engine.store.counts().events == 0


def test_silence_counts_in_parts_until_the_window_ends_or_the_decision_is_closed(opened, clock):
    engine = opened()
    ids = [engine.decide("c", context(row)).decision_id for row in range(3)]
    engine.record(ids[0], "purchase", revenue=40.0)
    engine.record(ids[1], "closed")
    assert engine.learn().n == 2  # the purchase at once, the closed one; the third is open
    assert engine.learn().n == 0
    clock.now += 3 * DAY
    learned = engine.learn()
    assert (learned.n, learned.n_restated) == (1, 0)
    assert 0.0 < engine.learner.learned(engine.step).weight[0] < 1.0
    assert engine.learn().n == 0
    clock.now += 4 * DAY + 1
    learned = engine.learn()
    assert (learned.n, learned.n_restated) == (1, 1)
    last = engine.learner.learned(engine.step)
    assert last.weight.tolist() == [1.0]
    assert 0.0 < last.previous.weight[0] < 1.0
    clock.now += 30 * DAY
    assert engine.learn().n == 0
    assert engine.rebuild().same


def test_a_policy_that_cannot_unlearn_waits_until_an_outcome_is_whole(opened, clock, catalogue):
    """40 decisions, of which the purchases are whole at once, the rest in parts: VW sees the rest a week later."""
    engine = opened(bandit.VowpalWabbit(catalogue, warm_up=100))
    live(engine, clock, 40, np.random.default_rng(1))
    bought = engine.learn().n
    clock.now += 4 * DAY
    assert engine.learn().n == 40 - bought
    assert engine.policy._warmup.room == 100 - bought
    clock.now += 4 * DAY
    assert engine.learn().n == 40 - bought
    assert engine.policy._warmup.room == 60
    assert engine.policy.not_restated == 0
    assert engine.rebuild().same


def test_a_return_restates_what_was_learned(opened, clock):
    engine = opened()
    batch = live(engine, clock, 60, np.random.default_rng(1))
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


def test_closing_and_opening_again_goes_on_where_it_stopped(opened, clock, tmp_path):
    engine = opened()
    live(engine, clock, 200, np.random.default_rng(1))
    clock.now += 8 * DAY
    engine.learn()
    state, step = engine.policy.dumps(), engine.step
    engine.close()
    again = opened()
    assert (again.policy.dumps(), again.step) == (state, step)
    again.close()
    with bandit.Engine.resume(tmp_path / "offers.db", customer_key=KEY) as resumed:
        assert resumed.policy.dumps() == state


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 1000))
def test_rebuilt_from_the_log_is_the_live_state(tmp_path_factory, sizes, seed):
    """However decisions, events and learning alternate, and whatever is returned later."""
    catalogue, clock, rng = bandit.Catalogue.from_dict(SPRING), Clock(), np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("engine") / "offers.db"
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), customer_key=KEY, clock=clock, durability="process"
    ) as engine:
        for number, size in enumerate(sizes):
            batch = live(engine, clock, size, rng, prefix=f"{number}-")
            engine.learn()
            clock.now += int(rng.integers(0, 5)) * DAY
            if rng.random() < 0.5:
                engine.learn()  # what is open counts in part
            engine.record(batch.decision_ids[0], "return", revenue=-1000.0, time=int(batch.time[0]) + 1)
        engine.learn()
        rebuilt = engine.rebuild()
        assert rebuilt.same
        assert rebuilt.steps == engine.step


@pytest.mark.parametrize("kind", ["uniform", "rules", "constant", "thompson", "vw"])
def test_verify_recomputes_every_decision(opened, clock, catalogue, kind):
    nothing = {"discount": "0", "channel": "email", "gift": "none"}
    policy = {
        "uniform": lambda: bandit.Uniform(catalogue),
        "rules": lambda: bandit.SegmentRules.from_dict(catalogue, {"otherwise": nothing, "exploration": 0.3}),
        "constant": lambda: bandit.ConstantOffer(catalogue, nothing),
        "thompson": lambda: bandit.ThompsonSampling(catalogue),
        "vw": lambda: bandit.VowpalWabbit(catalogue),
    }[kind]()
    engine = opened(policy)
    rng = np.random.default_rng(1)
    for number in range(3):
        live(engine, clock, 50, rng, prefix=f"{number}-")
        engine.decide("c", context(number))
        clock.now += 8 * DAY
        engine.learn()
    verified = engine.verify()
    assert verified.problems == ()
    assert verified.n_recomputed == verified.n_decisions == 153


def test_verify_finds_what_was_altered(opened, clock, tmp_path):
    engine = opened()
    live(engine, clock, 40, np.random.default_rng(1))
    engine.close()
    alter(tmp_path / "offers.db", "UPDATE decisions SET propensity = 0.5 WHERE decision_id = 'd3'")
    assert any('"d3"' in problem for problem in opened().verify().problems)


def alter(path, statement):
    """Change a database behind the engine's back."""
    raw = sqlite3.connect(path)
    for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f'DROP TRIGGER "{name}"')
    raw.execute(statement)
    raw.commit()
    raw.close()


def learned_twice(opened, clock):
    engine = opened()
    for number in range(2):
        live(engine, clock, 60, np.random.default_rng(number), prefix=f"{number}-")
        clock.now += 8 * DAY
        engine.learn()
    engine.close()


def test_verify_tells_another_machines_arithmetic_from_another_state(opened, clock, tmp_path):
    """A hash that differs at step 1 alone is rounding, as the newest state shows: a note, and no problem."""
    learned_twice(opened, clock)
    alter(tmp_path / "offers.db", "UPDATE policy_steps SET state_hash = 'f' WHERE step = 1")
    verified = opened().verify()
    assert verified.problems == ()
    assert "last digits" in verified.notes[0]


def test_verify_finds_an_outcome_that_was_altered_after_it_was_learned(opened, clock, tmp_path):
    learned_twice(opened, clock)
    alter(tmp_path / "offers.db", "UPDATE learned SET converted = 1 - converted, revenue = 80.0 WHERE seq % 3 = 0")
    engine = opened()
    assert any("not the one logged" in problem for problem in engine.verify().problems)
    assert not engine.rebuild().same


def test_a_decision_logged_while_a_faulty_policy_is_served_keeps_the_reason(opened, catalogue, tmp_path):
    class Broken(bandit.Uniform):
        def probabilities(self, contexts, eligible, rng):
            raise RuntimeError("the model is gone")

    engine = opened(Broken(catalogue))
    decision = engine.decide("c", context(1))
    assert decision.offer_index == catalogue.fallback
    assert "the model is gone" in decision.fault
    raw = sqlite3.connect(tmp_path / "offers.db")
    assert raw.execute("SELECT fault, propensity FROM decisions").fetchone() == (decision.fault, 1.0)
    raw.close()
    assert engine.verify().problems == ()


def test_a_changed_catalogue_learns_what_still_exists_from_the_old_log(opened, clock, catalogue, spring, tmp_path):
    engine = opened(bandit.Uniform(catalogue))
    live(engine, clock, 120, np.random.default_rng(1))
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


def test_customers_are_stored_under_a_keyed_hash(opened, tmp_path):
    engine = opened()
    engine.decide("customer-who-must-not-be-named", context(0))
    engine.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"must-not-be-named" not in content


def test_without_a_key_there_is_a_warning_and_with_another_a_refusal(tmp_path, catalogue, monkeypatch):
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    with pytest.warns(UserWarning, match="in the clear"):
        bandit.Engine.open(tmp_path / "clear.db", catalogue, bandit.Uniform(catalogue)).close()
    monkeypatch.setenv("OFFER_BANDIT_KEY", "one")
    bandit.Engine.open(tmp_path / "keyed.db", catalogue, bandit.Uniform(catalogue)).close()
    monkeypatch.setenv("OFFER_BANDIT_KEY", "another")
    with pytest.raises(StoreError, match="key"):
        bandit.Engine.open(tmp_path / "keyed.db", catalogue, bandit.Uniform(catalogue))


def test_bad_requests_are_refused_and_nothing_is_written(opened):
    engine = opened()
    with pytest.raises(ContextError):
        engine.decide("c", {"gender": 3})
    with pytest.raises(ContextError):
        engine.decide("c", {"age": 3})
    for customer in ("", None, 42, "half \ud83d of an emoji"):
        with pytest.raises(InputError, match="customer"):
            engine.decide(customer, context(0))
        with pytest.raises(InputError, match="customer"):
            engine.decide_batch(["a", customer], [context(0)] * 2)
    for name in ("", 3, "\udc00"):
        with pytest.raises(InputError, match="decision id"):
            engine.decide_batch(["a", "b"], [context(0)] * 2, decision_ids=["one", name])
        with pytest.raises(InputError, match="decision id"):
            engine.decide("c", context(0), decision_id=name)
        with pytest.raises(InputError, match="event"):
            engine.record("d", name)
    with pytest.raises(ContextError, match="Unicode"):
        engine.decide("c", {"gender": "\ud83d"})
    with pytest.raises(ContextError, match="infinite"):
        engine.decide("c", {"recency": 10**400})
    with pytest.raises(InputError, match="decision ids"):
        engine.decide_batch(["a", "b"], [context(0)] * 2, decision_ids=["one"])
    with pytest.raises(ContextError, match="customers"):
        engine.decide_batch(["a"], [context(0)] * 2)
    with pytest.raises(InputError, match="time zone"):
        engine.decide("c", context(0), time=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault
    with pytest.raises(InputError, match="microseconds"):
        engine.decide("c", context(0), time="today")
    assert engine.store.counts().decisions == 0


def test_a_batch_in_which_nobody_can_be_served_writes_nothing(tmp_path, spring):
    del spring["fallback"]
    spring["rules"].append({"when": 'gender == "m"', "forbid": {"channel": ["email", "sms"]}, "reason": "opted out"})
    catalogue = bandit.Catalogue.from_dict(spring)
    with bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        with pytest.raises(NoEligibleOfferError, match="opted out"):
            engine.decide_batch(["a", "b"], [{"gender": "f"}, {"gender": "m"}])
        assert engine.store.counts().decisions == 0


def test_an_empty_batch_is_an_empty_answer(opened):
    assert len(opened().decide_batch([], [])) == 0


def test_many_threads_share_one_engine(opened):
    engine = opened()
    faults = []

    def work(name):
        try:
            for row in range(40):
                decision = engine.decide(f"{name}-{row}", context(row))
                engine.record(decision.decision_id, "purchase", revenue=10.0)
                if row % 10 == 0:
                    engine.learn()
        except Exception as fault:  # noqa: BLE001 - what a thread raises must reach the test
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    counts = engine.store.counts()
    assert (counts.decisions, counts.events) == (160, 160)
    assert engine.rebuild().same
    assert engine.verify().problems == ()


def test_resume_needs_a_database_that_knows_a_policy(tmp_path, catalogue):
    with pytest.raises(InputError, match="no such database"):
        bandit.Engine.resume(tmp_path / "none.db")
    bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=KEY).close()
    with pytest.raises(InputError, match="no policy 9"):
        bandit.Engine.resume(tmp_path / "offers.db", policy_id=9, customer_key=KEY)


def test_times_are_whole_microseconds():
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert microseconds(moment) == 1_767_225_600 * MICROSECONDS
    assert microseconds(5) == 5
    assert microseconds(None, lambda: 9) == 9


def test_ids_differ_and_sort_by_time():
    ids = [new_id() for _ in range(100)] + [*new_ids(100)]
    assert len(set(ids)) == 200
    assert {len(each) for each in ids} == {32}
    moments = [each[:12] for each in ids]
    assert moments == sorted(moments)
    assert new_ids(0) == ()


def test_a_log_can_leave_out_what_is_not_settled_yet(opened, clock):
    """Of three decisions in their window the closed one is settled; a day after the window's end all are."""
    engine = opened()
    ids = [engine.decide("c", context(row)).decision_id for row in range(3)]
    engine.record(ids[0], "purchase", revenue=40.0)
    engine.record(ids[1], "closed")

    def settled():
        before = clock.now - engine.catalogue.objective.window
        return StoreLog(engine.store, engine.catalogue, where=Where(settled_before=before))

    assert settled().n == sum(map(len, settled().batches())) == 1
    assert settled().still_open == 2
    clock.now += 8 * DAY
    assert (settled().n, settled().still_open) == (3, 0)


def test_a_log_from_the_store_is_judged_by_its_own_catalogue(opened, clock):
    """Three arguments are enough, and the same question has the same answer."""
    engine = opened(bandit.Uniform(engine_catalogue := bandit.Catalogue.from_dict(SPRING)))
    live(engine, clock, 200, np.random.default_rng(1))
    log = StoreLog(engine.store, engine_catalogue)
    policies = [bandit.ThompsonSampling(engine_catalogue), bandit.Uniform(engine_catalogue)]
    first, again = (evaluate(log, policies, "uniform").to_dict() for _ in range(2))
    assert first == again
    assert evaluate(split_log(log), policies, "uniform").n < first["n"]
    assert replay(log, bandit.Uniform(engine_catalogue)).n == 200
    with pytest.raises(InputError, match="catalogue="):
        evaluate(Bare(log), policies)


class Bare:
    """A log that knows nothing but its batches."""

    def __init__(self, log):
        self.n, self.batches = log.n, log.batches

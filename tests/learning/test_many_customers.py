"""Customers' effects that are stored by key, with the bound lowered from 50,000 customers to a handful."""

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.errors import PolicyError
from bandit.governance.customer_data import customer_data
from bandit.governance.erasure import erase
from bandit.governance.key_rotation import rotate_key
from bandit.governance.retention import retain
from bandit.governance.verify import verify
from bandit.learning.customer_states import stored_state
from bandit.models import customer_memory
from bandit.policies.keyed_states import is_keyed, with_customers, without_customers
from bandit.store import Store
from bandit.store.tables import customer_effects

KEY = b"a key for many customers"
DAY = 86_400_000_000
START = 1_700_000_000_000_000
MOST = 30

CATALOGUE = {
    "name": "many",
    "objective": {"kind": "conversion", "event": "purchase", "window": "7d"},
    "context": {"loyal": {"type": "boolean"}},
    "dimensions": [
        {"name": "discount", "options": [{"name": "0"}, {"name": "10"}, {"name": "20"}]},
        {"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]},
    ],
}


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def bounds(monkeypatch):
    """States hold 30 customers at most, and of more than 40 the memory drops those that can be read again."""
    monkeypatch.setattr(customer_memory, "MOST_WHOLE", MOST)
    monkeypatch.setattr(customer_memory, "KEPT_CUSTOMERS", 40)


@pytest.fixture
def clock():
    return Clock()


def opened(path, clock, **policy):
    catalogue = bandit.Catalogue.from_dict(CATALOGUE)
    learner = bandit.ThompsonSampling(catalogue, draws=16, **policy)
    return bandit.Engine.open(
        path, catalogue, learner, seed=3, customer_key=KEY, clock=clock, durability="process", sync=None
    )


def visit(engine, clock, rng, customers, n=40, single=10):
    """Decisions of `customers`, most in a batch and some one by one, and what came of them."""
    who = [f"c{number}" for number in rng.integers(customers, size=n)]
    made = engine.decide_batch(who, {"loyal": (rng.random(n) < 0.5).tolist()})
    bought = [rng.random() < 0.3 for _ in who]
    engine.record_batch(made.decision_ids, ["purchase" if one else "closed" for one in bought])
    engine.learn()
    for _ in range(single):
        one = engine.decide(f"c{rng.integers(customers)}", {"loyal": True})
        engine.record(one.decision_id, event="purchase" if rng.random() < 0.3 else "closed")
        engine.learn()
    clock.now += DAY // 4


def grown(path, clock, rounds=5, customers=150, **policy):
    rng = np.random.default_rng(5)
    with opened(path, clock, **policy) as engine:
        for _ in range(rounds):
            visit(engine, clock, rng, customers)
    return path


def newest(path):
    with Store.open(path, customer_key=KEY) as store:
        return store.ledger.snapshot(1, newest=True).state


@pytest.mark.parametrize("half_life", [pytest.param(None, marks=pytest.mark.slow), "2d"])
def test_a_policy_of_many_customers_is_rebuilt_and_verified_to_the_last_bit(tmp_path, clock, half_life):
    """The live policy reads customers by key and drops them; the rebuilt one holds all; every decision is computed
    again. Negative control: with one number of one stored row changed, `verify` finds it and `rebuild` repairs it."""
    path = grown(tmp_path / "offers.db", clock, half_life=half_life)
    assert is_keyed(newest(path))
    with opened(path, clock, half_life=half_life) as engine:
        rng = np.random.default_rng(6)
        visit(engine, clock, rng, 150)
        visit(engine, clock, rng, 150)
        before = stored_state(engine.policy)
        assert len(engine.policy.online.belief.customers.places) < engine.policy.online.belief.customers.n
        report = engine.verify()
        assert report.problems == ()
        assert report.notes == ()
        assert engine.rebuild().same
        assert stored_state(engine.policy) == before
    raw = sqlite3.connect(path)
    raw.execute("UPDATE customer_effects SET factors = zeroblob(length(factors)) WHERE number = 7")
    raw.commit()
    raw.close()
    with opened(path, clock, half_life=half_life) as engine:
        assert "customers are not those" in engine.verify().problems[0]
        assert not engine.rebuild().same
        assert engine.verify().problems == ()


def test_states_with_and_without_their_customers_are_the_same_state(tmp_path, clock):
    path = grown(tmp_path / "offers.db", clock)
    with opened(path, clock) as engine:
        whole, keyed = engine.policy.dumps(), engine.policy.dumps_keyed()
        assert without_customers(whole)[0] == keyed
        assert with_customers(keyed, [without_customers(whole)[1][1]]) == whole
        again = bandit.ThompsonSampling(engine.catalogue, draws=16)
        again.loads(whole)
        assert (again.dumps(), again.dumps_keyed()) == (whole, keyed)
        assert len(keyed) < len(whole)


def test_a_keyed_state_without_its_database_names_the_database(tmp_path, clock):
    path = grown(tmp_path / "offers.db", clock)
    with opened(path, clock) as engine:
        lonely = bandit.ThompsonSampling(engine.catalogue, draws=16)
        lonely.loads(engine.policy.dumps_keyed())
        with pytest.raises(PolicyError, match="in the database that it is from"):
            lonely.predict(engine.catalogue.contexts([{"loyal": True}], ["somebody"]))


def test_processes_some_steps_apart_read_customers_as_they_were_in_their_own_state(tmp_path, clock):
    """Two engines on one file: the second decides with an older state while the first writes newer rows, then syncs;
    `verify` computes every decision of both again."""
    path = grown(tmp_path / "offers.db", clock)
    rng = np.random.default_rng(8)
    with opened(path, clock) as one, opened(path, clock) as other:
        for _ in range(4):
            visit(one, clock, rng, 150)
            for _ in range(20):
                other.decide(f"c{rng.integers(150)}", {"loyal": False})
            other.decide_batch([f"c{number}" for number in rng.integers(150, size=30)], {"loyal": [True] * 30})
        other.sync()
        visit(other, clock, rng, 150)
        one.sync()
        assert stored_state(one.policy) == stored_state(other.policy)
        report = one.verify()
        assert report.problems == ()
        assert report.notes == ()
        assert not one.status().faults
        assert not other.status().faults


def test_a_state_too_old_to_read_its_customers_serves_the_fallback_and_goes_on_after_a_sync(
    tmp_path, clock, monkeypatch
):
    monkeypatch.setattr(customer_effects, "KEPT_REPLACED", 5)
    path = grown(tmp_path / "offers.db", clock)
    rng = np.random.default_rng(9)
    with opened(path, clock) as one, opened(path, clock) as other:
        for _ in range(5):
            visit(one, clock, rng, 150)
        found = [other.decide(f"c{number}", {"loyal": False}) for number in range(60)]
        assert any("too old" in (each.fault or "") for each in found)
        other.sync()
        assert all(other.decide(f"c{number}", {"loyal": False}).fault is None for number in range(60))
        assert one.verify().problems == ()


def test_an_erased_customer_leaves_no_row_and_the_state_is_as_if_never_seen(tmp_path, clock):
    path = grown(tmp_path / "offers.db", clock)
    with Store.open(path, customer_key=KEY) as store:
        stored = store.customers.stored("c7")
        assert customer_data(store, "c7")["policies"][0]["deviations"]
        erase(store, "c7")
        assert verify(store).problems == ()
        assert is_keyed(store.ledger.snapshot(1, newest=True).state)
    assert stored.encode() not in path.read_bytes()
    with opened(path, clock) as engine:
        visit(engine, clock, np.random.default_rng(4), 150)
        assert engine.verify().problems == ()
        assert engine.rebuild().same


def test_a_key_rotation_renames_the_rows(tmp_path, clock):
    path = grown(tmp_path / "offers.db", clock)
    raw = sqlite3.connect(path)
    before = {row[0] for row in raw.execute("SELECT customer FROM customer_effects")}
    raw.close()
    both = KEY + b"\nanother key of many customers"
    rotate_key(path, both)
    raw = sqlite3.connect(path)
    after = {row[0] for row in raw.execute("SELECT customer FROM customer_effects")}
    keys = {row[0] for row in raw.execute("SELECT key FROM customers")}
    raw.close()
    assert len(after) >= len(before)
    assert not after & before
    assert after <= keys
    with Store.open(path, customer_key=both) as store:
        assert verify(store).problems == ()


def test_retention_keeps_what_was_learned_of_customers_who_stay(tmp_path, clock):
    path = grown(tmp_path / "offers.db", clock)
    with Store.open(path, customer_key=KEY) as store:
        retain(store, START + 2 * DAY)
        assert verify(store).problems == ()
        assert is_keyed(store.ledger.snapshot(1, newest=True).state)
    with opened(path, clock) as engine:
        visit(engine, clock, np.random.default_rng(4), 150)
        assert engine.verify().problems == ()


def test_a_changed_catalogue_takes_the_customers_over(tmp_path, clock):
    path = grown(tmp_path / "offers.db", clock, half_life="2d")
    changed = bandit.Catalogue.from_dict({**CATALOGUE, "name": "other"})
    with opened(path, clock, half_life="2d") as engine:
        customers = engine.catalogue.contexts([{"loyal": True}] * 50, [f"c{number}" for number in range(50)])
        stored = replace(
            customers, customers=np.array(engine.store.customers.all_stored(list(customers.customers)), dtype=object)
        )
        before = engine.policy.predict(stored)
    policy = bandit.ThompsonSampling(changed, draws=16, half_life="2d")
    with bandit.Engine.open(
        path, changed, policy, seed=3, customer_key=KEY, clock=clock, durability="process"
    ) as engine:
        assert engine.status().carried["how"] == "carried"
        assert engine.verify().problems == ()
        assert engine.rebuild().same
        np.testing.assert_allclose(engine.policy.predict(stored), before, rtol=1e-6)
        visit(engine, clock, np.random.default_rng(4), 150)
        assert engine.verify().problems == ()

"""After an erasure nothing of the customer is left, in the file or in what was learned."""

import sqlite3

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.evaluate import evaluate
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.governance.verify import verify
from bandit.policies.state import STATE_TOLERANCE, close, unpack
from bandit.policies.state_erasure import has_customers, remove_customers
from bandit.store import Store, StoreLog
from tests.governance.conftest import (
    KEY,
    POLICIES,
    RECENCY,
    REVENUE,
    START,
    WHO,
    Clock,
    explored_log,
    files,
    newest_state,
    serve_rounds,
    served_log,
    traces,
)
from tests.store.rows import DAY


@pytest.mark.parametrize("kind", POLICIES)
def test_after_an_erasure_the_belief_is_that_of_a_log_without_the_customer(tmp_path, catalogue, kind):
    """The same steps without the customer are the same sums: equal to the last bit, and so within the tolerance."""
    with_customer = explored_log(tmp_path / "a.db", catalogue, POLICIES[kind](catalogue))
    never = explored_log(tmp_path / "b.db", catalogue, POLICIES[kind](catalogue), without=(WHO,))
    assert not close(with_customer, never)  # else the test could not fail
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        erased = erase(store, WHO)
        assert (erased.decisions, erased.refitted) == (18, (1,))
        assert newest_state(store) == never
        assert store.check() == []


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.filterwarnings("ignore:customers are stored in the clear")
def test_after_an_erasure_no_byte_of_the_customer_is_left_in_any_file(tmp_path, catalogue, key):
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), n=160, key=key)
    with Store.open(tmp_path / "a.db", customer_key=key) as store:
        stored = store.customers.stored(WHO)
        before = b"".join(files(tmp_path).values())
        hidden = () if key is None else (WHO.encode(),)
        assert all(trace in before for trace in traces(stored)[:4] if trace not in hidden)
        assert np.array(REVENUE, ">f8").tobytes() in before
        erase(store, WHO)
        after = b"".join(files(tmp_path).values())
        assert [trace for trace in traces(stored) if trace in after] == []
        assert files(tmp_path)["a.db-wal"] == b""
    assert set(files(tmp_path)) == {"a.db"}
    after = b"".join(files(tmp_path).values())
    assert [trace for trace in traces(stored) if trace in after] == []


def test_plain_deletion_would_leave_bytes_behind(tmp_path, catalogue):
    """The negative control of the search above: rows deleted as SQLite does by itself stay readable."""
    explored_log(tmp_path / "a.db", catalogue, bandit.Uniform(catalogue), rounds=1)
    raw = sqlite3.connect(tmp_path / "a.db")
    raw.execute("PRAGMA secure_delete = OFF")
    raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
    raw.execute("DELETE FROM events")
    raw.execute("DELETE FROM decisions")
    raw.commit()
    raw.close()
    assert str(RECENCY).encode() in b"".join(files(tmp_path).values())


def test_an_erasure_is_recorded_without_the_identity(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        erased = erase(store, WHO)
        (run,) = store.journal()
        assert run.kind == "erase"
        assert len(run.details.pop("places")) == 32  # the digest of the places in the chain
        assert run.details == {
            "policies_folded_again": [1],
            "policies_begun_anew": [],
            "decisions": 18,
            "events": erased.events,
            "customers": 1,
        }


@pytest.mark.parametrize("kind", [*POLICIES, "uniform"])
def test_after_an_erasure_verify_is_clean_and_rebuild_is_the_live_state(tmp_path, catalogue, kind):
    policy = bandit.Uniform(catalogue) if kind == "uniform" else POLICIES[kind](catalogue)
    served_log(tmp_path / "a.db", catalogue, policy)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        erase(store, WHO)
        verified = verify(store)
        assert verified.problems == ()
        # A batch that lost no decision can be drawn again: two, of which one is from before the customer was learned
        # of, as are all of a policy that learns nothing. Of the three batches of 29 a round that lost one, the
        # probabilities can be had again where they depend on no generator.
        rounds = 2 if kind == "uniform" else 1
        again = rounds * (1 + (3 * 29 if kind in {"uniform", "vw"} else 0))
        assert verified.n_recomputed == again
    clock = Clock()
    clock.now = START + 30 * DAY
    with bandit.Engine.resume(tmp_path / "a.db", seed=8, clock=clock, customer_key=KEY, durability="process") as engine:
        assert engine.rebuild().same
        serve_rounds(engine, clock, 1)
        assert engine.rebuild().same
        verified = engine.verify()
        assert verified.problems == ()
        assert verified.n_recomputed == again + 92


def test_after_an_erasure_evaluation_works(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        erase(store, WHO)
        log = StoreLog(store, catalogue)
        assert log.n == 702
        judged = evaluate(log, {"uniform": bandit.Uniform(catalogue)}, rng=np.random.default_rng(1))
        assert judged.n == 702


def test_a_policy_that_learned_nothing_of_the_customer_is_left_as_it_is(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    clock = Clock()
    clock.now = START + 24 * DAY
    with bandit.Engine.resume(tmp_path / "a.db", seed=8, clock=clock, customer_key=KEY, durability="process") as engine:
        engine.decide("somebody new", {"gender": "f", "recency": 1.0, "loyal": True})
        erased = erase(engine.store, "somebody new")
        assert (erased.decisions, erased.refitted) == (1, ())
        assert engine.store.ledger.latest_step(1) == 3


def test_an_unknown_customer_is_refused_and_nothing_changes(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), rounds=1)
    before = files(tmp_path)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        with pytest.raises(InputError, match="no such customer"):
            erase(store, "nobody")
        assert store.journal() == ()
    assert files(tmp_path) == before


def test_an_erased_customer_can_come_back_and_is_a_stranger(tmp_path, catalogue):
    """Another process had looked the customer's number up; the one that is given now is a new one."""
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.ThompsonSampling(catalogue))
    context = {"gender": "f", "recency": 1.0, "loyal": True}
    with bandit.Engine.resume(path, seed=8, customer_key=KEY, durability="process") as engine:
        engine.decide(WHO, context)
        with Store.open(path, customer_key=KEY) as other:
            erase(other, WHO)
        engine.decide(WHO, context)
        assert len(engine.store.decisions.of_customer(engine.store.customers.stored(WHO))) == 1
        assert engine.store.check() == []


def test_an_engine_that_is_running_takes_up_the_belief_without_the_customer(tmp_path, catalogue):
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.ThompsonSampling(catalogue))
    clock = Clock()
    clock.now = START + 40 * DAY
    with bandit.Engine.resume(path, seed=8, clock=clock, customer_key=KEY, durability="process") as engine:
        stored = engine.store.customers.stored(WHO)
        assert has_customers(engine.policy.dumps(), {stored})
        with Store.open(path, customer_key=KEY) as other:
            erase(other, WHO)
        engine.decide("customer-1", {"gender": "f", "recency": 1.0, "loyal": True})
        clock.now += 8 * DAY
        engine.learn()
        assert not has_customers(engine.policy.dumps(), {stored})
        assert not has_customers(newest_state(engine.store), {stored})
        assert engine.rebuild().same


def test_a_warm_start_loses_the_customers_own_part_and_is_named(tmp_path, catalogue):
    explored_log(tmp_path / "log.db", catalogue, bandit.Uniform(catalogue), rounds=1)
    policy = bandit.ThompsonSampling(catalogue)
    with Store.open(tmp_path / "log.db", customer_key=KEY, read_only=True) as log:
        policy.fit(StoreLog(log, catalogue))
    explored_log(tmp_path / "a.db", catalogue, policy, rounds=1)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        stored = store.customers.stored(WHO)
        assert has_customers(store.ledger.snapshot(1, newest=False).state, {stored})
        assert erase(store, WHO).warm_starts == (1,)
        assert not has_customers(store.ledger.snapshot(1, newest=False).state, {stored})
        assert not has_customers(newest_state(store), {stored})
        assert store.check() == []


def test_taking_a_customer_out_of_a_state_leaves_the_others_as_they_are(tmp_path, catalogue):
    state = explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    with Store.open(tmp_path / "a.db", customer_key=KEY, read_only=True) as store:
        stored = store.customers.stored(WHO)
    rest = remove_customers(state, {stored})
    (_, before), (_, after) = unpack(state), unpack(rest)
    assert len(after["own/natural"]) == len(before["own/natural"]) - 1
    assert after["main/mean"].tolist() == before["main/mean"].tolist()
    assert not has_customers(rest, {stored})


def test_after_retention_an_erasure_gives_up_the_base_that_may_have_the_customer(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), n=280, rounds=3)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        retained = retain(store, START + 12 * DAY)
        assert retained.base_steps == {1: 2}
        erased = erase(store, WHO)
        assert erased.refitted == (1,)
        assert store.catalogues.policies()[0].base_step == 0
        assert store.check() == []
        assert verify(store).problems == ()


def test_the_tolerance_is_that_of_a_rebuild():
    assert STATE_TOLERANCE == 1e-6


def test_a_damaged_snapshot_does_not_keep_a_customer_from_being_erased(tmp_path, catalogue):
    """The state without the customer is folded from the base, and the newest snapshot is not read for it."""
    path = tmp_path / "a.db"
    explored_log(path, catalogue, bandit.ThompsonSampling(catalogue))
    never = explored_log(tmp_path / "b.db", catalogue, bandit.ThompsonSampling(catalogue), without=(WHO,))
    with Store.open(path, customer_key=KEY) as store:
        state = bytearray(newest_state(store))
        state[-1000] ^= 1
        store._connection.raw.execute("UPDATE snapshots SET state = ? WHERE step > 0", (bytes(state),))
        assert erase(store, WHO).refitted == (1,)
        assert newest_state(store) == never

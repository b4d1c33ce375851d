import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

import bandit
from bandit.domain import MICROSECONDS
from bandit.errors import InputError, StoreError
from bandit.evaluate import evaluate
from bandit.governance.erasure import erase, retain
from bandit.governance.verify import verify
from bandit.policies.state import STATE_TOLERANCE, close, unpack
from bandit.policies.state_erasure import has_customers, remove_customers
from bandit.store import Store, StoreLog
from bandit.store.spool.file import Spool, keep_refused
from bandit.store.spool.records import spooled_decisions
from tests.store.rows import DAY, decisions, events

KEY = b"a key for tests"
WHO = "anna.lindqvist@example.org"
REVENUE = 7_654.321987
RECENCY = 1_234.56789

POLICIES = {
    "thompson": bandit.ThompsonSampling,
    "thompson that forgets": lambda catalogue: bandit.ThompsonSampling(catalogue, half_life="20d"),
    "vw": lambda catalogue: bandit.VowpalWabbit(catalogue, warm_up=50),
}
START = 1_700_000_000 * MICROSECONDS


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


def grown(path, catalogue, policy, *, without=(), rounds=3, n=240, key=KEY):
    """An engine's log of explored decisions, a fifth of which convert, learned round by round; WHO is customer 7."""
    clock = Clock()
    with bandit.Engine.open(
        path, catalogue, policy, seed=7, clock=clock, customer_key=key, durability="process"
    ) as engine:
        for number in range(rounds):
            _round(engine, clock, number, n, without)
        return engine.policy.dumps()


def _round(engine, clock, number, n, without):
    rng, catalogue = np.random.default_rng(number), engine.catalogue
    facts = [{"gender": "fm"[row % 2], "recency": float(row % 50), "loyal": row % 3 == 0} for row in range(n)]
    facts = [fact | {"recency": RECENCY} if row % 40 == 7 else fact for row, fact in enumerate(facts)]
    mask = catalogue.eligible(catalogue.contexts(facts))
    offer = np.array([rng.choice(np.flatnonzero(row)) for row in mask])
    bought, revenue = rng.random(n) < 0.2, rng.lognormal(4.0, 0.5, n)
    who = [WHO if row % 40 == 7 else f"customer-{row % 40}" for row in range(n)]
    bought[7], revenue[7] = True, REVENUE
    rows = [row for row in range(n) if who[row] not in without]
    engine.store.decision_writer.append(
        decisions(
            engine.catalogue_id,
            catalogue.n_offers,
            [f"id-{number}-{who[row].partition('@')[0]}-{row}" for row in rows],
            time=np.full(len(rows), clock.now),
            customers=[who[row] for row in rows],
            contexts_json=[
                f'{{"gender":"{facts[row]["gender"]}","recency":{facts[row]["recency"]},'
                f'"loyal":{str(facts[row]["loyal"]).lower()}}}'
                for row in rows
            ],
            eligible=mask[rows],
            offer=offer[rows],
            propensity=1.0 / mask[rows].sum(axis=1),
        )
    )
    ids = [f"id-{number}-{who[row].partition('@')[0]}-{row}" for row in rows if bought[row]]
    amounts = [revenue[row] for row in rows if bought[row]]
    engine.store.events.append(events(ids, time=clock.now + DAY, revenue=amounts))
    clock.now += 8 * DAY
    engine.learn()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def traces(stored):
    """Everything that could give the customer away, as bytes in the file."""
    numbers = [np.array(number, dtype=order).tobytes() for number in (REVENUE, RECENCY) for order in ("<f8", ">f8")]
    return [WHO.encode(), WHO.partition("@")[0].encode(), stored.encode(), str(RECENCY).encode(), *numbers]


def newest(store, policy_id=1):
    return store.ledger.snapshot(policy_id, newest=True).state


@pytest.mark.parametrize("kind", POLICIES)
def test_after_an_erasure_the_belief_is_that_of_a_log_without_the_customer(tmp_path, catalogue, kind):
    """The same steps without the customer are the same sums: equal to the last bit, and so within the tolerance."""
    with_customer = grown(tmp_path / "a.db", catalogue, POLICIES[kind](catalogue))
    never = grown(tmp_path / "b.db", catalogue, POLICIES[kind](catalogue), without=(WHO,))
    assert not close(with_customer, never)  # else the test could not fail
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        erased = erase(store, WHO)
        assert (erased.decisions, erased.refitted) == (18, (1,))
        assert newest(store) == never
        assert store.check() == []


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.filterwarnings("ignore:customers are stored in the clear")
def test_after_an_erasure_no_byte_of_the_customer_is_left_in_any_file(tmp_path, catalogue, key):
    grown(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), n=160, key=key)
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
    grown(tmp_path / "a.db", catalogue, bandit.Uniform(catalogue), rounds=1)
    raw = sqlite3.connect(tmp_path / "a.db")
    raw.execute("PRAGMA secure_delete = OFF")
    raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
    raw.execute("DELETE FROM events")
    raw.execute("DELETE FROM decisions")
    raw.commit()
    raw.close()
    assert str(RECENCY).encode() in b"".join(files(tmp_path).values())


def test_an_erasure_is_recorded_without_the_identity(tmp_path, catalogue):
    grown(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        erased = erase(store, WHO)
        (run,) = store.journal()
        assert run.kind == "erase"
        assert run.details == {
            "policies_folded_again": [1],
            "policies_begun_anew": [],
            "decisions": 18,
            "events": erased.events,
            "customers": 1,
        }


def lived(path, catalogue, policy, rounds=2):
    """An engine that decided for 30 customers in batches and one by one, and learned."""
    clock = Clock()
    with bandit.Engine.open(
        path, catalogue, policy, seed=7, clock=clock, customer_key=KEY, durability="process"
    ) as engine:
        _live(engine, clock, rounds)


def _live(engine, clock, rounds):
    for _ in range(rounds):
        who = [WHO, *(f"customer-{row}" for row in range(29))]
        facts = [{"gender": "fm"[row % 2], "recency": float(row), "loyal": row % 3 == 0} for row in range(30)]
        for turn in range(3):  # the customer is first, last and in the middle of a batch
            order = np.roll(np.arange(30), (0, -1, 15)[turn])
            batch = engine.decide_batch([who[row] for row in order], [facts[row] for row in order])
            engine.record_batch(batch.decision_ids[::4], "purchase", revenue=np.full(8, 30.0 + turn))
        for row in (0, 5):
            engine.decide(who[row], facts[row])
        clock.now += 8 * DAY
        engine.learn()


@pytest.mark.parametrize("kind", [*POLICIES, "uniform"])
def test_after_an_erasure_verify_is_clean_and_rebuild_is_the_live_state(tmp_path, catalogue, kind):
    policy = bandit.Uniform(catalogue) if kind == "uniform" else POLICIES[kind](catalogue)
    lived(tmp_path / "a.db", catalogue, policy)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        erase(store, WHO)
        verified = verify(store)
        assert verified.problems == ()
        # Of a policy that learns nothing, only the batches that lost a decision cannot be drawn again.
        assert verified.n_recomputed == (2 if kind == "uniform" else 0)
    clock = Clock()
    clock.now = START + 30 * DAY
    with bandit.Engine.resume(tmp_path / "a.db", seed=8, clock=clock, customer_key=KEY, durability="process") as engine:
        assert engine.rebuild().same
        _live(engine, clock, 1)
        assert engine.rebuild().same
        verified = engine.verify()
        assert verified.problems == ()
        assert verified.n_recomputed == (2 if kind == "uniform" else 0) + 92


def test_after_an_erasure_evaluation_works(tmp_path, catalogue):
    grown(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        erase(store, WHO)
        log = StoreLog(store, catalogue)
        assert log.n == 702
        judged = evaluate(log, {"uniform": bandit.Uniform(catalogue)}, rng=np.random.default_rng(1))
        assert judged.n == 702


def test_a_policy_that_learned_nothing_of_the_customer_is_left_as_it_is(tmp_path, catalogue):
    grown(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    clock = Clock()
    clock.now = START + 24 * DAY
    with bandit.Engine.resume(tmp_path / "a.db", seed=8, clock=clock, customer_key=KEY, durability="process") as engine:
        engine.decide("somebody new", {"gender": "f", "recency": 1.0, "loyal": True})
        erased = erase(engine.store, "somebody new")
        assert (erased.decisions, erased.refitted) == (1, ())
        assert engine.store.ledger.latest_step(1) == 3


def test_a_customer_who_is_not_there_changes_nothing(tmp_path, catalogue):
    grown(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), rounds=1)
    before = files(tmp_path)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        with pytest.raises(InputError, match="no such customer"):
            erase(store, "nobody")
        assert store.journal() == ()
    assert files(tmp_path) == before


def test_an_erased_customer_can_come_back_and_is_a_stranger(tmp_path, catalogue):
    """Another process had looked the customer's number up; the one that is given now is a new one."""
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.ThompsonSampling(catalogue))
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
    grown(path, catalogue, bandit.ThompsonSampling(catalogue))
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
        assert not has_customers(newest(engine.store), {stored})
        assert engine.rebuild().same


def test_a_reader_that_does_not_let_go_is_waited_for_and_then_named(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM decisions").fetchone()
    with Store.open(path, customer_key=KEY, busy_timeout=0.05) as store:
        with pytest.raises(StoreError, match="give the command again"):
            erase(store, WHO, patience=0.1)
        assert store.deletion.scrub_is_due()
        reader.close()
        assert erase(store, WHO).decisions == 0  # what was left to do
        assert not store.deletion.scrub_is_due()
        stored = store.customers.stored(WHO)
    assert [trace for trace in traces(stored) if trace in b"".join(files(tmp_path).values())] == []


def test_while_another_learns_an_erasure_waits_and_then_says_so(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.ThompsonSampling(catalogue), rounds=1)
    with Store.open(path, customer_key=KEY) as store, Store.open(path, customer_key=KEY) as other:
        other.leases.take("learn/1", "another", bandit.clock.now())
        with pytest.raises(StoreError, match="another process is learning"):
            erase(store, WHO, patience=0.1)
        assert store.counts().decisions == 240
        release = threading.Timer(0.2, other.leases.release, ("learn/1", "another"))
        release.start()
        assert erase(store, WHO).decisions == 6
        release.join()
        assert all(held.name != "learn/1" for held in store.leases.all())


def spooled(path, decision_id):
    """Write a decision of WHO to a spool of this process, as a database that is locked makes an engine do."""
    with Store.open(path, customer_key=KEY) as store:
        spool = Spool(path, sync=False)
        rows = decisions(1, store.catalogues.get(1).n_offers, [decision_id], customers=[WHO])
        spool.append(spooled_decisions(rows, [store.customers.stored(WHO)]))
    return spool


def test_what_a_process_that_is_gone_left_in_its_spool_is_erased_as_well(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    spooled(path, "left behind").release()
    with Store.open(path, customer_key=KEY) as store:
        stored = store.customers.stored(WHO)
        erased = erase(store, WHO)
        assert (erased.decisions, erased.spools) == (7, ())
    assert set(files(tmp_path)) == {"a.db"}
    assert [trace for trace in traces(stored) if trace in path.read_bytes()] == []


def test_the_spool_of_a_process_that_is_running_is_named(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    spool = spooled(path, "on its way")
    with Store.open(path, customer_key=KEY) as store:
        assert erase(store, WHO).spools == (spool.path,)
        spool.release()
        erased = erase(store, WHO)
        assert (erased.decisions, erased.spools) == (1, ())


def test_lines_that_the_database_refused_lose_the_customer_and_keep_the_others(tmp_path, catalogue):
    path = tmp_path / "a.db"
    grown(path, catalogue, bandit.Uniform(catalogue), rounds=1)
    with Store.open(path, customer_key=KEY) as store:
        key, refused = store.customers.stored(WHO), path.with_name("a.db-spool-refused")
        for who in ("somebody", key):
            keep_refused(path, b"f00 " + msgspec.json.encode({"customer_keys": [who]}), "a reason")
        keep_refused(path, b"f00 " + msgspec.json.encode({"decision_ids": ["id-0-anna.lindqvist-7"]}), "a reason")
        erase(store, WHO)
        assert len(refused.read_bytes().splitlines()) == 1
        assert b"somebody" in refused.read_bytes()


def test_a_warm_start_loses_the_customers_own_part_and_is_named(tmp_path, catalogue):
    grown(tmp_path / "log.db", catalogue, bandit.Uniform(catalogue), rounds=1)
    policy = bandit.ThompsonSampling(catalogue)
    with Store.open(tmp_path / "log.db", customer_key=KEY, read_only=True) as log:
        policy.fit(StoreLog(log, catalogue))
    grown(tmp_path / "a.db", catalogue, policy, rounds=1)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        stored = store.customers.stored(WHO)
        assert has_customers(store.ledger.snapshot(1, newest=False).state, {stored})
        assert erase(store, WHO).warm_starts == (1,)
        assert not has_customers(store.ledger.snapshot(1, newest=False).state, {stored})
        assert not has_customers(newest(store), {stored})
        assert store.check() == []


def test_taking_a_customer_out_of_a_state_leaves_the_others_as_they_are(tmp_path, catalogue):
    state = grown(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    with Store.open(tmp_path / "a.db", customer_key=KEY, read_only=True) as store:
        stored = store.customers.stored(WHO)
    rest = remove_customers(state, {stored})
    (_, before), (_, after) = unpack(state), unpack(rest)
    assert len(after["own/natural"]) == len(before["own/natural"]) - 1
    assert after["main/mean"].tolist() == before["main/mean"].tolist()
    assert not has_customers(rest, {stored})


def test_after_retention_an_erasure_gives_up_the_base_that_may_have_the_customer(tmp_path, catalogue):
    grown(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), n=280, rounds=3)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        retained = retain(store, START + 12 * DAY)
        assert retained.base_steps == {1: 2}
        erased = erase(store, WHO)
        assert erased.refitted == (1,)
        assert store.catalogues.policies()[0].base_step == 0
        assert store.check() == []
        assert verify(store).problems == ()


_KILLED = """
import sys
from bandit.governance.erasure import erase
from bandit.store import Store
with Store.open(sys.argv[1], customer_key=b"a key for tests", durability="process") as store:
    print("open", flush=True)
    erase(store, sys.argv[2])
"""


@pytest.mark.slow
def test_an_erasure_that_is_killed_took_out_all_or_nothing_and_can_be_ended(tmp_path, catalogue):
    root = Path(__file__).resolve().parents[3]
    original = tmp_path / "original.db"
    grown(original, catalogue, bandit.ThompsonSampling(catalogue), n=400)
    outcomes = set()
    for turn in range(10):
        path = tmp_path / f"{turn}.db"
        path.write_bytes(original.read_bytes())
        child = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _KILLED, str(path), WHO], cwd=root, stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()
        try:
            child.wait(0.06 * turn)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, 9)
        child.communicate()
        with Store.open(path, customer_key=KEY) as store:
            left = len(store.decisions.of_customer(store.customers.stored(WHO)))
            outcomes.add(left)
            assert left in {0, 30}
            assert store.check() == []
            assert verify(store).problems == ()
            store._connection.raw.execute("DELETE FROM leases")  # that of the killed one runs out in a minute
            if left or store.deletion.scrub_is_due():
                erase(store, WHO)
            stored = store.customers.stored(WHO)
        raw = b"".join(name.read_bytes() for name in tmp_path.glob(f"{turn}.db*"))
        assert [trace for trace in traces(stored) if trace in raw] == []
    assert outcomes == {0, 30}


def test_the_tolerance_is_that_of_a_rebuild():
    assert STATE_TOLERANCE == 1e-6

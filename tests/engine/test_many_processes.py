"""Many engines on one file: followers, threads, forks."""

import json
import multiprocessing
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import bandit
from bandit.errors import UnknownDecisionError
from bandit.store import Lease
from bandit.store.tables.leases import LEASE_DURATION
from tests.conftest import SPRING
from tests.engine.test_engine import DAY, KEY, Clock, context, live

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, catalogue, clock):
    """A function that opens the test's database as another engine each time."""
    engines = []

    def open_engine(policy=None, **settings):
        options = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process", "follow": None}
        engine = bandit.Engine.open(
            tmp_path / "offers.db", catalogue, policy or bandit.ThompsonSampling(catalogue), **options | settings
        )
        engines.append(engine)
        return engine

    yield open_engine
    for engine in engines:
        engine.close()


@pytest.mark.parametrize("kind", ["thompson", "vw", "of its own"])
def test_a_followers_state_is_the_learners_to_the_last_byte(opened, clock, catalogue, kind):
    """Through steps with and without a snapshot: a large state is not written at every step."""

    class Own(bandit.ThompsonSampling):
        def spec(self):
            return {**super().spec(), "kind": "own"}

    def policy():
        if kind == "vw":
            return bandit.VowpalWabbit(catalogue, warm_up=100)
        return (Own if kind == "of its own" else bandit.ThompsonSampling)(catalogue, half_life="30d")

    learner, follower = opened(policy()), opened(policy())
    rng = np.random.default_rng(1)
    for number, size in enumerate((150, 3, 2, 400, 1)):
        live(learner, clock, size, rng, prefix=f"{number}-")
        clock.now += 8 * DAY
        learner.learn()
        live(follower, clock, 5, rng, prefix=f"f{number}-")
        if number != 1:
            assert follower.follow() == learner.step
            assert follower.policy.dumps() == learner.policy.dumps()
    late = opened(policy())
    assert late.policy.dumps() == learner.policy.dumps()
    assert learner.rebuild().same if kind != "of its own" else True
    assert follower.verify().problems == () or kind == "of its own"


def test_decisions_notice_that_another_has_learned_and_do_not_wait(opened, clock):
    learner, follower = opened(), opened(follow=0.0)
    live(learner, clock, 200, np.random.default_rng(1))
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


def test_a_follower_learns_on_from_where_the_learner_stopped(opened, clock):
    one, two = opened(), opened()
    rng = np.random.default_rng(1)
    for number in range(4):
        engine = (one, two)[number % 2]
        live(engine, clock, 50, rng, prefix=f"{number}-")
        clock.now += 8 * DAY
        learned = engine.learn()
        assert (learned.n, learned.learner, learned.step) == (50, True, number + 1)
    assert one.follow() == 4
    assert one.policy.dumps() == two.policy.dumps()
    assert two.rebuild().same


def test_while_one_holds_the_lease_the_other_learns_nothing_and_says_so(opened, clock):
    one, two = opened(), opened()
    live(one, clock, 50, np.random.default_rng(1))
    clock.now += 8 * DAY
    wall = Clock()
    two._worker.clock = wall
    lease = Lease(one.store.leases, f"learn/{one.policy_id}", "one", wall)
    assert lease.take()
    learned = two.learn()
    assert (learned.n, learned.learner) == (0, False)
    wall.now += LEASE_DURATION
    assert two.learn().n == 50
    assert one.store.leases.get(lease.name) is None


def test_learning_does_not_keep_decisions_waiting_and_they_are_logged_with_the_state_they_used(
    opened, clock, monkeypatch
):
    """Learning is stopped in the middle of a step; decisions are made meanwhile, by step 0."""
    engine = opened()
    live(engine, clock, 100, np.random.default_rng(1))
    clock.now += 8 * DAY
    update, begun, goon = type(engine.policy).update, threading.Event(), threading.Event()

    def slow(policy, outcomes):
        begun.set()
        assert goon.wait(20)
        update(policy, outcomes)

    monkeypatch.setattr(type(engine.policy), "update", slow)
    thread = threading.Thread(target=engine.learn)
    thread.start()
    assert begun.wait(20)
    during = [engine.decide("c", context(row)).decision_id for row in range(20)]
    assert engine.status().learning
    goon.set()
    thread.join()
    monkeypatch.setattr(type(engine.policy), "update", update)
    after = engine.decide("c", context(0)).decision_id
    step = {name: engine.store.decisions.one(name, "purchase", DAY).policy_step[0] for name in [*during, after]}
    assert {step[name] for name in during} == {0}
    assert step[after] == engine.step == 1
    assert engine.verify().problems == ()


def test_a_learner_that_fails_leaves_the_policy_as_the_log_knows_it(opened, clock, monkeypatch):
    engine = opened()
    live(engine, clock, 60, np.random.default_rng(1))
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


def test_a_policy_that_cannot_be_copied_learns_in_place(opened, clock, catalogue):
    class Alone(bandit.ThompsonSampling):
        def spec(self):
            return {**super().spec(), "kind": "alone"}

        def __deepcopy__(self, memory):
            raise TypeError("there is one of it")

    policy = Alone(catalogue)
    one, two = opened(policy), opened(Alone(catalogue))
    live(one, clock, 60, np.random.default_rng(1))
    clock.now += 8 * DAY
    assert one.learn().n == 60
    assert one.policy is policy
    assert two.follow() == 1
    assert two.policy.dumps() == policy.dumps()


def test_threads_decide_record_learn_follow_and_ask_at_once(opened, clock):
    engines = [opened(follow=0.0), opened(follow=0.0)]
    faults, ids = [], []

    def serve(name):
        engine = engines[name % 2]
        try:
            for row in range(40):
                decision = engine.decide(f"{name}-{row}", context(row))
                ids.append(decision.decision_id)
                engine.record(decision.decision_id, "purchase", revenue=10.0)
                if decision.fault is not None:
                    faults.append(decision.fault)
        except Exception as fault:  # noqa: BLE001 - what a thread raises must reach the test
            faults.append(fault)

    def learn(engine):
        try:
            for _ in range(8):
                engine.learn()
                engine.follow()
                assert engine.status().last_fault is None
        except Exception as fault:  # noqa: BLE001
            faults.append(fault)

    threads = [threading.Thread(target=serve, args=(name,)) for name in range(4)]
    threads += [threading.Thread(target=learn, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert len(set(ids)) == 160
    counts = engines[0].store.counts()
    assert (counts.decisions, counts.events) == (160, 160)
    engines[0].learn()
    engines[1].follow()
    assert engines[0].policy.dumps() == engines[1].policy.dumps()
    assert engines[0].rebuild().same
    assert engines[1].verify().problems == ()


FORKED = """
import json, os, sys, threading
import bandit
from tests.conftest import SPRING
catalogue = bandit.Catalogue.from_dict(SPRING)
def policy():
    return bandit.ThompsonSampling(catalogue)
engine = bandit.Engine.open(sys.argv[1], catalogue, policy(), seed=7, customer_key=b"a key for tests", follow=None)
before = [engine.decide("c", {}).decision_id for _ in range(5)]
for name in before:
    engine.record(name, "closed")
engine.learn()
stop = threading.Event()
def busy():
    while not stop.is_set():
        engine.decide("t", {})
        engine.status()
thread = threading.Thread(target=busy)
thread.start()
children = []
for child in range(3):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        made = [engine.decide("c", {}) for _ in range(20)]
        for each in made:
            engine.record(each.decision_id, "purchase", revenue=5.0)
        learned = engine.learn()
        told = {"ids": [each.decision_id for each in made], "offers": [each.offer_index for each in made],
                "owner": engine._worker.owner, "decisions": engine.status().decisions,
                "faults": engine.status().faults}
        engine.close()
        os.write(write, json.dumps(told).encode())
        os._exit(0)
    os.close(write)
    children.append((pid, read))
mine = [engine.decide("c", {}) for _ in range(20)]
told = [{"ids": [each.decision_id for each in mine], "offers": [each.offer_index for each in mine],
         "owner": engine._worker.owner, "decisions": 20, "faults": engine.status().faults}]
for pid, read in children:
    text = b""
    while piece := os.read(read, 65536):
        text += piece
    told.append(json.loads(text))
    _, status = os.waitpid(pid, 0)
    assert status == 0
stop.set()
thread.join()
engine.follow()
verified = engine.verify()
print(json.dumps({"told": told, "problems": verified.problems, "counts": engine.store.counts().decisions,
                  "same": engine.rebuild().same, "here": engine.status().decisions}))
engine.close()
"""


def test_a_forked_engine_is_another_engine(tmp_path):
    """Three children of a process with a thread that decides: nobody repeats an id, an offer or an owner's name."""
    out = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "offers.db")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = json.loads(out.stdout)
    told = said["told"]
    ids = [name for each in told for name in each["ids"]]
    assert len(set(ids)) == 80
    assert len({each["owner"] for each in told}) == 4
    assert len({tuple(each["offers"]) for each in told}) == 4
    assert [each["decisions"] for each in told] == [20] * 4
    assert [each["faults"] for each in told] == [{}] * 4
    assert said["problems"] == []
    assert said["same"]
    assert said["counts"] == said["here"] + 60


SWITCH = """
import sqlite3, sys
try:
    print(sqlite3.connect(sys.argv[1], timeout=0).execute("PRAGMA journal_mode = DELETE").fetchone()[0])
except sqlite3.OperationalError as fault:
    print(fault)
"""


def switched(path):
    """What another process is told that wants the file for itself, as one may that believes to be alone with it."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", SWITCH, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_opening_a_file_twice_leaves_the_first_ones_locks(opened, tmp_path):
    """A process that closes a file gives up all its locks on it, also SQLite's: so nobody may look into it by hand."""
    path = tmp_path / "offers.db"
    one, two = opened(), opened()
    two.close()
    assert "locked" in switched(path)
    path.open("rb").close()  # the negative control: now they are gone
    assert switched(path) == "delete"
    one.close()


def test_who_was_erased_meanwhile_is_a_new_customer(opened):
    engine = opened()
    decision = engine.decide("c", context(0))
    with engine.store.another() as other, other.transaction():
        raw = other._connection.raw
        raw.execute("INSERT INTO meta VALUES ('erasing', '1')")
        raw.execute("DELETE FROM decisions")
        raw.execute("DELETE FROM customers")
        raw.execute("DELETE FROM meta WHERE name = 'erasing'")
    assert engine.decide("c", context(0)).fault is None
    assert engine.store.counts().decisions == 1
    with pytest.raises(UnknownDecisionError):
        engine.record(decision.decision_id, "purchase")


def test_a_fork_within_a_transaction_leaves_the_child_without_the_store(tmp_path):
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", FORKED_WITHIN, str(tmp_path / "offers.db")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["0", "1"]
    assert "closed" in done.stderr


FORKED_WITHIN = """
import os, sys
from bandit.errors import StoreError
from bandit.store import Store
from bandit.catalogue import Catalogue
from tests.conftest import SPRING
store = Store.open(sys.argv[1])
with store.transaction():
    store.catalogues.register(Catalogue.from_dict(SPRING))
    pid = os.fork()
    if pid == 0:
        try:
            store.counts()
        except StoreError as fault:
            print(fault, file=sys.stderr, flush=True)
            os._exit(0)
        os._exit(1)
    print(os.waitpid(pid, 0)[1], flush=True)
print(store.counts().catalogues)
"""


def test_a_reloaded_engine_repeats_nothing(opened):
    """The same seed, other ids: 30 offers drawn evenly from 6 come out alike once in 6^30."""
    drawn = []
    for _ in range(2):
        engine = opened(bandit.Uniform(bandit.Catalogue.from_dict(SPRING)))
        drawn.append([engine.decide("c", context(1)).offer_index for _ in range(30)])
        engine.close()
    assert drawn[0] != drawn[1]


def _work(path, name, n, events):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), customer_key=KEY, durability="process", follow=0.05
    ) as engine:
        for row in range(n):
            decision = engine.decide(f"{name}-{row % 50}", context(row), decision_id=f"{name}-{row}")
            if decision.fault is None and row % 5 == 0 and events:
                engine.record(decision.decision_id, "purchase", revenue=20.0)
            if row % 100 == 99:
                engine.learn()
        engine.follow()


@pytest.mark.slow
def test_eight_processes_decide_record_learn_and_follow_on_one_file(tmp_path, catalogue):
    context_ = multiprocessing.get_context("spawn")
    path = tmp_path / "offers.db"
    workers = [context_.Process(target=_work, args=(path, name, 300, True)) for name in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    with bandit.Engine.resume(path, customer_key=KEY) as engine:
        counts = engine.store.counts()
        assert counts.decisions == 2_400
        assert 0 < counts.events <= 480
        assert engine.rebuild().same
        assert engine.verify().problems == ()

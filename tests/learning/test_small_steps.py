"""Small steps are learned in place: whole or not at all, and no decision sees half of one."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

import bandit
from bandit.clock import now
from bandit.errors import StoreError
from bandit.learning.learner import UNSAVED_AT_CLOSE
from bandit.learning.small_steps import MAX_UNSAVED_OUTCOMES, snapshot_is_due
from bandit.store import Lease
from bandit.store.learning.ledger import Ledger
from tests.conftest import draw_outcomes
from tests.engine.conftest import KEY, ROOT, context


@pytest.fixture
def engine(open_engine):
    """An engine that learned five visits; the next is a small step, as the scales are fitted to 4 outcomes and to 8."""
    return after_five_visits(open_engine(sync=None))


@pytest.fixture
def durable(open_engine):
    """The same, with decisions and events that wait for the disk."""
    return after_five_visits(open_engine(sync=None, durability="full"))


def after_five_visits(engine):
    for number in range(5):
        visit(engine, number)
    return engine


def visit(engine, number, learn=True):
    """One decision, its outcome, and what is learned of it."""
    decision = engine.decide(f"customer-{number % 7}", context(number))
    if number % 3:
        engine.record(decision.decision_id, "closed")
    else:
        engine.record(decision.decision_id, "purchase", revenue=20.0 + number)
    return engine.learn() if learn else decision


def statements(store):
    """The statements that a connection executes from now on."""
    seen = []
    store._connection.raw.set_trace_callback(seen.append)
    return seen


def ledger(engine):
    raw = engine.store._connection.raw
    counts = [raw.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("policy_steps", "learned")]  # noqa: S608
    return [*counts, raw.execute("SELECT MAX(step) FROM policy_steps").fetchone()[0]]


def another_learner(engine):
    """The lease of a learner in another process."""
    return Lease(engine.store.leases, f"learn/{engine.policy_id}", "another", now)


def test_a_visit_is_learned_in_place_with_one_commit(engine):
    policy, seen = engine.learner.policy, statements(engine.store)
    assert visit(engine, 5).n == 1
    assert engine.learner.policy is policy
    assert [each for each in seen if each == "COMMIT"] == ["COMMIT"] * 3  # the decision, its event, the step
    seen.clear()
    assert engine.learn().n == 0
    assert "COMMIT" not in seen
    assert not any(each.startswith("INSERT") for each in seen)


def test_a_visit_of_a_known_customer_executes_seventeen_statements(engine):
    """Four for the decision, four for its event, nine for the step, each with its link of the chain.

    The look for other engines every 0.1 s comes first, where it is due.
    """
    for number in range(5, 10):
        visit(engine, number)
    seen = statements(engine.store)
    assert visit(engine, 7).n == 1
    verbs = " ".join(each.split()[0] for each in seen if not each.startswith("PRAGMA"))
    assert (
        verbs.removeprefix("BEGIN SELECT ROLLBACK ")
        == "BEGIN INSERT INSERT COMMIT BEGIN INSERT INSERT COMMIT BEGIN "
        + 4 * "SELECT "
        + "INSERT INSERT INSERT COMMIT"
    )
    assert sum("INSERT INTO chain" in each for each in seen) == 3


def test_a_step_does_not_wait_for_the_disk_and_decisions_and_events_do(durable):
    """What is executed, in order: the commit of the step alone comes while SQLite does not wait."""
    seen = statements(durable.store)
    visit(durable, 5)
    visit(durable, 6)
    kinds = {"PRAGMA synchronous = NORMAL": "n", "PRAGMA synchronous = FULL": "F", "COMMIT": "c"}
    assert "".join(kinds.get(each, "") for each in seen) == "Fccnc" * 2


def test_a_step_that_a_power_cut_takes_is_learned_again(durable, path, tmp_path, clock):
    """The database as it is on the disk if nothing that did not wait has reached it: the log's end is cut off."""
    log, cut = path.with_name(path.name + "-wal"), tmp_path / "after"
    decided = visit(durable, 5, learn=False)
    on_disk, before = log.stat().st_size, durable.step
    assert durable.learn().n == 1
    state = durable.learner.policy.dumps()
    cut.mkdir()
    shutil.copy(path, cut / path.name)
    (cut / log.name).write_bytes(log.read_bytes()[:on_disk])
    assert on_disk < log.stat().st_size
    policy = bandit.ThompsonSampling(durable.catalogue)
    with bandit.Engine.open(cut / path.name, durable.catalogue, policy, seed=7, customer_key=KEY, clock=clock) as after:
        assert after.step == before
        assert decided.decision_id in after.store.decisions.page("purchase", 10**12).decision_id
        assert (after.learn().n, after.learn().n, after.step) == (1, 0, before + 1)
        assert after.learner.policy.dumps() == state
        assert after.verify().problems == ()
        assert after.rebuild().same


def test_what_visits_taught_is_what_the_log_says_to_the_last_byte(engine, open_engine):
    """Three hundred visits with returns: the state learned in place, folded from the first, and that of a new engine.

    The scales of the facts are fitted on the way, and the prior's variances are estimated: those steps are not small.
    """
    for number in range(5, 300):
        learned = visit(engine, number)
        assert (learned.n, learned.step, learned.learner) == (1, number + 1, True)
    returned = engine.store.decisions.page("purchase", 10**12).decision_id[6]
    engine.record(returned, "return", revenue=-26.0)
    assert (engine.learn().n, engine.learn().n) == (1, 0)
    state = engine.learner.policy.dumps()
    assert open_engine(sync=None).learner.policy.dumps() == state
    assert engine.verify().problems == ()
    assert engine.rebuild().same
    assert engine.learner.policy.dumps() == state


def test_an_update_that_fails_half_way_leaves_log_and_policy_as_they_were(engine, monkeypatch):
    state, before = engine.learner.policy.dumps(), ledger(engine)
    kind = type(engine.learner.policy)
    visit(engine, 5, learn=False)
    update, fails = kind.update, [True]

    def fail_once(policy, outcomes):
        update(policy, outcomes)
        if fails.pop():
            fails.append(False)  # the fold that brings the state back learns as always
            raise MemoryError("no memory left")
        fails.append(False)

    monkeypatch.setattr(kind, "update", fail_once)
    with pytest.raises(MemoryError, match="no memory"):
        engine.learn()
    assert (engine.learner.policy.dumps(), ledger(engine)) == (state, before)
    assert engine.decide("c", context(0)).fault is None
    assert engine.learn().n == 1
    assert engine.rebuild().same
    assert engine.verify().problems == ()


def test_a_commit_that_fails_leaves_log_and_policy_as_they_were(engine, monkeypatch):
    state, before = engine.learner.policy.dumps(), ledger(engine)
    visit(engine, 5, learn=False)
    connection = engine.store._connection
    commit = connection.commit

    def fail(level):
        if level == 1:  # a savepoint is no commit
            raise sqlite3.OperationalError("disk I/O error")
        commit(level)

    with monkeypatch.context() as broken:
        broken.setattr(connection, "commit", fail)
        with pytest.raises(StoreError, match="disk I/O"):
            engine.learn()
    assert (engine.learner.policy.dumps(), ledger(engine)) == (state, before)
    assert engine.decide("c", context(0)).fault is None
    assert engine.learn().n == 1
    assert engine.rebuild().same


def test_a_state_that_cannot_be_read_back_is_not_decided_with(engine, monkeypatch):
    """The fallback serves, with its reason, until a sync reads the state again."""
    visit(engine, 5, learn=False)
    kind = type(engine.learner.policy)
    with monkeypatch.context() as broken:

        def fail(policy, outcomes):
            raise MemoryError("no memory left")

        def unreadable(_):
            raise StoreError("it cannot be read")

        broken.setattr(kind, "update", fail)
        broken.setattr(type(engine.learner), "sync", unreadable)
        with pytest.raises(MemoryError):
            engine.learn()
        assert "lost while it learned" in engine.decide("c", context(0)).fault
    engine.sync()
    assert engine.decide("c", context(0)).fault is None
    assert engine.learn().n == 1
    assert engine.verify().problems == ()


def test_while_another_has_the_lease_nothing_is_learned(engine):
    before = ledger(engine)
    visit(engine, 5, learn=False)
    lease = another_learner(engine)
    assert lease.take()
    learned = engine.learn()
    assert (learned.n, learned.learner, ledger(engine)) == (0, False, before)
    lease.release()
    assert engine.learn().n == 1


def test_a_lease_that_is_taken_between_reading_and_writing_is_respected(engine, monkeypatch):
    before, few_due = ledger(engine), Ledger.few_due
    state = engine.learner.policy.dumps()
    visit(engine, 5, learn=False)

    def late(*arguments):
        found = few_due(*arguments)
        with engine.store.another() as store:
            assert Lease(store.leases, f"learn/{engine.policy_id}", "another", now).take()
        return found

    monkeypatch.setattr(Ledger, "few_due", late)
    learned = engine.learn()
    assert (learned.n, learned.learner, ledger(engine)) == (0, False, before)
    assert engine.learner.policy.dumps() == state


def test_a_step_that_another_writes_between_reading_and_writing_is_not_written_twice(engine, open_engine, monkeypatch):
    other, few_due = open_engine(sync=None), Ledger.few_due
    visit(engine, 5, learn=False)

    def late(*arguments):
        found = few_due(*arguments)
        monkeypatch.setattr(Ledger, "few_due", few_due)
        assert other.learn().n == 1
        return found

    monkeypatch.setattr(Ledger, "few_due", late)
    assert engine.learn().n == 0
    assert ledger(engine)[2] == engine.step == other.step == 6
    assert engine.learner.policy.dumps() == other.learner.policy.dumps()
    assert engine.rebuild().same


def test_while_another_process_writes_a_small_step_does_not_wait_with_decisions(engine, path):
    """It is then learned on a copy, with the usual wait; here the lock is released before that ends."""
    visit(engine, 5, learn=False)
    policy = engine.learner.policy
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    raw.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.4, raw.rollback)
    timer.start()
    assert engine.learn().n == 1
    timer.join()
    raw.close()
    assert engine.learner.policy is not policy
    assert engine.rebuild().same


def test_many_visits_at_once_are_no_small_step(engine):
    policy = engine.learner.policy
    for number in range(40):
        visit(engine, number, learn=False)
    assert engine.learn().n == 40
    assert engine.learner.policy is not policy
    assert engine.rebuild().same


def test_the_policy_that_an_engine_gives_stays_as_it_is(engine):
    before = engine.policy
    state = before.dumps()
    assert engine.policy is before
    visit(engine, 5)
    assert before.dumps() == state
    assert engine.policy.dumps() == engine.learner.policy.dumps() != state


def test_threads_that_decide_while_visits_are_learned_see_whole_steps(open_engine):
    """Every thread decides, records and learns; others read the policy and explain decisions.

    That no decision saw half a step is what `verify` says: it computes each again from the step it is logged with.
    """
    engine = open_engine(sync=None)
    visit(engine, 0)
    faults, done = [], threading.Event()

    def work(name):
        with _noted(faults):
            for number in range(40):
                decision = engine.decide(f"{name}-{number % 5}", context(number))
                assert decision.fault is None
                if number % 4:
                    engine.record(decision.decision_id, "closed")
                else:
                    engine.record(decision.decision_id, "purchase", revenue=30.0)
                engine.learn()

    def look():
        contexts = engine.catalogue.contexts([context(1)])
        with _noted(faults):
            while not done.is_set():
                policy = engine.policy
                assert policy.predict(contexts).tolist() == policy.predict(contexts).tolist()
                decision = engine.decide("looker", context(2))
                assert engine.explain(decision.decision_id).decision_id == decision.decision_id

    workers = [threading.Thread(target=work, args=(name,)) for name in range(3)]
    watcher = threading.Thread(target=look)
    for thread in (*workers, watcher):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    watcher.join()
    assert faults == []
    engine.learn()
    assert engine.step > 60
    assert engine.verify().problems == ()
    assert engine.rebuild().same


@contextlib.contextmanager
def _noted(faults):
    try:
        yield
    except Exception as fault:  # noqa: BLE001 - what a thread raises must reach the test
        faults.append(fault)


KILLED = """
import os, sys
import bandit
from tests.conftest import SPRING
from tests.conftest import draw_outcomes
from tests.engine.conftest import KEY, context
from tests.learning.test_small_steps import visit
catalogue = bandit.Catalogue.from_dict(SPRING)
policy = bandit.ThompsonSampling(catalogue)
engine = bandit.Engine.open(sys.argv[1], catalogue, policy, seed=7, customer_key=KEY, durability="process", sync=None)
for number in range(10):
    visit(engine, number)
update = bandit.ThompsonSampling.update
def killed(policy, outcomes):
    update(policy, outcomes)
    os._exit(9)
bandit.ThompsonSampling.update = killed
visit(engine, 10)
"""


def test_a_process_that_is_killed_within_a_small_step_has_not_written_it(path, catalogue):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 9
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), seed=7, customer_key=KEY, sync=None
    ) as engine:
        assert (engine.step, engine.store.counts().decisions) == (10, 11)
        assert engine.learn().n == 1
        assert engine.rebuild().same
        assert engine.verify().problems == ()


def test_a_large_state_is_written_after_a_bounded_number_of_outcomes():
    """Of 10 kB every 20 outcomes, as 20 x 512 = 10,240; of 100 MB every 4,096. In larger steps after each: 8,192."""
    assert [snapshot_is_due(n, 10_240, small=True) for n in (19, 20)] == [False, True]
    assert [snapshot_is_due(n, 10_240, small=False) for n in (1, 2)] == [False, True]
    bound = (MAX_UNSAVED_OUTCOMES - 1, MAX_UNSAVED_OUTCOMES)
    assert [snapshot_is_due(n, 100_000_000, small=True) for n in bound] == [False, True]


def test_an_engine_that_is_closed_leaves_nothing_to_fold(open_engine):
    """Of 120 visits some are in no state written so far; after closing, the newest state is that of the newest step."""
    engine = open_engine(sync=None)
    for number in range(120):
        visit(engine, number)
    unsaved, step, state = engine.learner.current.unsaved, engine.step, engine.learner.policy.dumps()
    engine.close()
    again = open_engine(sync=None)
    newest = again.learner.history.newest_snapshot()
    assert again.learner.policy.dumps() == state
    assert newest.step == step if unsaved >= UNSAVED_AT_CLOSE else newest.step == step - unsaved
    assert again.verify().problems == ()
    assert again.rebuild().same


def test_a_policy_that_fits_its_scales_is_not_quick(catalogue):
    """The scales are fitted after 1, 2, 4, 8, ... outcomes: after three, the next is such a one."""
    policy = bandit.ThompsonSampling(catalogue)
    outcomes = draw_outcomes(catalogue, 8, np.random.default_rng(1))
    quick = []
    for row in range(8):
        one = outcomes.take(slice(row, row + 1))
        quick.append(policy.is_quick(one))
        policy.update(one)
    assert quick == [False, False, True, False, True, True, True, False]

"""Retention removes old decisions and keeps what was learned of them."""

import numpy as np
import pytest

import bandit
from bandit.governance.retention import retain
from bandit.governance.verify import verify
from bandit.policies.state import unpack
from bandit.policies.state_erasure import has_customers
from bandit.policies.thompson.methods import DEFAULT_METHODS
from bandit.store import Store
from tests.governance.conftest import KEY, POLICIES, START, WHO, Clock, explored_log, files, newest_state, served_log
from tests.store.rows import DAY

CUT = START + 12 * DAY

NO_SAMPLE = [name for name in DEFAULT_METHODS.names if name != "crosses"]
"""Methods of learning of which none keeps a sample of past outcomes."""


def resumed(path, days):
    clock = Clock()
    clock.now = START + days * DAY
    return bandit.Engine.resume(path, seed=8, clock=clock, customer_key=KEY, durability="process"), clock


def test_old_decisions_go_with_all_that_hangs_on_them(tmp_path, catalogue):
    """Rounds at day 0 and 8 are before day 12; the third, at day 16, stays with its 240 decisions."""
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        n_events = store.counts().events
        retained = retain(store, CUT)
        counts = store.counts()
        assert (retained.decisions, counts.decisions, retained.customers) == (480, 240, 0)
        assert retained.events + counts.events == n_events
        assert counts.first_time == START + 16 * DAY
        assert store.check() == []
        (run,) = store.journal()
        assert (run.kind, run.details["before"], run.details["decisions"]) == ("retain", CUT, 480)


@pytest.mark.parametrize("kind", POLICIES)
def test_what_was_learned_stays_and_is_the_base_of_the_fold(tmp_path, catalogue, kind):
    """Of policies without a sample of outcomes; of one with it: the test after the next."""
    policy = POLICIES[kind](catalogue)
    if kind != "vw":
        policy = bandit.ThompsonSampling(catalogue, half_life=policy.half_life, methods=NO_SAMPLE)
    state = explored_log(tmp_path / "a.db", catalogue, policy, n=280)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        assert retain(store, CUT).base_steps == {1: 2}
        assert newest_state(store) == state
        assert verify(store).problems == ()
    engine, clock = resumed(tmp_path / "a.db", 40)
    with engine:
        assert engine.rebuild().same
        engine.decide("customer-1", {"gender": "f", "recency": 1.0, "loyal": True})
        clock.now += 8 * DAY
        assert engine.learn().n == 1
        rebuilt = engine.rebuild()
        assert (rebuilt.same, rebuilt.steps) == (True, 3)
        verified = engine.verify()
        assert (verified.problems, verified.n_recomputed) == ((), 1)


def test_decisions_made_since_the_base_are_still_computed_again(tmp_path, catalogue):
    """Three rounds of 92; the first is learned at step 1, so that decisions made with step 1 and later are checked."""
    served_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue, methods=NO_SAMPLE), rounds=8)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        assert verify(store).n_recomputed == 736
        assert retain(store, START + 44 * DAY).base_steps == {1: 6}
        verified = verify(store)
        assert (verified.problems, verified.n_recomputed, verified.n_decisions) == ((), 184, 184)


def test_the_sample_of_outcomes_that_crosses_are_found_in_goes(tmp_path, catalogue):
    """It holds facts of single decisions. What was decided before is then checked for what was eligible only."""
    served_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), rounds=8)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        assert any("/sample/" in name for name in unpack(newest_state(store))[1])
        assert retain(store, START + 44 * DAY).base_steps == {1: 6}
        base = store.ledger.snapshot(1, newest=False)
        assert base is not None
        assert not any("/sample/" in name for name in unpack(base.state)[1])
        verified = verify(store)
        assert (verified.problems, verified.n_recomputed, verified.n_decisions) == ((), 0, 184)
        assert any("184 decisions were made with states that" in note for note in verified.notes)
    engine, clock = resumed(tmp_path / "a.db", 80)
    with engine:
        engine.decide("customer-1", {"gender": "f", "recency": 1.0, "loyal": True})
        clock.now += 8 * DAY
        assert engine.learn().n == 1
        assert engine.rebuild().same
        verified = engine.verify()
        assert (verified.problems, verified.n_recomputed) == ((), 1)


def test_a_second_run_begins_from_the_base_of_the_first(tmp_path, catalogue):
    served_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), rounds=10)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        assert retain(store, START + 44 * DAY).base_steps == {1: 6}
        assert retain(store, START + 60 * DAY).base_steps == {1: 8}
        assert verify(store).problems == ()
        assert store.counts().decisions == 184
    engine, _ = resumed(tmp_path / "a.db", 90)
    with engine:
        assert engine.rebuild().same


def leave(engine, clock):
    """WHO came once, at day 0; the others go on."""
    context = {"gender": "f", "recency": 1.0, "loyal": True}
    for number in range(700):
        engine.decide(WHO if number == 0 else f"customer-{number % 20}", context)
    clock.now += 16 * DAY
    engine.learn()
    engine.decide_batch([f"customer-{number}" for number in range(20)], [context] * 20)
    clock.now += 16 * DAY
    engine.learn()


def test_customers_who_have_no_decision_left_are_no_longer_known(tmp_path, catalogue):
    path, clock = tmp_path / "a.db", Clock()
    with bandit.Engine.open(
        path, catalogue, bandit.ThompsonSampling(catalogue), seed=7, clock=clock, customer_key=KEY, durability="process"
    ) as engine:
        leave(engine, clock)
        stored = engine.store.customers.stored(WHO)
        assert has_customers(engine.policy.dumps(), {stored})
    with Store.open(path, customer_key=KEY) as store:
        before = newest_state(store)
        assert retain(store, CUT).customers == 1
        assert not has_customers(newest_state(store), {stored})
        assert newest_state(store) != before
        assert verify(store).problems == ()
    assert stored.encode() not in b"".join(files(tmp_path).values())
    engine, _ = resumed(path, 60)
    with engine:
        assert engine.rebuild().same
        assert not has_customers(engine.policy.dumps(), {stored})


def test_a_policy_that_still_keeps_outcomes_as_they_came_forgets_the_old_ones(tmp_path, catalogue):
    """Below 500 outcomes the state has the outcomes themselves; afterwards it is that of the last round alone."""
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue), n=120)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        before = newest_state(store)
        assert retain(store, CUT).base_steps == {1: 0}
        assert len(newest_state(store)) < len(before)
        assert verify(store).problems == ()
    engine, _ = resumed(tmp_path / "a.db", 60)
    with engine:
        assert engine.rebuild().same


def test_a_dry_run_says_what_would_go_and_changes_nothing(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.ThompsonSampling(catalogue))
    before = files(tmp_path)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        would = retain(store, CUT, dry_run=True)
        assert (would.decisions, would.done) == (480, False)
    assert files(tmp_path) == before
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        did = retain(store, CUT)
    assert (did.decisions, did.events, did.customers) == (would.decisions, would.events, would.customers)


def test_with_nothing_so_old_nothing_is_recorded(tmp_path, catalogue):
    explored_log(tmp_path / "a.db", catalogue, bandit.Uniform(catalogue), rounds=1)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        assert retain(store, START).decisions == 0
        assert store.journal() == ()


@pytest.mark.parametrize(
    ("method", "n_recomputed"), [(bandit.Uniform, 6), (bandit.ThompsonSampling, 4)], ids=["uniform", "thompson"]
)
def test_of_a_batch_that_was_cut_only_what_owes_nothing_to_its_generator_is_computed_again(
    tmp_path, catalogue, method, n_recomputed
):
    """Two of four decisions of a batch were older: the generator came from all four ids, and two are left of them.

    Uniform choice gives the same probabilities with any generator; Thompson sampling estimates them with draws.
    """
    clock = Clock()
    with bandit.Engine.open(
        tmp_path / "a.db", catalogue, method(catalogue), seed=7, clock=clock, customer_key=KEY
    ) as engine:
        context = {"gender": "f", "recency": 1.0, "loyal": True}
        engine.decide_batch(list("abcd"), [context] * 4, time=START + np.array([0, 20, 0, 20]) * DAY)
        engine.decide_batch(list("abcd"), [context] * 4, time=np.full(4, START + 20 * DAY))
        retain(engine.store, CUT)
        verified = engine.verify()
        assert (verified.problems, verified.n_recomputed, verified.n_decisions) == ((), n_recomputed, 6)
        notes = [note for note in verified.notes if "the draw cannot be computed again" in note]
        assert [note.startswith("policy 1: 2 decisions were made in one call") for note in notes] == [True] * (
            n_recomputed == 4
        )

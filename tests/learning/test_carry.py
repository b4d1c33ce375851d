"""A database whose catalogue or settings change: what was learned goes on, once, and every decision is recomputed."""

import copy
import shutil
import sqlite3
import warnings

import numpy as np
import pytest

import bandit
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.governance.verify import verify
from bandit.learning import carry, carry_source, learner
from bandit.policies.state import close, unpack
from bandit.policies.state_erasure import has_customers
from bandit.store import Store, StoreLog, state_hash
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, context, serve
from tests.governance.conftest import WHO, Clock, _explore_round, newest_state


def changed(change=lambda file: file["dimensions"][1]["options"][0].update(contact_cost=0.3)):
    mapping = copy.deepcopy(SPRING)
    change(mapping)
    return bandit.Catalogue.from_dict(mapping)


def add_push(file):
    file["dimensions"][1]["options"].append({"name": "push"})


def rename_sms(file):
    file["dimensions"][1]["options"][1].update(name="text", aliases=["sms"])


@pytest.fixture
def opened(path, clock):
    """A function that opens the test's database under a catalogue, with Thompson sampling unless told otherwise."""
    engines = []

    def opened(catalogue=None, policy=None, **settings):
        catalogue = catalogue or bandit.Catalogue.from_dict(SPRING)
        options = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process", **settings}
        engine = bandit.Engine.open(path, catalogue, policy or bandit.ThompsonSampling(catalogue), **options)
        engines.append(engine)
        return engine

    yield opened
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def learned_file(tmp_path_factory):
    """A database with three steps of learning, 750 outcomes, under SPRING, and the time after them."""
    path, clock = tmp_path_factory.mktemp("learned") / "offers.db", Clock()
    catalogue = bandit.Catalogue.from_dict(SPRING)
    settings = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process"}
    with bandit.Engine.open(path, catalogue, bandit.ThompsonSampling(catalogue), **settings) as engine:
        for number in range(3):
            serve(engine, clock, 250, np.random.default_rng(number), f"first {number}, ")
            clock.now += 8 * DAY
            engine.learn()
    return path, clock.now


@pytest.fixture
def learned(learned_file, opened, path, clock):
    """An engine on the test's own copy of that database."""
    file, clock.now = learned_file
    shutil.copyfile(file, path)
    return opened()


@pytest.mark.parametrize("change", [add_push, rename_sms, changed.__defaults__[0]], ids=["option", "name", "cost"])
def test_a_changed_catalogue_begins_with_what_was_learned(learned, opened, clock, change):
    """750 outcomes are known at step 0; nothing is due; the first decision is by them, and all can be recomputed."""
    engine = opened(changed(change))
    status = engine.status()
    assert (engine.policy_id, engine.step, status.lag) == (2, 0, 0)
    assert (status.carried["how"], status.carried["from_policy"], status.carried["from_step"]) == ("carried", 1, 3)
    assert status.carried["outcomes"] == 750
    assert engine.policy.online.belief.main.n_learned == 750
    assert engine.learn().n == 0
    serve(engine, clock, 250, np.random.default_rng(5), "second ")
    clock.now += 8 * DAY
    assert engine.learn().n == 250
    engine.decide("one more", context(3))
    found = engine.verify()
    assert (found.problems, found.notes, found.n_recomputed) == ((), (), 1_001)
    rebuilt = engine.rebuild()
    assert (rebuilt.same, rebuilt.n) == (True, 250)


def test_it_serves_before_the_first_learn_as_the_old_policy_did(learned, opened):
    """The best offer at the mean stays, in the same numbers. Negative control: without carrying it is the prior's."""
    old, rows = learned.policy, [context(row) for row in range(40)]
    known, fresh = opened(changed()), opened(changed(lambda file: file.update(name="other")), carry=False)
    contexts = known.catalogue.contexts(rows)
    np.testing.assert_allclose(
        known.policy.predict_response(contexts).p_convert.value,
        old.predict_response(contexts).p_convert.value,
        rtol=1e-9,
    )
    assert fresh.status().carried is None
    assert not np.allclose(
        fresh.policy.predict_response(contexts).p_convert.value,
        old.predict_response(contexts).p_convert.value,
        rtol=0.05,
    )


def test_a_return_after_the_change_updates_the_belief_once(learned, opened, clock):
    """One purchase of the old policy is paid back in full: one outcome, restated; then nothing is due any more."""
    bought = next(
        row["decision_id"]
        for row in learned.store._connection.raw.execute(
            "SELECT decision_id FROM decision_log WHERE converted"
        ).fetchall()
        for row in [{"decision_id": row[0]}]
    )
    engine = opened(changed(rename_sms))
    natural = engine.policy.online.belief.main.model.weights.mean.copy()
    revenue = engine.store._connection.raw.execute(
        "SELECT revenue FROM decision_log WHERE decision_id = ?", (bought,)
    ).fetchone()[0]
    made = engine.store._connection.raw.execute(
        "SELECT time FROM decisions WHERE decision_id = ?", (bought,)
    ).fetchone()[0]
    engine.record(bought, "return", revenue=-revenue, time=made + DAY)
    report = engine.learn()
    assert (report.n, report.n_restated) == (1, 1)
    assert not np.array_equal(engine.policy.online.belief.main.model.weights.mean, natural)
    assert engine.learn().n == 0
    assert engine.verify().problems == ()


def test_the_state_is_that_of_a_database_in_which_nothing_was_learned_elsewhere(learned, opened):
    """The ledger of the new policy has each of the 750 decisions once, at step 0, with its newest outcome."""
    opened(changed())
    raw = learned.store._connection.raw
    rows = raw.execute("SELECT seq, converted, revenue FROM learned WHERE policy_id = 2 AND step = 0").fetchall()
    newest = raw.execute(
        "SELECT seq, converted, revenue FROM learned l WHERE policy_id = 1 AND step = "
        "(SELECT max(step) FROM learned m WHERE m.policy_id = 1 AND m.seq = l.seq) ORDER BY seq"
    ).fetchall()
    assert len(rows) == 750
    assert sorted(rows) == newest


def test_an_old_process_goes_on_and_both_learn_what_both_decided(learned, opened, clock):
    """250 decisions each under the old and the new catalogue: 500 are due for either policy, none twice."""
    new = opened(changed(rename_sms))
    serve(learned, clock, 250, np.random.default_rng(8), "old ")
    serve(new, clock, 250, np.random.default_rng(9), "new ")
    clock.now += 8 * DAY
    assert new.learn().n == 500
    assert learned.learn().n + learned.learn().n_skipped >= 250
    assert new.learn().n == 0
    assert new.verify().problems == ()


def test_a_step_learned_meanwhile_is_taken_over_as_well(learned, opened, clock, monkeypatch):
    """The old policy learns 100 more outcomes after its state was read: it is read again."""
    first_state, turns = carry.first_state, []

    def slow(*arguments):
        found = first_state(*arguments)
        if not turns:
            serve(learned, clock, 100, np.random.default_rng(4), "meanwhile ")
            clock.now += 8 * DAY
            learned.learn()
        turns.append(found.report.from_step)
        return found

    monkeypatch.setattr(learner, "first_state", slow)
    engine = opened(changed())
    assert turns == [3, 4]
    assert engine.status().carried["outcomes"] == 850
    assert engine.learn().n == 0


def test_a_second_engine_on_the_new_catalogue_finds_the_policy(learned, opened):
    first, second = opened(changed()), opened(changed())
    assert first.policy_id == second.policy_id == 2
    assert second.status().carried == first.status().carried
    assert second.policy.dumps() == first.policy.dumps()


def test_settings_that_change_keep_the_belief_and_another_name_does_not(learned, opened):
    catalogue = bandit.Catalogue.from_dict(SPRING)
    wider = opened(catalogue, bandit.ThompsonSampling(catalogue, width=1.0))
    # But for the draws, the sample of outcomes and the filters of rates, which begin anew.
    (_, arrays), (_, before) = unpack(wider.policy.dumps()), unpack(learned.policy.dumps())
    own = ("/draws", "/generator", "/cross_round", "/tail_offer")
    same = [name for name in before if not name.endswith(own) and "/sample/" not in name and "/rates/" not in name]
    assert all(np.array_equal(arrays[name], before[name]) for name in same)
    rival = opened(catalogue, bandit.ThompsonSampling(catalogue, name="rival"))
    assert (rival.status().carried, rival.policy.online.version) == (None, 0)


def test_a_policy_with_a_state_of_its_own_keeps_it(learned, opened):
    catalogue = changed()
    fitted = bandit.ThompsonSampling(catalogue)
    fitted.fit(StoreLog(learned.store, catalogue))
    engine = opened(catalogue, fitted)
    assert engine.status().carried is None
    assert engine.policy.dumps() == fitted.dumps()


def test_a_young_policy_learns_again_step_by_step(opened, clock):
    """60 outcomes: the scales are not fixed, so the two steps are learned again under the new catalogue."""
    engine = opened()
    for number in range(2):
        serve(engine, clock, 30, np.random.default_rng(number), f"{number}, ")
        clock.now += 8 * DAY
        engine.learn()
    new = opened(changed(rename_sms))
    assert (new.step, new.status().carried["how"], new.status().carried["outcomes"]) == (2, "learned again", 60)
    assert new.learn().n == 0
    new.decide("somebody", context(1))
    found = new.verify()
    assert (found.problems, found.n_recomputed) == ((), 61)
    assert new.rebuild().same


def test_vowpal_wabbit_learns_again_or_says_that_it_did_not(opened, clock, monkeypatch):
    catalogue, other = bandit.Catalogue.from_dict(SPRING), changed()
    engine = opened(catalogue, bandit.VowpalWabbit(catalogue, warm_up=20))
    serve(engine, clock, 60, np.random.default_rng(1), "vw ")
    clock.now += 8 * DAY
    engine.learn()
    again = opened(other, bandit.VowpalWabbit(other, warm_up=20))
    assert again.status().carried["how"] == "learned again"
    assert again.verify().problems == ()
    monkeypatch.setattr(carry_source, "RELEARNED_AT_ONCE", 10)
    third = changed(add_push)
    with pytest.warns(
        UserWarning, match="begins untrained, though policy 2 has learned here: .*60 outcomes are too many"
    ):
        untrained = opened(third, bandit.VowpalWabbit(third, warm_up=20))
    assert untrained.status().carried["how"] == "untrained"
    untrained.learn()
    assert untrained.status().carried is None


def test_another_event_that_converts_is_not_taken_over(learned, opened):
    catalogue = changed(lambda file: file["objective"].update(event="order"))
    with pytest.warns(UserWarning, match='a conversion was the event "purchase" and is the event "order" now'):
        assert opened(catalogue).step == 0


def test_another_window_is_learned_as_a_change_of_outcomes(learned, opened):
    """Within 1 hour of the decision nothing converts but what did at once: those outcomes are restated, once."""
    engine = opened(changed(lambda file: file["objective"].update(window="1min")))
    raw = engine.store._connection.raw
    late = raw.execute(
        "SELECT count(DISTINCT d.seq) FROM events e JOIN decisions d ON d.seq = e.seq "
        "WHERE e.time > d.time + 60000000 AND e.event = 'purchase'"
    ).fetchone()[0]
    report = engine.learn()
    assert late > 0
    assert report.n == report.n_restated == late
    assert engine.learn().n == 0
    assert engine.verify().problems == ()


def test_a_removed_option_returns_with_what_it_had_taught(learned, opened):
    """Two changes: without sms, then with it again, which is not new then."""

    def without(file):
        file["dimensions"][1]["options"].pop()

    middle = opened(changed(without))
    assert middle.status().carried["how"] == "carried"
    again = opened(changed(lambda file: file.update(name="summer")))
    carried = again.status().carried
    assert (carried["from_policy"], carried["recalled_options"], carried["new_options"]) == (2, ["channel = sms"], [])
    assert again.verify().problems == ()


def test_resume_serves_with_the_policy_that_took_over(learned, opened, path, clock):
    opened(changed()).close()
    with bandit.Engine.resume(path, customer_key=KEY, clock=clock) as engine:
        assert engine.policy_id == 2
        assert engine.status().carried["from_policy"] == 1


def test_a_state_that_was_not_taken_over_is_found(learned, opened, path):
    """Another state of the right form in the place of the carried one: verify computes it again and says so."""
    engine = opened(changed())
    other = engine.policy.online
    other.belief.main.model.weights.mean[0] += 0.5
    state = engine.policy.dumps()
    engine.close()
    learned.close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE snapshots SET state = ? WHERE policy_id = 2", (state,))
    raw.execute("UPDATE policy_steps SET state_hash = ? WHERE policy_id = 2", (state_hash(state),))
    raw.commit()
    raw.close()
    with Store.open(path, customer_key=KEY) as store:
        assert verify(store).problems == (
            "policy 2: computed again, the belief that it took over from policy 1 at step 3 is not the one logged",
        )


def explored(path, catalogues, *, without=(), rounds=3, n=240):
    clock = Clock()
    for number, catalogue in enumerate(catalogues):
        with bandit.Engine.open(
            path, catalogue, bandit.ThompsonSampling(catalogue), seed=7, clock=clock, customer_key=KEY
        ) as engine:
            for turn in range(rounds):
                _explore_round(engine, clock, rounds * number + turn, n, without)


@pytest.mark.slow
@pytest.mark.parametrize("change", [rename_sms, changed.__defaults__[0]], ids=["name", "cost"])
def test_an_erasure_takes_the_customer_out_of_both_beliefs(tmp_path, change):
    """720 outcomes before and after the change: each state is that of a log in which the customer never was."""
    catalogues = [bandit.Catalogue.from_dict(SPRING), changed(change)]
    explored(tmp_path / "a.db", catalogues)
    explored(tmp_path / "b.db", catalogues, without=(WHO,))
    with (
        Store.open(tmp_path / "a.db", customer_key=KEY) as store,
        Store.open(tmp_path / "b.db", customer_key=KEY) as never,
    ):
        assert not close(newest_state(store, 2), newest_state(never, 2))  # else the test could not fail
        erased = erase(store, WHO)
        assert (erased.refitted, erased.warm_starts) == ((1, 2), ())
        for policy in (1, 2):
            assert newest_state(store, policy) == newest_state(never, policy)
        first, without = (one.ledger.snapshot(2, newest=False) for one in (store, never))
        assert first.state == without.state
        assert not has_customers(first.state, {store.customers.stored(WHO)})
        assert store.check() == []
        assert verify(store).problems == ()


def test_a_retention_run_keeps_the_belief_that_was_taken_over(tmp_path):
    """Decisions of the first catalogue go; the second policy's state stays, and the log can be verified and learned."""
    catalogues = [bandit.Catalogue.from_dict(SPRING), changed(rename_sms)]
    explored(tmp_path / "a.db", catalogues)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        before = newest_state(store, 2)
        assert retain(store, Clock().now + 20 * DAY).decisions == 720
        assert close(newest_state(store, 2), before)
        assert verify(store).problems == ()
    with bandit.Engine.open(
        tmp_path / "a.db", catalogues[1], bandit.ThompsonSampling(catalogues[1]), customer_key=KEY
    ) as engine:
        assert engine.rebuild().same


def test_clean_openings_say_nothing(learned, opened):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(changed())
        opened(changed(), carry=False)


def test_an_erasure_after_a_retention_run_takes_the_customer_out_of_what_was_taken_over(tmp_path):
    """The customer may be in the base that the run kept, so it is given up; nothing of them is left in any state."""
    catalogues = [bandit.Catalogue.from_dict(SPRING), changed(rename_sms)]
    explored(tmp_path / "a.db", catalogues)
    with Store.open(tmp_path / "a.db", customer_key=KEY) as store:
        retain(store, Clock().now + 12 * DAY)  # two of the three rounds of the first catalogue
        key = store.customers.stored(WHO)
        assert any(has_customers(state, {key}) for number in (1, 2) for state in store.deletion.states(number).values())
        assert erase(store, WHO).warm_starts == ()
        states = [state for number in (1, 2) for state in store.deletion.states(number).values()]
        assert not any(has_customers(state, {key}) for state in states)
        assert verify(store).problems == ()


def test_a_stopped_option_keeps_its_belief_and_is_given_to_nobody(learned, opened, clock):
    """sms is stopped: 200 decisions are all by email, the belief about sms stays, and a return of its sales counts."""
    engine = opened(changed(lambda file: file["dimensions"][1]["options"][1].update(stopped=True)))
    batch = serve(engine, clock, 200, np.random.default_rng(3), "stopped ")
    assert set(batch.offers["channel"]) == {"email"}
    raw = engine.store._connection.raw
    sold, revenue, made = raw.execute(
        "SELECT l.decision_id, l.revenue, d.time FROM decision_log l JOIN decisions d ON d.decision_id = l.decision_id "
        "WHERE l.converted AND l.policy = 1 AND json_extract(l.offer, '$.channel') = 'sms'"
    ).fetchone()
    engine.record(sold, "return", revenue=-revenue, time=made + DAY)
    clock.now += 8 * DAY
    report = engine.learn()
    assert (report.n, report.n_restated, report.n_skipped) == (201, 1, 0)
    assert engine.verify().problems == ()

"""The roll-out in the engine: ramp, shadow, apprentice, challengers, promote, kill; propensities and verify."""

import numpy as np
import pytest
from scipy.stats import chi2

import bandit
from bandit.errors import InputError, StoreError
from bandit.governance.verify import verify
from bandit.rollout.control import RolloutControl
from bandit.store import Store
from tests.catalogue.test_groups import NOTHING, RULES
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, context, serve
from tests.governance.test_verify import alter
from tests.policies.test_many_offers import large

WHO = "a tester"
WHOLE = [f"customer-{row}" for row in range(40)]
"""The customers of a batch."""


def with_rollout(mapping, mode="ramp", share=0.3, exploration=0.2, salt="a", **changes):
    rollout = {"mode": mode, "rules": RULES | {"exploration": exploration}, "salt": salt}
    if mode == "ramp":
        rollout["share"] = share
    return bandit.Catalogue.from_dict(mapping | {"rollout": rollout} | changes)


@pytest.fixture
def catalogue(spring):
    return with_rollout(spring)


def customers(n):
    return [f"customer-{row}" for row in range(n)]


def decided(engine, n, **settings):
    return engine.decide_batch(customers(n), [context(row) for row in range(n)], **settings)


def found(engine):
    report = verify(engine.store)
    assert report.n_recomputed == report.n_decisions
    return report.problems


class TestRamp:
    def test_a_customer_is_served_by_the_same_arm_every_time_and_in_every_process(self, open_engine):
        one, other = open_engine(), open_engine()
        arms = decided(one, 80).arm.tolist()
        assert decided(other, 80).arm.tolist() == arms
        assert [one.decide(name, context(row)).arm for row, name in enumerate(customers(80))] == arms
        assert set(arms) == {"policy", "rules"}

    def test_a_larger_share_moves_customers_one_way_only(self, open_engine):
        engine, before = open_engine(), None
        for share in (0.01, 0.1, 0.3, 0.7, 1.0):
            engine.rollout.set_mode("ramp", share, author=WHO)
            served = decided(engine, 300).arm
            policy = np.ones(300, dtype=bool) if served is None else served == "policy"
            assert before is None or (policy >= before).all()
            before = policy
        assert before.all()

    def test_the_propensity_is_that_of_the_mixture_and_the_vector_is_what_it_is_of(self, open_engine):
        engine = open_engine(keep_probabilities=True)
        batch = decided(engine, 200)
        np.testing.assert_allclose(batch.probabilities.sum(axis=1), 1.0)
        np.testing.assert_allclose(batch.probabilities[np.arange(200), batch.offer_index], batch.propensity)
        assert ((batch.probabilities > 0) == batch.eligible).all()

    def test_the_first_decision_mixes_the_arms_by_the_share(self, open_engine, catalogue):
        """Loyal customers get 10 % by the rules: .7 (.8 + .2 / E) + .3 times the policy's probability."""
        engine = open_engine(keep_probabilities=True)
        batch = decided(engine, 100)
        arms = engine.store.decision_arms.of(np.arange(1, 101))
        weight, probability = arms.mixtures()[:, 0], arms.mixtures()[:, 1]
        np.testing.assert_allclose(weight, np.tile([0.7, 0.3], (100, 1)))
        np.testing.assert_allclose((weight * probability).sum(axis=1), batch.propensity)
        named = np.where([row % 3 == 0 for row in range(100)], catalogue.offer_index(NOTHING | {"discount": "10"}), 0)
        rules = np.where(batch.offer_index == named, 0.8, 0.0) + 0.2 / batch.eligible.sum(axis=1)
        np.testing.assert_allclose(probability[:, 0], rules)

    @pytest.mark.slow
    def test_each_offer_is_served_as_often_as_the_propensities_say(self, open_engine, clock):
        """20,000 decisions of as many customers, in batches, the policy learning; Pearson over the ten offers."""
        engine = open_engine(keep_probabilities=True)
        rng, expected, counts = np.random.default_rng(5), np.zeros(10), np.zeros(10)
        for number in range(10):
            rows = range(2_000 * number, 2_000 * (number + 1))
            batch = engine.decide_batch([f"c{row}" for row in rows], [context(row) for row in rows])
            expected += batch.probabilities.sum(axis=0)
            counts += np.bincount(batch.offer_index, minlength=10)
            clock.now += DAY
            bought = np.flatnonzero(rng.random(2_000) < 0.1 + 0.05 * (batch.offer_index % 4))
            engine.record_batch(
                [batch.decision_ids[row] for row in bought], "purchase", revenue=np.full(len(bought), 50.0)
            )
            engine.learn()
        assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, 9)
        shuffled = np.roll(expected, 1)
        assert ((counts - shuffled) ** 2 / shuffled).sum() > chi2.ppf(0.999, 9)

    def test_repeated_visits_verify(self, open_engine, clock):
        engine = open_engine()
        for number in range(3):
            serve(engine, clock, 90, np.random.default_rng(number), prefix=f"{number}-")
            clock.now += 8 * DAY
            engine.learn()
        for row in range(10):
            engine.decide(f"customer-{row}", context(row))
        assert found(engine) == ()
        assert engine.rebuild().same

    def test_a_group_of_its_own_is_not_concerned(self, spring, path, clock):
        catalogue = with_rollout(spring, groups={"policy": 0.6, "random": 0.4})
        with bandit.Engine.open(
            path, catalogue, bandit.ThompsonSampling(catalogue), seed=1, customer_key=KEY
        ) as engine:
            batch = decided(engine, 100)
            random = batch.group == "random"
            assert all(arm is None for arm in batch.arm[random])
            assert set(batch.arm[~random]) == {"policy", "rules"}
            np.testing.assert_allclose(batch.propensity[random], 1.0 / batch.eligible[random].sum(axis=1))
            assert found(engine) == ()

    @pytest.mark.slow
    def test_many_offers_are_served_and_verified(self, path, clock):
        catalogue = bandit.Catalogue.from_dict(large() | {"rollout": {"mode": "ramp", "share": 0.5}})
        with bandit.Engine.open(
            path, catalogue, bandit.ThompsonSampling(catalogue), seed=1, customer_key=KEY
        ) as engine:
            first, second = decided(engine, 30), decided(engine, 30)
            assert set(first.arm) == {"policy", "fallback"}
            assert (first.arm == second.arm).all()
            served = second.arm == "fallback"
            assert (second.offer_index[served] == catalogue.fallback).all()
            assert found(engine) == ()


class TestBeforeTheRamp:
    def test_in_shadow_the_rules_serve_and_the_policys_choice_is_logged(self, open_engine):
        engine = open_engine()
        engine.rollout.set_mode("shadow", author=WHO)
        batch = decided(engine, 100)
        arms = engine.store.decision_arms.of(np.arange(1, 101))
        assert set(batch.arm) == {"rules"}
        assert (arms.shadow_propensity > 0).all()
        assert len(set(arms.shadow_offer.tolist())) > 2
        weight, probability = arms.mixtures()[0, :2]
        assert weight.tolist() == [1.0, 0.0]
        assert probability[0] == pytest.approx(batch.propensity[0])
        assert 0.0 < probability[1] < 1.0
        assert found(engine) == ()

    def test_an_apprentice_learns_from_the_rules(self, open_engine, clock):
        engine = open_engine()
        engine.rollout.set_mode("apprentice", author=WHO)
        batch = serve(engine, clock, 60, np.random.default_rng(1))
        clock.now += 8 * DAY
        assert set(batch.arm) == {"rules"}
        assert engine.learn().n == 60
        assert found(engine) == ()


class TestChallengers:
    @pytest.fixture
    def rivals(self, open_engine):
        """An engine with a challenger for 40 % of the policies' customers, and the challenger's number."""
        engine = open_engine()
        engine.rollout.set_mode("full", author=WHO)
        challenger = open_engine(bandit.ThompsonSampling(engine.catalogue, draws=16))
        engine.rollout.challenge(challenger.policy_id, 0.4, champion=engine.policy_id, author=WHO)
        return engine, challenger.policy_id

    def test_each_serves_its_share_and_is_logged_as_the_policy(self, rivals):
        engine, number = rivals
        batch = decided(engine, 400)
        served = batch.arm == f"challenger:{number}"
        assert abs(served.mean() - 0.4) < 4 * np.sqrt(0.24 / 400)
        logged = engine.store.decisions.page("purchase", 7 * DAY, limit=400)
        by_id = dict(zip(logged.decision_id, logged.policy_id, strict=True))
        expected = np.where(served, number, engine.policy_id).tolist()
        assert [by_id[name] for name in batch.decision_ids] == expected

    def test_columns_stay_in_the_callers_order(self, rivals):
        engine, _ = rivals
        batch = decided(engine, 50)
        for row in range(50):
            again = engine.decide(f"customer-{row}", context(row), decision_id=batch.decision_ids[row])
            assert (again.offer_index, again.propensity, again.arm) == (
                batch.offer_index[row], batch.propensity[row], batch.arm[row],
            )  # fmt: skip

    def test_both_learn_from_all_decisions_and_verify(self, rivals, clock):
        engine, number = rivals
        for place in range(3):
            serve(engine, clock, 90, np.random.default_rng(place), prefix=f"{place}-")
            clock.now += 8 * DAY
            engine.learn()
        assert engine.store.ledger.latest_step(number) == engine.step > 0
        assert found(engine) == ()

    def test_verify_goes_on_where_the_state_of_another_live_policy_is_damaged(self, rivals, path):
        """The champion's decisions have the challenger's probability in their propensity, so they are not judged."""
        engine, number = rivals
        mine = sum(arm == "policy" for arm in decided(engine, 60).arm)
        assert number == 2
        alter(path, "UPDATE snapshots SET state = x'00' WHERE policy_id = 2")
        report = verify(engine.store)
        assert report.n_recomputed < report.n_decisions
        assert any(problem.startswith(f"policy {number} cannot be rebuilt") for problem in report.problems)
        assert any(
            problem.startswith(f"policy {engine.policy_id}: {mine} decisions were made under a roll-out that cannot")
            for problem in report.problems
        )

    def test_promoted_it_serves_everybody_also_after_resuming(self, rivals, path, clock):
        engine, number = rivals
        engine.rollout.promote(author=WHO)
        decided(engine, 20)
        logged = engine.store.decisions.page("purchase", 7 * DAY, limit=400)
        assert set(logged.policy_id) == {number}
        assert len(engine.store.decision_arms.of(logged.seq)) == 0
        with bandit.Engine.resume(path, seed=1, customer_key=KEY, clock=clock) as resumed:
            assert resumed.policy_id == number
        engine.rollout.rollback(author=WHO)
        assert set(decided(engine, 60).arm) == {"policy", f"challenger:{number}"}
        assert found(engine) == ()

    def test_a_policy_of_another_catalogue_cannot_challenge(self, open_engine, path, spring):
        engine = open_engine()
        other = bandit.Catalogue.from_dict(spring)
        with bandit.Engine.open(path, other, bandit.Uniform(other), customer_key=KEY) as elsewhere:
            number = elsewhere.policy_id
        with pytest.raises(InputError, match="another version of the catalogue"):
            engine.rollout.challenge(number, 0.1, champion=engine.policy_id, author=WHO)


class TestHalts:
    def test_killed_every_group_gets_the_fallback_from_the_next_decision_on(self, spring, path, clock):
        catalogue = with_rollout(spring, groups={"policy": 0.6, "random": 0.4})
        with bandit.Engine.open(
            path, catalogue, bandit.ThompsonSampling(catalogue), seed=1, customer_key=KEY
        ) as engine:
            engine.rollout.kill(author=WHO, reason="wrong prices")
            batch = decided(engine, 60)
            assert (batch.offer_index == catalogue.fallback).all()
            assert set(batch.arm) == {"fallback"}
            assert (batch.propensity == 1.0).all()
            assert engine.decide("customer-1", context(1)).fault is None
            engine.rollout.resume(author=WHO)
            assert set(decided(engine, 60).arm) == {"policy", "rules", None}
            assert found(engine) == ()

    def test_another_engine_sees_the_kill_within_its_interval(self, open_engine, monkeypatch):
        monkeypatch.setattr("bandit.engine.live_rollout.CHECK_INTERVAL", 0.0)
        one, other = open_engine(), open_engine()
        decided(other, 5)
        one.rollout.kill(author=WHO)
        assert set(decided(other, 20).arm) == {"fallback"}

    def test_a_kill_works_where_no_roll_out_is_declared(self, spring, path):
        catalogue = bandit.Catalogue.from_dict(spring)
        with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), seed=1, customer_key=KEY) as engine:
            assert decided(engine, 20).arm is None
            with Store.open(path, customer_key=KEY) as store:
                RolloutControl(store, catalogue).kill(author=WHO)
            engine.rollout.resume(author=WHO)
            assert decided(engine, 20).arm is None
            assert found(engine) == ()

    def test_stopped_the_rules_serve_in_place_of_the_policy(self, open_engine):
        engine = open_engine()
        engine.rollout.stop(author="guardrail", reason="too many complaints")
        assert set(decided(engine, 50).arm) == {"rules"}
        assert found(engine) == ()


class TestVerify:
    @pytest.fixture
    def log(self, open_engine, path):
        engine = open_engine()
        for _ in range(2):
            decided(engine, 60)
        engine.rollout.set_mode("shadow", author=WHO)
        decided(engine, 20)
        return engine, path

    @pytest.mark.parametrize(
        ("statement", "words"),
        [
            (
                "UPDATE decision_arms SET arm = CASE arm WHEN 'rules' THEN 'policy' ELSE 'rules' END WHERE seq = 3",
                "arm",
            ),
            ("UPDATE decision_arms SET mixture = replace(mixture, '0.7', '0.6') WHERE seq = 3", "weights"),
            ("UPDATE decision_arms SET shadow_propensity = shadow_propensity / 2 WHERE seq = 130", "shadow"),
            ("UPDATE decisions SET propensity = propensity / 2 WHERE seq = 70", "propensity"),
        ],
    )
    def test_what_was_changed_is_found(self, log, statement, words):
        engine, path = log
        assert found(engine) == ()
        alter(path, statement)
        assert words in "; ".join(verify(engine.store).problems)


def test_a_policy_that_fails_beside_the_rules_leaves_their_own_propensity(path, spring):
    """What the rules served is weighed by the rules alone, and the next decision knows the customer's arm."""
    catalogue = with_rollout(spring)

    class Broken(bandit.Uniform):
        def probabilities(self, contexts, eligible, rng):
            raise ValueError("no model")

        def spec(self):
            return {"kind": "broken"}

    with bandit.Engine.open(path, catalogue, Broken(catalogue), seed=1, customer_key=KEY) as engine:
        one, two = decided(engine, 60), decided(engine, 60)
        single = [engine.decide(name, context(row)) for row, name in enumerate(customers(20))]
    assert one.fault is not None
    assert two.fault is not None
    assert {each.arm for each in single if each.fault is None} == {"rules"}
    assert all(each.propensity >= 0.02 for each in single)


class TestFailures:
    """Whether a customer's arm shows must not depend on which arm it is, or later propensities would be wrong."""

    @pytest.fixture
    def flaky(self, catalogue, open_engine):
        """An engine whose policy fails for batches with one of the customers in `failing`, and the policy's class."""

        class Flaky(bandit.ThompsonSampling):
            failing = ()

            def probabilities(self, contexts, eligible, rng):
                if np.isin(contexts.customers, engine.store.customers.all_stored(self.failing)).any():
                    raise ValueError("no model")
                return super().probabilities(contexts, eligible, rng)

        engine = open_engine(Flaky(catalogue), keep_probabilities=True)
        return engine, Flaky

    def test_a_fault_shows_the_arm_and_later_decisions_know_it(self, flaky):
        """One by one: who got the fallback by a fault is the policy's, the others the rules'; nobody is mixed again."""
        engine, policy = flaky
        policy.failing = WHOLE
        first = [engine.decide(name, context(row)) for row, name in enumerate(customers(40))]
        policy.failing = ()
        assert {each.arm for each in first if each.fault is not None} == {"policy"}
        assert {each.arm for each in first if each.fault is None} == {"rules"}
        later = decided(engine, 40)
        assert later.arm.tolist() == [each.arm for each in first]
        mixtures = engine.store.decision_arms.of(np.arange(41, 81)).mixtures()
        assert (mixtures[:, 0] == np.where((later.arm == "policy")[:, None], [0, 1], [1, 0])).all()
        again = engine.decide("customer-0", context(0), decision_id=first[0].decision_id)
        assert (again.arm, again.fault) == (first[0].arm, first[0].fault)
        assert verify(engine.store).problems == ()

    @pytest.mark.parametrize("arm", ["policy", "rules"])
    def test_a_policy_that_fails_for_one_customer_shows_the_arms_of_all_in_the_batch(self, flaky, arm):
        engine, policy = flaky
        arms = [engine.decide(name, context(row), decision_id=f"look-{row}").arm for row, name in enumerate(WHOLE)]
        policy.failing = (WHOLE[arms.index(arm)],)
        batch = engine.decide_batch(WHOLE, [context(row) for row in range(len(WHOLE))])
        assert (batch.fault is not None) == (arm == "policy")
        logged = engine.store.decision_arms.of(np.arange(41, 81))
        assert logged.arm.tolist() == arms
        assert (logged.mixtures()[:, 0].max(axis=1) == 1.0).all()
        served = batch.probabilities[np.arange(40), batch.offer_index]
        np.testing.assert_allclose(served, batch.propensity)
        policy.failing = ()
        assert verify(engine.store).problems == ()

    def test_a_policy_that_failed_in_shadow_has_no_choice_to_verify(self, flaky, path):
        engine, policy = flaky
        engine.rollout.set_mode("shadow", author=WHO)
        policy.failing = WHOLE
        assert decided(engine, 20).fault is None
        policy.failing = ()
        decided(engine, 20)
        assert (engine.store.decision_arms.of(np.arange(1, 41)).shadow_offer < 0).tolist() == [True] * 20 + [False] * 20
        assert found(engine) == ()
        alter(path, "UPDATE decision_arms SET shadow_offer = NULL, shadow_propensity = NULL WHERE seq = 30")
        assert "the policy in shadow chooses otherwise" in "; ".join(verify(engine.store).problems)

    def test_the_report_leaves_out_what_ended_in_a_fault(self, flaky):
        engine, policy = flaky
        decided(engine, 40)
        policy.failing = WHOLE
        assert decided(engine, 40).fault is not None
        (change,) = engine.store.served_arms.changes()
        assert change.decisions == 40
        assert engine.store.served_arms.page([change.change_id]).seq.tolist() == list(range(1, 41))


def test_what_is_declared_is_put_in_force_once(path, spring):
    catalogue = with_rollout(spring)
    for _ in range(2):
        with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
            changes = engine.rollout.history()
            assert [(each.action, each.author) for each in changes] == [("declare", "catalogue")]
    other = with_rollout(SPRING, share=0.5)
    with bandit.Engine.open(path, other, bandit.Uniform(other), customer_key=KEY) as engine:
        assert [each.state.share for each in engine.rollout.history()] == [0.3, 0.5]
    with bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue), customer_key=KEY) as engine:
        assert len(engine.rollout.history()) == 2


def test_the_status_says_who_halted_the_policies_and_why(open_engine):
    engine = open_engine()
    assert (engine.status().rollout, engine.status().policy_share, engine.status().halted) == ("ramp", 0.3, None)
    engine.rollout.kill(author="Ann", reason="wrong prices")
    status = engine.status()
    assert status.policy_share == 0.0
    assert status.halted == "kill by Ann at 2023-11-14T22:13:20Z: wrong prices"
    assert not status.well
    engine.rollout.set_mode("full", author="Ben")
    assert engine.status().halted.startswith("kill by Ann")
    engine.rollout.resume(author="Ann")
    assert engine.status().well


def test_two_versions_of_a_catalogue_decide_under_one_change(path, spring, clock):
    """The older version has a challenger; the newer one does not have that policy, and serves by its own alone."""
    versions = [with_rollout(spring), with_rollout(spring, currency="USD")]
    settings = {"customer_key": KEY, "clock": clock, "durability": "process"}
    with bandit.Engine.open(path, versions[0], bandit.ThompsonSampling(versions[0]), seed=1, **settings) as older:
        rival = bandit.ThompsonSampling(versions[0], draws=16)
        with bandit.Engine.open(path, versions[0], rival, seed=2, **settings) as other:
            older.rollout.challenge(other.policy_id, 0.4, champion=older.policy_id, author=WHO)
        older.rollout.set_mode("ramp", 0.6, author=WHO)
        decided(older, 40)
        with bandit.Engine.open(path, versions[1], bandit.ThompsonSampling(versions[1]), seed=3, **settings) as newer:
            assert len(newer.rollout.history()) == 3  # what is declared has not changed
            assert set(decided(newer, 40).arm) == {"rules", "policy"}
            assert len(set(decided(older, 40).arm)) == 3
            assert set(decided(newer, 40).arm) == {"rules", "policy"}
            assert found(newer) == ()


def test_a_kill_needs_no_policy_that_can_be_loaded(open_engine, monkeypatch):
    """A process that has not loaded a challenger yet serves the fallback at once, also where it cannot load it."""
    engine = open_engine()
    rival = open_engine(bandit.ThompsonSampling(engine.catalogue, draws=16))
    engine.rollout.challenge(rival.policy_id, 0.4, champion=engine.policy_id, author=WHO)
    engine.rollout.kill(author=WHO)
    fresh = open_engine()
    monkeypatch.setattr(fresh._rollout, "_learner", None)
    assert set(decided(fresh, 20).arm) == {"fallback"}


def test_changing_a_challengers_share_keeps_the_others_place(open_engine):
    engine = open_engine()
    first, second = (open_engine(bandit.ThompsonSampling(engine.catalogue, draws=draws)).policy_id for draws in (8, 16))
    for number, share in ((first, 0.2), (second, 0.3), (first, 0.1)):
        engine.rollout.challenge(number, share, champion=engine.policy_id, author=WHO)
    live = engine.rollout.state.policies
    assert [(each.policy_id, round(each.share, 9)) for each in live[1:]] == [(first, 0.1), (second, 0.3)]


def test_the_state_that_serves_is_the_one_that_is_weighed(open_engine, clock, monkeypatch):
    """Another thread takes over a newer state between the choice of the policy and its weights: one step is logged."""
    engine = open_engine()
    serve(engine, clock, 90, np.random.default_rng(1), prefix="a")
    old = engine.learner.current
    clock.now += 8 * DAY
    engine.learn()
    new = engine.learner.current
    engine.learner.current = old
    plan = engine._rollout.plan

    def swapped(part, current, customers, rows):
        engine.learner.current = new
        return plan(part, current, customers, rows)

    monkeypatch.setattr(engine._rollout, "plan", swapped)
    decided(engine, 40)
    assert found(engine) == ()


def test_a_damaged_history_does_not_prevent_a_decision(open_engine, path):
    """The log says that offers were impossible under the arm that served them: the arm's own propensity counts."""
    engine = open_engine()
    decided(engine, 40)
    alter(path, "UPDATE decision_arms SET mixture = '[[0.7,0.3],[0.0,0.5],[-1,0]]' WHERE arm = 'rules'")
    again = decided(engine, 40)
    assert (again.propensity > 0.0).all()
    assert (again.arm == decided(engine, 40).arm).all()


def test_a_policy_that_fails_to_learn_keeps_neither_the_others_nor_the_guardrails_from_it(
    spring, open_engine, monkeypatch
):
    """All of 200 decisions have the event, which one in a hundred may have: broken, whatever a policy does."""
    guarded = with_rollout(spring, mode="full", exploration=0.0, guardrails=[{"event": "unsubscribe", "at_most": 0.01}])
    one, two = (bandit.ThompsonSampling(guarded, name=name) for name in ("one", "two"))
    path = open_engine(two).store.path
    with bandit.Engine.open(path, guarded, two, customer_key=KEY) as other:
        challenger = other.policy_id
    with bandit.Engine.open(path, guarded, one, seed=1, customer_key=KEY) as engine:
        engine.rollout.challenge(challenger, 0.5, champion=engine.policy_id, author=WHO)
        made = decided(engine, 200)
        engine.record_batch(made.decision_ids, "unsubscribe")
        engine.record_batch(made.decision_ids, "closed")
        workers = engine._rollout.workers

        def fails(moment, progress):
            raise RuntimeError("the model broke")

        for policy_id in (engine.policy_id, challenger):
            with monkeypatch.context() as patch:
                patch.setattr(workers[policy_id], "learn", fails)
                with pytest.raises(RuntimeError, match="the model broke"):
                    engine.learn()
            assert engine.rollout.state.halted == "guardrail"
        assert engine.store.ledger.latest_step(engine.policy_id) == 1
        assert engine.store.ledger.latest_step(challenger) == 1


def test_a_live_policy_that_cannot_be_built_any_more_is_named_and_can_be_taken_out(open_engine, path, catalogue):
    engine = open_engine()
    rival = open_engine(bandit.ThompsonSampling(catalogue, draws=16)).policy_id
    engine.rollout.challenge(rival, 0.4, champion=engine.policy_id, author=WHO)
    assert rival == 2
    alter(path, 'UPDATE policies SET spec = \'{"kind": "gone"}\' WHERE id = 2')
    with pytest.raises(StoreError, match=f"policy {rival} is live and cannot be built .* --share 0"):
        open_engine()
    with Store.open(path, customer_key=KEY) as store:
        RolloutControl(store, catalogue).challenge(rival, 0.0, author=WHO)
    assert set(decided(open_engine(), 20).arm) == {"policy", "rules"}

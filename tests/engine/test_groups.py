"""Groups in the engine: routing, exact propensities, the caller's own assignment, teaching, verify and rebuild."""

import numpy as np
import pytest
from scipy.stats import chi2

import bandit
from bandit.engine import EngineOptions
from bandit.errors import InputError
from bandit.store import Where
from bandit.store.spool.file import spools
from tests.catalogue.test_groups import NOTHING, RULES, with_groups
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, context, serve
from tests.governance.test_verify import alter
from tests.policies.test_many_offers import large

EVEN = {
    "policy": 0.4,
    "rules": {"share": 0.2, **RULES, "exploration": 0.3},
    "random": 0.2,
    "holdout": 0.2,
}


@pytest.fixture
def catalogue(spring):
    return with_groups(spring, **EVEN)


@pytest.fixture
def plain():
    return bandit.Catalogue.from_dict(SPRING)


def names(n):
    return [f"customer-{row}" for row in range(n)]


def contexts(n):
    return [context(row) for row in range(n)]


class TestRouting:
    @pytest.mark.parametrize("key", [KEY, None])
    def test_a_customer_stays_in_the_group_of_its_stored_key(self, open_engine, catalogue, key, recwarn):
        """Under a keyed hash or in the clear, one by one or as a batch."""
        engine = open_engine(customer_key=key)
        batch = engine.decide_batch(names(60), contexts(60))
        stored = engine.store.customers.all_stored(names(60))
        assert (stored == names(60)) == (key is None)
        assert batch.group.tolist() == [catalogue.groups.name_of(each) for each in stored]
        assert set(batch.group) == set(catalogue.groups.names)
        for row, name in enumerate(names(60)):
            one = engine.decide(name, context(row))
            assert (one.group, engine.group_of(name)) == (batch.group[row],) * 2
        logged = engine.store.decisions.page("purchase", 7 * DAY)
        assert logged.group.tolist() == batch.group.tolist() * 2

    def test_a_batch_is_as_one_by_one(self, open_engine, catalogue):
        """The same groups, eligible offers and, with a policy that has learned, the same probabilities: exactly for
        the groups that draw no weights, and for the policy as near as two of its sets of 64 draws are."""
        engine = open_engine(bandit.Uniform(catalogue), keep_probabilities=True)
        batch = engine.decide_batch(names(200), contexts(200))
        for row, name in enumerate(names(200)):
            one = engine.decide(name, context(row))
            assert one.group == batch.group[row]
            assert np.array_equal(one.eligible, batch.eligible[row])
            assert np.array_equal(one.probabilities, batch.probabilities[row])
            assert batch.propensity[row] == batch.probabilities[row][batch.offer_index[row]]

    def test_customers_of_the_policy_are_served_as_without_groups(self, tmp_path, catalogue, plain, clock):
        """The same ids and seed: the same draw, to the last bit."""
        served = []
        for place, known in enumerate((catalogue, plain)):
            policy = bandit.ThompsonSampling(known)
            with bandit.Engine.open(
                tmp_path / f"{place}.db", known, policy, seed=7, customer_key=KEY, clock=clock
            ) as engine:
                served.append([engine.decide(n, context(3), decision_id=f"d-{n}") for n in names(40)])
        pairs = [(one, other) for one, other in zip(*served, strict=True) if one.group == "policy"]
        assert 5 < len(pairs) < 40
        assert all((a.offer_index, a.propensity) == (b.offer_index, b.propensity) for a, b in pairs)
        assert {other.group for other in served[1]} == {"policy"}

    def test_propensities_are_the_frequencies_of_what_is_served(self, open_engine, catalogue):
        """20,000 decisions for one loyal context: in each group the offers come as often as the logged vectors say,
        a chi-square of (offers - 1) degrees a group at 1e-4. The control is each group's count against the policy's
        and the rules' vectors exchanged."""
        engine = open_engine(keep_probabilities=True)
        batch = engine.decide_batch(names(20_000), [{"gender": "f", "recency": 3.0, "loyal": True}] * 20_000)
        assert np.array_equal(batch.propensity, batch.probabilities[np.arange(20_000), batch.offer_index])
        assert batch.fault is None

        def statistic(rows, vectors):
            expected = vectors.sum(axis=0)
            counts = np.bincount(batch.offer_index[rows], minlength=catalogue.n_offers)
            possible = expected > 0
            assert counts[~possible].sum() == 0
            return (((counts - expected)[possible] ** 2) / expected[possible]).sum(), possible.sum() - 1

        by_group = {name: np.flatnonzero(batch.group == name) for name in catalogue.groups.names}
        for name, rows in by_group.items():
            found, degrees = statistic(rows, batch.probabilities[rows])
            assert found <= (0.0 if name == "holdout" else chi2.isf(1e-4, degrees)), name
        assert (batch.propensity[by_group["holdout"]] == 1.0).all()
        assert (batch.propensity[by_group["random"]] == 1 / catalogue.n_offers).all()
        assert set(batch.propensity[by_group["rules"]].round(9)) == {0.73, 0.03}  # .7 + .3 / 10, and .3 / 10
        rules = by_group["rules"]
        found, degrees = statistic(rules, batch.probabilities[by_group["random"]][: len(rules)])
        assert found > chi2.isf(1e-4, degrees)

    def test_a_rule_of_the_catalogue_holds_in_every_group(self, open_engine, catalogue):
        """No tote for those who are not loyal."""
        engine = open_engine()
        batch = engine.decide_batch(names(400), [{"gender": "f", "recency": 3.0, "loyal": False}] * 400)
        assert set(batch.offers["gift"]) == {"none"}
        assert (batch.propensity[batch.group == "random"] == 1 / 6).all()  # 3 discounts x 2 channels

    @pytest.mark.slow
    def test_many_offers_are_served_to_every_group(self, tmp_path, clock):
        """8,750 offers, for which the policy searches: single decisions and batches, verified after learning."""
        mapping = large()
        nothing = mapping["fallback"]
        groups = {**EVEN, "rules": {"share": 0.2, "otherwise": nothing, "exploration": 0.3}}
        catalogue = bandit.Catalogue.from_dict(mapping | {"groups": groups})
        policy = bandit.ThompsonSampling(catalogue, pairs=False)
        with bandit.Engine.open(tmp_path / "o.db", catalogue, policy, seed=7, customer_key=KEY, clock=clock) as engine:
            for _ in range(2):
                batch = engine.decide_batch(names(40), [{"loyal": True}] * 40)
                assert batch.fault is None
                assert set(batch.propensity[batch.group == "random"]) == {1 / 8_750}
                assert set(batch.propensity[batch.group == "holdout"]) == {1.0}
                rules = engine.decide("c", {"loyal": True}, group="rules")
                assert rules.probabilities[catalogue.fallback] == pytest.approx(0.7 + 0.3 / 8_750)
                assert engine.decide("c", {"loyal": True}, group="random").propensity == 1 / 8_750
                clock.now += 8 * DAY
                engine.learn()
            verified = engine.verify()
            assert (verified.problems, verified.n_recomputed) == ((), 84)

    def test_an_empty_batch_has_an_empty_column_of_groups(self, open_engine):
        assert open_engine().decide_batch([], []).group.tolist() == []


class TestCallersAssignment:
    def test_a_call_may_name_another_group(self, open_engine, catalogue):
        engine = open_engine()
        for name in catalogue.groups.names:
            decision = engine.decide("customer-1", context(0), group=name)
            assert decision.group == name
        assert decision.propensity == 1.0  # the holdout
        batch = engine.decide_batch(names(3), contexts(3), group=["random", "rules", "holdout"])
        assert batch.group.tolist() == ["random", "rules", "holdout"]
        assert engine.decide_batch(names(3), contexts(3), group="random").group.tolist() == ["random"] * 3
        assert engine.verify().problems == ()

    def test_an_engine_may_serve_one_group_only(self, open_engine):
        engine = open_engine(group="random")
        assert engine.group == engine.group_of("anybody") == "random"
        assert set(engine.decide_batch(names(50), contexts(50)).group) == {"random"}
        assert engine.decide("customer-1", context(0)).group == "random"
        assert engine.verify().problems == ()

    def test_a_retried_request_keeps_its_group(self, open_engine):
        engine = open_engine()
        first = engine.decide("c", context(0), decision_id="once", group="holdout")
        again = engine.decide("c", context(0), decision_id="once", group="random")
        assert (again.group, again.offer_index, again.propensity) == ("holdout", first.offer_index, 1.0)

    @pytest.mark.parametrize(
        "group", [5, True, 0.5, object(), np.array("policy"), {"policy"}], ids=lambda value: type(value).__name__
    )
    def test_groups_of_a_batch_that_are_no_column_are_refused(self, open_engine, group):
        engine = open_engine()
        with pytest.raises(InputError, match="groups are one text for all decisions or one each; seen "):
            engine.decide_batch(["anna"], [context(0)], group=group)
        assert engine.store.counts().decisions == 0

    def test_a_group_that_is_not_declared_is_refused_and_nothing_is_written(self, open_engine, path):
        engine = open_engine()
        sentence = 'declares no group "control"; its groups are policy, rules, random, holdout'
        for call in (
            lambda: engine.decide("c", context(0), group="control"),
            lambda: engine.decide_batch(names(2), contexts(2), group="control"),
            lambda: engine.decide_batch(names(2), contexts(2), group=["policy", "control"]),
        ):
            with pytest.raises(InputError, match=sentence):
                call()
        with pytest.raises(InputError, match="3 groups for 2 contexts"):
            engine.decide_batch(names(2), contexts(2), group=["policy"] * 3)
        with pytest.raises(InputError, match="a group is a text that is not empty; seen 7"):
            engine.decide_batch(names(2), contexts(2), group=["policy", 7])
        with pytest.raises(InputError, match="a group is a text"):
            engine.decide("c", context(0), group="")
        assert engine.store.counts().decisions == 0
        with pytest.raises(InputError, match=sentence):
            open_engine(group="control")

    def test_without_declared_groups_any_label_is_logged_and_serves_nothing_else(self, tmp_path, plain):
        with bandit.Engine.open(tmp_path / "o.db", plain, bandit.Uniform(plain), customer_key=KEY) as engine:
            assert engine.group == "policy"
            assert engine.decide("c", context(0)).group == "policy"
            assert engine.decide("c", context(0), group="random").propensity == 1 / 10
            assert engine.decide("c", context(1), group="any label").propensity == 1 / 6
            assert engine.decide_batch(names(2), contexts(2)).group == "policy"
            assert engine.decide_batch(names(2), contexts(2), group="pilot").group == "pilot"
            assert engine.decide_batch(names(2), contexts(2), group=["a", "b"]).group.tolist() == ["a", "b"]
            logged = engine.store.decisions.page("purchase", 7 * DAY).group.tolist()
            assert logged == ["policy", "random", "any label", "policy", "policy", "pilot", "pilot", "a", "b"]
            assert engine.verify().problems == ()
        assert EngineOptions().group is None


class Failing(bandit.Uniform):
    """Has no answer."""

    def probabilities(self, contexts, eligible, rng):
        raise RuntimeError("no answer")


class TestFaults:
    def test_a_policy_that_fails_does_not_touch_the_other_groups(self, open_engine, catalogue):
        engine = open_engine(Failing(catalogue))
        assert engine.decide("c", context(0), group="policy").fault == "RuntimeError: no answer"
        for name in ("rules", "random", "holdout"):
            assert engine.decide("c", context(0), group=name).fault is None
        batch = engine.decide_batch(names(2), contexts(2), group=["policy", "random"])
        assert batch.fault == "RuntimeError: no answer"
        assert batch.offer_index.tolist() == [catalogue.fallback] * 2

    def test_a_state_that_is_lost_does_not_touch_the_other_groups(self, open_engine, path):
        open_engine().close()
        alter(path, "UPDATE snapshots SET state = x'00'")
        engine = open_engine()
        assert "is not the one that was written" in engine.decide("c", context(0), group="policy").fault
        assert engine.decide("c", context(0), group="random").fault is None
        assert engine.decide("c", context(0), group="rules").fault is None

    def test_a_batch_that_waited_in_the_spool_keeps_its_groups(self, open_engine, catalogue, locked, path, monkeypatch):
        monkeypatch.setattr("bandit.store.spool.writer.RETRY", 0.0)
        engine = open_engine(busy_timeout=0.02)
        free = locked()
        batch = engine.decide_batch(names(30), contexts(30))
        assert "locked" in batch.fault
        assert (batch.offer_index == catalogue.fallback).all()
        assert len(set(batch.group)) == 4
        again = engine.decide(names(1)[0], context(0), decision_id=batch.decision_ids[0])
        assert again.group == batch.group[0]
        free()
        engine.decide("c", context(0))
        assert spools(path) == []
        logged = engine.store.decisions.page("purchase", 7 * DAY)
        groups = dict(zip(logged.decision_id, logged.group, strict=True))
        assert [groups[each] for each in batch.decision_ids] == batch.group.tolist()
        assert len(groups) == 31


def campaign(engine, clock, rounds=3):
    """Decisions of 40 customers, in batches and one by one, learned between."""
    rng = np.random.default_rng(5)
    for number in range(rounds):
        serve(engine, clock, 120, rng, prefix=f"{number}-")
        for row in range(10):
            engine.decide(f"customer-{row}", context(row))
        clock.now += 8 * DAY
        engine.learn()


class TestLearning:
    @pytest.mark.parametrize("kind", ["thompson", "vw", "rules"])
    def test_verify_and_rebuild_are_clean(self, open_engine, clock, catalogue, kind):
        """Thompson sampling learns each customer's own effects too: the 40 customers return in every round."""
        policy = {
            "thompson": lambda: bandit.ThompsonSampling(catalogue),
            "vw": lambda: bandit.VowpalWabbit(catalogue),
            "rules": lambda: bandit.SegmentRules.from_dict(catalogue, {"otherwise": NOTHING}),
        }[kind]()
        engine = open_engine(policy)
        campaign(engine, clock)
        verified = engine.verify()
        assert verified.problems == ()
        assert verified.n_recomputed == verified.n_decisions == 390
        assert engine.rebuild().same
        engine.close()
        assert open_engine().step >= 0

    def test_verify_finds_a_group_that_was_altered(self, open_engine, clock, path):
        """The negative control: another declared group has another propensity; one that is not declared is named."""
        engine = open_engine()
        batch = engine.decide_batch(names(40), contexts(40), decision_ids=[f"d{row}" for row in range(40)])
        held = [batch.decision_ids[row] for row in np.flatnonzero(batch.group == "holdout")[:2]]
        engine.close()
        alter(path, f"UPDATE decisions SET grp = 'random' WHERE decision_id = '{held[0]}'")  # noqa: S608 - our own ids
        alter(path, f"UPDATE decisions SET grp = 'control' WHERE decision_id = '{held[1]}'")  # noqa: S608 - our own ids
        problems = open_engine().verify().problems
        assert any(f'"{held[0]}": computed again, the propensity is another' in each for each in problems)
        assert any(f'"{held[1]}": its group "control" is not one' in each for each in problems)

    def test_every_group_teaches(self, open_engine, clock):
        engine = open_engine()
        serve(engine, clock, 200, np.random.default_rng(1))
        clock.now += 8 * DAY
        assert engine.learn().n == 200

    @pytest.mark.parametrize("teach", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_groups_that_do_not_teach_are_never_learned(self, tmp_path, spring, clock, teach):
        """The state is, byte for byte, that of a log in which the policy's own customers are alone. The control is a
        catalogue whose groups all teach, of which it is not. Decided one by one, since a batch shares one generator;
        each customer comes five times, so that its own effects are learned too."""
        known = with_groups(spring, **EVEN, teach=teach)
        began, states, learned, own = clock.now, [], [], []
        for place, alone in enumerate((False, True)):
            clock.now = began
            policy = bandit.ThompsonSampling(known)
            with bandit.Engine.open(
                tmp_path / f"{place}.db", known, policy, seed=7, customer_key=KEY, clock=clock, durability="process"
            ) as engine:
                rows = [row for row in range(400) if not alone or engine.group_of(f"customer-{row % 80}") == "policy"]
                for row in rows:
                    engine.decide(f"customer-{row % 80}", context(row), decision_id=f"d{row}", time=began + row)
                bought = [f"d{row}" for row in rows if row % 3 == 0]
                clock.now += DAY
                engine.record_batch(bought, "purchase", revenue=np.full(len(bought), 40.0))
                clock.now += 8 * DAY
                report = engine.learn()
                assert report.n_skipped == engine.learn().n == 0
                assert engine.verify().problems == ()
                assert engine.rebuild().same
                learned.append(report.n)
                own.append(engine.store.decisions.page("purchase", DAY).group.tolist().count("policy"))
                states.append(engine.policy.dumps())
        assert own[0] == own[1] == learned[1] < 300
        assert learned[0] == (400 if teach else own[0])
        assert (states[0] == states[1]) is not teach

    def test_a_list_names_the_groups_that_teach(self, tmp_path, spring, clock):
        """Also past the 2,048 outcomes of a step, and with a return that comes later for a group that does not."""
        some = with_groups(spring, **EVEN, teach=["policy", "random"])
        with bandit.Engine.open(
            tmp_path / "o.db", some, bandit.ThompsonSampling(some), seed=7, customer_key=KEY, clock=clock,
            durability="process",
        ) as engine:  # fmt: skip
            batch = engine.decide_batch(names(6_000), contexts(6_000))
            taught = int(np.isin(batch.group, ["policy", "random"]).sum())
            held = [batch.decision_ids[row] for row in np.flatnonzero(batch.group == "holdout")]
            engine.record_batch(held, "purchase", revenue=np.full(len(held), 20.0))
            clock.now += 8 * DAY
            assert engine.learn().n == taught > 2_048
            with pytest.warns(UserWarning, match="after the window of 7 days, so the sale stands"):
                engine.record_batch(held, "return", revenue=np.full(len(held), -20.0))
            assert engine.learn().n == 0
            steps = engine.store.ledger.steps(engine.policy_id)
            assert sum(step.n for step in steps) == taught
            assert engine.rebuild().same

    def test_labels_that_are_not_declared_teach(self, tmp_path, spring, plain, clock):
        """Decisions of an earlier catalogue, without groups."""
        quiet = with_groups(spring, **EVEN, teach=False)
        settings = {"seed": 7, "customer_key": KEY, "clock": clock}
        with bandit.Engine.open(tmp_path / "o.db", plain, bandit.Uniform(plain), **settings) as engine:
            engine.decide_batch(names(30), contexts(30), group="pilot")
        with bandit.Engine.open(tmp_path / "o.db", quiet, bandit.ThompsonSampling(quiet), **settings) as engine:
            engine.decide_batch(names(30), contexts(30), group="random")
            clock.now += 8 * DAY
            assert engine.learn().n == 30
            assert engine.verify().problems == ()

    def test_another_salt_deals_anew_and_keeps_what_was_learned(self, tmp_path, spring, clock):
        settings = {"seed": 7, "customer_key": KEY, "clock": clock}
        dealt = []
        for salt in ("2026-spring", "2026-autumn"):
            known = with_groups(spring, **EVEN, salt=salt)
            with bandit.Engine.open(tmp_path / "o.db", known, bandit.ThompsonSampling(known), **settings) as engine:
                dealt.append(engine.decide_batch(names(200), contexts(200)).group)
                clock.now += 8 * DAY
                assert engine.learn().n == 200
                assert engine.status().carried is None or engine.status().carried["outcomes"] == 200
                assert engine.verify().problems == ()
        assert 0.2 < (dealt[0] == dealt[1]).mean() < 0.36  # .4^2 + 3 x .2^2 = .28, sd .032


def test_the_sample_ratio_check_reads_the_groups(open_engine, catalogue):
    """The customers of 4,000 decisions by group, against the declared shares: no mismatch; the control says 60 %."""
    from bandit.evaluate.diagnostics.groups import sample_ratio  # noqa: PLC0415 - only this test needs it

    engine = open_engine()
    engine.decide_batch(names(4_000), contexts(4_000))
    counts, several = engine.store.decisions.customers_by_group(Where())
    shares = dict(zip(catalogue.groups.names, catalogue.groups.shares, strict=True))
    assert sample_ratio(counts, shares, several).severity is None
    assert sample_ratio(counts, shares | {"policy": 0.6, "rules": 0.0001}, several).severity == "fatal"

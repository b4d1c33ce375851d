"""What a roll-out has shown: agreement and value in shadow by hand, and the arms since the assignment last changed."""

import sqlite3

import numpy as np
import pytest

import bandit
from bandit.evaluate.rollout_report import rollout_report
from bandit.store import Store
from tests.catalogue.test_groups import RULES
from tests.conftest import SPRING
from tests.engine.conftest import DAY, KEY, Clock

WHO = "a tester"


def catalogue_with(mode="shadow", exploration=0.5, objective=(), **more):
    rollout = {"mode": mode, "rules": RULES | {"exploration": exploration}, **more}
    objective = {"kind": "revenue", "window": "7d", **dict(objective)}
    return bandit.Catalogue.from_dict(SPRING | {"objective": objective, "rollout": rollout})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    """A function that opens an engine of a uniform policy on a catalogue."""
    engines = []

    def open_(catalogue, policy=None, **settings):
        options = {"seed": 3, "customer_key": KEY, "clock": clock, "durability": "process", **settings}
        engine = bandit.Engine.open(tmp_path / "offers.db", catalogue, policy or bandit.Uniform(catalogue), **options)
        engines.append(engine)
        return engine

    yield open_
    for engine in engines:
        engine.close()


def contexts(rows):
    return {
        "gender": ["fm"[row % 2] for row in rows],
        "recency": [1.0] * len(rows),
        "loyal": [row % 3 == 0 for row in rows],
    }


def visit(engine, n, first=0, *, value=lambda offer: 10.0 * (offer[0] == "20")):
    """n customers decide once each; what they get is worth `value` of it."""
    names = [f"customer-{row}" for row in range(first, first + n)]
    rows = range(first, first + n)
    contexts = {
        "gender": ["fm"[row % 2] for row in rows],
        "recency": [1.0] * n,
        "loyal": [row % 3 == 0 for row in rows],
    }
    batch = engine.decide_batch(names, contexts)
    offers = np.array([list(each) for each in zip(*batch.offers.values(), strict=True)], dtype=object)
    earned = np.array([value(offer) for offer in offers])
    bought = np.flatnonzero(earned)
    engine.record_batch([batch.decision_ids[row] for row in bought], "purchase", revenue=earned[bought])
    return batch, earned


def report(engine, clock, days=30, **options):
    with Store.open(engine.store.path, customer_key=KEY, read_only=True) as store:
        return rollout_report(store, engine.catalogue, now=clock.now + days * DAY, **options)


def stored(engine):
    """(offer, propensity, policy's probability, shadow offer) of every decision under the roll-out, from the tables."""
    raw = sqlite3.connect(engine.store.path)
    rows = raw.execute(
        "SELECT d.offer, d.propensity, json_extract(a.mixture, '$[1][1]'), a.shadow_offer "
        "FROM decision_arms a JOIN decisions d ON d.seq = a.seq ORDER BY d.seq"
    ).fetchall()
    raw.close()
    return (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))


class TestShadow:
    @pytest.mark.parametrize("page_size", [7, 16_384])
    def test_agreement_and_value_are_those_by_hand(self, opened, clock, page_size):
        """Agreement: equal offers. Expected: the mean of the policy's probabilities. Value: sum(w r) / sum(w)."""
        engine = opened(catalogue_with())
        _, earned = visit(engine, 300)
        offer, propensity, target, shadow = stored(engine)
        found = report(engine, clock, page_size=page_size).shadow
        assert (found.decisions, found.customers, found.settled, found.without_choice) == (300, 300, 300, 0)
        assert found.served == "rules"
        assert found.agreed == (shadow == offer).sum()
        assert found.expected == pytest.approx(target.mean())
        weight = target / propensity
        assert found.value.value == pytest.approx((weight * earned).sum() / weight.sum())
        assert found.served_value.value == pytest.approx(earned.mean())
        assert found.difference.value == pytest.approx(found.value.value - earned.mean())
        assert found.unsupported == 0.0

    def test_the_observed_agreement_is_the_one_that_the_probabilities_say(self, opened, clock):
        """Within four standard errors, by 2,000 decisions; a wrong expectation, twice as large, is not."""
        engine = opened(catalogue_with())
        visit(engine, 2_000)
        found = report(engine, clock).shadow
        assert abs(found.agreement - found.expected) < 4 * found.expected_error
        assert abs(found.agreement - 2 * found.expected) > 4 * found.expected_error

    def test_a_better_policy_is_found_in_the_rules_traffic(self, opened, clock):
        """Uniform choice gives the discount of 20 % more often than rules that name it never and explore by half. The
        truth is the mean over contexts of its probability; at 99.999 %, one run in 100,000 misses it. Where every
        offer is worth the same (below), no difference is found."""
        engine = opened(catalogue_with())
        batch, earned = visit(engine, 3_000)
        found = report(engine, clock, level=0.99999).shadow
        discounts = np.isin(np.arange(engine.catalogue.n_offers), np.flatnonzero(engine.catalogue.options[:, 0] == 2))
        truth = 10.0 * (batch.eligible & discounts).sum(axis=1) / batch.eligible.sum(axis=1)
        assert found.value.low < truth.mean() < found.value.high
        assert truth.mean() > 1.5 * earned.mean()
        assert found.verdict == "better"
        assert "at every look" in found.reason

    def test_where_every_offer_is_worth_the_same_no_difference_is_found(self, opened, clock):
        engine = opened(catalogue_with())
        rng = np.random.default_rng(5)
        visit(engine, 2_000, value=lambda _: 10.0 * (rng.random() < 0.3))
        assert report(engine, clock).shadow.verdict == "no difference found"

    def test_rules_without_chance_cannot_tell_and_say_how_much_is_missing(self, opened, clock):
        """The weights are the policy's probabilities of the rules' offers; 1 less their mean is out of reach."""
        engine = opened(catalogue_with(exploration=0.0))
        visit(engine, 400)
        _, propensity, target, _ = stored(engine)
        assert (propensity == 1.0).all()
        found = report(engine, clock).shadow
        assert found.unsupported == pytest.approx(1.0 - target.mean())
        assert found.verdict == "cannot tell"
        assert "of the policy's probability is on offers that the rules never served to such customers" in found.reason
        assert "exploration = 0.1" in found.reason

    def test_without_outcomes_the_agreement_is_still_told(self, opened, clock):
        engine = opened(catalogue_with())
        visit(engine, 50)
        found = report(engine, clock, days=0).shadow
        assert (found.decisions, found.settled, found.value) == (50, 0, None)
        assert found.reason == "cannot tell: no decision in shadow has its outcome yet"

    def test_only_the_newest_time_in_shadow_counts(self, opened, clock):
        """Shadow, ramp, shadow again: the last 40; a kill in between does not begin a new time."""
        engine = opened(catalogue_with())
        visit(engine, 100)
        engine.rollout.set_mode("ramp", 0.5, author=WHO)
        visit(engine, 30, 100)
        engine.rollout.set_mode("shadow", author=WHO)
        visit(engine, 15, 200)
        engine.rollout.kill(author=WHO)
        visit(engine, 7, 300)
        engine.rollout.resume(author=WHO)
        visit(engine, 25, 400)
        found = report(engine, clock).shadow
        assert found.decisions == 40
        assert [each.action for each in found.changes] == ["set", "resume"]


class TestArms:
    def test_the_arms_are_compared_by_hand(self, opened, clock):
        engine = opened(catalogue_with("ramp", share=0.4))
        batch, earned = visit(engine, 500)
        policy = batch.arm == "policy"
        found = report(engine, clock)
        assert found.shadow is None
        groups = {each.name: each for each in found.arms.lift.groups}
        assert list(groups) == ["rules", "policy"]
        assert groups["policy"].decisions == policy.sum()
        assert groups["policy"].customers == policy.sum()
        assert groups["policy"].earning == (earned[policy] > 0).sum()
        row = found.arms.lift.row("policy", "rules", unit="decision")
        assert row.once.value == pytest.approx(earned[policy].mean() - earned[~policy].mean())
        assert found.arms.sample_ratio.severity is None
        assert (found.arms.still_open, found.arms.left_out, found.arms.several) == (0, 0, 0)

    def test_they_are_compared_since_the_assignment_last_changed(self, opened, clock):
        """100 under a ramp of 0.3, then 40 and, after a kill, 25 more under one of 0.6: 65, not the 7 of the kill."""
        engine = opened(catalogue_with("ramp", share=0.3))
        visit(engine, 100)
        engine.rollout.set_mode("ramp", 0.6, author=WHO)
        visit(engine, 40, 100)
        engine.rollout.kill(author=WHO)
        visit(engine, 7, 200)
        engine.rollout.resume(author=WHO)
        visit(engine, 25, 300)
        found = report(engine, clock).arms
        assert sum(each.decisions for each in found.lift.groups) == 65
        assert [each.state.share for each in found.changes] == [0.6, 0.6]
        engine.rollout.promote(author=WHO)
        visit(engine, 10, 400)
        assert report(engine, clock).arms.lift.to_dict() == found.lift.to_dict()

    def test_a_challenger_is_compared_with_the_champion(self, opened, clock):
        catalogue = catalogue_with("full")
        rival = bandit.ThompsonSampling(catalogue, name="rival")
        opened(catalogue, rival).close()
        engine = opened(catalogue)
        engine.rollout.challenge(1, 0.3, champion=2, author=WHO)
        batch, _ = visit(engine, 400)
        lift = report(engine, clock).arms.lift
        assert {each.name: each.decisions for each in lift.groups} == {
            "policy": (batch.arm == "policy").sum(), "challenger:1": (batch.arm == "challenger:1").sum(),
        }  # fmt: skip
        assert [(row.group, row.baseline) for row in lift.verdicts] == [("challenger:1", "policy")]

    def test_a_wrong_share_is_a_mismatch(self, opened, clock):
        """Only customers of the policy come: the sizes do not fit, so nothing can be told."""
        engine = opened(catalogue_with("ramp", share=0.5))
        names = [f"customer-{row}" for row in range(400)]
        arms = engine.rollout.state.assign(engine.store.customers.all_stored(names))
        chosen = [name for name, arm in zip(names, arms, strict=True) if arm == 1]
        chosen += [name for name, arm in zip(names, arms, strict=True) if arm == 0][:60]
        engine.decide_batch(
            chosen, {"gender": ["f"] * len(chosen), "recency": [1.0] * len(chosen), "loyal": [True] * len(chosen)}
        )
        found = report(engine, clock).arms
        assert found.sample_ratio.severity == "fatal"
        assert {row.verdict for row in found.lift.verdicts} == {"cannot tell"}

    def test_what_was_never_activated_is_no_outcome(self, opened, clock):
        """Every second decision is shown: 30 of 60 count, in the arms and in shadow."""
        engine = opened(catalogue_with("ramp", share=0.5, objective={"activation": "shown"}))
        batch, _ = visit(engine, 60)
        engine.record_batch(batch.decision_ids[::2], "shown")
        found = report(engine, clock).arms
        assert sum(each.decisions for each in found.lift.groups) == 30
        assert (found.not_activated, found.left_out) == (30, 0)
        engine.rollout.set_mode("shadow", author=WHO)
        batch, _ = visit(engine, 40, 100)
        engine.record_batch(batch.decision_ids[:10], "shown")
        shadow = report(engine, clock).shadow
        assert (shadow.decisions, shadow.settled) == (40, 10)

    def test_open_decisions_wait(self, opened, clock):
        engine = opened(catalogue_with("ramp", share=0.5))
        visit(engine, 60)
        found = report(engine, clock, days=0)
        assert (found.arms, found.waiting) == (None, 60)

    def test_without_a_roll_out_there_is_nothing(self, opened, clock, catalogue):
        engine = opened(catalogue)
        visit(engine, 5)
        found = report(engine, clock)
        assert (found.shadow, found.arms, found.waiting) == (None, None, 0)

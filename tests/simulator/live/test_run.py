"""A live campaign: shares as asked, the truth of the decisions that lift compares, the same output again."""

from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.evaluate.lift_log import lift_of
from bandit.governance.verify import verify
from bandit.policies import SegmentRules
from bandit.store import Store
from simulator.live.command import live_results
from simulator.live.plan import WEEK, LivePlan, LiveWorld, draw_population, with_catalogue, with_groups
from simulator.live.report import live_parts
from simulator.live.run import write_pilot
from simulator.live.side_events import SideEvent
from simulator.live.truth import fixed_values
from simulator.market.season import DAY

pytestmark = pytest.mark.slow

SHARES = {"policy": 0.6, "rules": 0.2, "random": 0.1, "holdout": 0.1}
PLAN = LivePlan(
    scenario="tiny",
    customers=800,
    visits=600,
    weeks=3,
    looks=(2, 3),
    pilot=500,
    seed=5,
    side_events=(SideEvent("unsubscribe", 0.05),),
)
KEY = b"a key for our tests"


def world_of(plan, shares=SHARES):
    population = draw_population(plan)
    return population, LiveWorld.of(plan, population, with_groups(population, shares, "a salt", plan.side_events))


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """The database of one campaign, its world and its results."""
    path = tmp_path_factory.mktemp("live") / "live.db"
    population, world = world_of(PLAN)
    write_pilot(path, PLAN, population, KEY)
    return path, world, live_results(path, world, bandit.ThompsonSampling(world.catalogue), KEY)


def test_the_groups_have_the_shares_that_were_asked_for(campaign):
    """800 customers, those who came: within four deviations sqrt(n share (1 - share))."""
    path, world, found = campaign
    groups = found.looks[-1].report.lift.groups
    n = sum(each.customers for each in groups)
    assert [each.name for each in groups] == list(SHARES)
    for each in groups:
        share = SHARES[each.name]
        assert abs(each.customers - share * n) < 4 * np.sqrt(n * share * (1 - share))
    with Store.open(path, customer_key=KEY, read_only=True) as store:
        rows = store.decisions.page("purchase", world.catalogue.objective.window)
        live = rows.group != "pilot"
        assert rows.group[live].tolist() == [world.catalogue.groups.name_of(key) for key in rows.customer[live]]
        assert (~live).sum() == PLAN.pilot


def test_a_look_has_what_lift_says_at_that_time_and_the_truth_of_the_same_decisions(campaign):
    """The tiny market's window is three days: the decisions that are older count, all of them."""
    path, world, found = campaign
    assert world.catalogue.objective.window == 3 * DAY
    for look in found.looks:
        n = int((world.visits.times < look.now - 3 * DAY).sum())
        assert look.now == PLAN.start + look.weeks * WEEK
        assert sum(each.decisions for each in look.report.lift.groups) == n
        assert look.report.other_assignment == PLAN.pilot
        assert look.report.several == 0
    # The truth again, from the log: which offer each settled decision was served.
    with Store.open(path, customer_key=KEY, read_only=True) as store:
        rows = store.decisions.page("purchase", world.catalogue.objective.window)
        log = {
            name: (offer, group) for name, offer, group in zip(rows.decision_id, rows.offer, rows.group, strict=True)
        }
        last = found.looks[-1]
        served = [log[f"live-{row}"] for row in range(n)]
        offers = np.array([offer for offer, _ in served])
        expected = world.population.expected_value(world.visits.customers[:n], time=world.visits.times[:n])
        values = expected[np.arange(n), offers]
        for name, value in last.values.items():
            assert value == pytest.approx(values[[group == name for _, group in served]].mean(), abs=1e-12)


def test_a_look_is_what_lift_of_the_finished_log_says_for_that_time(campaign):
    """What counts at the first look had ended by then, so that nothing recorded later changes it.

    Means are equal to the last bit, weights up to rounding: probabilities are computed for other numbers of rows.
    """
    path, world, found = campaign
    with Store.open(path, customer_key=KEY, read_only=True) as store:
        later = lift_of(store, world.catalogue, now=found.looks[0].now)
    for group, before in zip(later.lift.groups, found.looks[0].report.lift.groups, strict=True):
        assert group.values["means"] == before.values["means"]
        for unit, value in group.values["balanced"].items():
            assert value.value == pytest.approx(before.values["balanced"][unit].value, rel=1e-9)
            assert value.standard_error == pytest.approx(before.values["balanced"][unit].standard_error, rel=1e-9)


def test_the_database_verifies_and_rebuilds_and_has_every_outcome(campaign):
    path, world, _ = campaign
    n_live = PLAN.weeks * PLAN.visits
    n = PLAN.pilot + n_live
    with Store.open(path, customer_key=KEY) as store:
        verified = verify(store)
        assert (verified.n_decisions, verified.n_recomputed, verified.problems) == (n, n, ())
        unsubscribed = store.decisions.page("unsubscribe", world.catalogue.objective.window)
    happened = unsubscribed.converted[unsubscribed.group != "pilot"].sum()
    assert unsubscribed.converted.sum() == happened
    assert abs(happened - 0.05 * n_live) < 4 * np.sqrt(0.05 * 0.95 * n_live)
    with bandit.Engine.resume(path, customer_key=KEY) as engine:
        assert engine.rebuild().same
        report = lift_of(engine.store, world.catalogue, now=PLAN.end + world.catalogue.objective.window)
    assert report.still_open == 0
    assert sum(each.decisions for each in report.lift.groups) == n_live


def test_the_same_seed_and_key_give_the_same_output_and_another_seed_another(tmp_path):
    results = []
    for place, seed in enumerate((5, 5, 6)):
        plan = replace(PLAN, customers=200, visits=200, weeks=2, looks=(), pilot=100, seed=seed)
        path = tmp_path / f"{place}.db"
        population, world = world_of(plan)
        write_pilot(path, plan, population, KEY)
        found = live_results(path, world, bandit.ThompsonSampling(world.catalogue), KEY)
        results.append(replace(found, database="").to_dict())
    assert results[0] == results[1]
    assert results[0]["looks"] != results[2]["looks"]


def test_what_the_fixed_groups_are_worth_is_exact():
    """Random: the mean over the legal offers. Holdout: the fallback. Rules: the offer that today's rules name."""
    population, world = world_of(replace(PLAN, visits=100, weeks=2))
    fixed, visits = fixed_values(world), world.visits
    expected = world.population.expected_value(visits.customers, time=visits.times)
    assert set(fixed) == {"rules", "random", "holdout"}
    np.testing.assert_allclose(fixed["random"], expected.mean(axis=1), rtol=1e-12)
    fallback = world.catalogue.offer_index(population.market.scenario.fallback)
    np.testing.assert_allclose(fixed["holdout"], expected[:, fallback], rtol=1e-12)
    contexts = world.population.contexts(visits.customers, visits.times)
    rules = SegmentRules.from_dict(world.catalogue, {k: v for k, v in _rules(world).items() if k != "share"})
    named = rules.probabilities(contexts, world.population.eligible(contexts), np.random.default_rng(0)).argmax(axis=1)
    np.testing.assert_allclose(fixed["rules"], expected[np.arange(len(visits)), named], rtol=1e-12)


def _rules(world):
    return world.catalogue.to_dict()["groups"]["rules"]


def test_what_is_printed_has_each_look_and_ends_with_one_sentence(campaign):
    _, _, found = campaign
    parts = list(live_parts(found))
    said = [line for _, lines in parts for line in lines]
    assert [line.split(",")[0] for line in said if "offer-bandit lift" in line] == ["After 2 weeks", "After 3 weeks"]
    assert sum(len(tables) for tables, _ in parts) == 6
    assert any(line.startswith("served: the mean") for line in said)
    assert any("sizes that were meant" in line for line in said)
    assert said[-1] == found.closing()
    assert said[-1].startswith("After 3 weeks")


def test_the_closing_sentence_claims_a_gain_only_with_the_verdict(campaign):
    _, _, found = campaign
    last = found.looks[-1]
    for verdict, words in {
        "better": "give it more customers",
        "worse": "give its customers back to rules",
        "no difference found": "go on until it can",
        "cannot tell": "cannot be compared with rules",
    }.items():
        rows = tuple(replace(row, verdict=verdict) for row in last.report.lift.rows)
        report = replace(last.report, lift=replace(last.report.lift, rows=rows))
        sentence = replace(found, looks=(replace(last, report=report),)).closing()
        assert words in sentence
        assert ("give it more" in sentence) == (verdict == "better")


@pytest.mark.parametrize(
    ("weeks", "looks", "words"),
    [
        (3, (1, 2), "after week 1 no decision is settled"),
        (3, (2, 5), "the campaign has 3 weeks"),
        (1, (), "in 1 weeks no decision is settled"),
    ],
)
def test_looks_that_have_nothing_to_compare_are_refused(weeks, looks, words):
    """With a window of a week, a decision of the first moment is settled when it has ended."""
    with pytest.raises(InputError, match=words):
        replace(PLAN, weeks=weeks, looks=looks).check(7 * DAY)


def test_without_looks_the_groups_are_compared_halfway_and_at_the_end_where_something_is_settled():
    assert replace(PLAN, weeks=4, looks=()).settled_looks(7 * DAY) == (2, 4)
    assert replace(PLAN, weeks=2, looks=()).settled_looks(7 * DAY) == (2,)
    assert replace(PLAN, weeks=1, looks=()).settled_looks(3 * DAY) == (1,)


def test_a_catalogue_of_another_market_is_refused():
    """Without groups, with an option left out, with another fact, and with a window that ends too early."""
    population, world = world_of(PLAN)
    good = world.catalogue.to_dict()
    dimension = {**good["dimensions"][0], "options": good["dimensions"][0]["options"][:-1]}
    plain = {key: value for key, value in good.items() if key != "groups"}
    random = {"policy": 0.5, "random": 0.5}
    wrong = {
        "declares no": plain,
        "offers that are not": {**plain, "groups": random, "dimensions": [dimension, *good["dimensions"][1:]]},
        "facts of the scenario": {**good, "context": {**good["context"], "shoe_size": {"type": "numeric"}}},
        "window of the objective": {**good, "objective": {**good["objective"], "window": "1h"}},
    }
    for words, content in wrong.items():
        with pytest.raises(InputError, match=words):
            with_catalogue(population.market, bandit.Catalogue.from_dict(content))
    assert with_catalogue(population.market, world.catalogue).catalogue is world.catalogue

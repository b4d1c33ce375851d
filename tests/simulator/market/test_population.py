"""Customers are drawn as the scenario says, found by key, and come as they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import ContextError
from simulator import Market, Population, scenario
from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.names import names, rows, width
from simulator.market.season import CALENDAR_START, DAY, HOUR, Season


def world(name="retail", n=500, seed=1, **changes):
    rng = np.random.default_rng(seed)
    return Population.draw(Market.draw(replace(scenario(name), **changes), rng), n, rng)


def test_the_generator_alone_determines_market_customers_visits_and_outcomes():
    def story(seed):
        rng = np.random.default_rng(seed)
        population = Population.draw(Market.draw(scenario("tiny"), rng), 200, rng)
        visits = population.visits(300, rng)
        outcome = population.respond(visits.customers, visits.customers % 6, visits.times, rng=rng)
        return [population.market.score_map, population.hidden, visits.times, outcome.revenue, outcome.delay]

    assert all(map(np.array_equal, story(3), story(3)))
    assert not any(map(np.array_equal, story(3), story(4)))


def test_facts_have_the_shares_that_the_scenario_declares():
    """n = 40,000; shares within 4.5 standard errors, medians within 4.5 errors of a median."""
    n = 40_000
    population = world(n=n)
    for fact in population.market.scenario.facts:
        column = population.facts[fact.name]
        if isinstance(fact, Boolean):
            error = np.sqrt(fact.share * (1 - fact.share) / n)
            assert abs(column.mean() - fact.share) < 4.5 * error
        elif isinstance(fact, Categorical):
            found = np.bincount(column, minlength=len(fact.values)) / n
            assert np.all(np.abs(found - fact.shares) < 4.5 * np.sqrt(np.array(fact.shares) / n))
        elif isinstance(fact, Numeric):
            deviation = fact.spread * (fact.center if fact.log else 1.0)
            rounding = 0.5 * 10.0**-fact.decimals
            assert abs(np.median(column) - fact.center) < 4.5 * 1.2533 * deviation / np.sqrt(n) + rounding
            assert fact.low <= column.min() <= column.max() <= fact.high
    assert np.corrcoef(population.facts["loyal"], population.facts["recency"])[0, 1] < -0.15


def test_features_have_mean_0_and_the_facts_together_the_variance_of_their_number():
    """Each fact's features have variance 1 in all, so seven facts have 7, but for values cut at the ends."""
    features = world(n=40_000).features()
    assert np.abs(features.mean(axis=0)).max() < 0.05
    assert features.var(axis=0).sum() == pytest.approx(7, rel=0.05)


def test_hidden_normals_are_independent_of_facts_and_of_each_other():
    population = world(n=40_000)
    both = np.corrcoef(np.concatenate([population.features(), population.hidden], axis=1).T)
    n_features = population.features().shape[1]
    off = both[n_features:] - np.eye(len(both))[n_features:]
    assert np.abs(off).max() < 5 / np.sqrt(40_000)
    assert np.abs(both[:n_features, :n_features] - np.eye(n_features)).max() > 0.2  # negative control


def test_contexts_are_the_facts_in_canonical_form_with_the_keys():
    population = world(n=50)
    some = np.array([7, 3, 7])
    contexts = population.contexts(some)
    assert contexts.customers.tolist() == ["c000007", "c000003", "c000007"]
    for name, column in population.facts.items():
        assert np.array_equal(contexts.columns[name], column[some])
        assert contexts.columns[name].dtype == column.dtype
    assert set(contexts.columns) == set(population.market.catalogue.facts)


def test_season_facts_are_columns_only_where_declared_and_only_with_a_time():
    plain = world("tiny")
    assert "season" not in plain.columns(time=CALENDAR_START)
    shown = world("tiny", season=Season(yearly=0.2, observed=True))
    assert "season" not in shown.columns()
    peak = round(335 * DAY)
    assert shown.columns(np.array([0, 1]), peak)["season"].tolist() == [1.0, 1.0]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2_345_677), max_size=30), st.sampled_from([1, 999_999, 1_000_000, 2_345_678]))
def test_keys_lead_back_to_their_rows(chosen, n):
    wanted = np.array(chosen, dtype=np.int64) % n
    keys = names(wanted, width(n))
    assert np.array_equal(rows(keys, n), wanted)
    assert np.array_equal(rows(keys.tolist(), n), wanted)


@pytest.mark.parametrize(
    "key", ["", "c", "c000500", "x000001", "c00001", "c0000001", "c-00001", "c00000a", "c\u066000001"]
)
def test_unknown_keys_are_refused(key):
    population = world("tiny", n=500)
    with pytest.raises(ContextError, match="is not one of the 500 of this population"):
        population.rows([key, key])
    with pytest.raises(ContextError, match="is not one of the 500"):
        population.rows(["c000001", key])
    with pytest.raises(ContextError, match="is not one of the 500"):
        population.rows([key], {"other": 3})


def test_visits_come_in_order_inside_their_days_and_opening_hours():
    population = world(n=1_000)
    visits = population.visits(20_000, np.random.default_rng(2), start=CALENDAR_START, days=10)
    assert np.all(np.diff(visits.times) >= 0)
    assert visits.times[0] >= CALENDAR_START
    assert visits.times[-1] < CALENDAR_START + 10 * DAY
    clock = visits.times // HOUR % 24
    season = population.market.scenario.season
    assert set(clock.tolist()) == set(range(season.opens, season.closes))
    assert set(visits.customers.tolist()) <= set(range(1_000))


def test_loyal_customers_come_more_often():
    population = world(n=5_000)
    visits = population.visits(20_000, np.random.default_rng(2))
    share = population.facts["loyal"].mean()
    seen = population.facts["loyal"][visits.customers].mean()
    assert seen > share + 4.5 * np.sqrt(share * (1 - share) / 20_000)
    frequency = population.frequency / population.frequency.sum()
    assert seen == pytest.approx(frequency @ population.facts["loyal"], abs=4.5 * np.sqrt(0.25 / 20_000))


def test_more_visits_come_in_season():
    """Rate exp(cos): the half-year around the peak has a good deal more than half of the visits."""
    season = Season(yearly=1.0, yearly_peak=182.6)
    times = season.draw_times(10_000, 0, 365.25, np.random.default_rng(1))
    middle = ((times > 91 * DAY) & (times < 274 * DAY)).mean()
    assert middle > 0.7
    flat = Season().draw_times(10_000, 0, 365.25, np.random.default_rng(1))
    assert abs(((flat > 91 * DAY) & (flat < 274 * DAY)).mean() - 183 / 365.25) < 4.5 * np.sqrt(0.25 / 10_000)


def test_few_days_and_no_visits_are_fine():
    population = world("tiny", n=10)
    assert len(population.visits(0, np.random.default_rng(1))) == 0
    assert len(population.visits(5, np.random.default_rng(1), days=0.01)) == 5


@pytest.mark.slow
def test_a_million_customers_are_drawn_at_once():
    population = world(n=1_000_000)
    assert population.n == 1_000_000
    assert population.names(np.array([999_999]))[0] == "c999999"

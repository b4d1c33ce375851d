"""Crossings are products of standardised facts; what they decide shows in no fact alone, and in the ceilings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from bandit.policies.constant import ConstantOffer
from simulator import FactsClairvoyant, Market, Population, ReferenceValues, scenario
from simulator.market import truth
from simulator.market.crossings import Crossing, CrossingPart, Crossings, draw_crossings
from simulator.market.demographics import Boolean, Categorical, Numeric

CROSSED = ("crossings-pure", "crossings-mixed", "crossings-threshold")


def world(name, n=500, seed=1, **changes):
    rng = np.random.default_rng(seed)
    return Population.draw(Market.draw(replace(scenario(name), **changes), rng), n, rng)


def crossing_columns(population):
    """The last columns of the features are those of the crossings."""
    count = sum(crossing.n_features for crossing in population.market.crossings)
    return population.features()[:, -count:]


def test_the_product_of_two_even_booleans_is_their_exclusive_or():
    """Standardised booleans of share 1/2 are -1 and 1: the product is 1 where they are equal, -1 where one holds."""
    one, other = Boolean(name="app", share=0.5), Boolean(name="member", share=0.5)
    crossing = Crossing(CrossingPart(one), CrossingPart(other))
    columns = {"app": np.array([0.0, 0.0, 1.0, 1.0, np.nan]), "member": np.array([0.0, 1.0, 0.0, 1.0, 1.0])}
    np.testing.assert_allclose(crossing.features(columns)[:, 0], [1.0, -1.0, -1.0, 1.0, 0.0])
    assert str(crossing) == "app x member"


def test_a_numeric_fact_is_crossed_at_its_threshold_with_each_value_of_a_category():
    """By hand: 0.4 of the customers reach 20 days, so 20 is (1 - 0.4) / root(0.4 x 0.6) = 1.2247, 19 is -0.8165;
    f, of shares 0.2 and 0.8, is (1 - 0.2) / root 0.2 = 1.7889 and (0 - 0.8) / root 0.8 = -0.8944.
    """
    days = Numeric(name="days", center=18, spread=9, low=0, high=99)
    crossing = Crossing(
        CrossingPart(days, cut=20.0, above=0.4),
        CrossingPart(Categorical(name="sex", values=("f", "m"), shares=(0.2, 0.8))),
    )
    columns = {"days": np.array([20.0, 19.0, np.nan]), "sex": np.array([0, 0, 1])}
    want = np.outer([1.2247449, -0.8164966, 0.0], [1.7888544, -0.8944272])
    assert crossing.n_features == 2
    np.testing.assert_allclose(crossing.features(columns), want, atol=1e-7)
    assert str(crossing) == "days >= 20 x sex"


def test_drawn_crossings_are_different_pairs_and_the_share_above_a_threshold_is_exact():
    """Over 200 draws of 3 of 6 pairs each pair comes 100 times, within 4.5 root(200 / 4) = 32."""
    facts = scenario("crossings-mixed").facts
    pairs = (
        ("member", "app"),
        ("member", "children"),
        ("days", "region"),
        ("age", "region"),
        ("basket", "app"),
        ("age", "app"),
    )
    rng, counts = np.random.default_rng(0), dict.fromkeys(pairs, 0)
    normal = np.random.default_rng(1).standard_normal(4_000)
    for _ in range(200):
        drawn = draw_crossings(Crossings(count=3, pairs=pairs), facts, rng)
        names = [(each.first.fact.name, each.second.fact.name) for each in drawn]
        assert len(set(names)) == 3
        for name in names:
            counts[name] += 1
        for part in (part for each in drawn for part in (each.first, each.second) if isinstance(part.fact, Numeric)):
            error = np.sqrt(part.above * (1.0 - part.above) / 4_000)
            assert abs((part.fact.draw(normal) >= part.cut).mean() - part.above) < 4.5 * error
    assert all(abs(count - 100) < 32 for count in counts.values())


@pytest.mark.parametrize("name", CROSSED)
def test_no_fact_tells_of_a_crossing_and_its_features_have_variance_one_in_all(name):
    """Correlations over 40,000 customers are within 4.5 / root 40,000; related facts (negative control) are not."""
    population = world(name, n=40_000)
    n_facts = sum(fact.n_features for fact in population.market.scenario.facts)
    features = population.features()[:, :n_facts]
    products = crossing_columns(population)
    by_crossing = np.split(products, np.cumsum([each.n_features for each in population.market.crossings])[:-1], axis=1)
    assert [part.var(axis=0).sum() for part in by_crossing] == pytest.approx([1.0] * len(by_crossing), abs=0.06)
    together = np.corrcoef(np.concatenate([features, products], axis=1).T)[:n_facts, n_facts:]
    assert np.abs(together).max() < 4.5 / np.sqrt(40_000)
    facts = tuple(replace(fact, engagement=0.7) for fact in scenario(name).facts)
    related = world(name, n=40_000, facts=facts)
    products = crossing_columns(related)
    assert np.abs(products.mean(axis=0)).max() > 4.5 / np.sqrt(40_000)


def test_in_the_pure_market_facts_alone_are_worth_nothing_and_their_crossing_everything():
    """By hand: home adds 1 or -1 logit to -1.0986 (25 %), so the facts' best gains about expit(-0.1) - 0.25 for half.

    The means of both offers among those with a fact and those without are the same to the noise of 20,000 customers.
    """
    population = world(
        "crossings-pure",
        n=20_000,
        base_hidden=0.0,
        facts=tuple(replace(fact, base=0.0) for fact in scenario("crossings-pure").facts),
    )
    crossing = population.market.crossings[0]
    response = truth.scores(population.market, population.features(), population.hidden, np.arange(2))
    response = expit(response)
    np.testing.assert_allclose(np.unique(response[:, 0].round(9)), [0.25])
    np.testing.assert_allclose(
        np.unique(response[:, 1].round(4)), expit(np.log(1 / 3) + np.array([-1.0, 1.0])).round(4)
    )
    for part in (crossing.first, crossing.second):
        has = population.facts[part.fact.name] > 0
        gap = response[has, 1].mean() - response[~has, 1].mean()
        assert abs(gap) < 4.5 * response[:, 1].std() * 2 / np.sqrt(20_000)
    both = (population.facts[crossing.first.fact.name] > 0) == (population.facts[crossing.second.fact.name] > 0)
    assert abs(response[both, 1].mean() - response[~both, 1].mean()) > 0.3  # negative control: the two together


@pytest.mark.parametrize("name", CROSSED)
def test_the_facts_ceiling_sees_crossings_and_is_the_full_one_where_nothing_is_hidden(name):
    """Only the own base rate is hidden, which moves all offers alike; without the crossings less can be earned."""
    population = world(name, n=400)
    visits = population.visits(800, np.random.default_rng(0))
    reference = ReferenceValues.measure(population, visits.customers, visits.times)
    assert reference.share(reference.clairvoyant) == pytest.approx(1.0, abs=2e-3)
    market = population.market
    blind = replace(
        market,
        score_map=np.where(
            np.arange(len(market.score_map))[:, None] < len(market.score_map) - crossing_columns(population).shape[1],
            market.score_map,
            0.0,
        ),
    )
    contexts = population.contexts()
    eligible = population.eligible(contexts)
    rng = np.random.default_rng(0)
    seeing, unseeing = (
        ceiling.probabilities(contexts, eligible, rng)
        for ceiling in (FactsClairvoyant(population), FactsClairvoyant(replace(population, market=blind)))
    )
    worth = population.expected_value()
    assert (seeing * worth).sum() > 1.05 * (unseeing * worth).sum()
    fallback = ConstantOffer(market.catalogue, market.scenario.fallback)
    assert population.value(fallback, rng) < (seeing * worth).sum() / 400


def test_crossings_are_drawn_after_all_else():
    """A market without them has the same facts' effects and the same offsets, to the bit."""
    plain, crossed = (
        Market.draw(replace(scenario("crossings-mixed"), **changes), np.random.default_rng(3))
        for changes in ({"crossings": Crossings()}, {})
    )
    n_facts = len(plain.score_map)
    assert np.array_equal(crossed.score_map[:n_facts], plain.score_map)
    assert np.array_equal(crossed.score_offset, plain.score_offset)
    assert np.array_equal(crossed.visit_map[:n_facts], plain.visit_map)
    assert np.abs(crossed.score_map[n_facts:]).max() > 0.2


def test_a_fact_that_acts_by_its_logarithm_says_as_much_at_every_doubling():
    """By hand: log(2 x 30) - log(30) = 0.6931 over the spread 1.1 is 0.6301, wherever the doubling starts."""
    recency = next(fact for fact in scenario("skewed").facts if fact.name == "recency")
    assert (recency.center, recency.spread) == (30, 1.1)
    features = recency.features(np.array([30.0, 60.0, 120.0, np.nan]))[:, 0]
    np.testing.assert_allclose(features, [0.0, 0.630134, 1.260268, 0.0], atol=1e-6)
    raw = replace(recency, by_log=False).features(np.array([30.0, 60.0, 120.0]))[:, 0]
    assert np.diff(raw)[1] == pytest.approx(2 * np.diff(raw)[0])  # negative control: by value, the second says twice


def test_the_skewed_market_hands_in_raw_numbers_whose_logarithms_are_normal():
    population = world("skewed", n=20_000)
    for name in ("recency", "spend", "orders"):
        column = np.asarray(population.columns()[name], dtype=np.float64)
        fact = next(each for each in population.market.scenario.facts if each.name == name)
        skew = ((column - column.mean()) ** 3).mean() / column.std() ** 3
        features = fact.features(column)[:, 0]
        assert skew > 2.0
        assert abs(((features - features.mean()) ** 3).mean() / features.std() ** 3) < 0.3
        declared = population.market.catalogue.facts[name]
        assert declared.center == pytest.approx(fact.mean, rel=1e-3)

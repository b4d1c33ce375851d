"""The simulator's closed forms against quadrature of another kind, sums by hand and brute force."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from bandit.errors import InputError
from bandit.policies.uniform import Uniform
from simulator import Clairvoyant, FactsClairvoyant, Market, Noise, Population, scenario
from simulator.market import truth
from simulator.market.season import DAY, Season

RETAIL_OFFERS = 6 * 4 * 3 * 2


def world(name="retail", n=500, seed=1, **changes):
    rng = np.random.default_rng(seed)
    market = Market.draw(replace(scenario(name), **changes), rng)
    return Population.draw(market, n, rng)


def by_integration(score, deviation):
    def integrand(z):
        return np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / (1 + np.exp(-score - deviation * z))

    return quad(integrand, -12, 12, epsabs=1e-13, epsrel=1e-12, limit=400)[0]


@pytest.mark.parametrize(("deviation", "error"), [(0.0, 1e-15), (0.6, 1e-14), (1.0, 1e-11), (1.5, 1e-7)])
def test_quadrature_has_the_error_it_states(deviation, error):
    scores = np.linspace(-6, 3, 10)
    want = [by_integration(score, deviation) for score in scores]
    found = truth.mean_response(scores[None, :], truth.mixture(np.full(10, deviation)))[0]
    assert np.abs(found - want).max() <= error
    if deviation:  # negative control: three nodes are too few, and no nodes at all (the mean taste) still worse
        few = truth.mean_response(scores[None, :], truth.mixture(np.full(10, deviation), nodes=3))[0]
        assert np.abs(few - want).max() > 10 * error


def test_scores_beyond_every_exponent_give_responses_of_zero_and_one():
    found = truth.mean_response(np.array([[-1e6, 0.0, 1e6]]), truth.mixture(np.zeros(3)))
    np.testing.assert_allclose(found, [[0.0, 0.5, 1.0]], atol=1e-200)


def test_expected_profit_is_the_sum_by_hand():
    """P (m (margin - rate) - redemption) - contact with P = 1 / (1 + exp(-score)), m = exp(basket + s^2 / 2)."""
    population = world()
    market, money = population.market, population.market.catalogue.money
    features, hidden = population.features(), population.hidden
    for customer, offer in ((0, 0), (3, 143), (77, 60)):
        score = (
            market.score_offset[offer]
            + features[customer] @ market.score_map[:, offer]
            + hidden[customer] @ market.score_loading[:, offer]
        )
        basket = (
            market.basket_offset[offer]
            + features[customer] @ market.basket_map[:, offer]
            + hidden[customer] @ market.basket_loading
        )
        response, mean = 1 / (1 + np.exp(-score)), np.exp(basket + 0.5**2 / 2)
        want = response * (mean * (0.38 - money.rate[offer]) - money.redemption_cost[offer])
        want -= money.contact_cost[offer]
        one = np.array([customer])
        assert population.expected_value(one)[0, offer] == pytest.approx(want, rel=1e-12)
        assert population.expected_value(one, np.array([offer]))[0, 0] == pytest.approx(want, rel=1e-12)
        assert population.expected_chosen(one, np.array([offer]))[0] == pytest.approx(want, rel=1e-12)


def test_markets_have_the_deviations_that_the_scenario_names():
    """Hidden variance of 25 % off fashion by text with a tote: .40^2 own, .35^2 depth, .35^2, .25^2, .20^2 options.

    What facts explain of the difference to the same without discount and tote: .50^2 + .30^2, on average over markets
    (60 of them, within 4.5 standard errors), for the deviations of the depth's and of the tote's tastes.
    """
    retail, found = scenario("retail"), []
    for seed in range(60):
        market = Market.draw(retail, np.random.default_rng(seed))
        catalogue = market.catalogue
        offer = {"discount": "25", "category": "fashion", "channel": "sms", "gift": "tote"}
        deep, bare = catalogue.offer_index(offer), catalogue.offer_index({**offer, "discount": "0", "gift": "none"})
        hidden = (market.score_loading[:, deep] ** 2).sum()
        assert hidden == pytest.approx(0.40**2 + 0.35**2 + 0.35**2 + 0.25**2 + 0.20**2, rel=1e-12)
        assert (market.score_loading[:, bare] ** 2).sum() == pytest.approx(0.40**2 + 0.35**2 + 0.25**2, rel=1e-12)
        assert market.basket_loading @ market.basket_loading == pytest.approx(0.20**2, rel=1e-12)
        assert market.basket_loading[0] == pytest.approx(-0.2 * 0.20, rel=1e-12)
        features = Population.draw(market, 500, np.random.default_rng(seed)).features()
        found.append((features @ (market.score_map[:, deep] - market.score_map[:, bare])).var())
    error = np.std(found) / np.sqrt(60)
    assert abs(np.mean(found) - (0.50**2 + 0.30**2)) < 4.5 * error
    assert abs(np.mean(found) - (0.50**2 + 0.30**2 + 0.45**2)) > 4.5 * error  # negative control


def test_the_season_moves_the_score_by_its_two_cosines():
    """At both peaks (Saturday noon, 1 December) the shift is yearly + weekly; half a year off it is less."""
    season = Season(yearly=0.3, weekly=0.1, yearly_peak=0.0, weekly_peak=0.0)
    monday = 4 * DAY  # 1970-01-05
    assert season.shift(np.array([monday]))[0] == pytest.approx(0.3 * np.cos(2 * np.pi * 4 / 365.25) + 0.1)
    population = world("tiny", season=season)
    customers, offers = np.arange(4), np.zeros(4, dtype=np.int64)
    still = population.expected_response(customers, offers)
    moved = population.expected_response(customers, offers, monday)
    shift = np.log(moved / (1 - moved)) - np.log(still / (1 - still))
    np.testing.assert_allclose(shift, season.shift(np.array([monday]))[0], rtol=1e-9)


@pytest.mark.parametrize("kind", ["profit", "revenue", "conversion"])
def test_expected_value_is_the_mean_of_what_customers_do(kind):
    """n = 100,000 draws a pair; 4.5 standard errors are exceeded once in 150,000 pairs."""
    objective = {"kind": kind, "event": "purchase", "margin": 0.38, "window": "30d"}
    population = world(objective=objective)
    rng, n, when = np.random.default_rng(5), 100_000, 200 * DAY
    for customer, offer in ((0, 0), (1, 143), (2, 77)):
        who, what = np.full(n, customer), np.full(n, offer)
        rewards = population.respond(who, what, when, rng=rng).reward
        error = rewards.std() / np.sqrt(n)
        want = population.expected_value(np.array([customer]), time=when)[0]
        assert abs(rewards.mean() - want[offer]) < 4.5 * error
        # negative control: a neighbour's expectation does not pass for this customer's
        other = population.expected_value(np.arange(3, 40), time=when)[:, offer]
        assert (np.abs(rewards.mean() - other) > 4.5 * error).mean() > 0.8


def with_returns(share):
    retail = scenario("retail")
    dimensions = tuple(
        replace(one, options=tuple(replace(option, returned=share) for option in one.options))
        if one.name == "category"
        else one
        for one in retail.dimensions
    )
    objective = {"kind": "profit", "event": "purchase", "margin": 0.38, "window": "30d"}
    return {"dimensions": dimensions, "objective": objective, "return_within_days": 20.0}


def test_a_purchase_sent_back_is_worth_no_purchase_in_outcome_and_expectation():
    population, plain = world(**with_returns(0.3)), world()
    rng, n = np.random.default_rng(6), 100_000
    who, what = np.full(n, 4), np.full(n, 25)
    outcome = population.respond(who, what, rng=rng)
    sent_back = outcome.returned.sum() / outcome.converted.sum()
    assert abs(sent_back - 0.3) < 4.5 * np.sqrt(0.21 / outcome.converted.sum())
    contact = population.market.catalogue.money.contact_cost[25]
    assert np.all(outcome.reward[outcome.returned] == -contact)
    error = outcome.reward.std() / np.sqrt(n)
    want = population.expected_chosen(np.array([4]), np.array([25]))[0]
    assert abs(outcome.reward.mean() - want) < 4.5 * error
    without = plain.expected_chosen(np.array([4]), np.array([25]))[0]
    assert want + contact == pytest.approx(0.7 * (without + contact), rel=1e-12)
    assert abs(outcome.reward.mean() - without) > 4.5 * error  # negative control


def test_purchases_and_returns_fall_inside_the_window_and_a_window_too_short_is_refused():
    population = world(**with_returns(0.3))
    outcome = population.respond(
        np.zeros(50_000, dtype=np.int64), np.zeros(50_000, dtype=np.int64), rng=np.random.default_rng(1)
    )
    assert outcome.delay.max() < 7 * DAY
    assert 0 < (outcome.delay + outcome.return_delay).max() < 27 * DAY
    with pytest.raises(InputError, match="take up to 27 days, longer than the objective's window of 7"):
        world(**{**with_returns(0.3), "objective": scenario("retail").objective})


def test_facts_value_is_the_mean_over_hidden_tastes():
    """The same facts with 40,000 new draws of the hidden tastes; the mean taste itself is no answer."""
    population = world(basket_base_correlation=0.8, basket_hidden=0.5, base_hidden=0.9)
    market, rng, n = population.market, np.random.default_rng(3), 40_000
    offers = np.array([0, 40, 143])
    for customer in (0, 9):
        features = np.repeat(population.features(np.array([customer])), n, axis=0)
        hidden = rng.standard_normal((n, market.n_hidden))
        drawn = truth.known_value(market, features, hidden, offers)
        want = population.expected_value(np.array([customer]), offers, known="facts")[0]
        error = drawn.std(axis=0) / np.sqrt(n)
        assert np.all(np.abs(drawn.mean(axis=0) - want) < 4.5 * error)
        mean_taste = truth.known_value(market, features[:1], np.zeros((1, market.n_hidden)), offers)[0]
        assert np.all(np.abs(drawn.mean(axis=0) - mean_taste) > 4.5 * error)
        untilted = truth.facts_value(
            replace(market, basket_loading=np.array([0, 0.5, *np.zeros(market.n_hidden - 2)])), features[:1], offers
        )[0]
        assert np.all(np.abs(drawn.mean(axis=0) - untilted) > 4.5 * error)


def test_season_quadrature_has_the_moments_of_the_shifts():
    """Three nodes are exact for polynomials to degree 5 and not beyond."""
    season = scenario("retail").season
    times = season.draw_times(5_000, 0, 365, np.random.default_rng(1))
    nodes, weights = season.quadrature(times)
    shift = season.shift(times)
    for power in range(6):
        assert weights @ nodes**power == pytest.approx((shift**power).mean(), rel=1e-9, abs=1e-12)
    assert weights @ nodes**6 != pytest.approx((shift**6).mean(), rel=1e-9)
    assert season.quadrature(None)[0].tolist() == [0.0]
    assert Season().quadrature(times)[1].tolist() == [1.0]
    two, shares = season.quadrature(np.array([0, 0, 0, 180 * DAY]))
    np.testing.assert_allclose(np.sort(shares), [0.25, 0.75])
    np.testing.assert_allclose(np.sort(two), np.sort(season.shift(np.array([0, 180 * DAY]))))


def test_integrating_the_season_is_the_mean_over_its_times():
    population = world("tiny", n=20)
    market = population.market
    times = np.arange(0, 365, 5) * DAY
    over = market.scenario.season.quadrature(times)
    offers = np.arange(market.n_offers)
    found = truth.known_value(market, population.features(), population.hidden, offers, over=over)
    want = np.mean([population.expected_value(time=int(time)) for time in times], axis=0)
    np.testing.assert_allclose(found, want, rtol=1e-6)
    facts = truth.facts_value(market, population.features(), offers, over=over)
    want = np.mean([population.expected_value(time=int(time), known="facts") for time in times], axis=0)
    np.testing.assert_allclose(facts, want, rtol=1e-6)


@pytest.mark.parametrize("known", ["tastes", "facts"])
def test_in_the_null_world_all_offers_are_worth_the_same_to_everybody(known):
    values = world("null").expected_value(time=90 * DAY, known=known)
    assert values.shape == (500, RETAIL_OFFERS)
    assert np.ptp(values, axis=1).max() < 1e-12
    assert np.ptp(values[:, 0]) > 0.1  # but customers differ
    assert np.ptp(world().expected_value(known=known), axis=1).min() > 0.1  # negative control


def test_null_and_retail_have_the_same_customers():
    null, retail = world("null"), world("retail")
    assert all(np.array_equal(null.facts[name], retail.facts[name]) for name in retail.facts)
    assert np.array_equal(null.hidden, retail.hidden)


def test_a_policys_value_is_the_sum_of_probability_times_expectation(monkeypatch):
    """Uniform over six offers earns the plain mean of the six; blocks of rows change nothing."""
    population = world("tiny", n=300)
    policy, rng = Uniform(population.market.catalogue), np.random.default_rng(0)
    customers = np.arange(300)[::-1].copy()
    times = np.arange(300) * DAY
    want = population.expected_value(customers, time=times).mean(axis=1)
    np.testing.assert_allclose(population.values(policy, rng, customers, times), want, rtol=1e-12)
    monkeypatch.setattr("simulator.market.population.BLOCK_CELLS", 42)
    np.testing.assert_allclose(population.values(policy, rng, customers, times), want, rtol=1e-12)
    assert population.value(policy, rng, customers, times) == pytest.approx(want.mean(), rel=1e-12)


def test_the_same_noise_converts_wherever_the_response_is_higher():
    population = world(n=2_000)
    customers = np.arange(2_000)
    noise = Noise.draw(2_000, np.random.default_rng(2))
    poor, rich = np.zeros(2_000, dtype=np.int64), np.full(2_000, 143)
    better = population.expected_response(customers, rich) >= population.expected_response(customers, poor)
    first = population.respond(customers, poor, noise=noise).converted
    second = population.respond(customers, rich, noise=noise).converted
    assert np.all(second[better] >= first[better])
    again = population.respond(customers, rich, noise=noise)
    assert np.array_equal(again.converted, second)
    fresh = population.respond(customers, rich, rng=np.random.default_rng(9)).converted
    assert np.any(fresh[better] < first[better])  # negative control: other noise
    for both in ({}, {"rng": np.random.default_rng(1), "noise": noise}):
        with pytest.raises(InputError, match="exactly one of the two"):
            population.respond(customers, rich, **both)


@pytest.mark.slow
def test_values_of_200_000_customers_stay_within_bounded_memory():
    """200,000 x 144 doubles are 230 MB; blocks of a million cells need a few of 8 MB and what a row needs."""
    population = world(n=200_000)
    rng = np.random.default_rng(0)
    for policy in (Uniform(population.market.catalogue), Clairvoyant(population), FactsClairvoyant(population)):
        tracemalloc.start()
        population.value(policy, rng)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 120e6

"""Every scenario has the numbers it declares; threshold rules, drift and heavy tails act as specified."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, ndtr, ndtri

from bandit.catalogue.conditions import compile_condition
from bandit.errors import PolicyError
from bandit.policies.segment_rules import SegmentRules
from bandit.policies.uniform import Uniform
from simulator import (
    SCENARIOS,
    Clairvoyant,
    FactsClairvoyant,
    Market,
    Noise,
    Population,
    ReferenceValues,
    ValueScale,
    best_segment_rules,
    scenario,
)
from simulator.market import truth
from simulator.market.drift import DRIFT_MOMENTS, Drift
from simulator.market.season import CALENDAR_START, DAY, Season
from simulator.market.thresholds import Thresholds

# Offers, and the range of the mean conversion under uniform choice over three markets.
EXPECTED = {
    "retail": (144, 0.10, 0.18),
    "busy": (144, 0.15, 0.23),
    "loyalty": (144, 0.17, 0.27),
    "drift": (144, 0.11, 0.21),
    "sparse": (144, 0.007, 0.018),
    "clickbait": (144, 0.03, 0.08),
    "heavy-tail": (144, 0.09, 0.17),
    "sure-things": (120, 0.65, 0.78),
    "many-offers": (1_152, 0.11, 0.20),
    "rugged": (144, 0.10, 0.30),
    "skewed": (144, 0.20, 0.33),
    "crossings-pure": (2, 0.23, 0.33),
    "crossings-mixed": (16, 0.25, 0.42),
    "crossings-threshold": (16, 0.25, 0.42),
    "ordered": (144, 0.14, 0.23),
    "delayed": (144, 0.12, 0.20),
    "null": (144, 0.05, 0.12),
    "tiny": (6, 0.20, 0.45),
}


def world(name, n=500, seed=1, **changes):
    rng = np.random.default_rng(seed)
    return Population.draw(Market.draw(replace(scenario(name), **changes), rng), n, rng)


def same(rewards, want, errors=4.5):
    return np.abs(rewards.mean(axis=0) - want) < errors * rewards.std(axis=0) / np.sqrt(len(rewards))


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_has_its_offers_its_conversion_and_its_ceilings(name):
    """Exact responses of 600 visits under offers by chance, in three markets; no outcome is drawn."""
    offers, low, high = EXPECTED[name]
    found = []
    for seed in range(3):
        population = world(name, n=300, seed=seed)
        assert population.market.n_offers == offers
        rng = np.random.default_rng(seed)
        visits = population.visits(600, rng)
        assert visits.times[-1] < CALENDAR_START + scenario(name).days * DAY
        chance = rng.integers(offers, size=600)
        found.append(population.expected_response(visits.customers, chance, visits.times).mean())
        reference = ReferenceValues.measure(population, visits.customers, visits.times)
        scale = reference.scale
        assert scale.uniform <= scale.facts_clairvoyant + 1e-12 <= scale.clairvoyant + 1e-9
        assert np.all(reference.clairvoyant >= reference.uniform - 1e-9)
        if name == "null":
            assert np.isnan(reference.share(reference.segment_rule))
        else:
            crossed = name.startswith("crossings")
            assert reference.share(reference.segment_rule) > (0.0 if crossed else 0.3)
            assert reference.share(reference.clairvoyant) > (1.0 - 1e-9 if crossed else 1.02)
            assert scale.facts_clairvoyant > 1.1 * scale.uniform
    assert low < np.mean(found) < high


@pytest.mark.parametrize("name", ["drift", "heavy-tail", "rugged"])
def test_the_seed_alone_determines_the_features_of_a_scenario(name):
    def story(seed):
        population = world(name, n=50, seed=seed)
        visits = population.visits(80, np.random.default_rng(seed))
        outcome = population.respond(
            visits.customers, visits.customers % 7, visits.times, rng=np.random.default_rng(seed)
        )
        market = population.market
        return [market.score_map, market.score_offset, market.basket_map, visits.times, outcome.revenue]

    assert all(map(np.array_equal, story(3), story(3)))
    assert not any(map(np.array_equal, story(3), story(4)))


def test_scenarios_recommend_a_size():
    loyalty, delayed = scenario("loyalty"), scenario("delayed")
    assert (loyalty.customers, loyalty.visits) == (400, 20_000)
    assert (delayed.delayed, delayed.days) == (True, 84.0)
    assert not scenario("retail").delayed
    crossings = [one for one in SCENARIOS.values() if one.name.startswith("crossings")]
    assert {(one.customers, one.visits) for one in crossings} == {(20_000, 20_000)}
    others = [one for one in SCENARIOS.values() if one.name != "loyalty" and one not in crossings]
    assert {(one.customers, one.visits) for one in others} == {(4_000, 20_000)}


def test_purchases_of_the_delayed_world_come_in_its_time():
    """Exponential with mean 7 cut at 14 days: the median is -7 log(1 - (1 - exp(-2)) / 2) = 3.97 days."""
    population, n = world("delayed"), 40_000
    outcome = population.respond(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), rng=np.random.default_rng(1))
    late = outcome.delay[outcome.converted] / DAY
    assert 0 < late.min() <= late.max() < 14
    assert abs((late < 3.967).mean() - 0.5) < 4.5 * 0.5 / np.sqrt(len(late))
    assert 0 < outcome.returned[outcome.converted].mean() < 0.3
    window = population.market.catalogue.objective.window
    assert (outcome.delay + outcome.return_delay).max() < window == 21 * DAY


# Threshold rules


def test_a_threshold_rule_holds_where_its_words_say_so_and_never_where_a_fact_is_missing():
    """Its words are a condition of the catalogue's language: two readers of the same sentence."""
    population = world("rugged", n=400)
    market, catalogue = population.market, population.market.catalogue
    columns, rng = population.columns(), np.random.default_rng(2)
    columns = {name: column.astype(object) for name, column in columns.items()}
    for column in columns.values():
        column[rng.random(400) < 0.2] = None
    contexts = catalogue.contexts({name: column.tolist() for name, column in columns.items()})
    features = market.features(contexts.columns)
    n_facts = sum(fact.n_features for fact in market.scenario.facts)
    hits = features[:, n_facts:]
    assert hits.shape == (400, 80) == (400, len(market.rules))
    for place, rule in enumerate(market.rules):
        names = {check.fact for check in rule.checks}
        known = np.all([[value is not None for value in columns[name]] for name in names], axis=0)
        said = compile_condition(str(rule), catalogue.facts, "a rule")(contexts)
        assert np.array_equal(hits[known, place], said[known])
        assert not hits[~known, place].any()
    assert 0.05 < hits.mean() < 0.6


def test_a_threshold_rule_adds_its_effect_to_its_options_and_nothing_elsewhere():
    """The score by hand: the plain score and, for each rule that holds, its effect where all its options are in."""
    population = world("rugged", n=60)
    market, catalogue = population.market, population.market.catalogue
    features = population.features()
    n_plain = features.shape[1] - len(market.rules)
    names = [(d.name, option) for d in catalogue.dimensions for option in d.names]
    depth = (catalogue.money.rate / 0.25) ** 0.75
    paired = 0
    for place, rule in enumerate(market.rules):
        reach = np.ones(144)
        for column in rule.acts_on:
            if column == len(names):
                reach *= depth
            else:
                dimension, option = names[column]
                reach *= [catalogue.offer(offer)[dimension] == option for offer in range(144)]
        paired += len(rule.acts_on) == 2
        np.testing.assert_allclose(market.score_map[n_plain + place], rule.effect * reach, rtol=1e-12)
        np.testing.assert_allclose(market.basket_map[n_plain + place], rule.basket * reach, rtol=1e-12)
    assert 0 < paired < 40
    plain = replace(market, score_map=market.score_map[:n_plain], basket_map=market.basket_map[:n_plain], rules=())
    offers = np.arange(144)
    whole = truth.scores(market, features, population.hidden, offers)
    bare = truth.scores(plain, population.market.features(population.facts)[:, :n_plain], population.hidden, offers)
    np.testing.assert_allclose(whole - bare, features[:, n_plain:] @ market.score_map[n_plain:], atol=1e-12)
    assert np.abs(whole - bare).max() > 0.5


def test_rules_have_the_depths_and_deviations_that_the_scenario_names():
    """30 markets x 80 rules; shares within 4.5 standard errors, the deviation within 4.5 of a normal's."""
    like, rules = scenario("rugged").thresholds, []
    for seed in range(30):
        rules += Market.draw(scenario("rugged"), np.random.default_rng(seed)).rules
    n = len(rules)
    depth = np.bincount([len(rule.checks) for rule in rules], minlength=4)[1:] / n
    share = np.array(like.depths)
    assert np.all(np.abs(depth - share) < 4.5 * np.sqrt(share * (1 - share) / n))
    assert all(len({check.fact for check in rule.checks}) == len(rule.checks) for rule in rules)
    effects = np.array([rule.effect for rule in rules])
    assert abs(effects.std() - like.effect) < 4.5 * like.effect / np.sqrt(2 * n)
    assert abs(effects.std() - 1.2 * like.effect) > 4.5 * like.effect / np.sqrt(2 * n)  # negative control
    pairs = [rule for rule in rules if len(rule.acts_on) == 2]
    depth_column = max(max(rule.acts_on) for rule in rules)
    assert all(depth_column not in rule.acts_on for rule in pairs)
    able = sum(rule.acts_on[0] != depth_column for rule in rules)
    assert abs(len(pairs) / able - like.paired) < 4.5 * np.sqrt(like.paired * (1 - like.paired) / able)


def test_in_the_rugged_world_expectations_are_the_mean_of_what_customers_do():
    """n = 60,000 draws a pair; the market without its rules must not pass."""
    population, n = world("rugged", n=40), 60_000
    market = population.market
    bare = replace(
        market,
        score_map=market.score_map * np.r_[np.ones(len(market.score_map) - 80), np.zeros(80)][:, None],
    )
    apart = np.abs(population.expected_value() - replace(population, market=bare).expected_value())
    rng = np.random.default_rng(5)
    for customer in (0, 7, 21):
        offer = int(apart[customer].argmax())
        who, what = np.full(n, customer), np.full(n, offer)
        rewards = population.respond(who, what, rng=rng).reward
        one, only = np.array([customer]), np.array([offer])
        assert same(rewards, population.expected_value(one, only)[0, 0])
        assert not same(rewards, replace(population, market=bare).expected_value(one, only)[0, 0])


def test_in_the_rugged_world_the_facts_ceiling_sees_the_rules():
    """The same facts with 30,000 new draws of the hidden tastes; facts without their rules must not pass."""
    population, rng, n = world("rugged", n=20), np.random.default_rng(3), 30_000
    market, offers = population.market, np.array([0, 77, 143])
    for customer in (0, 9):
        features = np.repeat(population.features(np.array([customer])), n, axis=0)
        drawn = truth.known_value(market, features, rng.standard_normal((n, market.n_hidden)), offers)
        want = population.expected_value(np.array([customer]), offers, known="facts")[0]
        assert same(drawn, want).all()
        blind = features[:1] * np.r_[np.ones(features.shape[1] - 80), np.zeros(80)]
        assert not same(drawn, truth.facts_value(market, blind, offers)[0]).all()


def test_rules_need_no_discount_and_no_pairs():
    """Where no offer has a discount, no rule acts on the response to discounts."""
    market = world("heavy-tail", thresholds=Thresholds(count=60, effect=0.5, paired=1.0)).market
    n_options = sum(len(dimension.options) for dimension in market.scenario.dimensions)
    assert all(max(rule.acts_on) < n_options for rule in market.rules)
    assert all(len(rule.acts_on) == 2 for rule in market.rules)


# Drift


def test_drift_begins_where_the_still_market_is_and_turns_from_there():
    """At the beginning the score is the still market's; a quarter turn later it is that of the other tastes.

    By hand: score(t) = still + (cos w - 1) (A facts + a) + sin w (B facts + b), with the moving effects a and b 0 here.
    """
    drift = Drift(quarter_days=84.0)
    still, moving = world("drift", n=50, drift=Drift()), world("drift", n=50, drift=drift)
    market, offers = moving.market, np.arange(144)
    n_facts = still.features().shape[1]
    hidden = np.zeros((50, market.n_hidden))
    begin = truth.scores(still.market, moving.features()[:, :n_facts], hidden, offers)
    np.testing.assert_allclose(
        truth.scores(market, moving.features(time=CALENDAR_START), hidden, offers), begin, rtol=1e-12
    )
    np.testing.assert_allclose(truth.scores(market, moving.features(), hidden, offers), begin, rtol=1e-12)
    facts = moving.features()[:, :n_facts]
    _, _, now, later = np.split(market.score_map[n_facts:], [1, 2, 2 + n_facts])
    for days in (28, 84, 126):
        w = np.pi / 2 * days / 84
        want = begin + (np.cos(w) - 1) * facts @ now + np.sin(w) * facts @ later
        when = CALENDAR_START + days * DAY
        np.testing.assert_allclose(truth.scores(market, moving.features(time=when), hidden, offers), want, atol=1e-9)
        each = np.full(50, when)
        np.testing.assert_allclose(truth.scores(market, moving.features(time=each), hidden, offers), want, atol=1e-9)
    assert np.abs(want - begin).max() > 0.5


def test_tastes_have_the_same_deviation_at_every_time_and_end_unrelated_to_their_beginning():
    """What facts explain of text against e-mail: deviation about 0.40 x root 2 logits at any time, over 60 markets."""
    n_markets, deviations, together = 60, [], []
    for seed in range(n_markets):
        population = world("drift", n=400, seed=seed)
        catalogue = population.market.catalogue
        offer = {"discount": "0", "category": "home", "channel": "sms", "gift": "none"}
        pair = np.array([catalogue.offer_index(offer), catalogue.offer_index({**offer, "channel": "email"})])
        hidden = np.zeros((400, population.market.n_hidden))
        scores = [
            truth.scores(population.market, population.features(time=CALENDAR_START + days * DAY), hidden, pair)
            for days in (0, 42, 84)
        ]
        gaps = [score[:, 0] - score[:, 1] for score in scores]
        deviations.append([gap.var() for gap in gaps])
        together.append(np.corrcoef(gaps)[0, 1:])
    found, error = np.mean(deviations, axis=0), np.std(deviations, axis=0) / np.sqrt(n_markets)
    assert np.all(np.abs(found - 2 * 0.40**2) < 4.5 * error)
    half, whole = np.mean(together, axis=0)
    error = np.std(together, axis=0) / np.sqrt(n_markets)
    assert abs(whole) < 4.5 * error[1]
    assert half > 0.5  # negative control: half-way, at cos(45 degrees) = 0.71, they still are


def test_in_the_drifting_world_expectations_are_the_mean_of_what_customers_do():
    """n = 60,000 draws a pair at the end of the campaign; the expectation of its beginning must not pass."""
    population, n, end = world("drift", n=40), 60_000, CALENDAR_START + 84 * DAY
    apart = np.abs(population.expected_value(time=end) - population.expected_value(time=CALENDAR_START))
    rng = np.random.default_rng(5)
    for customer in (0, 7, 21):
        offer = int(apart[customer].argmax())
        who, what = np.full(n, customer), np.full(n, offer)
        rewards = population.respond(who, what, end, rng=rng).reward
        one, only = np.array([customer]), np.array([offer])
        assert same(rewards, population.expected_value(one, only, end)[0, 0])
        assert not same(rewards, population.expected_value(one, only, CALENDAR_START)[0, 0])
        assert population.expected_chosen(one, only, end)[0] == pytest.approx(
            population.expected_value(one, only, end)[0, 0], rel=1e-12
        )


def test_under_drift_the_facts_ceiling_knows_the_time():
    """The same facts at the end with 30,000 new draws of hidden tastes; the tastes of the beginning must not pass."""
    population, rng, n, end = world("drift", n=20), np.random.default_rng(3), 30_000, CALENDAR_START + 84 * DAY
    market, offers = population.market, np.array([0, 77, 143])
    season = market.scenario.season.shift(np.array(end))
    for customer in (0, 9):
        features = population.features(np.array([customer]), end)
        hidden = rng.standard_normal((n, market.n_hidden))
        drawn = truth.known_value(market, np.repeat(features, n, axis=0), hidden, offers, float(season))
        want = population.expected_value(np.array([customer]), offers, end, known="facts")[0]
        assert same(drawn, want).all()
        early = truth.facts_value(
            market, population.features(np.array([customer]), CALENDAR_START), offers, float(season)
        )
        assert not same(drawn, early[0]).all()


def test_ceilings_with_known_times_choose_the_best_of_each_moment_and_others_the_best_on_average():
    population = world("drift", n=40)
    rng, customers = np.random.default_rng(0), np.tile(np.arange(40), DRIFT_MOMENTS)
    times = np.repeat(CALENDAR_START + (np.arange(DRIFT_MOMENTS) * 84 // DRIFT_MOMENTS) * DAY, 40)
    contexts = population.contexts(customers, times)
    eligible = population.eligible(contexts)
    worth = {known: population.expected_value(customers, time=times, known=known) for known in ("tastes", "facts")}
    for known, ceiling in (
        ("tastes", Clairvoyant(population, times)),
        ("facts", FactsClairvoyant(population, times)),
    ):
        timed = ceiling.at(times).probabilities(contexts, eligible, rng)
        np.testing.assert_allclose((timed * worth[known]).sum(axis=1), worth[known].max(axis=1), rtol=1e-12)
        blind = ceiling.probabilities(contexts, eligible, rng)
        assert np.array_equal(blind[:40], blind[-40:])
        # Each customer at each moment: the best of one choice for all moments, which the ceiling finds.
        average = worth[known].reshape(DRIFT_MOMENTS, 40, 144).mean(axis=0)
        earned = (blind[:40] * average).sum(axis=1)
        np.testing.assert_allclose(earned, average.max(axis=1), rtol=2e-3)
        assert (timed * worth[known]).sum() > 1.02 * earned.sum() * DRIFT_MOMENTS
        with pytest.raises(PolicyError, match="knows the times of 480 visits; seen 40 contexts"):
            ceiling.at(times).probabilities(contexts.take(slice(0, 40)), eligible[:40], rng)
    beginning = Clairvoyant(population).probabilities(contexts, eligible, rng)
    assert np.array_equal(beginning.argmax(axis=1)[:40], population.expected_value().argmax(axis=1))


def test_known_times_include_the_season():
    population = world("tiny", n=80, season=Season(yearly=2.5))
    times = CALENDAR_START + np.arange(80) * 4 * DAY
    contexts = population.contexts(None, times)
    chosen = (
        Clairvoyant(population, times)
        .at(times)
        .probabilities(contexts, population.eligible(contexts), np.random.default_rng(0))
    )
    assert np.array_equal(chosen.argmax(axis=1), population.expected_value(time=times).argmax(axis=1))


# Heavy tails


def test_purchases_of_a_heavy_tail_have_their_exact_mean_and_tail():
    """3 in 100 lognormal(mu, 1.1) purchases are 8 times as large: E = exp(mu + 1.1^2 / 2) (1 + 0.03 x 7).

    n is the purchases of 300,000 visits; above x lie 0.97 Q((log x - mu) / 1.1) + 0.03 Q((log x - log 8 - mu) / 1.1).
    """
    population, n = world("heavy-tail", n=5), 300_000
    who, what = np.full(n, 3), np.full(n, 70)
    outcome = population.respond(who, what, rng=np.random.default_rng(4))
    one, only = np.array([3]), np.array([70])
    mean_log = truth.basket_of(population.market, population.features(one), population.hidden[one], only)[0]
    bought = np.log(outcome.revenue[outcome.converted]) - mean_log
    assert len(bought) > 10_000
    for x in (-1.0, 1.0, 2.5, 4.0):
        beyond = 0.97 * ndtr(-x / 1.1) + 0.03 * ndtr((np.log(8) - x) / 1.1)
        error = np.sqrt(beyond * (1 - beyond) / len(bought))
        assert abs((bought > x).mean() - beyond) < 4.5 * error
    assert abs((bought > 4.0).mean() - ndtr(-4.0 / 1.1)) > 4.5 * error  # negative control: no bulk
    exact = np.exp(1.1**2 / 2) * 1.21
    assert population.market.scenario.log_mean_purchase == pytest.approx(np.log(exact), rel=1e-12)
    assert same(np.exp(bought), exact)
    assert not same(np.exp(bought), np.exp(1.1**2 / 2))
    assert same(outcome.reward, population.expected_value(one, only)[0, 0])


def test_one_normal_is_enough_for_a_purchase_and_its_kind():
    """The lowest 3 % of the normals are bulk; within each kind the remaining chance is spread evenly, by hand."""
    population = world("heavy-tail", n=1, base_rate=1 - 1e-12)
    place = np.array([0.015, 0.03 + 0.97 / 2, 0.03 + 0.97 * 0.9])
    zeros = np.zeros(3, dtype=np.int64)
    noise = Noise(np.zeros(3), ndtri(place), np.zeros(3), np.zeros(3), np.zeros(3))
    log = np.log(population.respond(zeros, zeros, noise=noise).revenue)
    mean = truth.basket_of(population.market, population.features(), population.hidden, np.zeros(1, dtype=np.int64))
    np.testing.assert_allclose(log - mean, [np.log(8), 0.0, 1.1 * ndtri(0.9)], atol=1e-9)


# The yardstick


@pytest.mark.parametrize("name", ["rugged", "drift", "tiny"])
def test_reference_values_are_the_value_of_each_policy_at_each_visit(name):
    """A customer who returns is asked about once; asking at each visit gives the same."""
    population, rng = world(name, n=30), np.random.default_rng(0)
    visits = population.visits(200, rng)
    customers, times = visits.customers, visits.times
    reference = ReferenceValues.measure(population, customers, times)
    catalogue = population.market.catalogue
    rules = SegmentRules.from_dict(catalogue, best_segment_rules(population, customers, times))
    facts, every = FactsClairvoyant(population, times), Clairvoyant(population, times)
    if name == "drift":
        facts, every = facts.at(times), every.at(times)
    for found, policy in (
        (reference.uniform, Uniform(catalogue)),
        (reference.segment_rule, rules),
        (reference.facts_clairvoyant, facts),
        (reference.clairvoyant, every),
    ):
        contexts = population.contexts(customers, times)
        shares = policy.probabilities(contexts, population.eligible(contexts), rng)
        want = (shares * population.expected_value(customers, time=times)).sum(axis=1)
        np.testing.assert_allclose(found, want, rtol=1e-9)
    scale = ValueScale.measure(population, customers, times)
    for field in ("uniform", "facts_clairvoyant", "clairvoyant"):
        assert getattr(reference.scale, field) == pytest.approx(getattr(scale, field), rel=1e-12)
    last = reference.take(slice(-len(reference) // 4, None))
    assert len(last) == 50
    assert last.scale.uniform == pytest.approx(reference.uniform[150:].mean(), rel=1e-12)
    assert last.share(last.facts_clairvoyant) == pytest.approx(1.0)
    assert reference.share(reference.uniform) == pytest.approx(0.0, abs=1e-12)
    assert reference.share(reference.clairvoyant) == pytest.approx(scale.share(scale.clairvoyant))


def test_reference_values_of_an_observed_season_are_computed_at_every_visit():
    population = world("tiny", n=30, season=Season(yearly=2.5, observed=True))
    visits = population.visits(200, np.random.default_rng(0), days=365)
    reference = ReferenceValues.measure(population, visits.customers, visits.times)
    worth = population.expected_value(visits.customers, time=visits.times)
    np.testing.assert_allclose(reference.clairvoyant, worth.max(axis=1), rtol=1e-9)
    best = population.expected_value().argmax(axis=1)[visits.customers]
    assert worth[np.arange(200), best].sum() < reference.clairvoyant.sum()  # negative control: one choice a customer


def test_a_ceiling_in_the_world_of_sure_things_gives_hardly_any_discount():
    """Two thirds order without: a tenth off costs them a quarter of the margin and moves few."""
    population = world("sure-things", n=400)
    plain = population.market.catalogue.offer_index(scenario("sure-things").fallback)
    score = truth.scores(population.market, population.features(), population.hidden, np.array([plain]))
    assert 0.6 < expit(score).mean() < 0.75
    contexts = population.contexts()
    chosen = FactsClairvoyant(population).probabilities(
        contexts, population.eligible(contexts), np.random.default_rng(0)
    )
    assert (population.market.catalogue.options[chosen.argmax(axis=1), 0] == 0).mean() > 0.9

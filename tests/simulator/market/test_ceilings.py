"""The ceilings are ceilings, and segment rules are what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.domain import Policy
from bandit.errors import ContextError, InputError, PolicyError
from bandit.policies.segment_rules import SegmentRules
from bandit.policies.uniform import Uniform
from simulator import (
    SCENARIOS,
    Clairvoyant,
    FactsClairvoyant,
    Market,
    Population,
    ValueScale,
    best_segment_rules,
    scenario,
    todays_rules,
)
from simulator.market.season import DAY, Season


def world(name="tiny", n=300, seed=1, *, rules=False, **changes):
    rng = np.random.default_rng(seed)
    return Population.draw(Market.draw(replace(scenario(name, rules=rules), **changes), rng), n, rng)


class SoftmaxOfFacts:
    """Any soft choice that looks at facts only, by random weights; sharp ones come close to every rule."""

    name, learns = "softmax", False

    def __init__(self, population, seed, sharp):
        rng = np.random.default_rng(seed)
        self.market = population.market
        self.weights = rng.standard_normal((len(self.market.score_map), self.market.n_offers)) * sharp

    def probabilities(self, contexts, eligible, rng):
        features = self.market.features({name: contexts.columns[name] for name in contexts.columns})
        score = np.where(eligible, features @ self.weights, -np.inf)
        odds = np.exp(score - score.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


TINY, RULED = world(), world("retail", n=150, rules=True)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), sharp=st.floats(0, 100), ruled=st.booleans())
def test_no_policy_of_facts_beats_either_ceiling(seed, sharp, ruled):
    population = RULED if ruled else TINY
    policy, rng = SoftmaxOfFacts(population, seed, sharp), np.random.default_rng(0)
    ceiling = FactsClairvoyant(population)
    by_facts = population.values(policy, rng, known="facts")
    assert np.all(by_facts <= population.values(ceiling, rng, known="facts") + 1e-12)
    in_truth = population.values(policy, rng)
    assert np.all(in_truth <= population.values(Clairvoyant(population), rng) + 1e-12)


def test_a_policy_that_peeks_at_tastes_does_beat_the_facts_ceiling():
    """The negative control of the ceiling: what it cannot see is worth something."""
    rng = np.random.default_rng(0)
    facts = TINY.value(FactsClairvoyant(TINY), rng)
    assert TINY.value(Clairvoyant(TINY), rng) > facts > TINY.value(Uniform(TINY.market.catalogue), rng)


def test_ceilings_over_a_season_beat_every_constant_policy_over_the_same_times():
    """Every customer at every time of a year: the product set that the season's quadrature stands for."""
    season = Season(yearly=1.5, yearly_peak=0.0)
    population = world(n=60, season=season)
    times = np.arange(0, 365, 15) * DAY
    customers, at = np.tile(np.arange(60), len(times)), np.repeat(times, 60)
    rng = np.random.default_rng(0)
    worth = population.expected_value(customers, time=at).reshape(len(times), 60, -1).mean(axis=0)
    best = population.values(Clairvoyant(population, times), rng, customers, at).reshape(len(times), 60)
    np.testing.assert_allclose(best.mean(axis=0), worth.max(axis=1), rtol=1e-4)
    assert np.all(best.mean(axis=0) >= worth.max(axis=1) - 1e-3)


def test_ceilings_use_the_season_where_the_catalogue_declares_it():
    season = Season(yearly=2.5, weekly=0.3, observed=True)
    population = world(n=200, season=season)
    assert {"season", "weekend"} <= population.market.catalogue.facts.keys()
    customers, at = np.arange(200), np.linspace(0, 365 * DAY, 200).astype(np.int64)
    rng = np.random.default_rng(0)
    found = population.values(Clairvoyant(population), rng, customers, at)
    np.testing.assert_allclose(found, population.expected_value(customers, time=at).max(axis=1), rtol=1e-12)
    found = population.values(FactsClairvoyant(population), rng, customers, at, known="facts")
    want = population.expected_value(customers, time=at, known="facts").max(axis=1)
    np.testing.assert_allclose(found, want, rtol=1e-12)


def test_ceilings_choose_among_the_eligible_only_and_obey_the_protocol():
    contexts = RULED.contexts()
    eligible = RULED.eligible(contexts)
    assert not eligible.all()
    for ceiling in (FactsClairvoyant(RULED), Clairvoyant(RULED)):
        assert isinstance(ceiling, Policy)
        chosen = ceiling.probabilities(contexts, eligible, np.random.default_rng(0))
        assert np.all(chosen.sum(axis=1) == 1)
        assert np.all(chosen[~eligible] == 0)
        ceiling.loads(ceiling.dumps())
        with pytest.raises(PolicyError, match="no state to load; seen 1 bytes"):
            ceiling.loads(b"x")
        assert ceiling.spec() == {"kind": ceiling.name, "scenario": "retail"}
        assert not ceiling.learns


def test_clairvoyant_finds_customers_under_the_keys_of_a_log():
    rng = np.random.default_rng(0)
    contexts = TINY.contexts()
    eligible = TINY.eligible(contexts)
    want = Clairvoyant(TINY).probabilities(contexts, eligible, rng)

    def hidden_key(name):
        return f"#{name}"

    kept = TINY.market.catalogue.contexts(TINY.columns(), [hidden_key(name) for name in TINY.names()])
    by_dict = Clairvoyant(TINY, lookup=TINY.lookup(hidden_key))
    by_function = Clairvoyant(TINY, lookup=lambda keys: TINY.rows([key[1:] for key in keys]))
    for policy in (by_dict, by_function):
        assert np.array_equal(policy.probabilities(kept, eligible, rng), want)
    with pytest.raises(ContextError, match='"#c000000" is not one of the 300'):
        Clairvoyant(TINY).probabilities(kept, eligible, rng)
    with pytest.raises(PolicyError, match="knows customers by key"):
        Clairvoyant(TINY).probabilities(TINY.market.catalogue.contexts(TINY.columns()), eligible, rng)


def test_missing_facts_count_as_the_average_customers():
    catalogue = TINY.market.catalogue
    nothing = catalogue.contexts([{}])
    chosen = FactsClairvoyant(TINY).probabilities(nothing, catalogue.eligible(nothing), np.random.default_rng(0))
    assert chosen.sum() == 1


def test_best_segment_rules_have_in_each_segment_the_offer_that_earns_most_there():
    """By hand: for loyal women, the mean of each offer's expectation over loyal women."""
    population = world(n=400)
    mapping = best_segment_rules(population)
    assert [segment["when"] for segment in mapping["segments"]] == [
        f'gender == "{gender}" and {loyal}' for gender in "fm" for loyal in ("not loyal", "loyal")
    ]
    catalogue = population.market.catalogue
    member = (population.facts["gender"] == 0) & (population.facts["loyal"] == 1)
    best = population.expected_value()[member].mean(axis=0).argmax()
    assert mapping["segments"][1]["offer"] == catalogue.offer(int(best))
    assert mapping["otherwise"] == catalogue.offer(int(population.expected_value().mean(axis=0).argmax()))
    policy = SegmentRules.from_dict(catalogue, mapping)
    segments = population.facts["gender"] * 2 + population.facts["loyal"]
    want = sum(
        population.expected_value()[segments == one].sum(axis=0).max() for one in range(4) if (segments == one).any()
    )
    assert population.value(policy, np.random.default_rng(0)) * 400 == pytest.approx(want, rel=1e-12)


def test_numeric_facts_are_cut_at_their_points():
    population = world(n=400)
    mapping = best_segment_rules(population, cuts=(("age", (30.0, 50.0)),), exploration=0.2)
    assert [segment["when"] for segment in mapping["segments"]] == [
        "age < 30",
        "age >= 30 and age < 50",
        "age >= 50",
    ]
    assert mapping["exploration"] == 0.2
    with pytest.raises(ContextError, match="without points"):
        best_segment_rules(population, cuts=(("age", ()),))
    with pytest.raises(ContextError, match='"zip" is not a fact'):
        best_segment_rules(population, cuts=(("zip", ()),))


def test_segment_rules_of_a_world_with_rules_name_eligible_offers_only():
    catalogue, rng = RULED.market.catalogue, np.random.default_rng(0)
    contexts = RULED.contexts()
    eligible = RULED.eligible(contexts)
    assert catalogue.n_offers == 144 - 2 * 4 * 3
    for mapping in (best_segment_rules(RULED), todays_rules(RULED)):
        policy = SegmentRules.from_dict(catalogue, mapping)
        assert np.all(policy.probabilities(contexts, eligible, rng)[~eligible] == 0)


def test_rules_and_ceilings_of_retail_have_the_order_that_the_scenario_promises():
    """Six markets of 1,500 customers, each value exact; the shares are those that the scenario is meant to have."""
    shares = []
    for seed in range(6):
        population = world("retail", n=1_500, seed=seed)
        rng, catalogue = np.random.default_rng(0), population.market.catalogue
        scale = ValueScale.measure(population)
        today = population.value(SegmentRules.from_dict(catalogue, todays_rules(population)), rng)
        best = population.value(SegmentRules.from_dict(catalogue, best_segment_rules(population)), rng)
        assert scale.uniform < today < best < scale.facts_clairvoyant < scale.clairvoyant
        assert scale.uniform == pytest.approx(population.value(Uniform(catalogue), rng), rel=1e-12)
        shares.append([scale.share(today), scale.share(best), scale.share(scale.clairvoyant)])
        assert scale.share(scale.facts_clairvoyant) == 1.0
    today, best, ceiling = np.mean(shares, axis=0)
    assert 0.2 < today < 0.6
    assert 0.79 < best < 0.90
    assert 1.1 < ceiling < 1.5


def test_nothing_is_to_be_gained_in_the_null_world():
    population = world("null", n=200)
    scale = ValueScale.measure(population)
    assert scale.clairvoyant == pytest.approx(scale.uniform, abs=1e-12)
    assert np.isnan(scale.share(scale.uniform))


def test_scenarios_are_found_by_name_and_others_are_refused():
    assert set(SCENARIOS) >= {"retail", "null", "tiny"}
    with pytest.raises(InputError, match='"nowhere" is not a scenario; scenarios are retail'):
        scenario("nowhere")
    with pytest.raises(InputError, match='"tiny" has no rules'):
        scenario("tiny", rules=True)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_draws_and_has_its_practice(name):
    population = world(name, n=200)
    assert population.expected_value().shape == (200, population.market.n_offers)
    mapping = todays_rules(population, exploration=0.1)
    assert mapping["exploration"] == 0.1
    SegmentRules.from_dict(population.market.catalogue, mapping)
    assert population.market.scenario.describes

"""Scenarios as worlds for calibration: customers who return, rewards in money, 144 offers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit

from bandit.domain import FloatArray, IntArray
from bandit.policies import SegmentRules
from simulator.market import truth
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.responses import Noise, buy
from simulator.market.segments import todays_rules
from simulator.scenarios import scenario
from simulator.validation.calibration.reward import pool_predictions
from simulator.validation.calibration.world import EPSILONS, CalibrationWorld, RewardDraw, mixed, one_hot, softmax

POOL_CUSTOMERS = 2_000
"""Customers in the pool of a market."""

GREEDY_DECISIONS = 10_000
"""Random decisions that the policy "greedy" has learned from; they are in no log that is evaluated."""

SINGLE_OFFERS = 36
"""Number of single offers that are compared with each other."""


def market_world(name: str, seed: np.random.SeedSequence) -> CalibrationWorld:
    """Return a scenario as a world.

    The log is written by the scenario's segment rules with some uniform choice mixed in, or by a softmax of a noisy
    score.
    Targets: uniform; the single offer that is best on the whole; the rules themselves; a reward model's best offer
    ("greedy", learned from a log of its own) and a softmax of its scores; and the best offer given all tastes, which
    facts alone do not tell ("far"). In the scenario "null" all of these are worth the same.
    """
    drawn, learning, noise = (np.random.default_rng(each) for each in seed.spawn(3))
    spec = scenario(name)
    market = Market.draw(spec, drawn)
    population = Population.draw(market, POOL_CUSTOMERS, drawn)
    contexts, expected = population.contexts(), population.expected_value()
    n_offers = market.n_offers
    rules = SegmentRules.from_dict(market.catalogue, todays_rules(population)).probabilities(
        contexts, population.eligible(contexts), noise
    )
    uniform = np.full((POOL_CUSTOMERS, n_offers), 1.0 / n_offers)
    score = expected + expected.std(axis=1, keepdims=True) * noise.standard_normal(expected.shape)
    logging = {f"rules, {epsilon:.0%} chance": mixed(rules, epsilon) for epsilon in EPSILONS}
    logging["softmax"] = softmax(score, 1.5)
    frame = CalibrationWorld(
        name=name,
        catalogue=market.catalogue,
        contexts=contexts,
        expected=expected,
        frequency=population.frequency,
        visits=spec.visits / spec.customers,
        draw=_draws(population),
        logging=logging,
        targets=_targets(expected, rules, uniform),
    )
    return _learned(frame, learning)


def single_offers(world: CalibrationWorld) -> Mapping[str, FloatArray]:
    """Return single offers as policies by name, evenly spaced among all offers."""
    places = np.linspace(0, world.n_offers - 1, SINGLE_OFFERS).astype(np.int64)
    pool = len(world.expected)
    return {f"offer {place}": one_hot(np.full(pool, place), world.n_offers) for place in places.tolist()}


def _targets(expected: FloatArray, rules: FloatArray, uniform: FloatArray) -> dict[str, FloatArray]:
    pool, n_offers = expected.shape
    best = int(expected.mean(axis=0).argmax())
    return {
        "uniform": uniform,
        "single": one_hot(np.full(pool, best), n_offers),
        "rules": rules,
        "far": one_hot(expected.argmax(axis=1), n_offers),
    }


def _learned(frame: CalibrationWorld, rng: np.random.Generator) -> CalibrationWorld:
    """Return the world with the policies of a reward model that is fitted to a log of its own."""
    log = frame.sample(next(iter(frame.logging)), GREEDY_DECISIONS, rng)
    predicted = pool_predictions(log)
    frame_targets = dict(frame.targets)
    frame_targets["greedy"] = one_hot(predicted.argmax(axis=1), frame.n_offers)
    frame_targets["soft"] = softmax(predicted, 1.5)
    return CalibrationWorld(
        **{**{name: getattr(frame, name) for name in frame.__dataclass_fields__}, "targets": frame_targets}
    )


def _draws(population: Population) -> RewardDraw:
    """Return a function that draws rewards, from tables of every customer's response and basket."""
    market = population.market
    offers = np.arange(market.n_offers)
    features = population.features()
    response = expit(truth.scores(market, features, population.hidden, offers))
    basket = truth.baskets(market, features, population.hidden, offers)
    objective, money = market.catalogue.objective, market.catalogue.money

    def draw(rows: IntArray, offer: IntArray, rng: np.random.Generator) -> FloatArray:
        noise = Noise.draw(len(rows), rng)
        back = market.returned[offer]
        bought, revenue, _, returned, _ = buy(market.scenario, response[rows, offer], basket[rows, offer], back, noise)
        kept = bought & ~returned
        return objective.reward(money, offer, kept, np.where(kept, revenue, 0.0), np.zeros(len(rows)))

    return draw

"""Stages before a purchase in simulated markets."""

from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.store import StoreLog
from simulator import Market, Noise, Population, scenario
from simulator.simulation.run import RunOptions, run
from simulator.simulation.table import run_table


def world(name, n, seed=1, **changes):
    market = Market.draw(replace(scenario(name), **changes), np.random.default_rng(seed))
    return Population.draw(market, n, np.random.default_rng([seed, 1]))


@pytest.mark.parametrize("name", ["sparse", "clickbait"])
def test_stages_are_passed_in_order_with_the_exact_probabilities(name):
    """40,000 visits: a stage is passed by buyers, and by others with the product of the exact chances."""
    population = world(name, 2_000)
    rng = np.random.default_rng(2)
    customers, offers = rng.integers(0, 2_000, 40_000), rng.integers(0, 144, 40_000)
    outcome = population.respond(customers, offers, noise=Noise.draw(40_000, rng))
    bought = population.expected_response(customers, offers)
    through = np.cumprod(population.expected_stages(customers, offers), axis=1)
    want = bought[:, None] + (1.0 - bought[:, None]) * through
    errors = 4.5 * np.sqrt((want * (1.0 - want)).mean(axis=0) / 40_000)
    assert (np.abs(outcome.stages.mean(axis=0) - want.mean(axis=0)) < errors).all()
    assert (np.abs(outcome.stages.mean(axis=0) - bought.mean()) > errors).all()  # the negative control
    every = np.column_stack([outcome.stages, outcome.converted])
    assert (every[:, 1:] <= every[:, :-1]).all()
    assert (outcome.stage_delay <= outcome.delay)[outcome.converted].all()


def test_stages_change_neither_the_purchases_nor_their_values():
    """The market, its customers and their purchases are those of the scenario without stages, to the bit."""
    one, other = world("sparse", 300), world("sparse", 300, stages=())
    rng = np.random.default_rng(3)
    offers, noise = rng.integers(0, 144, 300), Noise.draw(300, rng)
    assert (one.expected_value() == other.expected_value()).all()
    found = [each.respond(np.arange(300), offers, noise=noise) for each in (one, other)]
    assert (found[0].revenue == found[1].revenue).all()
    assert found[1].stages.shape == (300, 0)


@pytest.mark.parametrize("delayed", [False, True])
def test_an_engine_observes_the_stages_of_a_run(tmp_path, delayed):
    """Every stage that was passed is recorded as an event, and the log has the stages of the run."""
    population = world("clickbait", 100)
    visits = population.visits(300, np.random.default_rng(4))
    catalogue = population.market.catalogue
    with bandit.Engine.open(
        tmp_path / "a.db", catalogue, bandit.Uniform(catalogue), seed=1, customer_key=b"a key for our tests"
    ) as engine:
        done = run(engine, population, visits, np.random.default_rng(5), RunOptions(batch=100, delayed=delayed))
        (logged,) = StoreLog(engine.store, catalogue).batches()
    assert done.responses.stages.any()
    assert (logged.stages == done.responses.stages).all()
    assert run_table(population, done)["click"].tolist() == done.responses.stages[:, 0].astype(int).tolist()

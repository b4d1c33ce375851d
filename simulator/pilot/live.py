"""Live: the engine and its rivals meet the same visits and the same chance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bandit import ope
from bandit.domain import FloatArray, IntArray, Policy
from bandit.engine import Engine
from bandit.policies import ThompsonSampling
from simulator.live import Progress, Run, run
from simulator.pilot.judge import ceilings
from simulator.pilot.plan import World

BATCH = 1_000
"""Visits between two looks at what came of them."""


def engine_live(
    world: World, path: Path, *, learning: Progress | None = None, running: Progress | None = None
) -> tuple[Run, int]:
    """Let an engine with Thompson sampling learn the whole log and then decide for the live visits, learning on.

    Returns the run and the number of outcomes that were learned before it.
    """
    window = world.catalogue.objective.window
    with Engine.open(
        path,
        world.catalogue,
        ThompsonSampling(world.catalogue),
        seed=world.plan.seed,
        customer_key=world.plan.customer_key.encode(),
        durability="process",
    ) as engine:
        learned = engine.learn(now=int(world.visits.times[-1]) + window + 1, progress=learning)
        done = run(
            engine,
            world.population,
            world.live,
            world.plan.rng("draws"),
            batch=BATCH,
            noise=world.noise,
            prefix="live-",
            progress=running,
        )
    return done, learned.n


def policy_live(world: World, policy: Policy) -> Run:
    """Let a bare policy meet the same visits and the same chance, learning if it learns."""
    return run(policy, world.population, world.live, world.plan.rng("draws"), batch=BATCH, noise=world.noise)


def live_values(world: World) -> Mapping[str, FloatArray]:
    """Return what the best possible policies would have earned, to be expected, at each live visit."""
    population, live = world.population, world.live
    rng = world.plan.rng("draws")
    return {
        name: population.values(policy, rng, live.customers, live.times)
        for name, policy in ceilings(population, live.times).items()
    }


def more_than(earned: FloatArray, base: FloatArray, customers: IntArray) -> ope.Estimate:
    """Return how much more was earned a visit, with the interval that other customers of this market would give."""
    one = np.ones(len(earned))
    return ope.estimate(ope.Feedback(earned - base, one, one, cluster=customers), estimators=("ips",))[0]

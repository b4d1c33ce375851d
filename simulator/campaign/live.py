"""Live: the engine and its rivals meet the same visits and the same chance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bandit import ope
from bandit.domain import FloatArray, IntArray, Policy, Progress
from bandit.engine import Engine
from bandit.policies import ThompsonSampling
from simulator.campaign.evaluation import ceilings
from simulator.campaign.plan import CampaignWorld
from simulator.simulation.run import Run, run

LIVE_BATCH = 1_000
"""Visits between two looks at what came of them."""


def engine_learns(world: CampaignWorld, path: Path, progress: Progress | None = None) -> int:
    """Let an engine with Thompson sampling learn the whole log; return the number of outcomes."""
    window = world.catalogue.objective.window
    with _engine(world, path) as engine:
        return engine.learn(now=int(world.visits.times[-1]) + window + 1, progress=progress).n


def engine_live(world: CampaignWorld, path: Path, progress: Progress | None = None) -> Run:
    """Let the engine go on where it stands: decide for the live visits, and learn from what comes of them."""
    rng = world.plan.rng("draws")
    with _engine(world, path) as engine:
        return run(
            engine,
            world.population,
            world.live,
            rng,
            batch=LIVE_BATCH,
            noise=world.noise,
            prefix="live-",
            progress=progress,
        )


def _engine(world: CampaignWorld, path: Path) -> Engine:
    return Engine.open(
        path,
        world.catalogue,
        ThompsonSampling(world.catalogue),
        seed=world.plan.seed,
        customer_key=world.plan.customer_key.encode(),
        durability="process",
    )


def policy_live(world: CampaignWorld, policy: Policy) -> Run:
    """Let a bare policy meet the same visits and the same chance, learning if it learns."""
    return run(policy, world.population, world.live, world.plan.rng("draws"), batch=LIVE_BATCH, noise=world.noise)


def live_values(world: CampaignWorld) -> Mapping[str, FloatArray]:
    """Return what the best possible policies would have earned, to be expected, at each live visit."""
    population, live = world.population, world.live
    rng = world.plan.rng("draws")
    return {
        name: population.values(policy, rng, live.customers, live.times)
        for name, policy in ceilings(population, live.times).items()
    }


def paired_difference(earned: FloatArray, base: FloatArray, customers: IntArray) -> ope.Estimate:
    """Return how much more was earned a visit, with the interval that other customers of this market would give."""
    one = np.ones(len(earned))
    return ope.estimate(ope.Feedback(earned - base, one, one, cluster=customers), estimators=("ips",))[0]

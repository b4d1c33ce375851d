"""The live phase: the engine and the other policies meet the same visits with the same noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bandit import ope
from bandit.domain import FloatArray, IntArray, Policy, Progress
from bandit.engine import Engine
from bandit.policies import ThompsonSampling
from simulator.campaign.evaluation import clairvoyant_policies
from simulator.campaign.plan import CampaignWorld
from simulator.simulation.run import Run, RunOptions, run

LIVE_BATCH = 1_000
"""Visits that are decided before their outcomes are learned."""


def engine_learns(world: CampaignWorld, path: Path, progress: Progress | None = None) -> int:
    """Let an engine with Thompson sampling learn the whole log; return the number of outcomes."""
    window = world.catalogue.objective.window
    with _engine(world, path) as engine:
        return engine.learn(now=int(world.visits.times[-1]) + window + 1, progress=progress).n


def engine_live(world: CampaignWorld, path: Path, progress: Progress | None = None) -> Run:
    """Let the engine continue from its learned state: decide for the live visits, and learn from their outcomes."""
    rng, options = world.plan.rng("draws"), RunOptions(batch=LIVE_BATCH, prefix="live-")
    with _engine(world, path) as engine:
        return run(engine, world.population, world.live, rng, options, noise=world.noise, progress=progress)


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
    """Run a bare policy on the same visits with the same noise; it learns if it can."""
    rng, options = world.plan.rng("draws"), RunOptions(batch=LIVE_BATCH)
    return run(policy, world.population, world.live, rng, options, noise=world.noise)


def live_values(world: CampaignWorld) -> Mapping[str, FloatArray]:
    """Return the expected objective of the clairvoyant policies at each live visit, (n,) by name."""
    population, live = world.population, world.live
    rng = world.plan.rng("draws")
    return {
        name: population.values(policy, rng, live.customers, live.times)
        for name, policy in clairvoyant_policies(population, live.times).items()
    }


def paired_difference(earned: FloatArray, base: FloatArray, customers: IntArray) -> ope.Estimate:
    """Return the mean difference a visit, with an interval over customers of this market."""
    one = np.ones(len(earned))
    return ope.estimate(ope.Feedback(earned - base, one, one, cluster=customers), estimators=("ips",))[0]

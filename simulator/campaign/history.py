"""The log that today's segment rules write, and its split in two halves by customer."""

from __future__ import annotations

from pathlib import Path

from bandit.domain import Log, Progress
from bandit.engine import Engine
from bandit.evaluate.split import split_log
from bandit.store import Store, StoreLog, Where
from simulator.campaign.plan import CampaignWorld
from simulator.simulation.log import MemoryLog
from simulator.simulation.run import Run, RunOptions, run

LEARNING_SHARE = 0.5
"""Share of the customers that policies learn from; they are evaluated on the others."""


def write_history(world: CampaignWorld, path: Path, progress: Progress | None = None) -> Run:
    """Run the visits under today's rules with exploration; an engine logs every decision and outcome."""
    options = RunOptions(batch=4_096)
    with Engine.open(
        path,
        world.catalogue,
        world.segment_rules(world.plan.exploration),
        seed=world.plan.seed,
        customer_key=world.plan.customer_key.encode(),
        durability="process",
    ) as engine:
        return run(engine, world.population, world.visits, world.plan.rng("draws"), options, progress=progress)


def history(store: Store, world: CampaignWorld) -> Log:
    """Return the log that the rules wrote, without what came later."""
    first = min(row.id for row in store.catalogues.policies())
    return StoreLog(store, world.catalogue, where=Where(policy_id=first))


def split_halves(log: Log) -> tuple[MemoryLog, MemoryLog]:
    """Return the decisions to learn from and those to evaluate on, split by customer, in memory."""
    size = max(log.n, 1)
    whole = MemoryLog(next(log.batches(size)))
    learning, evaluation = (
        MemoryLog(next(split_log(whole, LEARNING_SHARE, part).batches(size))) for part in ("learn", "judge")
    )
    return learning, evaluation

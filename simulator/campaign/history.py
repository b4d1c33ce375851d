"""The log that today's rules leave, and its two halves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandit.domain import Log, LoggedBatch, Progress
from bandit.engine import Engine
from bandit.evaluate.split import split_log
from bandit.store import Store, StoreLog, Where
from simulator.campaign.plan import RULES_EXPLORATION, CampaignWorld
from simulator.simulation.run import Run, run

LEARNING_SHARE = 0.5
"""Share of the customers that policies learn from before they are judged on the others."""


@dataclass(frozen=True, slots=True, eq=False)
class MemoryLog:
    """Decisions held in memory as `bandit.domain.Log`."""

    batch: LoggedBatch

    @property
    def n(self) -> int:
        """The number of decisions."""
        return len(self.batch)

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        for start in range(0, self.n, size):
            yield self.batch.take(slice(start, start + size))

    def by_customer(self) -> MemoryLog:
        """Return the decisions customer by customer, each customer's in order."""
        numbers = np.unique(self.batch.contexts.customers, return_inverse=True)[1]
        return MemoryLog(self.batch.take(np.argsort(numbers, kind="stable")))


def write_history(world: CampaignWorld, path: Path, progress: Progress | None = None) -> Run:
    """Let the customers arrive under today's rules with exploration; an engine writes every decision and outcome."""
    rules = world.segment_rules(RULES_EXPLORATION)
    with Engine.open(
        path,
        world.catalogue,
        rules,
        seed=world.plan.seed,
        customer_key=world.plan.customer_key.encode(),
        durability="process",
    ) as engine:
        return run(engine, world.population, world.visits, world.plan.rng("draws"), batch=4_096, progress=progress)


def history(store: Store, world: CampaignWorld) -> Log:
    """Return the log that the rules wrote, without what came later."""
    first = min(row.id for row in store.catalogues.policies())
    return StoreLog(store, world.catalogue, where=Where(policy_id=first))


def split_halves(log: Log) -> tuple[MemoryLog, MemoryLog]:
    """Return the decisions to learn from and those to judge by, dealt by customer and held in memory."""
    size = max(log.n, 1)
    whole = MemoryLog(next(log.batches(size)))
    train, evaluate_offline = (
        MemoryLog(next(split_log(whole, LEARNING_SHARE, part).batches(size))) for part in ("learn", "judge")
    )
    return train, evaluate_offline

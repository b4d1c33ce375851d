"""Logs that evaluation reads without a database: of a run, and of decisions kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import LogDefaults, LoggedBatch
from simulator.market.population import Population
from simulator.simulation.run import Run


@dataclass(frozen=True, slots=True, eq=False)
class RunLog(LogDefaults):
    """A run as `bandit.domain.Log`: final outcomes in order of decision, contexts built anew for each batch."""

    population: Population
    run: Run

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that numbers the offers."""
        return self.population.market.catalogue

    @property
    def n(self) -> int:
        """The number of decisions."""
        return len(self.run)

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        one = self.run
        for start in range(0, self.n, size):
            rows = slice(start, min(start + size, self.n))
            visits = one.visits.take(rows)
            kept = one.responses.kept[rows]
            yield LoggedBatch(
                self.population.contexts(visits.customers, visits.times),
                one.offer[rows],
                one.eligible(rows),
                one.propensity[rows],
                kept,
                np.where(kept, one.responses.revenue[rows], 0.0),
                one.responses.reward[rows],
                visits.times,
                stages=one.responses.stages[rows],
            )


@dataclass(frozen=True, slots=True, eq=False)
class MemoryLog(LogDefaults):
    """Decisions in memory as `bandit.domain.Log`."""

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

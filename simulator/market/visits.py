"""Visits: which customers come at which times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray
from simulator.market.season import Season


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """n visits in order of time: the customer's row in the population, and microseconds since 1970."""

    customers: IntArray
    times: IntArray

    def __len__(self) -> int:
        return len(self.customers)

    def take(self, rows: IntArray | BoolArray | slice) -> Visits:
        """Return the chosen rows."""
        return Visits(self.customers[rows], self.times[rows])


def draw_visits(
    frequency: FloatArray, season: Season, n: int, rng: np.random.Generator, start: int, days: float
) -> Visits:
    """Draw n visits of customers rows come in proportion to (n_customers,) `frequency`, at times of the season."""
    cumulative = np.cumsum(frequency)
    rows = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    customers = np.minimum(rows, len(cumulative) - 1).astype(np.int64)
    return Visits(customers, season.draw_times(n, start, days, rng))

"""The stage of one comparison: customers, visits and chance, the same for every contestant."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.responses import Noise
from simulator.market.visits import Visits
from simulator.scenarios import scenario

FIRST_DECISIONS = 2_000
"""The first decisions, which are looked at apart: what a cold start costs."""

TOURNAMENT_BATCH = 100
"""Decisions between two moments of learning."""


@dataclass(frozen=True, slots=True, order=True)
class WorldSpec:
    """Where a contestant plays: a scenario, the main seed, the number of the draw under it, and the size."""

    scenario: str
    seed: int
    draw: int
    customers: int
    visits: int

    @staticmethod
    def of(name: str, seed: int, draw: int, customers: int | None = None, visits: int | None = None) -> WorldSpec:
        """Return the place of a scenario in the size that it recommends, or in another."""
        spec = scenario(name)
        return WorldSpec(
            name,
            seed,
            draw,
            spec.customers if customers is None else customers,
            spec.visits if visits is None else visits,
        )

    def sequence(self, of: str) -> np.random.SeedSequence:
        """Return the seeds of one thing of this place; different things and places have nothing in common."""
        return np.random.SeedSequence(
            self.seed, spawn_key=(self.draw, zlib.crc32(self.scenario.encode()), zlib.crc32(of.encode()))
        )

    @property
    def stamp(self) -> int:
        """A number that changes when the scenario's own numbers do, so that old results are not taken for new ones."""
        return zlib.crc32(repr(scenario(self.scenario)).encode())

    def __str__(self) -> str:
        return f"{self.scenario} {self.draw}"


@dataclass(frozen=True, slots=True, eq=False)
class TournamentWorld:
    """A market, its customers, n visits and the chance of those visits."""

    spec: WorldSpec
    population: Population
    visits: Visits
    noise: Noise

    @staticmethod
    def draw(spec: WorldSpec) -> TournamentWorld:
        """Draw the world of this place; always the same one."""
        market = Market.draw(scenario(spec.scenario), np.random.default_rng(spec.sequence("market")))
        population = Population.draw(market, spec.customers, np.random.default_rng(spec.sequence("population")))
        visits = population.visits(spec.visits, np.random.default_rng(spec.sequence("visits")))
        noise = Noise.draw(spec.visits, np.random.default_rng(spec.sequence("noise")))
        return TournamentWorld(spec, population, visits, noise)


def windows(n: int) -> dict[str, slice]:
    """Return the rows of each window of n visits: all of them, the last quarter, the first 2,000."""
    return {"all": slice(0, n), "last": slice(n - max(1, n // 4), n), "first": slice(0, min(FIRST_DECISIONS, n))}

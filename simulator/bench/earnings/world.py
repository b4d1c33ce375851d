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

FIRST = 2_000
"""The first decisions, which are looked at apart: what a cold start costs."""

BATCH = 100
"""Decisions between two moments of learning."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a contestant plays: a scenario, the main seed, the number of the draw under it, and the size."""

    scenario: str
    seed: int
    draw: int
    customers: int
    visits: int

    @staticmethod
    def of(name: str, seed: int, draw: int, customers: int | None = None, visits: int | None = None) -> Place:
        """Return the place of a scenario in the size that it recommends, or in another."""
        spec = scenario(name)
        return Place(
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
class World:
    """A market, its customers, n visits and the chance of those visits."""

    place: Place
    population: Population
    visits: Visits
    noise: Noise

    @staticmethod
    def draw(place: Place) -> World:
        """Draw the world of this place; always the same one."""
        market = Market.draw(scenario(place.scenario), np.random.default_rng(place.sequence("market")))
        population = Population.draw(market, place.customers, np.random.default_rng(place.sequence("population")))
        visits = population.visits(place.visits, np.random.default_rng(place.sequence("visits")))
        noise = Noise.draw(place.visits, np.random.default_rng(place.sequence("noise")))
        return World(place, population, visits, noise)


def windows(n: int) -> dict[str, slice]:
    """Return the rows of each window of n visits: all of them, the last quarter, the first 2,000."""
    return {"all": slice(0, n), "last": slice(n - max(1, n // 4), n), "first": slice(0, min(FIRST, n))}

"""The world of one comparison: customers, visits and noise, the same for every contestant."""

from __future__ import annotations

import zlib
from dataclasses import MISSING, dataclass, fields, is_dataclass

import numpy as np

from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.responses import Noise
from simulator.market.visits import Visits
from simulator.scenarios import scenario

FIRST_DECISIONS = 2_000
"""The first decisions, which are reported separately: the cost of a cold start."""

TOURNAMENT_BATCH = 100
"""Decisions after which a contestant learns."""


@dataclass(frozen=True, slots=True, order=True)
class WorldSpec:
    """The specification of a world: a scenario, the main seed, the number of the draw, and the size."""

    scenario: str
    seed: int
    draw: int
    customers: int
    visits: int

    @staticmethod
    def of(name: str, seed: int, draw: int, customers: int | None = None, visits: int | None = None) -> WorldSpec:
        """Return the world of a scenario in the size that it recommends, or in another."""
        drawn = scenario(name)
        return WorldSpec(
            name,
            seed,
            draw,
            drawn.customers if customers is None else customers,
            drawn.visits if visits is None else visits,
        )

    def sequence(self, of: str) -> np.random.SeedSequence:
        """Return the seed sequence of one part of this world; parts and worlds have no seed in common."""
        return np.random.SeedSequence(
            self.seed, spawn_key=(self.draw, zlib.crc32(self.scenario.encode()), zlib.crc32(of.encode()))
        )

    @property
    def stamp(self) -> int:
        """A checksum of the scenario's numbers: results of an earlier version of the scenario do not count.

        Numbers that have their default do not enter, so that a new field leaves the results of other scenarios valid.
        """
        return zlib.crc32(repr(_without_defaults(scenario(self.scenario))).encode())

    def __str__(self) -> str:
        return f"{self.scenario} {self.draw}"


@dataclass(frozen=True, slots=True, eq=False)
class TournamentWorld:
    """A market with its customers, n visits, and the noise of their outcomes."""

    spec: WorldSpec
    population: Population
    visits: Visits
    noise: Noise

    @staticmethod
    def draw(spec: WorldSpec) -> TournamentWorld:
        """Draw the world of a specification, always the same."""
        market = Market.draw(scenario(spec.scenario), np.random.default_rng(spec.sequence("market")))
        population = Population.draw(market, spec.customers, np.random.default_rng(spec.sequence("population")))
        visits = population.visits(spec.visits, np.random.default_rng(spec.sequence("visits")))
        noise = Noise.draw(spec.visits, np.random.default_rng(spec.sequence("noise")))
        return TournamentWorld(spec, population, visits, noise)


def windows(n: int) -> dict[str, slice]:
    """Return the rows of each window of n visits: all of them, the last quarter, the first 2,000."""
    return {"all": slice(0, n), "last": slice(n - max(1, n // 4), n), "first": slice(0, min(FIRST_DECISIONS, n))}


def _without_defaults(value: object) -> object:
    """Return the name and the fields of a record that do not have their default, by recursion; other values as is."""
    if isinstance(value, tuple):
        return tuple(map(_without_defaults, value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    told = {}
    for each in fields(value):
        found = getattr(value, each.name)
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if default is MISSING or found != default:
            told[each.name] = _without_defaults(found)
    return type(value).__name__, told

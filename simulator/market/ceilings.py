"""The two best possible policies (the ceilings), and the scale they define: uniform = 0, best by observed facts = 1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Self

import numpy as np

from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Outcomes, Policy
from bandit.errors import PolicyError
from simulator.market import truth
from simulator.market.names import Lookup
from simulator.market.population import Population, blocks
from simulator.market.spec import SEASON_FACTS

UNIFORM, FACTS_CLAIRVOYANT, CLAIRVOYANT = "uniform", "facts-clairvoyant", "clairvoyant"
"""Names of uniform choice and of the two ceilings, in tables and as kinds of policy."""


class _Ceiling(ABC):
    """The policy that always takes the eligible offer of the highest expectation; obeys `bandit.domain.Policy`.

    No policy knows the time. Where the catalogue declares the season's facts they are used; otherwise the season is
    integrated over `times` (those of the visits, for example), or left out where none are given. A drift is integrated
    likewise, or is at its beginning where no times are given. `at` returns the same ceiling with known times.
    """

    def __init__(self, population: Population, times: IntArray | None = None) -> None:
        scenario = population.market.scenario
        self._population = population
        self._over = scenario.season.quadrature(times)
        self._moments = scenario.drift.moments(times) if scenario.drift.moves else [None]
        self._clock: IntArray | None = None

    def at(self, times: IntArray) -> Self:
        """Return this ceiling for one batch of contexts whose (n,) times are known."""
        one = copy(self)
        one._clock = times  # noqa: SLF001 - its own class
        return one

    @property
    @abstractmethod
    def name(self) -> str:
        """A short name for tables."""

    @property
    def learns(self) -> bool:
        """False: there is nothing to learn."""
        return False

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002 - the protocol's signature
        """Return (n, N): 1 at the best eligible offer, the first of equals."""
        if self._clock is not None and len(self._clock) != contexts.n:
            raise PolicyError(
                f"this {self.name} knows the times of {len(self._clock)} visits; seen {contexts.n} contexts, "
                "send one for each visit, or use the policy without times"
            )
        chosen = np.zeros(eligible.shape)
        for rows in blocks(*eligible.shape):
            part = contexts.take(rows)
            clock = None if self._clock is None else self._clock[rows]
            worth = np.where(eligible[rows], self._expects(part, np.arange(eligible.shape[1]), clock), -np.inf)
            chosen[rows][np.arange(part.n), worth.argmax(axis=1)] = 1.0
        return chosen

    def _expects(self, contexts: Contexts, offers: IntArray, clock: IntArray | None) -> FloatArray:
        """Return the (n, N) expected objective: at the known times, or on average over time."""
        if clock is not None:
            shift = self._population.market.scenario.season.shift(clock)
            return self._worth(contexts, offers, clock, shift[:, None])
        season = self._season(contexts)
        parts = [self._worth(contexts, offers, moment, season) for moment in self._moments]
        return parts[0] if len(parts) == 1 else np.mean(parts, axis=0)

    def update(self, outcomes: Outcomes) -> None:  # noqa: B027 - no ceiling has anything to learn
        """Change nothing."""

    def spec(self) -> Mapping[str, object]:
        """Return the kind and the scenario; a ceiling cannot be built without its population."""
        return {"kind": self.name, "scenario": self._population.market.scenario.name}

    def dumps(self) -> bytes:
        """Return nothing: nothing is learned."""
        return b""

    def loads(self, state: bytes) -> None:
        """Accept what `dumps` returned; PolicyError for anything else."""
        if state:
            raise PolicyError(f"{self.name} has no state to load; seen {len(state)} bytes, send none")

    def _season(self, contexts: Contexts) -> FloatArray | None:
        season = self._population.market.scenario.season
        if not season.observed:
            return None
        yearly, weekly = (np.nan_to_num(contexts.columns[name]) for name in SEASON_FACTS)
        return np.asarray(season.yearly * yearly + season.weekly * weekly)[:, None]

    @abstractmethod
    def _worth(
        self, contexts: Contexts, offers: IntArray, time: IntArray | int | None, season: FloatArray | None
    ) -> FloatArray:
        """Return the (n, N) expected objective given what this ceiling knows; `season` None means to integrate it."""


class FactsClairvoyant(_Ceiling):
    """The best policy that sees only the observed facts; a missing fact counts as the average."""

    @property
    def name(self) -> str:
        """A short name for tables."""
        return FACTS_CLAIRVOYANT

    def _worth(
        self, contexts: Contexts, offers: IntArray, time: IntArray | int | None, season: FloatArray | None
    ) -> FloatArray:
        market = self._population.market
        features = market.features({fact.name: contexts.columns[fact.name] for fact in market.scenario.facts}, time)
        if season is None:
            return truth.facts_value(market, features, offers, over=self._over)
        return truth.facts_value(market, features, offers, season)


class Clairvoyant(_Ceiling):
    """The best policy that knows every taste of every customer, whom it finds by key.

    Where the log has other keys (hashed ones, for example), `lookup` is from those to rows of the population. Raises
    PolicyError for contexts without customers, ContextError for customers of another population.
    """

    def __init__(self, population: Population, times: IntArray | None = None, lookup: Lookup | None = None) -> None:
        super().__init__(population, times)
        self._lookup = lookup

    @property
    def name(self) -> str:
        """A short name for tables."""
        return CLAIRVOYANT

    def _worth(
        self, contexts: Contexts, offers: IntArray, time: IntArray | int | None, season: FloatArray | None
    ) -> FloatArray:
        population = self._population
        if len(contexts.customers) != contexts.n:
            raise PolicyError(
                f"the clairvoyant knows customers by key; seen {contexts.n} contexts with "
                f"{len(contexts.customers)} customers, send one a context"
            )
        customers = population.rows(contexts.customers, self._lookup)
        features, hidden = population.features(customers, time), population.hidden[customers]
        if season is None:
            return truth.known_value(population.market, features, hidden, offers, over=self._over)
        return truth.known_value(population.market, features, hidden, offers, season)


@dataclass(frozen=True, slots=True)
class ValueScale:
    """Exact values a decision of uniform choice and the two ceilings on the same visits, a scale for other values."""

    uniform: float
    facts_clairvoyant: float
    clairvoyant: float

    @staticmethod
    def measure(population: Population, customers: IntArray | None = None, times: IntArray | None = None) -> ValueScale:
        """Return the scale of these visits, or of every customer once at an average moment.

        In a market that drifts both ceilings know the time of a visit; elsewhere time moves all offers alike, and they
        integrate over the times.
        """
        chosen = np.arange(population.n) if customers is None else customers
        ceilings = FactsClairvoyant(population, times), Clairvoyant(population, times)
        values = [uniform_values(population, chosen, times)]
        values += [chosen_values(population, ceiling, chosen, times) for ceiling in ceilings]
        return ValueScale(*(float(each.mean()) for each in values))

    def share(self, value: float) -> float:
        """Return where a value lies between uniform choice, 0, and the best that facts allow, 1.

        NaN where the two earn the same (nothing can be gained).
        """
        span = self.facts_clairvoyant - self.uniform
        return (value - self.uniform) / span if abs(span) > 1e-12 else float("nan")


def uniform_values(population: Population, customers: IntArray, times: IntArray | None = None) -> FloatArray:
    """Return the exact (n,) expected objective of uniform choice among the eligible offers at these visits."""
    values = np.empty(len(customers))
    for rows in blocks(len(customers), population.market.n_offers):
        at = None if times is None else times[rows]
        eligible = population.eligible(population.contexts(customers[rows], at))
        worth = population.expected_value(customers[rows], time=at)
        values[rows] = np.where(eligible, worth, 0.0).sum(axis=1) / eligible.sum(axis=1)
    return values


def chosen_values(
    population: Population, policy: Policy, customers: IntArray, times: IntArray | None = None
) -> FloatArray:
    """Return the exact (n,) expected objective at these visits of a deterministic policy.

    In a market that drifts a ceiling gets the times. Where contexts do not change with the time, the choice for a
    customer who returns is computed once.
    """
    scenario = population.market.scenario
    moving = times is not None and (scenario.season.observed or scenario.drift.moves)
    distinct, back = (customers, np.arange(len(customers))) if moving else np.unique(customers, return_inverse=True)
    rng = np.random.default_rng(0)  # unused by a deterministic policy; the protocol requires one
    offers = np.empty(len(distinct), dtype=np.int64)
    for rows in blocks(len(distinct), population.market.n_offers):
        at = times[rows] if moving and times is not None else None
        contexts = population.contexts(distinct[rows], at)
        chooser = policy.at(at) if isinstance(policy, _Ceiling) and at is not None and scenario.drift.moves else policy
        offers[rows] = chooser.probabilities(contexts, population.eligible(contexts), rng).argmax(axis=1)
    return population.expected_chosen(customers, offers[back], times)

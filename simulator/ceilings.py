"""The two ceilings as policies, and the scale they make: uniform = 0, the best that observed facts allow = 1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Outcomes
from bandit.errors import PolicyError
from simulator import truth
from simulator.names import Lookup
from simulator.population import Population, blocks
from simulator.spec import SEASON_FACTS


class _Best(ABC):
    """The eligible offer of the highest expectation, always; obeys `bandit.domain.Policy`.

    No policy is told the time. Where the catalogue declares the season's facts they are used; otherwise the season
    is integrated over `times` (those of the visits, say), or left out where none are given.
    """

    def __init__(self, population: Population, times: IntArray | None = None) -> None:
        self._population = population
        self._over = population.market.scenario.season.quadrature(times)

    @property
    @abstractmethod
    def name(self) -> str:
        """A short name for tables."""

    @property
    def learns(self) -> bool:
        """Nothing is left to learn."""
        return False

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002 - the protocol's signature
        """Return (n, N): 1 at the best eligible offer, the first of equals."""
        chosen = np.zeros(eligible.shape)
        offers = np.arange(eligible.shape[1])
        for rows in blocks(*eligible.shape):
            part = contexts.take(rows)
            worth = np.where(eligible[rows], self._worth(part, offers, self._season(part)), -np.inf)
            chosen[rows][np.arange(part.n), worth.argmax(axis=1)] = 1.0
        return chosen

    def update(self, outcomes: Outcomes) -> None:  # noqa: B027 - a ceiling has nothing to learn, whichever it is
        """Change nothing."""

    def spec(self) -> Mapping[str, object]:
        """Return the kind; a ceiling cannot be built without its population."""
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
    def _worth(self, contexts: Contexts, offers: IntArray, season: FloatArray | None) -> FloatArray:
        """Return the (n, N) expected objective as far as this ceiling can see."""


class FactsClairvoyant(_Best):
    """The best policy that sees only the observed facts; a fact that is missing counts as the average."""

    @property
    def name(self) -> str:
        """A short name for tables."""
        return "facts-clairvoyant"

    def _worth(self, contexts: Contexts, offers: IntArray, season: FloatArray | None) -> FloatArray:
        market = self._population.market
        features = market.features({fact.name: contexts.columns[fact.name] for fact in market.scenario.facts})
        if season is None:
            return truth.facts_value(market, features, offers, over=self._over)
        return truth.facts_value(market, features, offers, season)


class Clairvoyant(_Best):
    """The best policy that sees every taste of every customer; it knows customers by key.

    Where the log keeps customers under other keys (hashed, say), `lookup` leads from those to rows.
    Raises ContextError for contexts without customers, or with customers of somewhere else.
    """

    def __init__(self, population: Population, times: IntArray | None = None, lookup: Lookup | None = None) -> None:
        super().__init__(population, times)
        self._lookup = lookup

    @property
    def name(self) -> str:
        """A short name for tables."""
        return "clairvoyant"

    def _worth(self, contexts: Contexts, offers: IntArray, season: FloatArray | None) -> FloatArray:
        population = self._population
        if len(contexts.customers) != contexts.n:
            raise PolicyError(
                f"the clairvoyant knows customers by key; seen {contexts.n} contexts with "
                f"{len(contexts.customers)} customers, send one a context"
            )
        customers = population.rows(contexts.customers, self._lookup)
        features, hidden = population.features(customers), population.hidden[customers]
        if season is None:
            return truth.known_value(population.market, features, hidden, offers, over=self._over)
        return truth.known_value(population.market, features, hidden, offers, season)


@dataclass(frozen=True, slots=True)
class Scale:
    """Exact values a decision of uniform choice and of the two ceilings on the same visits."""

    uniform: float
    facts_clairvoyant: float
    clairvoyant: float

    @staticmethod
    def measure(population: Population, customers: IntArray | None = None, times: IntArray | None = None) -> Scale:
        """Measure the scale on these visits, or on every customer once at an average moment."""
        chosen = np.arange(population.n) if customers is None else customers
        policies = FactsClairvoyant(population, times), Clairvoyant(population, times)
        rng = np.random.default_rng(0)  # nothing here draws; the protocol asks for one
        totals = np.zeros(3)
        for rows in blocks(len(chosen), population.market.n_offers):
            at = None if times is None else times[rows]
            contexts = population.contexts(chosen[rows], at)
            eligible = population.eligible(contexts)
            worth = population.expected_value(chosen[rows], time=at)
            totals[0] += (eligible / eligible.sum(axis=1, keepdims=True) * worth).sum()
            for place, policy in enumerate(policies, start=1):
                totals[place] += (policy.probabilities(contexts, eligible, rng) * worth).sum()
        return Scale(*(totals / len(chosen)).tolist())

    def share(self, value: float) -> float:
        """Return where a value a decision lies: 0 as uniform choice, 1 as the best that facts allow.

        NaN where the two earn the same (nothing can be gained).
        """
        way = self.facts_clairvoyant - self.uniform
        return (value - self.uniform) / way if abs(way) > 1e-12 else float("nan")

"""A population: customers drawn from a market, their true expected values, and their random responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.special import expit

from bandit.decide import checked, with_fallback
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, ObjectArray, Policy
from bandit.errors import InputError
from simulator.market import names, truth
from simulator.market.market import Market
from simulator.market.names import Lookup
from simulator.market.responses import Noise, Responses, buy, delays, pass_stages
from simulator.market.season import CALENDAR_START
from simulator.market.visits import Visits, draw_visits

Conditioning: TypeAlias = Literal["tastes", "facts"]
"""What an expectation conditions on: every taste, or the observed facts only."""

BLOCK_CELLS = 1_000_000
"""Cells of a (rows, offers) block computed at a time: 8 MB."""


@dataclass(frozen=True, eq=False)
class Population:
    """n customers of a market; `customers` in all methods are rows 0 to n - 1, and None means all in order.

    `facts` are the canonical columns of the observed facts, `hidden` (n, H) the unobserved normals, `frequency` (n,)
    how often each comes. `time` is in microseconds, a number or one for each row; without it the season adds nothing
    (an average moment) and a drift is at its beginning.
    """

    market: Market
    facts: Mapping[str, IntArray | FloatArray]
    hidden: FloatArray
    frequency: FloatArray

    @staticmethod
    def draw(market: Market, n: int, rng: np.random.Generator) -> Population:
        """Draw n customers; the same market, n and generator give the same customers."""
        engagement = rng.standard_normal(n)
        facts: dict[str, IntArray | FloatArray] = {}
        for fact in market.scenario.facts:
            own = rng.standard_normal(n)
            own *= np.sqrt(1.0 - fact.engagement**2)
            own += fact.engagement * engagement
            facts[fact.name] = fact.draw(own)
        hidden = rng.standard_normal((n, market.n_hidden))
        frequency = np.exp(
            market.features(facts) @ market.visit_map + market.scenario.visits_hidden * rng.standard_normal(n)
        )
        return Population(market, facts, hidden, frequency)

    @property
    def n(self) -> int:
        """The number of customers."""
        return len(self.frequency)

    # What is observed of them

    def names(self, customers: IntArray | None = None) -> ObjectArray:
        """Return the customers' keys, as "c000123"."""
        return names.names(self._rows(customers), names.width(self.n))

    def rows(self, keys: Sequence[str] | ObjectArray, lookup: Lookup | None = None) -> IntArray:
        """Return the customers with these keys; ContextError for an unknown key."""
        return names.rows(keys, self.n, lookup)

    def lookup(self, stored: Callable[[str], str]) -> dict[str, int]:
        """Return stored key -> row for a log that stores customers under `stored(key)`, a keyed hash for example."""
        return {stored(name): row for row, name in enumerate(self.names().tolist())}

    def columns(self, customers: IntArray | None = None, time: IntArray | int | None = None) -> dict[str, Any]:
        """Return one column for each declared fact of these customers at this time, as a caller would send it."""
        chosen = self._rows(customers)
        sent: dict[str, Any] = {}
        sent |= self.market.sent({name: column[chosen] for name, column in self.facts.items()})
        if time is not None:
            sent |= self.market.season_facts(np.broadcast_to(np.asarray(time, dtype=np.int64), chosen.shape))
        return sent

    def contexts(self, customers: IntArray | None = None, time: IntArray | int | None = None) -> Contexts:
        """Return the checked contexts of these customers at this time, with their keys."""
        return self.market.catalogue.contexts(self.columns(customers, time), self.names(customers))

    def features(self, customers: IntArray | None = None, time: IntArray | int | None = None) -> FloatArray:
        """Return the (n, F) features of the observed facts at this time."""
        chosen = self._rows(customers)
        return self.market.features({name: column[chosen] for name, column in self.facts.items()}, time)

    # True expectations

    def expected_value(
        self,
        customers: IntArray | None = None,
        offers: IntArray | None = None,
        time: IntArray | int | None = None,
        known: Conditioning = "tastes",
    ) -> FloatArray:
        """Return the exact (n, m) expected objective of m offers for n customers.

        With `known="facts"` hidden tastes are integrated out: the expectation given the observed facts (and the time).
        """
        chosen = self._rows(customers)
        wanted = np.arange(self.market.n_offers) if offers is None else np.asarray(offers, dtype=np.int64)
        values = np.empty((len(chosen), len(wanted)))
        for rows in blocks(len(chosen), len(wanted)):
            values[rows] = self._block(chosen[rows], wanted, _at(time, rows), known)
        return values

    def expected_chosen(self, customers: IntArray, offers: IntArray, time: IntArray | int | None = None) -> FloatArray:
        """Return the exact (n,) expected objective of one offer a customer, every taste known."""
        response, basket = self._response(customers, offers, time)
        revenue = np.exp(basket + self.market.scenario.log_mean_purchase)
        return truth.expected_money(self.market, offers, response, revenue)

    def expected_response(
        self, customers: IntArray, offers: IntArray, time: IntArray | int | None = None
    ) -> FloatArray:
        """Return the exact (n,) P(buy) of one offer a customer, every taste known."""
        return self._response(customers, offers, time)[0]

    def values(
        self,
        policy: Policy,
        rng: np.random.Generator,
        customers: IntArray | None = None,
        time: IntArray | int | None = None,
        known: Conditioning = "tastes",
    ) -> FloatArray:
        """Return the exact (n,) expected objective of a policy: sum over offers of probability times expectation.

        Memory is bounded by blocks of rows. `rng` is for the policy's own randomness. PolicyError where the policy's
        rows are not probabilities, or give an offer that is not eligible a chance.
        """
        chosen = self._rows(customers)
        offers = np.arange(self.market.n_offers)
        values = np.empty(len(chosen))
        for rows in blocks(len(chosen), len(offers)):
            at = _at(time, rows)
            contexts = self.contexts(chosen[rows], at)
            eligible = self.eligible(contexts)
            shares = checked(policy.probabilities(contexts, eligible, rng), eligible)
            values[rows] = np.einsum("no,no->n", shares, self._block(chosen[rows], offers, at, known))
        return values

    def value(
        self,
        policy: Policy,
        rng: np.random.Generator,
        customers: IntArray | None = None,
        time: IntArray | int | None = None,
        known: Conditioning = "tastes",
    ) -> float:
        """Return the exact expected objective of a policy a decision, the mean of `values`."""
        return float(self.values(policy, rng, customers, time, known).mean())

    def eligible(self, contexts: Contexts) -> BoolArray:
        """Return the catalogue's (n, N) mask, with the fallback offer where no other is eligible.

        NoEligibleOfferError where there is no fallback.
        """
        catalogue = self.market.catalogue
        return with_fallback(catalogue, catalogue.eligible(contexts), contexts)

    # Random visits and responses

    def visits(
        self, n: int, rng: np.random.Generator, start: int = CALENDAR_START, days: float | None = None
    ) -> Visits:
        """Draw n visits in order of time, from `start` (microseconds) over `days` (the scenario's by default)."""
        scenario = self.market.scenario
        return draw_visits(self.frequency, scenario.season, n, rng, start, scenario.days if days is None else days)

    def respond(
        self,
        customers: IntArray,
        offers: IntArray,
        time: IntArray | int | None = None,
        rng: np.random.Generator | None = None,
        noise: Noise | None = None,
    ) -> Responses:
        """Draw the outcome of one offer a customer, from `rng` or from `noise` drawn before (give exactly one)."""
        if rng is not None and noise is None:
            chance = Noise.draw(len(customers), rng)
        elif noise is not None and rng is None:
            chance = noise
        else:
            raise InputError("respond needs a generator or noise drawn before; send exactly one of the two")
        response, basket = self._response(customers, offers, time)
        market = self.market
        converted, revenue, delay, returned, back = buy(
            market.scenario, response, basket, market.returned[offers], chance
        )
        kept = converted & ~returned
        catalogue = market.catalogue
        reward = catalogue.objective.reward(
            catalogue.money, offers, kept, np.where(kept, revenue, 0.0), np.zeros(len(kept))
        )
        stages = pass_stages(response, self.expected_stages(customers, offers, time), chance)
        within = market.scenario.stage_delay_days
        early = np.where(stages.any(axis=1), delays(chance.delay, within / 3.0, within), 0)
        return Responses(
            converted,
            revenue,
            delay,
            returned,
            back,
            reward,
            stages,
            np.where(converted, np.minimum(early, delay), early),
        )

    def expected_stages(self, customers: IntArray, offers: IntArray, time: IntArray | int | None = None) -> FloatArray:
        """Return the exact (n, S) probabilities of passing each stage for who passed those before and does not buy."""
        market, found = self.market, np.empty((len(customers), len(self.market.stages)))
        if not market.stages:
            return found
        features = self.features(customers, time)
        score = truth.score_of(market, features, self.hidden[customers], offers) + market.season(time)
        for place, stage in enumerate(market.stages):
            own = np.einsum("nf,nf->n", features, stage.own_map.T[offers])
            found[:, place] = np.exp(np.minimum(stage.offset[offers] + stage.slope * score + own, 0.0))
        return found

    def _response(
        self, customers: IntArray, offers: IntArray, time: IntArray | int | None
    ) -> tuple[FloatArray, FloatArray]:
        features, hidden = self.features(customers, time), self.hidden[customers]
        score = truth.score_of(self.market, features, hidden, offers) + self.market.season(time)
        return expit(score), truth.basket_of(self.market, features, hidden, offers)

    def _block(
        self, customers: IntArray, offers: IntArray, time: IntArray | int | None, known: Conditioning
    ) -> FloatArray:
        season = self.market.season(time)
        shift = season[:, None] if isinstance(season, np.ndarray) and season.ndim else season
        features = self.features(customers, time)
        if known == "facts":
            return truth.facts_value(self.market, features, offers, shift)
        return truth.known_value(self.market, features, self.hidden[customers], offers, shift)

    def _rows(self, customers: IntArray | None) -> IntArray:
        return np.arange(self.n) if customers is None else np.asarray(customers, dtype=np.int64)


def blocks(n: int, n_offers: int) -> Iterator[slice]:
    """Yield slices of n rows, each of about `BLOCK_CELLS` cells of (rows, offers)."""
    size = max(1, BLOCK_CELLS // max(n_offers, 1))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _at(time: IntArray | int | None, rows: slice) -> IntArray | int | None:
    return time[rows] if isinstance(time, np.ndarray) and time.ndim else time

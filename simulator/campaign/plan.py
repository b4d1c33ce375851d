"""The sizes of a pilot campaign, and the world that follows from them and a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bandit.catalogue import Catalogue
from bandit.policies import SegmentRules
from simulator.market.market import Market
from simulator.market.population import CALENDAR_START, Population
from simulator.market.responses import Noise
from simulator.market.season import DAY
from simulator.market.segments import todays_rules
from simulator.market.spec import Scenario
from simulator.market.visits import Visits
from simulator.scenarios import scenario

RULES_EXPLORATION = 0.1
"""Share of the decisions that the rules leave to chance while the log is written."""

_STREAMS = ("world", "visits", "fresh", "live", "draws")

_PILOT: Mapping[str, tuple[str, ...]] = {"discount": ("0", "5", "10", "20"), "channel": ("email", "sms")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPlan:
    """How large a pilot is.

    `decisions` of `customers` are logged over `days` under the rules; `live` visits over `live_days` follow. The truth
    of a policy is taken on `truth` fresh visits.
    """

    seed: int = 7
    customers: int = 20_000
    decisions: int = 200_000
    live: int = 15_000
    truth: int = 20_000
    days: float = 84.0
    live_days: float = 14.0

    def rng(self, stream: str) -> np.random.Generator:
        """Return the generator of one named stream, always from its beginning."""
        place = _STREAMS.index(stream)
        return np.random.default_rng(np.random.SeedSequence(self.seed).spawn(len(_STREAMS))[place])

    @property
    def customer_key(self) -> str:
        """The key under which customers are hashed.

        A real key is random. This one follows from the seed, since the split by customer follows from the hashes: with
        the same seed the whole pilot is the same.
        """
        return hashlib.blake2b(f"pilot {self.seed}".encode(), digest_size=32).hexdigest()


def pilot_scenario() -> Scenario:
    """Return the retail world with the offers of a pilot: four discounts, two channels, no tote at 20 % off.

    56 legal offers instead of 144. A log in which the share e explores answers for a policy unlike the rules with a
    standard error of about sd(profit) sqrt(offers / (e decisions)): for 144 offers it would take two and a half times
    as many decisions.
    """
    retail = scenario("retail")
    return replace(
        retail,
        dimensions=tuple(
            replace(
                dimension,
                options=tuple(
                    option for option in dimension.options if option.name in _PILOT.get(dimension.name, (option.name,))
                ),
            )
            for dimension in retail.dimensions
        ),
        rules=({"forbid": {"discount": ["20"], "gift": ["tote"]}, "reason": "margin floor"},),
    )


@dataclass(frozen=True, slots=True, eq=False)
class CampaignWorld:
    """A market with its customers, the rules of the house, and who comes when; the same plan gives the same world.

    `rules` are today's, without exploration. `noise` is the chance of the live visits, which every policy meets.
    """

    plan: CampaignPlan
    market: Market
    population: Population
    rules: Mapping[str, Any]
    visits: Visits
    live: Visits
    noise: Noise

    @staticmethod
    def draw(plan: CampaignPlan) -> CampaignWorld:
        """Draw the world of a plan."""
        rng = plan.rng("world")
        market = Market.draw(pilot_scenario(), rng)
        population = Population.draw(market, plan.customers, rng)
        visits = population.visits(plan.decisions, plan.rng("visits"), days=plan.days)
        rng = plan.rng("live")
        live = population.visits(plan.live, rng, CALENDAR_START + round(plan.days * DAY), plan.live_days)
        return CampaignWorld(
            plan, market, population, todays_rules(population), visits, live, Noise.draw(plan.live, rng)
        )

    @property
    def catalogue(self) -> Catalogue:
        """The offers of the pilot."""
        return self.market.catalogue

    def segment_rules(self, exploration: float = 0.0) -> SegmentRules:
        """Return the rules of the house as a policy."""
        return SegmentRules.from_dict(self.catalogue, {**self.rules, "exploration": exploration})

    def fresh(self, n: int) -> tuple[Population, Visits]:
        """Return n other customers of the same market and n visits of theirs in the time of the log.

        Customers come as often, and at the times, as in the log: an interval from the log is about these visits.
        """
        rng = self.plan.rng("fresh")
        others = Population.draw(self.market, n, rng)
        return others, others.visits(n, rng, days=self.plan.days)

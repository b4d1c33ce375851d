"""The plan of a pilot campaign, and the simulated market and visits drawn from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bandit.catalogue import Catalogue
from bandit.policies import SegmentRules
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.responses import Noise
from simulator.market.season import CALENDAR_START, DAY
from simulator.market.segments import todays_rules
from simulator.market.spec import Scenario
from simulator.market.visits import Visits
from simulator.scenarios import scenario

_STREAMS = ("world", "visits", "fresh", "live", "draws")

_PILOT: Mapping[str, tuple[str, ...] | None] = {
    "discount": ("0", "5", "10", "20"),
    "category": None,
    "channel": ("email", "sms"),
}
"""The dimensions of the pilot and their options, None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPlan:
    """The seed and the sizes of a pilot.

    `decisions` of `customers` are logged over `days` under the rules, of which the share `exploration` is left to
    chance; `live` visits over `live_days` follow. The true value of a policy is computed on `truth` new visits. At the
    end come `weeks` with groups, of `weekly` visits each.
    """

    seed: int = 1
    customers: int = 10_000
    decisions: int = 100_000
    exploration: float = 0.5
    live: int = 6_000
    truth: int = 5_000
    days: float = 84.0
    live_days: float = 14.0
    weekly: int = 4_000
    weeks: int = 4

    def rng(self, stream: str) -> np.random.Generator:
        """Return a new generator of one named random stream."""
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
    """Return the retail scenario with the offers of a pilot: four discounts, two channels, no text message at 20 % off.

    28 legal offers instead of 144. From a log in which the share e explores, the value of a policy unlike the rules has
    a standard error of about sd(profit) sqrt(offers / (e decisions)): 144 offers would take five times as many
    decisions.
    """
    retail = scenario("retail")
    return replace(
        retail,
        dimensions=tuple(
            replace(
                dimension,
                options=tuple(
                    option for option in dimension.options if option.name in (_PILOT[dimension.name] or (option.name,))
                ),
            )
            for dimension in retail.dimensions
            if dimension.name in _PILOT
        ),
        rules=({"forbid": {"discount": ["20"], "channel": ["sms"]}, "reason": "margin floor"},),
        fallback={name: option for name, option in (retail.fallback or {}).items() if name in _PILOT},
    )


@dataclass(frozen=True, slots=True, eq=False)
class CampaignWorld:
    """A market with its customers, today's rules, and the visits; the same plan gives the same world.

    `rules` are without exploration. `noise` is the random part of the outcomes at the live visits, the same for every
    policy.
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
        """Return today's rules as a policy."""
        return SegmentRules.from_dict(self.catalogue, {**self.rules, "exploration": exploration})

    def fresh(self, n: int) -> tuple[Population, Visits]:
        """Return n new customers of the same market, and n visits of theirs in the period of the log.

        Customers come as often, and at the same times, as in the log: an interval from the log is about such visits.
        """
        rng = self.plan.rng("fresh")
        others = Population.draw(self.market, n, rng)
        return others, others.visits(n, rng, days=self.plan.days)

"""The plan of a live campaign with groups, and the simulated market, customers and visits drawn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bandit.catalogue import Catalogue
from bandit.errors import InputError
from simulator.live.side_events import SideEvent, SideNoise
from simulator.market.market import Market
from simulator.market.population import Population
from simulator.market.responses import Noise
from simulator.market.season import CALENDAR_START, DAY
from simulator.market.segments import todays_rules
from simulator.market.visits import Visits
from simulator.scenarios import scenario as scenario_named

WEEK = 7 * DAY

LIVE_SHARES: Mapping[str, float] = {"policy": 0.85, "rules": 0.10, "random": 0.05}
"""The shares of the groups where neither a catalogue nor the caller names others."""

PILOT_DAYS = 28
"""Days over which the decisions of a pilot are spread; its last window ends when the live campaign begins."""

_STREAMS = ("world", "pilot visits", "pilot", "visits", "outcomes", "side events")


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlan:
    """The seed and the sizes of a live campaign.

    `customers` of a scenario's market come `visits` times a week for `weeks` weeks, from the time `start` in
    microseconds. `looks` are the weeks after which the groups are compared: the middle and the end where none are
    given. `pilot` decisions were logged before, under today's rules of which a tenth explores; the policy has learned
    them when the campaign begins. `side_events` happen beside purchases and change no reward.
    """

    scenario: str = "retail"
    customers: int = 4_000
    visits: int = 5_000
    weeks: int = 4
    looks: tuple[int, ...] = ()
    pilot: int = 0
    side_events: tuple[SideEvent, ...] = ()
    seed: int = 1
    start: int = CALENDAR_START

    @property
    def end(self) -> int:
        """The time at which the last visits are over, in microseconds."""
        return self.start + self.weeks * WEEK

    @property
    def weeks_of_looks(self) -> tuple[int, ...]:
        """The weeks after which the groups are compared, in order."""
        wanted = self.looks or (self.weeks // 2, self.weeks)
        return tuple(sorted({week for week in wanted if week > 0}))

    def check(self, window: int) -> None:
        """Raise InputError for a look after the end, and for one at which no decision is settled yet."""
        for week in self.weeks_of_looks:
            if week > self.weeks:
                raise InputError(f"there is no look after week {week}: the campaign has {self.weeks} weeks")
        if self.looks and min(self.looks) * WEEK <= window:
            raise InputError(
                f"after week {min(self.looks)} no decision is settled: the window of the objective is "
                f"{window / DAY:g} days; look later"
            )
        if self.weeks * WEEK <= window:
            raise InputError(
                f"in {self.weeks} weeks no decision is settled: the window of the objective is {window / DAY:g} days; "
                "simulate more weeks"
            )

    def settled_looks(self, window: int) -> tuple[int, ...]:
        """Return the weeks of the looks at which some decisions are settled."""
        self.check(window)
        return tuple(week for week in self.weeks_of_looks if week * WEEK > window)

    def rng(self, stream: str) -> np.random.Generator:
        """Return a new generator of one named random stream."""
        place = _STREAMS.index(stream)
        return np.random.default_rng(np.random.SeedSequence(self.seed).spawn(len(_STREAMS))[place])


@dataclass(frozen=True, slots=True, eq=False)
class LiveWorld:
    """Customers of a market whose catalogue declares groups, their visits, and the random part of what follows.

    The same plan, catalogue and rules give the same world.
    """

    plan: LivePlan
    population: Population
    visits: Visits
    noise: Noise
    side: SideNoise

    @staticmethod
    def of(plan: LivePlan, population: Population, catalogue: Catalogue) -> LiveWorld:
        """Return the world in which customers drawn before meet this catalogue."""
        served = replace(population, market=with_catalogue(population.market, catalogue))
        n = plan.visits * plan.weeks
        return LiveWorld(
            plan,
            served,
            served.visits(n, plan.rng("visits"), plan.start, 7.0 * plan.weeks),
            Noise.draw(n, plan.rng("outcomes")),
            SideNoise.draw(plan.side_events, n, plan.rng("side events")),
        )

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that is served, with its groups."""
        return self.population.market.catalogue


def draw_population(plan: LivePlan) -> Population:
    """Return the customers of a plan, in a market whose catalogue declares no groups."""
    rng = plan.rng("world")
    return Population.draw(Market.draw(scenario_named(plan.scenario), rng), plan.customers, rng)


def with_groups(
    population: Population, shares: Mapping[str, float], salt: str = "", side_events: Sequence[SideEvent] = ()
) -> Catalogue:
    """Return the market's catalogue with groups of these shares; the group `rules` follows today's rules.

    The events are declared where there are any beside purchases and returns. CatalogueError for groups and shares that
    a catalogue cannot declare.
    """
    declared = declare_groups(population.market.catalogue, shares, todays_rules(population), salt)
    if not side_events:
        return declared
    events = dict.fromkeys((each.event for each in side_events), "feedback")
    events |= {"return": "returns", declared.objective.event: "converts"}
    return Catalogue.from_stored({**declared.to_dict(), "events": events})


def declare_groups(
    catalogue: Catalogue, shares: Mapping[str, float], rules: Mapping[str, Any], salt: str = ""
) -> Catalogue:
    """Return a catalogue with groups of these shares, whose group `rules` follows these segment rules."""
    groups: dict[str, object] = {**shares, "salt": salt}
    if "rules" in shares:
        groups["rules"] = {**rules, "share": shares["rules"]}
    return Catalogue.from_stored({**catalogue.to_dict(), "groups": groups}, fact_hash=catalogue.fact_hash)


def with_catalogue(market: Market, catalogue: Catalogue) -> Market:
    """Return a market that serves this catalogue: the same offers and facts; costs, objective and groups may differ.

    InputError for a catalogue without groups, for other offers or facts than the market's, and for a window that ends
    before purchases and returns are over.
    """
    own, scenario = market.catalogue, market.scenario
    if catalogue.groups is None:
        raise InputError("the catalogue declares no [groups], so there is nothing to compare; declare them")
    expected, seen = _dimensions(own), _dimensions(catalogue)
    if expected != seen or not np.array_equal(own.options, catalogue.options):
        raise InputError(
            f"the catalogue has {catalogue.n_offers} offers that are not the {own.n_offers} of the scenario "
            f'"{scenario.name}"; take its dimensions, options and stacking rules (offer-bandit simulate writes them)'
        )
    if _facts(own) != _facts(catalogue):
        raise InputError(
            f'the catalogue does not declare the facts of the scenario "{scenario.name}"; they are '
            f"{', '.join(own.facts)}, with their values (offer-bandit simulate writes them)"
        )
    latest = (scenario.purchase_within_days + scenario.return_within_days) * DAY
    if latest > catalogue.objective.window:
        raise InputError(
            f'purchases of the scenario "{scenario.name}" come up to {latest / DAY:g} days after the offer; make the '
            "window of the objective as long"
        )
    return replace(market, catalogue=catalogue)


def _dimensions(catalogue: Catalogue) -> list[tuple[str, tuple[str, ...]]]:
    return [(dimension.name, tuple(dimension.names)) for dimension in catalogue.dimensions]


def _facts(catalogue: Catalogue) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(fact.name, fact.kind, fact.values) for fact in catalogue.facts.values()]

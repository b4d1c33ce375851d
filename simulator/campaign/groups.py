"""The end of the demo: four weeks with groups, in a database of their own, from what the engine has learned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bandit.domain import Progress
from bandit.engine import Engine
from bandit.policies import ThompsonSampling
from simulator.campaign.plan import CampaignWorld
from simulator.live.command import live_results
from simulator.live.plan import LivePlan, LiveWorld, declare_groups
from simulator.live.results import LiveResults
from simulator.market.season import CALENDAR_START, DAY

DEMO_SHARES: Mapping[str, float] = {"policy": 0.70, "rules": 0.20, "random": 0.10}
"""The shares of the groups: so many of the rules that four weeks tell a third more profit."""


def groups_live(
    world: CampaignWorld, database: Path, live_database: Path, progress: Progress | None = None
) -> LiveResults:
    """Serve the pilot's customers in groups, from the state that the engine has in `database`.

    The groups are the policy (70 %), today's rules (20 %) and the random control (10 %). The policy begins with what it
    has learned in the pilot, as after `offer-bandit learn-offline --into`.
    """
    plan, key = world.plan, world.plan.customer_key.encode()
    weeks = LivePlan(
        customers=plan.customers,
        visits=plan.weekly,
        weeks=plan.weeks,
        seed=plan.seed,
        start=CALENDAR_START + round((plan.days + plan.live_days) * DAY),
    )
    catalogue = declare_groups(world.catalogue, DEMO_SHARES, world.rules, salt="the demo")
    policy = ThompsonSampling(catalogue)
    policy.loads(_learned(world, database, key))
    return live_results(live_database, LiveWorld.of(weeks, world.population, catalogue), policy, key, progress)


def _learned(world: CampaignWorld, database: Path, key: bytes) -> bytes:
    """Return the state that the engine has learned."""
    with Engine.open(
        database, world.catalogue, ThompsonSampling(world.catalogue), customer_key=key, durability="process"
    ) as engine:
        return engine.learner.current.policy.dumps()

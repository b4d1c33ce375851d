"""The end of the demo: four weeks with groups, in a database of their own, from what the engine has learned."""

from __future__ import annotations

from pathlib import Path

from bandit.domain import Progress
from bandit.engine import Engine
from bandit.policies import ThompsonSampling
from simulator.campaign.plan import CampaignWorld
from simulator.live.command import live_results
from simulator.live.plan import LIVE_SHARES, LivePlan, LiveWorld, declare_groups
from simulator.live.results import LiveResults
from simulator.market.season import CALENDAR_START, DAY


def groups_live(
    world: CampaignWorld, database: Path, live_database: Path, progress: Progress | None = None
) -> LiveResults:
    """Serve the pilot's customers in groups, from the state that the engine has in `database`.

    The groups are the policy (85 %), today's rules (10 %) and the random control (5 %). The policy begins with what it
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
    catalogue = declare_groups(world.catalogue, LIVE_SHARES, world.rules, salt="the demo")
    policy = ThompsonSampling(catalogue)
    policy.loads(_learned(world, database, key))
    return live_results(live_database, LiveWorld.of(weeks, world.population, catalogue), policy, key, progress)


def _learned(world: CampaignWorld, database: Path, key: bytes) -> bytes:
    """Return the state that the engine has learned."""
    with Engine.open(
        database, world.catalogue, ThompsonSampling(world.catalogue), customer_key=key, durability="process"
    ) as engine:
        return engine.learner.current.policy.dumps()

"""Vowpal Wabbit beside the engine, in a process of its own: it takes most of the time of the demo.

Each function is a task: everything it needs is in its arguments, and everything it finds in what it returns.
"""

from __future__ import annotations

from pathlib import Path

from bandit.domain import FloatArray
from bandit.policies import VowpalWabbit
from bandit.store import Store
from simulator.campaign.evaluation import train
from simulator.campaign.history import history, split_halves
from simulator.campaign.live import policy_live
from simulator.campaign.plan import CampaignPlan, CampaignWorld


def learn_half(plan: CampaignPlan, path: Path) -> bytes:
    """Return what VW learned from the half of the log that is not judged."""
    return _learn(plan, path, 0, None)


def go_live(plan: CampaignPlan, path: Path, state: bytes) -> FloatArray:
    """Let VW learn the other half, too; return what was to be expected of its offers live, where it learns on."""
    world = CampaignWorld.draw(plan)
    vw = VowpalWabbit(world.catalogue)
    vw.loads(_learn(plan, path, 1, state))
    return policy_live(world, vw).expected


def _learn(plan: CampaignPlan, path: Path, half: int, state: bytes | None) -> bytes:
    world = CampaignWorld.draw(plan)
    vw = VowpalWabbit(world.catalogue)
    if state is not None:
        vw.loads(state)
    with Store.open(path, customer_key=plan.customer_key.encode(), read_only=True) as store:
        held = split_halves(history(store, world))[half]
    train(vw, held)
    return vw.dumps()

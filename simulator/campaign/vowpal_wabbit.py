"""Vowpal Wabbit's part of the demo, run in a second process because it takes most of the time.

Each function is a task: everything it needs is in its arguments, and everything it finds in its result.
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
    """Return the state that VW learned from the half of the log that is not used for evaluation."""
    return _train(plan, path, 0, None)


def go_live(plan: CampaignPlan, path: Path, state: bytes) -> FloatArray:
    """Learn the other half as well, then run live and learn on; return the (n,) expected objective of VW's offers."""
    world = CampaignWorld.draw(plan)
    vw = VowpalWabbit(world.catalogue)
    vw.loads(_train(plan, path, 1, state))
    return policy_live(world, vw).expected


def _train(plan: CampaignPlan, path: Path, half: int, state: bytes | None) -> bytes:
    world = CampaignWorld.draw(plan)
    vw = VowpalWabbit(world.catalogue)
    if state is not None:
        vw.loads(state)
    with Store.open(path, customer_key=plan.customer_key.encode(), read_only=True) as store:
        log = split_halves(history(store, world))[half]
    train(vw, log)
    return vw.dumps()

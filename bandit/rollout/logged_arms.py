"""The arms that the log says served a batch: the roll-out's state then, the weights, and the policies as they were."""

from __future__ import annotations

import numpy as np

from bandit.domain import Policy
from bandit.errors import OfferBanditError
from bandit.learning.state_walk import StateWalk
from bandit.rollout.control import RolloutStates
from bandit.rollout.mixture import arm_places
from bandit.rollout.serving import ArmPlan
from bandit.store import ArmColumns, DecisionColumns, Store


class LoggedArms:
    """Gives the plans of one policy's logged batches, with the states that the live policies had."""

    def __init__(self, store: Store, walk: StateWalk, *, skip: bool = False) -> None:
        """Take the walk of the policy that the batches are of; with `skip`, other walks skip to newest snapshots."""
        self._store = store
        self._walk = walk
        self._walks = {walk.policy_id: walk}
        self._faults: dict[int, OfferBanditError] = {}
        self._skip = skip
        mine, _ = store.catalogues.policy_spec(walk.policy_id)
        rows = store.catalogues.policies()
        self._policies = frozenset(row.id for row in rows if row.catalogue_id == mine)
        self.state_of = RolloutStates(store)

    def plan(self, batch: DecisionColumns, arms: ArmColumns, policy: Policy | None = None) -> ArmPlan:
        """Return what the log says served the batch; all its rows were served under one change.

        `policy` is the walk's own policy with its state then, where that is at hand. StoreError or PolicyError where a
        state of another policy that was live cannot be had.
        """
        change = int(arms.change_id[0])
        state, mixtures = self.state_of(change).among(self._policies), arms.mixtures()
        names = [arm.name for arm in state.arms]
        steps = mixtures[0, 2].astype(np.int64)
        policies = {}
        for place, arm in enumerate(state.arms):
            if place and steps[place] >= 0:
                number = self._walk.policy_id if arm.policy_id is None else arm.policy_id
                step = int(steps[place])
                at_hand = policy is not None and number == self._walk.policy_id and step == int(batch.policy_step[0])
                policies[place] = policy if policy is not None and at_hand else self.policy_at(number, step)
        places = np.maximum(arm_places(state, arms.arm), 0)
        rows = np.searchsorted(batch.seq, arms.seq)
        weights = mixtures[:, 0] if mixtures.shape[2] == len(names) else np.eye(len(names))[places]
        return ArmPlan(change, state, rows, places, weights, policies, steps)

    def policy_at(self, number: int, step: int) -> Policy:
        """Return a policy with the state that it had after a step; StoreError or PolicyError where it has none."""
        if number in self._faults:
            raise self._faults[number]
        if number not in self._walks:
            try:
                self._walks[number] = StateWalk(self._store, number)
            except OfferBanditError as fault:
                self._faults[number] = fault
                raise
        walk = self._walks[number]
        if self._skip:
            walk.skip_to_snapshot(step)
        return walk.move_to(step)

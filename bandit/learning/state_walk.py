"""A policy's state at one step of its ledger after another."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bandit.errors import PolicyError
from bandit.learning.policy_state import StateHistory
from bandit.policies import build

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.domain import Policy
    from bandit.store import Store


class StateWalk:
    """Moves one policy of a store to the states that it had after its steps, reading the store only.

    A state is made by folding the steps since the base. Processes decide with states a few steps apart, so a second
    policy is kept at another step: in about the order of the log, no step is folded more than twice.
    """

    def __init__(self, store: Store, policy_id: int, arrived: Callable[[int, Policy], None] | None = None) -> None:
        """Begin at the policy's base step.

        `arrived(step, policy)` is called at each step that is reached for the first time, apart from the base.
        StoreError for an unknown policy, PolicyError for one that cannot be built or whose first state is damaged.
        """
        catalogue_id, self._spec = store.catalogues.policy_spec(policy_id)
        self.policy_id = policy_id
        self.catalogue = store.catalogues.get(catalogue_id)
        self.history = StateHistory(store, self.catalogue, policy_id)
        self._arrived = arrived
        self.policy, self.base_step = self._base()
        self.step = self._furthest = self.base_step
        self._other: tuple[Policy, int] | None = None

    def move_to(self, step: int) -> Policy:
        """Return the policy with its state after a step; moving on changes it.

        StoreError or PolicyError where a state cannot be had. A step before the base gives the base.
        """
        other, here = self._other, (self.policy, self.step)
        if other is not None and (self.step < other[1] <= step or other[1] <= step < self.step):
            (self.policy, self.step), self._other = other, here
        elif step < self.step:  # another process decided with an older state after this one had learned
            (self.policy, self.step), self._other = self._base(), here
        while self.step < step:
            self.history.learn_step(self.policy, self.step + 1)
            self.step += 1
            if self.step > self._furthest:
                self._furthest = self.step
                if self._arrived is not None:
                    self._arrived(self.step, self.policy)
        return self.policy

    def skip_to_snapshot(self, step: int) -> None:
        """Begin at the newest snapshot where it lies between here and a step, so that fewer steps are folded.

        For reading one decision again; a walk that checks states begins at the base. A damaged snapshot is left alone.
        """
        if self.history.store.ledger.latest_step(self.policy_id) is None:
            return
        snapshot = self.history.newest_snapshot()
        if self.step < snapshot.step <= step:
            with contextlib.suppress(PolicyError):
                self.policy = self.history.load(snapshot, self.new_policy()).policy
                self.step = self._furthest = snapshot.step

    def new_policy(self) -> Policy:
        """Return the policy as its description builds it, with no state loaded."""
        return build(self.catalogue, self._spec)

    def _base(self) -> tuple[Policy, int]:
        if self.history.store.ledger.latest_step(self.policy_id) is None:  # registered, and not used yet
            return self.new_policy(), 0
        state = self.history.load(self.history.base_snapshot(), self.new_policy())
        return state.policy, state.step

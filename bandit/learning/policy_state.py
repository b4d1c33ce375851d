"""A policy's state after a step, read from a snapshot and by folding the steps after it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bandit.catalogue import Catalogue
from bandit.domain import Outcomes, Policy
from bandit.errors import PolicyError, StoreError
from bandit.learning.customer_states import read_customers
from bandit.learning.guarded_update import guarded_update
from bandit.learning.training_outcomes import TrainingOutcomes
from bandit.policies import build
from bandit.policies.keyed_states import is_keyed
from bandit.store import DueColumns, Snapshot, Store, state_hash


@dataclass(frozen=True, slots=True, eq=False)
class PolicyState:
    """A policy to decide with, which no longer changes, and the step that its state is of.

    `size` is the last snapshot's length in bytes and `unsaved` the number of outcomes learned since. `fault` says why
    there is no usable state; it is None if there is one.
    """

    policy: Policy
    step: int
    size: int = 0
    unsaved: int = 0
    fault: str | None = None


class StateHistory:
    """The states that one policy had in one store: its snapshots, and the outcomes that each step learned.

    The fold begins from the base: step 0, or the step whose state a retention run kept.
    """

    def __init__(self, store: Store, catalogue: Catalogue, policy_id: int) -> None:
        self.store = store
        self.catalogue = catalogue
        self.policy_id = policy_id
        self.training = TrainingOutcomes(store, catalogue)

    def newest_snapshot(self) -> Snapshot:
        """Return the snapshot of the latest step that has one."""
        return self._required(self.store.ledger.snapshot(self.policy_id, newest=True))

    def base_snapshot(self) -> Snapshot:
        """Return the snapshot that the fold begins from."""
        return self._required(self.store.ledger.snapshot(self.policy_id, newest=False))

    def _required(self, snapshot: Snapshot | None) -> Snapshot:
        if snapshot is None:
            raise StoreError(f"{self.store.path}: policy {self.policy_id} has lost its first state; restore a backup")
        return snapshot

    def load(self, snapshot: Snapshot, policy: Policy) -> PolicyState:
        """Load a snapshot into a policy; PolicyError if the snapshot is damaged."""
        if snapshot.state_hash and state_hash(snapshot.state) != snapshot.state_hash:
            raise PolicyError(
                f"the state of policy {self.policy_id} after step {snapshot.step} is not the one that was written; "
                "rebuild it"
            )
        policy.loads(snapshot.state)
        if is_keyed(snapshot.state):
            read_customers(self.store, self.policy_id, policy)
        return PolicyState(policy, snapshot.step, len(snapshot.state))

    def outcomes_of_step(self, step: int) -> Outcomes:
        """Return the outcomes that one step learned, as they were known then."""
        objective = self.catalogue.objective
        rows = self.store.ledger.learned_rows(self.policy_id, step, objective.event, objective.window)
        return self.training.of(rows)[1]

    def due_outcomes(self, due: DueColumns) -> tuple[DueColumns, Outcomes]:
        """Return the due rows whose offers the catalogue has, and their outcomes with what was learned of each before.

        What was set aside of a decision was not learned.
        """
        return self.training.of(self.store.ledger.set_aside.corrected(self.policy_id, due))

    def learn_step(self, policy: Policy, step: int) -> int:
        """Let a policy in the state before a step learn it, and return the number of its outcomes."""
        outcomes = self.outcomes_of_step(step)
        guarded_update(policy, outcomes, lambda: self.state_at(step - 1, policy))
        return len(outcomes)

    def state_at(self, step: int, policy: Policy) -> bytes:
        """Return the state after a step, folded anew in another policy of the same description."""
        newest, another = self.newest_snapshot(), build(self.catalogue, policy.spec())
        start = newest if newest.step <= step else self.base_snapshot()
        try:
            state = self.load(start, another)
        except PolicyError:
            state = self.load(self.base_snapshot(), another)
        return self.fold(state, step).policy.dumps()

    def newest_state(self, policy: Policy) -> PolicyState:
        """Load the newest snapshot into a policy; where it cannot be read, the base, from which more steps follow."""
        newest = self.newest_snapshot()
        try:
            return self.load(newest, policy)
        except PolicyError:
            base = self.base_snapshot()
            if base.step == newest.step:
                raise
            return self.load(base, policy)

    def fold(self, state: PolicyState, latest: int) -> PolicyState:
        """Return the state after the steps up to `latest`, which its policy learns in place."""
        step, unsaved = state.step, state.unsaved
        while step < latest:
            unsaved += self.learn_step(state.policy, step + 1)
            step += 1
        return replace(state, step=step, unsaved=unsaved)

"""Folds a policy anew from the log where only its methods of learning differ from those of one that has learned there.

A later version of the product may learn by other methods. A belief that was learned by the older ones cannot have seen
what the newer ones look for, so the new policy learns every step of the older one again, in order. The state that
results is its first one; the older policy may go on deciding and learning meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bandit.catalogue import Catalogue
from bandit.clock import now
from bandit.domain import Policy, Progress
from bandit.errors import StoreError
from bandit.learning.carry_source import RELEARNED_AT_ONCE, policy_to_carry
from bandit.learning.guarded_update import GuardedFold
from bandit.learning.policy_state import StateHistory
from bandit.policies import build
from bandit.policies.thompson.policy import ThompsonSampling
from bandit.store import CarriedPolicyRow, PolicyRow, Store, state_hash

FOLDED_ANEW = "folded anew"
"""How a policy came to its first state, in the table of policies that took over from another one."""


def policy_of_other_methods(store: Store, catalogue: Catalogue, policy: Policy) -> PolicyRow | None:
    """Return the policy that differs from a new one in nothing but its methods of learning; None without one.

    All that it has learned must be in its steps and these in the log: a belief that came from elsewhere, or of which a
    retention run has removed the decisions, cannot be learned anew.
    """
    if not isinstance(policy, ThompsonSampling):
        return None
    number = policy_to_carry(store, catalogue, policy)
    if number is None:
        return None
    row = next(each for each in store.catalogues.policies() if each.id == number)
    own = next((each.id for each in store.catalogues.all() if each.version == catalogue.version), None)
    if row.catalogue_id != own or _settings(row.spec) != _settings(policy.spec()) or row.base_step:
        return None
    return None if store.ledger.steps(row.id)[0].n else row


def n_outcomes(store: Store, row: PolicyRow) -> int:
    """Return how many outcomes a policy has learned."""
    return sum(step.n for step in store.ledger.steps(row.id))


def takes_long(store: Store, row: PolicyRow) -> bool:
    """Say whether so much is to be learned again that the older policy should serve meanwhile."""
    return n_outcomes(store, row) > RELEARNED_AT_ONCE


def _settings(spec: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in spec.items() if key != "methods"}


class FoldingAnew:
    """The fold of one policy from the steps of another one of the same catalogue."""

    def __init__(self, store: Store, catalogue: Catalogue, policy: Policy, row: PolicyRow) -> None:
        self._store = store
        self._catalogue = catalogue
        self._spec = policy.spec()
        self._row = row
        self._learner = build(catalogue, self._spec)
        self._step = self._n = 0

    def run(self, progress: Progress | None = None, stopped: Callable[[], bool] | None = None) -> int | None:
        """Learn all steps, and write the state as the new policy's first one; return the policy's number.

        `progress` is called with (outcomes learned, all). None, and nothing written, where `stopped` says so.
        """
        history = StateHistory(self._store, self._catalogue, self._row.id)
        fold = GuardedFold(self._learner, self._learner.dumps(), history.outcomes_of_step)
        while True:
            latest = self._latest()
            total = n_outcomes(self._store, self._row)
            while self._step < latest:
                if stopped is not None and stopped():
                    return None
                fold.learn(self._step + 1)
                self._step, self._n = self._step + 1, fold.n
                if progress is not None:
                    progress(min(self._n, total), total)
            found = self._write()
            if found is not None:
                return found

    def _latest(self) -> int:
        latest = self._store.ledger.latest_step(self._row.id)
        if latest is None:
            raise StoreError(f"{self._store.path}: policy {self._row.id} has no steps any more; open the engine again")
        return latest

    def _write(self) -> int | None:
        """Write the first state, unless the older policy has learned on; return the new policy's number."""
        state, store = self._learner.dumps(), self._store
        with store.transaction():
            if self._latest() != self._step:
                return None
            policy_id = store.catalogues.register_policy(store.catalogues.register(self._catalogue), self._spec)
            if store.ledger.latest_step(policy_id) is None:  # another process may have been faster
                store.ledger.record_carried_step(policy_id, self._row.id, state_hash(state), state)
                details: dict[str, object] = {"how": FOLDED_ANEW, "outcomes": self._n}
                store.carried.add(CarriedPolicyRow(policy_id, self._row.id, self._step, now(), details))
            return policy_id

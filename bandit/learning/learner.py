"""A policy's life in a log: where it stands, what it learns next, and the same state folded from the log again."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from bandit.catalogue import Catalogue
from bandit.domain import Outcomes, Policy, Progress
from bandit.errors import PolicyError, StoreError
from bandit.learning.training_outcomes import LedgerOutcomes
from bandit.learning.working_copy import working_copy
from bandit.policies import build, close
from bandit.store import DueColumns, Lease, Snapshot, Store, state_hash

STEP = 2_048
"""Most outcomes learned in one step."""

SAVED = 8_192
"""Bytes of a policy's state that are written for each outcome learned, at most: a large state is not written at every
step. Where a process ends between, the steps since are learned again when the policy is taken up."""


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What one `learn` did: outcomes learned, of these re-stated; skipped, since this catalogue lacks their offer.

    Each is an outcome or the part of a silence that is known of an open decision; re-stated are those of which
    anything was learned before. `learner` is False where another was learning, so that this one could not (go on).
    """

    n: int
    n_restated: int
    n_skipped: int
    step: int
    learner: bool = True


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What folding the log again gave: steps and outcomes folded; whether the state is the live one, up to rounding."""

    steps: int
    n: int
    same: bool


@dataclass(frozen=True, slots=True, eq=False)
class PolicyState:
    """What decisions are made by: a policy that learns no more, and the step that its state is of.

    `size` has the bytes of the last snapshot and `unsaved` the outcomes learned since. `fault` says why there is no
    state to decide by, and is None where there is one.
    """

    policy: Policy
    step: int
    size: int = 0
    unsaved: int = 0
    fault: str | None = None


class PolicyLearner:
    """One policy, with one description and one catalogue, in one store.

    The policy's state is a fold over steps, each a set of outcomes that the log names; so it can be computed again.
    `live` is replaced as a whole and never changed: who decides by it may go on while the next one is made. (A policy
    of a class that `build` does not know and that cannot be copied learns in place, with `deciding` held.)
    """

    def __init__(
        self, store: Store, catalogue: Catalogue, catalogue_id: int, policy: Policy, *, serving: bool = False
    ) -> None:
        """Take the policy up where the log says it stands, or begin with the state it has.

        Where that cannot be done, StoreError or PolicyError; with `serving`, `live` has the fault instead.
        """
        self.catalogue = catalogue
        self.deciding: AbstractContextManager[object] = threading.RLock()
        self.copying = threading.Lock()
        self.policy_id = store.catalogues.register_policy(catalogue_id, policy.spec())
        self.use(store)
        latest = store.ledger.latest_step(self.policy_id)
        if latest is None:
            latest = self._begin(policy)
        self.current = PolicyState(policy, 0, fault="its state was not taken up yet")
        try:
            self.current = self._fold_to(latest, self._loaded(self._newest(), policy))
        except Exception as fault:
            if not serving:
                raise
            self.current = PolicyState(policy, 0, fault=f"{type(fault).__name__}: {fault}")

    @property
    def policy(self) -> Policy:
        """The policy as it decides now."""
        return self.current.policy

    @property
    def step(self) -> int:
        """The step that it stands at."""
        return self.current.step

    @property
    def base(self) -> int:
        """The step whose state the fold begins from: 0, or the one that a retention run kept."""
        return self._base().step

    def use(self, store: Store) -> None:
        """Read and write the ledger through this store from now on: another connection to the same file."""
        self.store = store
        self._outcomes = LedgerOutcomes(store, self.catalogue)

    # -- following -------------------------------------------------------------------------------------------------

    def behind(self) -> bool:
        """Say whether the ledger is elsewhere than this stands, or this has no state to decide by."""
        return self.current.fault is not None or self.store.ledger.latest_step(self.policy_id) != self.current.step

    def follow(self) -> bool:
        """Come to the newest step of the ledger, whoever learned it, and say whether this stood elsewhere.

        A newest snapshot that cannot be read is made good by folding the steps before it. StoreError or PolicyError
        where no state can be had; then `live` stays as it is.
        """
        latest, current = self.store.ledger.latest_step(self.policy_id), self.current
        if latest is None:
            self.current = replace(current, fault="what it learned was erased; open the engine again")
            raise StoreError(f"{self.store.path}: policy {self.policy_id} has no steps any more; open the engine again")
        if latest == current.step and current.fault is None:
            return False
        with working_copy(self.catalogue, current.policy, self.deciding) as fresh:
            try:
                self.current = self._fold_to(latest, self._nearest(latest, fresh))
            except BaseException:
                if fresh is current.policy:  # it is half way, and there was no copy of it
                    self.current = replace(current, fault="its state was lost while it followed another's learning")
                raise
        return True

    def _nearest(self, latest: int, fresh: Policy) -> PolicyState:
        """Return a policy that stands where folding to the newest step takes least."""
        current, newest = self.current, self._newest()
        sound = current.fault is None and current.step <= latest
        if sound and newest.step <= current.step:
            return self._copied(current, fresh)
        try:
            return self._loaded(newest, fresh)
        except PolicyError:
            return self._copied(current, fresh) if sound else self._loaded(self._base(), fresh)

    def _copied(self, current: PolicyState, fresh: Policy) -> PolicyState:
        if fresh is not current.policy:
            with self.copying:
                state = current.policy.dumps()
            fresh.loads(state)
        return replace(current, policy=fresh)

    def _loaded(self, snapshot: Snapshot, policy: Policy) -> PolicyState:
        """Return the policy in the state of a snapshot; PolicyError where it is damaged."""
        if snapshot.state_hash and state_hash(snapshot.state) != snapshot.state_hash:
            raise PolicyError(
                f"the state of policy {self.policy_id} after step {snapshot.step} is not the one that was written; "
                "rebuild it"
            )
        policy.loads(snapshot.state)
        return PolicyState(policy, snapshot.step, len(snapshot.state))

    def _fold_to(self, latest: int, state: PolicyState) -> PolicyState:
        """Return the policy after the steps that it lacks."""
        step, unsaved = state.step, state.unsaved
        while step < latest:
            outcomes = self.learned(step + 1)
            state.policy.update(outcomes)
            step, unsaved = step + 1, unsaved + len(outcomes)
        return replace(state, step=step, unsaved=unsaved)

    # -- learning --------------------------------------------------------------------------------------------------

    def learn(self, moment: int, lease: Lease, progress: Progress | None = None) -> LearnReport:
        """Learn all that is due at a moment (microseconds), step by step, each step one transaction.

        Only who holds the lease learns, and it is looked at in the transaction that writes a step: the ledger never
        has the steps of two.
        """
        if not self.policy.learns:
            return LearnReport(0, 0, 0, self.step)
        self.follow()
        due = self._due(moment)
        if not len(due):
            return LearnReport(0, 0, 0, self.step)
        if not lease.take():
            return LearnReport(0, 0, 0, self.step, learner=False)
        try:
            if self.follow():
                due = self._due(moment)
            return self._learn_all(due, moment, lease, progress)
        finally:
            lease.release()

    def _learn_all(self, due: DueColumns, moment: int, lease: Lease, progress: Progress | None) -> LearnReport:
        n = restated = skipped = 0
        total = self.store.decisions.last_seq() if progress is not None else 0
        current = self.current
        with working_copy(self.catalogue, current.policy, self.deciding) as fresh:
            shadow, lost = self._copied(current, fresh), False
            try:
                while len(due):
                    kept, outcomes = self._outcomes.of(due)
                    after = self._step(shadow, kept, outcomes, lease)
                    if after is None:
                        lost = True
                        break
                    shadow = after
                    n, skipped = n + len(outcomes), skipped + len(due) - len(outcomes)
                    restated += int(outcomes.is_update.sum())
                    if progress is not None:
                        progress(n + skipped, max(total, n + skipped))
                    due = self._due(moment)
            except BaseException:
                if fresh is current.policy:
                    self.current = replace(current, fault="its state was lost while it learned")
                raise
            if not lost:
                self.current = shadow
                return LearnReport(n, restated, skipped, self.step)
            if fresh is current.policy:
                self.current = replace(current, fault="it was learning when another took over")
        self.follow()
        return LearnReport(n, restated, skipped, self.step, learner=False)

    def _step(self, shadow: PolicyState, kept: DueColumns, outcomes: Outcomes, lease: Lease) -> PolicyState | None:
        """Learn one step and log it; None, and nothing logged, where the lease was lost."""
        shadow.policy.update(outcomes)
        step, size, unsaved = shadow.step + 1, shadow.size, shadow.unsaved + len(outcomes)
        state, digest = None, ""
        if unsaved * SAVED >= size:
            state = shadow.policy.dumps()
            digest, size, unsaved = state_hash(state), len(state), 0
        with self.store.transaction():
            if not lease.renew() or self.store.ledger.latest_step(self.policy_id) != shadow.step:
                return None
            self.store.ledger.record_step(self.policy_id, step, kept, digest, state)
        return replace(shadow, step=step, size=size, unsaved=unsaved)

    def _due(self, moment: int) -> DueColumns:
        objective = self.catalogue.objective
        return self.store.ledger.due(
            self.policy_id,
            objective.event,
            objective.window,
            moment,
            limit=STEP,
            counts_at_once=objective.kind == "reward",
        )

    # -- the ledger ------------------------------------------------------------------------------------------------

    def learned(self, step: int) -> Outcomes:
        """Return the outcomes that one step learned, as they were then."""
        objective = self.catalogue.objective
        rows = self.store.ledger.learned_rows(self.policy_id, step, objective.event, objective.window)
        return self._outcomes.of(rows)[1]

    def first(self) -> Policy:
        """Return a new policy in the state that the fold begins from: as a rule, that before it learned anything."""
        return self._loaded(self._base(), build(self.catalogue, self.policy.spec())).policy

    def rebuild(self, progress: Progress | None = None) -> RebuildReport:
        """Fold the log again and take the result as the policy's state; a damaged snapshot is written anew."""
        base, current = self.base, self.current
        latest = self.store.ledger.latest_step(self.policy_id) or 0
        policy, n = self.first(), 0
        for step in range(base + 1, latest + 1):
            outcomes = self.learned(step)
            policy.update(outcomes)
            n += len(outcomes)
            if progress is not None:
                progress(step, latest)
        state = policy.dumps()
        same = current.fault is None and current.step == latest and close(state, current.policy.dumps())
        if type(policy) is not type(current.policy):
            policy = current.policy
            with self.deciding:
                policy.loads(state)
        self.current = PolicyState(policy, latest, len(state), n)
        self.store.ledger.mend_snapshot(self.policy_id, latest, state)
        return RebuildReport(latest - base, n, same)

    def _begin(self, policy: Policy) -> int:
        """Write the state before anything is learned, unless another process was quicker; return the newest step."""
        state = policy.dumps()
        with self.store.transaction():
            latest = self.store.ledger.latest_step(self.policy_id)
            if latest is None:
                self.store.ledger.record_step(self.policy_id, 0, None, state_hash(state), state)
        return latest or 0

    def _newest(self) -> Snapshot:
        return self._there(self.store.ledger.snapshot(self.policy_id, newest=True))

    def _base(self) -> Snapshot:
        return self._there(self.store.ledger.snapshot(self.policy_id, newest=False))

    def _there(self, snapshot: Snapshot | None) -> Snapshot:
        if snapshot is None:
            raise StoreError(f"{self.store.path}: policy {self.policy_id} has lost its first state; restore a backup")
        return snapshot

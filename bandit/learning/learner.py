"""A policy in one store: takes up its state, learns what is due, syncs with other learners, and rebuilds its state."""

from __future__ import annotations

import contextlib
import threading
from contextlib import AbstractContextManager
from dataclasses import replace

from bandit.catalogue import Catalogue
from bandit.domain import Outcomes, Policy, Progress
from bandit.errors import OfferBanditError, PolicyError, StoreError
from bandit.learning.carry import FirstState, first_state
from bandit.learning.carry_report import CarryReport
from bandit.learning.customer_states import (
    customers_fault,
    read_customers,
    rewrite_customers,
    stored_state,
    write_customers,
)
from bandit.learning.guarded_update import LEARNING_FAULTS, LoadBack, guarded_update
from bandit.learning.policy_state import PolicyState, StateHistory
from bandit.learning.reports import LearnReport, RebuildReport
from bandit.learning.small_steps import SMALL_STEP_ROWS, SmallSteps, snapshot_is_due
from bandit.learning.working_copy import WorkingCopy, copy_in_state, working_copy
from bandit.policies import build, close
from bandit.store import DueColumns, Lease, Store, state_hash
from bandit.store.holdings import HoldingScope

MAX_STEP_OUTCOMES = 2_048
"""Most outcomes learned in one step."""


UNSAVED_AT_CLOSE = 64
"""Outcomes since the last state written from which an engine writes its state when it is closed."""


class PolicyLearner:
    """One policy, with one specification and one catalogue, in one store.

    The state is the result of learning the log's steps in order, each a set of outcomes that the ledger names; so it
    can be computed again. `current` is read and replaced as a whole with `decision_lock` held. Small steps are learned
    in place while the lock is held (`SmallSteps`); larger ones on a copy, so that threads that decide go on with the
    state before. (A policy of a class that `build` does not know and that cannot be copied always learns in place.)
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        catalogue_id: int,
        policy: Policy,
        *,
        decision_lock: AbstractContextManager[object] | None = None,
        serving: bool = False,
        carry: bool = False,
    ) -> None:
        """Bring the policy to its newest state in the store, or write its state as the first one.

        With `carry`, a policy that is new to the store begins with what another one of its kind has learned; `carried`
        says what it took over, now or when it was first opened.

        StoreError or PolicyError if there is no usable state; with `serving`, `current.fault` has the error instead.
        """
        self.catalogue = catalogue
        self.decision_lock: AbstractContextManager[object] = decision_lock or threading.RLock()
        self.copy_lock = threading.Lock()
        self._frozen: tuple[PolicyState, Policy] | None = None
        self.policy_id = store.catalogues.register_policy(catalogue_id, policy.spec())
        self._source_store = store
        self.use(store)
        self._small_steps = SmallSteps(store, catalogue, self.policy_id) if decision_lock is not None else None
        self.carried: CarryReport | None = None
        self.newly_carried = False
        latest = store.ledger.latest_step(self.policy_id)
        if latest is None:
            latest = self._record_first_state(policy, carry)
        row = store.carried.of(self.policy_id)
        if row is not None:
            self.carried = CarryReport.of(row)
        self.current = PolicyState(policy, 0, fault="its state was not loaded yet")
        try:
            if serving:  # the fallback serves while a damaged state is made good in the background
                state = self.history.load(self.history.newest_snapshot(), policy)
            else:
                state = self.history.newest_state(policy)
            read_customers(store, self.policy_id, state.policy)
            self.current = self.history.fold(state, latest)
        except Exception as fault:
            if not serving:
                raise
            self.current = PolicyState(policy, 0, fault=f"{type(fault).__name__}: {fault}")

    @property
    def policy(self) -> Policy:
        """The policy that decides now."""
        return self.current.policy

    @property
    def step(self) -> int:
        """The step of the current state."""
        return self.current.step

    @property
    def base_step(self) -> int:
        """The step that a fold begins from: 0, or the one that a retention run kept."""
        return self.history.base_snapshot().step

    def use(self, store: Store) -> None:
        """Use this store, another connection to the same file, from now on."""
        self.store = store
        self.history = StateHistory(store, self.catalogue, self.policy_id)

    def _record_first_state(self, policy: Policy, carry: bool) -> int:
        """Write the state before anything is learned, unless another process just did; return the newest step.

        What is carried over is computed before the transaction that writes it, so that others are not kept waiting;
        if the other policy has learned meanwhile, it is computed again, the last time inside.
        """
        for last in (False, False, True):
            first = None if last else self._first_state(policy, carry)
            with self.store.transaction():
                latest = self.store.ledger.latest_step(self.policy_id)
                if latest is not None:
                    return latest
                if last:
                    first = self._first_state(policy, carry)
                if first is not None and first.report.how != "untrained":
                    step = first.write(self.store, self.policy_id)
                    if step is None:
                        continue
                    self.newly_carried = True
                    return step
                state = policy.dumps()
                self.store.ledger.record_step(self.policy_id, 0, None, state_hash(state), state)
                self.carried = None if first is None else first.report
                return 0
        raise StoreError(f"{self.store.path}: policy {self.policy_id} could not be written; open the engine again")

    def _first_state(self, policy: Policy, carry: bool) -> FirstState | None:
        """Return what another policy's learning gives this one; None for a policy that brings a state of its own."""
        if not carry or not policy.learns:
            return None
        untrained = self._untrained(policy)
        if untrained is None or untrained.dumps() != policy.dumps():
            return None
        return first_state(self.store, self.catalogue, policy)

    # -- sync --------------------------------------------------------------------------------------------------------

    def sync(self) -> bool:
        """Bring the current state to the ledger's newest step, and say whether it was at another.

        If the newest snapshot is damaged, the steps are folded from an older state. StoreError or PolicyError if no
        state can be had; `current` then stays as it is.
        """
        latest, current = self.store.ledger.latest_step(self.policy_id), self.current
        if latest is None:
            self.current = replace(current, fault="what it learned was erased; open the engine again")
            raise StoreError(f"{self.store.path}: policy {self.policy_id} has no steps any more; open the engine again")
        if latest == current.step and current.fault is None:
            return False
        with working_copy(self.catalogue, current.policy, self.decision_lock) as copied:
            try:
                self._replace_current(self.history.fold(self._nearest_state(latest, copied), latest))
            except BaseException:
                if copied.policy is current.policy:  # changed in place and incomplete
                    self.current = replace(current, fault="its state was lost while it was synced with other engines")
                raise
        return True

    def _replace_current(self, state: PolicyState) -> None:
        """Make a state the current one, between two decisions."""
        read_customers(self._source_store, self.policy_id, state.policy)
        with self.decision_lock:
            self.current = state

    def _nearest_state(self, latest: int, copied: WorkingCopy) -> PolicyState:
        """Load into a working copy the state from which the fewest steps are to be folded."""
        current, newest = self.current, self.history.newest_snapshot()
        usable = current.fault is None and current.step <= latest
        if usable and newest.step <= current.step:
            return self._copy_current(copied)
        try:
            return self.history.load(newest, copied.policy)
        except PolicyError:
            if usable:
                return self._copy_current(copied)
            return self.history.load(self.history.base_snapshot(), copied.policy)

    def _copy_current(self, copied: WorkingCopy) -> PolicyState:
        """Bring a working copy to the current state, unless it is in it."""
        current = self.current
        if not copied.in_state:
            with self.copy_lock:
                state = current.policy.dumps()
            copied.policy.loads(state)
        return replace(current, policy=copied.policy)

    def frozen(self) -> Policy:
        """Return the policy that decides now as it is: a copy, which stays as it is, if it may be changed in place.

        As long as the policy is at the same step, it is the same copy.
        """
        with self.decision_lock:
            current, kept = self.current, self._frozen
            if self._small_steps is None:
                return current.policy
            if kept is None or kept[0] is not current:
                copied = copy_in_state(current.policy)
                kept = self._frozen = current, current.policy if copied is None else copied
            return kept[1]

    # -- learn -------------------------------------------------------------------------------------------------------

    def learn_small(self, moment: int, lease: Lease) -> LearnReport | None:
        """Learn what is due at a moment if it is a small step, or return None with nothing done.

        The lease is that of the connection the learner was made with. It is not taken, as the step is written in one
        transaction; while another has it, nothing is learned.
        """
        if self._small_steps is None or not self.policy.learns:
            return None
        with self.decision_lock:
            current = self.current
            try:
                with HoldingScope():
                    made = self._small_steps.learn(current, moment, lease)
                    if made is None:
                        return None
                    self.current = made.state
                    return made.report
            except BaseException as fault:
                if self._small_steps.changed and self.current is current:
                    self.current = replace(current, fault="its state was lost while it learned")
                    with contextlib.suppress(OfferBanditError):  # then the next sync tries, and the fallback serves
                        self.sync()
                    if self.current.fault is None and isinstance(fault, LEARNING_FAULTS):
                        return None  # the learner finds the outcome that could not be learned, and sets it aside
                raise

    def learn(self, moment: int, lease: Lease, progress: Progress | None = None) -> LearnReport:
        """Learn all outcomes that are due at a moment (microseconds), step by step, each step one transaction.

        Only the holder of the lease learns, and the lease is checked in the transaction that writes a step: two
        learners never write steps of one ledger at the same time. `learn_small` is quicker where little is new.
        """
        if not self.policy.learns:
            return LearnReport(0, 0, 0, self.step)
        self.sync()
        due = self._due(moment)
        if not len(due):
            return LearnReport(0, 0, 0, self.step)
        if not lease.take():
            return LearnReport(0, 0, 0, self.step, learner=False)
        try:
            with HoldingScope():
                if self.sync():
                    due = self._due(moment)
                return self._learn_due(due, moment, lease, progress)
        finally:
            lease.release()

    def _learn_due(self, due: DueColumns, moment: int, lease: Lease, progress: Progress | None) -> LearnReport:
        """Learn on a working copy until nothing is due or the lease is lost, then make the copy the current state."""
        n = n_updates = n_skipped = n_aside = 0
        total = self.store.decisions.last_seq() if progress is not None else 0
        current, lease_lost = self.current, False
        with working_copy(self.catalogue, current.policy, self.decision_lock) as copied:
            state, policy = self._copy_current(copied), copied.policy
            try:
                while len(due):
                    all_found = len(due) < MAX_STEP_OUTCOMES and due.scan is not None and due.scan.is_last
                    kept, outcomes = self.history.due_outcomes(due)
                    after = self._learn_step(state, kept, outcomes, lease)
                    if after is None:
                        lease_lost = True
                        break
                    state, aside = after
                    n_aside += aside
                    n, n_skipped = n + len(outcomes), n_skipped + len(due) - len(outcomes)
                    n_updates += int(outcomes.is_update.sum())
                    if progress is not None:
                        progress(n + n_skipped, max(total, n + n_skipped))
                    if all_found:
                        break
                    due = self._due(moment)
                if not lease_lost:
                    self._replace_current(state)
            except BaseException:
                if policy is current.policy:
                    self.current = replace(current, fault="its state was lost while it learned")
                raise
            if not lease_lost:
                before = current.step
                uncounted = self._uncounted(before)
                return LearnReport(
                    n - n_aside, n_updates, n_skipped, self.step, n_uncounted=uncounted, n_set_aside=n_aside
                )
            if policy is current.policy:
                self.current = replace(current, fault="it was learning when another engine took over")
        self.sync()
        return LearnReport(n - n_aside, n_updates, n_skipped, self.step, learner=False, n_set_aside=n_aside)

    def _learn_step(
        self, state: PolicyState, kept: DueColumns, outcomes: Outcomes, lease: Lease
    ) -> tuple[PolicyState, int] | None:
        """Learn one step and write it to the ledger; None, and nothing written, if the lease was lost.

        Return the state and how many outcomes were set aside. A state that is written was read back before.
        """
        step, size, unsaved = state.step + 1, state.size, state.unsaved + len(outcomes)
        snapshot, digest = None, ""
        read_back = None
        if snapshot_is_due(unsaved, size, small=len(outcomes) < SMALL_STEP_ROWS):
            read_back = self._load_back(state.policy)
        aside = guarded_update(
            state.policy, outcomes, lambda: self.history.state_at(state.step, state.policy), read_back
        )
        if aside is not None:  # the policy was loaded anew
            read_customers(self._source_store, self.policy_id, state.policy)
        if read_back is not None:
            snapshot = read_back.state if aside is None else stored_state(state.policy)
            digest, size, unsaved = state_hash(snapshot), len(snapshot), 0
        with self.store.transaction():
            if not lease.renew() or self.store.ledger.latest_step(self.policy_id) != state.step:
                return None
            self.store.ledger.record_step(self.policy_id, step, kept, digest, snapshot)
            if snapshot is not None:
                write_customers(self.store, self.policy_id, state.policy)
            if aside is not None and aside.rows.any():
                seqs = kept.decisions.seq[aside.rows].tolist()
                self.store.ledger.set_aside.add(self.policy_id, step, seqs, aside.reason)
        n_aside = 0 if aside is None else int(aside.rows.sum())
        return replace(state, step=step, size=size, unsaved=unsaved), n_aside

    def _load_back(self, policy: Policy) -> LoadBack:
        return LoadBack(lambda: self._untrained(policy))

    def _untrained(self, policy: Policy) -> Policy | None:
        """Return an untrained policy of the same class and settings, None for a class of the caller's own."""
        try:
            another = build(self.catalogue, policy.spec())
        except PolicyError:
            return None
        return another if type(another) is type(policy) else None

    def save(self) -> None:
        """Write the current state, where many steps were learned since the last one that was written.

        The next opening then has nothing to fold. Nothing is written if another engine has learned since.
        """
        with self.decision_lock:
            current = self.current
            if current.fault is None and current.unsaved >= UNSAVED_AT_CLOSE:
                read_back = self._load_back(current.policy)
                read_back(current.policy)
                with self.store.transaction():
                    if self.store.ledger.save_state(self.policy_id, current.step, read_back.state):
                        write_customers(self.store, self.policy_id, current.policy)

    def _uncounted(self, step: int) -> int:
        """Return how many outcomes that were learned after a step have an event that does not count."""
        events, objective = self.catalogue.events, self.catalogue.objective
        return self.store.event_use.uncounted(
            self.policy_id,
            step,
            objective.window,
            tuple(events.parts),
            events.silent,
            rewards=objective.kind == "reward",
        )

    def _due(self, moment: int) -> DueColumns:
        objective = self.catalogue.objective
        return self.store.ledger.due(
            self.policy_id,
            objective.event,
            objective.window,
            moment,
            limit=MAX_STEP_OUTCOMES,
            counts_at_once=objective.kind == "reward",
            silent=self.catalogue.silent_groups,
            activation=objective.activation,
            stages=objective.stages,
        )

    # -- rebuild -----------------------------------------------------------------------------------------------------

    def base_policy(self) -> Policy:
        """Return a new policy in the base state: as a rule, the state before anything was learned."""
        return self.history.load(self.history.base_snapshot(), build(self.catalogue, self.policy.spec())).policy

    def rebuild(self, progress: Progress | None = None) -> RebuildReport:
        """Fold the log's steps from the base, take the result as the current state, and rewrite its snapshot."""
        base, current = self.base_step, self.current
        latest = self.store.ledger.latest_step(self.policy_id) or 0
        policy, n = self.base_policy(), 0
        for step in range(base + 1, latest + 1):
            n += self.history.learn_step(policy, step)
            if progress is not None:
                progress(step, latest)
        state = stored_state(policy)
        same = current.fault is None and current.step == latest and close(state, stored_state(current.policy))
        if type(policy) is not type(current.policy):
            policy_bytes, policy = policy.dumps(), current.policy
            with self.decision_lock:
                self.current = replace(current, fault="its state was lost while it was rebuilt")
                policy.loads(policy_bytes)
                self._replace_current(PolicyState(policy, latest, len(state), n))
        unreadable = self._snapshot_is_unreadable()
        with self.store.transaction():
            if self.store.ledger.repair_snapshot(self.policy_id, latest, state, unreadable=unreadable):
                rewrite_customers(self.store, self.policy_id, policy)
        self._replace_current(PolicyState(policy, latest, len(state), n))
        return RebuildReport(latest - base, n, same and not unreadable)

    def _snapshot_is_unreadable(self) -> bool:
        """Say whether the newest state in the store is as it was written, and cannot be read."""
        another = self._untrained(self.policy)
        if another is None:
            return False
        newest = self.history.newest_snapshot()
        try:
            self.history.load(newest, another)
        except PolicyError:
            return True
        return bool(customers_fault(self.store, self.policy_id, newest, another))

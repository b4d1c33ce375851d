"""The roll-out as one engine sees it: the state in force, and the policies that are live besides its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import IntArray, ObjectArray, Policy
from bandit.engine.worker import BackgroundWorker
from bandit.errors import OfferBanditError, PolicyError, StoreError
from bandit.learning import PolicyLearner
from bandit.learning.policy_state import PolicyState
from bandit.policies.unusable import build_stored
from bandit.rollout import RolloutChange, RolloutControl, RolloutState, RolloutStates
from bandit.rollout.mixture import ArmWeights
from bandit.rollout.serving import NO_STEP, ArmPlan, ArmServer
from bandit.store import Store

CHECK_INTERVAL = 0.1
"""Seconds after which a decision looks again whether another process has changed the roll-out."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveState:
    """A state of the roll-out with the learners of its policies, by the places of their arms.

    The state is None while nothing is declared or changed: the engine's own policy serves everybody. `halted` says who
    halted the policies, when and why; None where they serve. Decisions numbered up to `held_after` are not held for
    sticky offers: they were made before the policies were last resumed after a halt.
    """

    champion: PolicyLearner
    learners: Mapping[int, PolicyLearner]
    change: RolloutChange | None = None
    state: RolloutState | None = None
    halted: str | None = None
    held_after: int = 0

    @property
    def change_id(self) -> int:
        """The number of the change that led to the state, 0 while there is none."""
        return 0 if self.change is None else self.change.id


@dataclass(frozen=True, slots=True, eq=False)
class BatchPart:
    """The rows of a batch that are logged under one policy: their arms (m,) if a roll-out concerns them.

    `rows` is None for all rows of the batch. `concerned` are places in the part.
    """

    live: LiveState
    learner: PolicyLearner
    rows: IntArray | None = None
    concerned: IntArray | None = None
    place: IntArray | None = None


class LiveRollout:
    """Follows the roll-out in the store, and holds the learners of the live policies.

    Changes by this engine are seen at once, those of other processes at the first decision `CHECK_INTERVAL` later. A
    live policy of another catalogue version is left out: a new version begins with the engine's own policy.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        own: PolicyLearner,
        worker: BackgroundWorker,
        new_worker: Callable[[PolicyLearner], BackgroundWorker],
        clock: Callable[[], int],
        decision_lock: AbstractContextManager[object],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._own = own
        self._lock = decision_lock
        self._new_worker = new_worker
        self._others: dict[int, PolicyLearner] = {}
        self.workers: dict[int, BackgroundWorker] = {own.policy_id: worker}
        self._next_check = 0.0
        self._seen_version: int | None = None
        self.server = ArmServer(catalogue)
        self.weights = ArmWeights(RolloutStates(store))
        self.current = LiveState(own, {})
        self.control = RolloutControl(store, catalogue, clock, self.refresh)
        self.control.declare()
        self.refresh()

    # -- following the store -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Take over a change of another process, if it is time to look; never raises."""
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + CHECK_INTERVAL
        with contextlib.suppress(OfferBanditError):  # a store that cannot be read cannot take the decision either
            version = self._store.data_version()
            if version != self._seen_version:
                if self._store.rollout_changes.latest_id() != self.current.change_id:
                    self.refresh()
                self._seen_version = version

    def refresh(self) -> None:
        """Take over the newest change in the store."""
        with self._lock:
            change = self.control.latest()
            if change is None:
                self.current = LiveState(self._own, {})
                return
            self.current = self._live(change)

    def _live(self, change: RolloutChange) -> LiveState:
        state = change.state.among(self._policies_of_this_version())
        if state.halted is not None:
            # No policy serves, so none has to be loaded: nothing may delay a kill or prevent it.
            champion = self._others.get(state.champion or 0, self._own)
            learners = {
                place: self._others[arm.policy_id]
                for place, arm in enumerate(state.arms)
                if arm.policy_id in self._others
            }
        else:
            champion = self._own if state.champion is None else self._learner(state.champion)
            learners = {
                place: self._learner(arm.policy_id) for place, arm in enumerate(state.arms) if arm.policy_id is not None
            }
        halt = None if state.halted is None else self.control.halting_change()
        words = None if halt is None else halt.words
        return LiveState(champion, learners, change, state, words, self._last_before_resuming())

    def _policies_of_this_version(self) -> frozenset[int]:
        catalogue_of = {row.id: row.catalogue_id for row in self._store.catalogues.policies()}
        mine = catalogue_of[self._own.policy_id]
        return frozenset(policy_id for policy_id, catalogue_id in catalogue_of.items() if catalogue_id == mine)

    def _last_before_resuming(self) -> int:
        """Return the number of the newest decision made before the policies were last resumed; 0 if they never were."""
        if self._catalogue.sticky is None:
            return 0
        changes = self.control.history()
        halted = [place for place, change in enumerate(changes) if change.state.halted is not None]
        if not halted or halted[-1] + 1 == len(changes):
            return 0
        return self._store.decisions.last_seq_until(changes[halted[-1] + 1].time)

    def replace_own(self, learner: PolicyLearner, worker: BackgroundWorker) -> BackgroundWorker:
        """Let another policy be the engine's own, and return the worker of the one before."""
        before = self.workers.pop(self._own.policy_id)
        self._others.pop(learner.policy_id, None)
        self._own = learner
        self.workers = {learner.policy_id: worker} | self.workers
        self.refresh()
        return before

    def held_after(self) -> int | None:
        """Return the number after which decisions are held for sticky offers; None, for none, while there is a halt."""
        self.check()
        current = self.current
        return current.held_after if current.halted is None else None

    def _learner(self, policy_id: int) -> PolicyLearner:
        if policy_id == self._own.policy_id:
            return self._own
        if policy_id not in self._others:
            catalogue_id, spec = self._store.catalogues.policy_spec(policy_id)
            try:
                policy = build_stored(self._catalogue, spec)
            except PolicyError as fault:
                raise StoreError(
                    f"{self._store.path}: policy {policy_id} is live and cannot be built ({fault}); take it out with "
                    f"`offer-bandit rollout challenge --policy {policy_id} --share 0`, or roll back"
                ) from fault
            learner = PolicyLearner(
                self._store,
                self._catalogue,
                catalogue_id,
                policy,
                decision_lock=self._lock,
                serving=True,
            )
            self._others[policy_id] = learner
            self.workers[policy_id] = self._new_worker(learner)
        return self._others[policy_id]

    # -- planning ------------------------------------------------------------------------------------------------------

    def parts(self, customers: ObjectArray, labels: str | Sequence[str]) -> list[BatchPart]:
        """Return the parts of a batch: the rows of each challenger, and all others; empty parts are left out."""
        live = self.current
        state, n = live.state, len(customers)
        if state is None or state.is_plain:
            return [BatchPart(live, live.champion)]
        concerned = self.server.concerned(labels, n, state)
        place = state.assign(self._store.customers.dealt(customers[concerned]))
        if len(state.policies) <= 1:
            return [BatchPart(live, live.champion, None, concerned, place)]
        arm = np.zeros(n, dtype=np.int64)
        arm[concerned] = place
        owner = np.where(arm >= 2, arm, 1)
        is_concerned = np.zeros(n, dtype=np.bool_)
        is_concerned[concerned] = True
        parts = []
        for one in np.unique(owner).tolist():
            rows = np.flatnonzero(owner == one)
            inside = np.flatnonzero(is_concerned[rows])
            whole = None if len(rows) == n else rows
            parts.append(BatchPart(live, live.learners.get(one, live.champion), whole, inside, arm[rows][inside]))
        return parts

    def plan(self, part: BatchPart, current: PolicyState, customers: ObjectArray, rows: slice) -> ArmPlan | None:
        """Return the plan of some consecutive rows of a part, given the customers in them; reads the store.

        `current` is the state of the part's own policy that they are served by: a thread may replace the learner's.
        """
        state = part.live.state
        if state is None or part.concerned is None or part.place is None:
            return None
        first, last, _ = rows.indices(2**62)
        inside = (part.concerned >= first) & (part.concerned < last)
        concerned, place = part.concerned[inside] - first, part.place[inside]
        if not len(concerned):
            return None
        weights = self.weights.of(self._store, state, customers[concerned])
        arms = state.arms
        learners = ({1: part.live.champion} if len(arms) > 1 else {}) | dict(part.live.learners)
        states = {at: current if each is part.learner else each.current for at, each in learners.items()}
        steps = np.array([states[at].step if at in states else NO_STEP for at in range(len(arms))])
        usable = {at: each.policy for at, each in states.items() if each.fault is None}
        return ArmPlan(part.live.change_id, state, concerned, place, weights, usable, steps)

    # -- work beside deciding ------------------------------------------------------------------------------------------

    def worker_of(self, learner: PolicyLearner) -> BackgroundWorker:
        """Return the worker of a live policy."""
        return self.workers[learner.policy_id]

    def each_worker(self) -> Iterator[BackgroundWorker]:
        """Yield the workers of all policies, the engine's own first."""
        yield from list(self.workers.values())

    def specs(self) -> dict[int, Mapping[str, object]]:
        """Return the specifications of the policies that decisions were made by, by their numbers."""
        return {each.policy_id: each.policy.spec() for each in (self._own, *self._others.values())}

    def poll(self) -> None:
        """Let each policy look whether another engine has learned."""
        for worker in self.workers.values():
            worker.poll()

    def policy_at(self, policy_id: int, step: int) -> Policy | None:
        """Return a live policy, which stays as it is, if its present state is that after a step; None otherwise."""
        for learner in (self._own, *self._others.values()):
            current = learner.current
            if learner.policy_id == policy_id and current.step == step and current.fault is None:
                with self._lock:
                    if learner.current is current:
                        return learner.frozen()
        return None

    def before_fork(self) -> None:
        """Keep other threads from copying the policies."""
        for learner in (self._own, *self._others.values()):
            learner.copy_lock.acquire()

    def after_fork(self, *, child: bool) -> None:
        """Admit threads again."""
        self._seen_version = None
        for worker in self.workers.values():
            if child:
                worker.begin_child()
        for learner in (self._own, *self._others.values()):
            learner.copy_lock.release()

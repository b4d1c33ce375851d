"""A policy's life in a log: where it stands, what it learns next, and the same state folded from the log again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Outcomes, Policy
from bandit.eligibility import MANY_OFFERS
from bandit.errors import StoreError
from bandit.policies import build, close
from bandit.store import DueColumns, Store, StoreLog, state_hash

STEP = 2_048
"""Most outcomes learned in one step."""

SAVED = 8_192
"""Bytes of a policy's state that are written for each outcome learned, at most: a large state is not written at every
step. Where a process ends between, the steps since are learned again when the policy is taken up."""

Progress = Callable[[int, int], None]
"""Called with (done, total); total is 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What one `learn` did: outcomes learned, of these re-stated; skipped, since this catalogue lacks their offer.

    Each is an outcome or the part of a silence that is known of an open decision; re-stated are those of which
    anything was learned before.
    """

    n: int
    n_restated: int
    n_skipped: int
    step: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What folding the log again gave: steps and outcomes folded; whether the state is the live one, up to rounding."""

    steps: int
    n: int
    same: bool


class Lineage:
    """One policy, with one description and one catalogue, in one store.

    The policy's state is a fold over steps, each a set of outcomes that the log names; so it can be computed again.
    """

    def __init__(self, store: Store, catalogue: Catalogue, catalogue_id: int, policy: Policy) -> None:
        """Take the policy up where the log says it stands, or begin with the state it has."""
        self.store = store
        self.catalogue = catalogue
        self.policy = policy
        self.policy_id = store.register_policy(catalogue_id, policy.spec())
        self._log = StoreLog(store, catalogue)
        self.step = 0
        latest = store.latest_step(self.policy_id)
        if latest is None:
            state = policy.dumps()
            store.record_step(self.policy_id, 0, None, state_hash(state), state)
            self._size, self._unsaved = len(state), 0
            return
        self._take_up(latest)

    def _take_up(self, latest: int) -> None:
        """Stand where the log says that this policy stands: its newest snapshot, and the steps since."""
        snapshot = self.store.latest_snapshot(self.policy_id)
        if snapshot is None:
            raise StoreError(f"{self.store.path}: policy {self.policy_id} has lost its first state; restore a backup")
        self.policy.loads(snapshot.state)
        self.step = snapshot.step
        self._size, self._unsaved = len(snapshot.state), 0
        while self.step < latest:
            outcomes = self.learned(self.step + 1)
            self.policy.update(outcomes)
            self.step += 1
            self._unsaved += len(outcomes)

    def learn(self, moment: int, progress: Progress | None = None) -> Learned:
        """Learn all that is due at a moment (microseconds), step by step, each step one transaction."""
        if not self.policy.learns:
            return Learned(0, 0, 0, self.step)
        n = restated = skipped = 0
        objective = self.catalogue.objective
        total = self.store.counts().decisions if progress is not None else 0
        while True:
            due = self.store.due(
                self.policy_id,
                objective.event,
                objective.window,
                moment,
                limit=STEP,
                counts_at_once=objective.kind == "reward",
            )
            if not len(due):
                return Learned(n, restated, skipped, self.step)
            kept, outcomes = self._outcomes(due)
            self._take_step(kept, outcomes)
            n, skipped = n + len(outcomes), skipped + len(due) - len(outcomes)
            restated += int(outcomes.restated.sum())
            if progress is not None:
                progress(n + skipped, max(total, n + skipped))

    def learned(self, step: int) -> Outcomes:
        """Return the outcomes that one step learned, as they were then."""
        objective = self.catalogue.objective
        return self._outcomes(self.store.learned_rows(self.policy_id, step, objective.event, objective.window))[1]

    def first(self) -> Policy:
        """Return a new policy that stands where this one stood before it learned anything from the log."""
        policy = build(self.catalogue, self.policy.spec())
        snapshot = self.store.first_snapshot(self.policy_id)
        if snapshot is not None:
            policy.loads(snapshot.state)
        return policy

    def rebuild(self, progress: Progress | None = None) -> Rebuilt:
        """Fold the log again and take the result as the policy's state."""
        policy, n = self.first(), 0
        for step in range(1, self.step + 1):
            outcomes = self.learned(step)
            policy.update(outcomes)
            n += len(outcomes)
            if progress is not None:
                progress(step, self.step)
        state = policy.dumps()
        same = close(state, self.policy.dumps())
        self.policy.loads(state)
        return Rebuilt(self.step, n, same)

    def _take_step(self, kept: DueColumns, outcomes: Outcomes) -> None:
        """Learn one step and log it; where it cannot be logged, the policy stays as the log knows it."""
        try:
            self.policy.update(outcomes)
            unsaved = self._unsaved + len(outcomes)
            if unsaved * SAVED >= self._size:
                state = self.policy.dumps()
                self.store.record_step(self.policy_id, self.step + 1, kept, state_hash(state), state)
                self._size, unsaved = len(state), 0
            else:
                self.store.record_step(self.policy_id, self.step + 1, kept, "", None)
        except BaseException:
            self._take_up(self.step)
            raise
        self.step += 1
        self._unsaved = unsaved

    def _outcomes(self, due: DueColumns) -> tuple[DueColumns, Outcomes]:
        # Policies that can do with more offers do not look at what was eligible.
        rows, batch = self._log.decisions(due.decisions, masks=self.catalogue.n_offers <= MANY_OFFERS)
        kept = due.take(rows)
        money, objective = self.catalogue.money_of(batch.offer), self.catalogue.objective
        every = np.arange(len(batch.offer))
        was_reward = objective.reward(money, every, kept.was_converted, kept.was_revenue, kept.was_value)
        return kept, Outcomes(
            contexts=batch.contexts,
            offer=batch.offer,
            eligible=batch.eligible,
            propensity=batch.propensity,
            converted=batch.converted,
            revenue=batch.revenue,
            reward=batch.reward,
            restated=kept.restated,
            was_converted=kept.was_converted,
            was_revenue=kept.was_revenue,
            was_reward=was_reward,
            time=batch.time,
            weight=kept.weight,
            was_weight=kept.was_weight,
        )

"""Small steps of learning: made in place, as a decision is made, under its lock and on its connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from bandit.domain import CheckedPolicy, InPlacePolicy, Outcomes
from bandit.errors import PolicyError, StoreError
from bandit.learning.policy_state import PolicyState, StateHistory
from bandit.learning.reports import LearnReport
from bandit.store import DueColumns, DueCriterion, Lease, OneDue, Store, is_outage

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue

SMALL_STEP_ROWS = 32
"""A step is small if fewer decisions and events than this are new."""

SNAPSHOT_BYTES_PER_OUTCOME, SNAPSHOT_BYTES_IN_SMALL_STEPS = 8_192, 512
"""Most bytes of a policy's state that are written for each outcome learned, so that a large state is not written at
every step; of those learned in small steps fewer, since hardly anything else is written then. If a process is killed
before the next snapshot, the steps since the last one are folded on opening."""

MAX_UNSAVED_OUTCOMES = 4_096
"""Most outcomes that are folded on opening, however large the state is."""


@dataclass(frozen=True, slots=True)
class SmallStep:
    """What came of a small step: the report and the state after it, None where the policy is in no usable state."""

    report: LearnReport
    state: PolicyState


def snapshot_is_due(unsaved: int, size: int, *, small: bool) -> bool:
    """Say whether a state of so many bytes is written after so many outcomes since the last one.

    >>> [snapshot_is_due(n, 1_024_000, small=True) for n in (1_999, 2_000)], snapshot_is_due(4_096, 10**9, small=True)
    ([False, True], True)
    """
    by_outcome = SNAPSHOT_BYTES_IN_SMALL_STEPS if small else SNAPSHOT_BYTES_PER_OUTCOME
    return unsaved * by_outcome >= size or unsaved >= MAX_UNSAVED_OUTCOMES


class SmallSteps:
    """Learns a policy's small steps in place; the caller holds the lock that decisions take.

    All is read and written in one transaction, which fails if another process writes meanwhile. The step and the state
    change together: rows are written first, then the policy learns, and the commit comes last. It does not wait for
    the disk: a power cut may take steps from the end of the log, together with nothing but what came after them, and
    their outcomes are then due as before. A decision waits, so a step that decided is on the disk before its decision.
    All but a few steps of an engine that learns after every visit are small, and cost about what a decision costs; the
    others, among them those that write a snapshot, are left to the learner, which makes them on a copy.
    `changed` says whether the policy was changed in the last call of `learn`, however that ended.
    """

    def __init__(self, store: Store, catalogue: Catalogue, policy_id: int) -> None:
        """Learn on the connection `store`."""
        objective, events = catalogue.objective, catalogue.events
        self.store = store
        self._objective = objective
        self._silent, self._known = events.silent, tuple(events.parts)
        self._history = StateHistory(store, catalogue, policy_id)
        self._policy_id = policy_id
        self._in_place: bool | None = None
        self._checked = False
        self.changed = False
        self._criterion = DueCriterion(
            objective.event,
            objective.window,
            objective.kind == "reward",
            catalogue.silent_groups,
            objective.activation,
            objective.stages,
        )

    def learn(self, state: PolicyState, moment: int, lease: Lease) -> SmallStep | None:
        """Learn what is due at a moment, or return None, with nothing done, where that is no small step.

        After an error, the state of the policy is lost where `changed` says that it was changed.
        """
        self.changed = False
        policy, ledger = state.policy, self.store.ledger
        if self._in_place is None:  # asking the protocol takes as long as ten reads of the log
            self._in_place, self._checked = isinstance(policy, InPlacePolicy), isinstance(policy, CheckedPolicy)
        if state.fault is not None or not self._in_place:
            return None
        policy = cast("InPlacePolicy", policy)
        try:
            with self.store.upgradable():
                due = ledger.few_due(self._policy_id, self._criterion, moment, SMALL_STEP_ROWS, state.step)
                if due is None:
                    return None
                if not len(due):
                    return SmallStep(LearnReport(0, 0, 0, state.step), state)
                kept, outcomes = self._outcomes(due)
                unsaved = state.unsaved + len(outcomes)
                if snapshot_is_due(unsaved, state.size, small=True) or not policy.is_quick(outcomes):
                    return None
                if not lease.is_free():
                    return SmallStep(LearnReport(0, 0, 0, state.step, learner=False), state)
                ledger.append_step(self._policy_id, state.step + 1, kept, small=True)
                uncounted = self._uncounted(state.step, due)
                self.changed = True
                policy.update(outcomes)
                if self._checked and not policy.is_finite:  # type: ignore[attr-defined]  # a CheckedPolicy
                    raise PolicyError("the belief has numbers that are not finite")
        except StoreError as fault:
            if self.changed or not is_outage(fault):
                raise
            return None  # another process writes; the learner waits for it, and decisions do not
        after = PolicyState(policy, state.step + 1, state.size, unsaved)
        n, n_updates = len(outcomes), int(np.count_nonzero(outcomes.is_update))
        return SmallStep(LearnReport(n, n_updates, len(due) - n, after.step, n_uncounted=uncounted), after)

    def _outcomes(self, due: DueColumns | OneDue) -> tuple[DueColumns | OneDue, Outcomes]:
        """Return the rows whose offers the catalogue has, and their outcomes."""
        if isinstance(due, OneDue):
            outcomes = None if due.is_update else self._history.training.of_one(due)
            if outcomes is not None:
                return due, outcomes
            due = due.columns()
        return self._history.due_outcomes(due)

    def _uncounted(self, step: int, due: DueColumns | OneDue) -> int:
        """Return how many of the outcomes that are learned after a step have an event that does not count."""
        if due.all_count:
            return 0
        objective = self._objective
        return self.store.event_use.uncounted(
            self._policy_id, step, objective.window, self._known, self._silent, rewards=objective.kind == "reward"
        )

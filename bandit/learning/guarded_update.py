"""Learning that no outcome can end: an outcome that a policy cannot learn is set aside, and the others are learned.

A policy that says whether its numbers are finite (`CheckedPolicy`) is asked after every step. Where the step fails, the
outcomes that make it fail are found by halving, always from the state before the step; the rest is then learned as one
batch, which is what a rebuild does with them as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, CheckedPolicy, IntArray, Outcomes, Policy
from bandit.errors import PolicyError
from bandit.learning.customer_states import stored_state

if TYPE_CHECKING:
    from collections.abc import Callable

LEARNING_FAULTS = (ArithmeticError, ValueError, IndexError, PolicyError)
"""Errors that say that outcomes could not be learned; others, as of memory or of the disk, are raised."""

MAX_REASON_KEPT = 300
"""Most characters of a reason that is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class SetAsideOutcomes:
    """Which of a step's n outcomes were set aside, (n,), and why."""

    rows: BoolArray
    reason: str


def check_finite(policy: Policy) -> None:
    """Raise PolicyError where a policy says that its numbers are not finite."""
    if isinstance(policy, CheckedPolicy) and not policy.is_finite:
        raise PolicyError("the belief has numbers that are not finite")


def guarded_update(
    policy: Policy,
    outcomes: Outcomes,
    before: Callable[[], bytes],
    check: Callable[[Policy], None] | None = None,
) -> SetAsideOutcomes | None:
    """Let a policy learn a step, and return which of its outcomes were set aside, None where the step did not fail.

    `before` returns the policy's state before the step; it is asked for only where the step fails. `check` raises where
    the state after the step cannot be used. The error is raised where the policy does not say whether its numbers are
    finite, and where none of several outcomes can be learned: then it is not theirs.
    """
    fault = _fault(policy, outcomes, check)
    if fault is None:
        return None
    if not isinstance(policy, CheckedPolicy) or not len(outcomes):
        raise fault
    try:
        state = before()
    except PolicyError:  # of a class that only its program can build
        raise fault from None

    def can_learn(rows: IntArray) -> bool:
        policy.loads(state)
        return _fault(policy, outcomes.take(rows), check) is None

    def learnable(rows: IntArray) -> IntArray:
        if can_learn(rows):
            return rows
        if len(rows) == 1:
            return rows[:0]
        half = len(rows) // 2
        first, second = learnable(rows[:half]), learnable(rows[half:])
        together = np.concatenate([first, second])
        if not len(first) or not len(second) or can_learn(together):
            return together
        return first if len(first) >= len(second) else second

    learned = learnable(np.arange(len(outcomes)))
    policy.loads(state)
    if not len(learned) and len(outcomes) > 1:
        raise fault
    policy.update(outcomes.take(learned))
    aside = np.ones(len(outcomes), dtype=np.bool_)
    aside[learned] = False
    return SetAsideOutcomes(aside, f"{type(fault).__name__}: {fault}"[:MAX_REASON_KEPT])


def _fault(policy: Policy, outcomes: Outcomes, check: Callable[[Policy], None] | None) -> Exception | None:
    try:
        policy.update(outcomes)
        check_finite(policy)
        if check is not None:
            check(policy)
    except LEARNING_FAULTS as fault:
        return fault
    return None


class GuardedFold:
    """Folds steps into one policy from a given state; what cannot be learned is set aside, as it was the first time."""

    def __init__(self, policy: Policy, start: bytes, outcomes_of: Callable[[int], Outcomes], first: int = 0) -> None:
        """Begin with the state `start` after the step `first`; `outcomes_of` returns what a step learns."""
        policy.loads(start)
        self.policy = policy
        self._start, self._first, self._outcomes_of = start, first, outcomes_of
        self._aside: dict[int, BoolArray] = {}
        self.n = 0
        """The number of outcomes that were learned."""

    def learn(self, step: int) -> SetAsideOutcomes | None:
        """Learn the next step, and return which of its outcomes were set aside, None where all were learned."""
        outcomes = self._outcomes_of(step)
        found = guarded_update(self.policy, outcomes, lambda: self._state_before(step))
        if found is not None:
            self._aside[step] = found.rows
        self.n += len(outcomes) if found is None else int((~found.rows).sum())
        return found

    def _state_before(self, step: int) -> bytes:
        self.policy.loads(self._start)
        for earlier in range(self._first + 1, step):
            outcomes, aside = self._outcomes_of(earlier), self._aside.get(earlier)
            self.policy.update(outcomes if aside is None else outcomes.take(~aside))
        return self.policy.dumps()


class LoadBack:
    """Writes a policy's state and reads it again before anything relies on it."""

    def __init__(self, make: Callable[[], Policy | None]) -> None:
        """`make` returns a policy of the same class and settings to read states with, None where it cannot be made."""
        self._make = make
        self.state = b""
        """The state that was read last."""

    def __call__(self, policy: Policy) -> None:
        """Raise PolicyError where the state cannot be read again; other than checked policies are trusted."""
        self.state = stored_state(policy)
        another = self._make() if isinstance(policy, CheckedPolicy) else None
        if another is not None:
            another.loads(self.state)

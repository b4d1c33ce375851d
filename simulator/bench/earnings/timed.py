"""Wrappers that time a policy or an engine: processor time of decisions and of learning."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.random import Generator

from bandit.domain import BoolArray, Contexts, DecisionBatch, FloatArray, IntArray, Outcomes, Policy
from simulator.bench.stopwatch import Stopwatch
from simulator.simulation.targets import EngineLike


class TimedPolicy:
    """A policy whose probabilities and updates are timed; obeys `bandit.domain.Policy`."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.deciding, self.learning = Stopwatch(), Stopwatch()

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.policy.name

    @property
    def learns(self) -> bool:
        """Whether the policy learns."""
        return self.policy.learns

    def probabilities(self, contexts: Contexts, eligible: BoolArray, rng: Generator) -> FloatArray:
        """Return the policy's (n, N) probabilities, timed."""
        with self.deciding.running(contexts.n):
            return self.policy.probabilities(contexts, eligible, rng)

    def update(self, outcomes: Outcomes) -> None:
        """Update the policy, timed."""
        with self.learning.running(len(outcomes)):
            self.policy.update(outcomes)

    def spec(self) -> Mapping[str, object]:
        """Return the policy's description."""
        return self.policy.spec()

    def dumps(self) -> bytes:
        """Return the policy's state."""
        return self.policy.dumps()

    def loads(self, state: bytes) -> None:
        """Set the policy's state."""
        self.policy.loads(state)


class TimedEngine:
    """An engine whose decisions (with their log) and learning (with the recording of events) are timed.

    `cpu` returns nanoseconds of processor time so far, for an engine that runs in another process.
    """

    def __init__(self, engine: EngineLike, cpu: Callable[[], int] = clock.process_time_ns) -> None:
        self.engine = engine
        self.deciding, self.learning = Stopwatch(cpu), Stopwatch(cpu)

    def decide_batch(
        self,
        customers: Sequence[str],
        contexts: Mapping[str, Any],
        *,
        time: IntArray | int | None = None,
        decision_ids: Sequence[str] | None = None,
    ) -> DecisionBatch:
        """Decide for a batch of customers, timed."""
        with self.deciding.running(len(customers)):
            return self.engine.decide_batch(customers, contexts, time=time, decision_ids=decision_ids)

    def record_batch(
        self,
        decision_ids: Sequence[str],
        event: str | Sequence[str],
        *,
        revenue: FloatArray | None = None,
        time: IntArray | None = None,
    ) -> object:
        """Record events, timed as part of learning."""
        with self.learning.running():
            return self.engine.record_batch(decision_ids, event, revenue=revenue, time=time)

    def learn(self, *, now: int | None = None) -> object:
        """Let the engine learn, timed."""
        with self.learning.running():
            return self.engine.learn(now=now)

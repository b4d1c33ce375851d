"""Stopwatches around a policy or an engine: microseconds a decision and a learned outcome.

They count the time that the processor worked for this process, so that a busy machine does not slow anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from numpy.random import Generator

from bandit.domain import BoolArray, Contexts, DecisionBatch, FloatArray, IntArray, Outcomes, Policy
from simulator.simulation.targets import EngineLike


class Stopwatch:
    """Processor time spent on pieces of work."""

    def __init__(self) -> None:
        self.nanoseconds = 0
        self.pieces = 0

    @contextmanager
    def running(self, pieces: int = 0) -> Iterator[None]:
        """Run while the block does, which does so many pieces of the work."""
        begun = time.process_time_ns()
        yield
        self.nanoseconds += time.process_time_ns() - begun
        self.pieces += pieces

    @property
    def microseconds(self) -> float:
        """Microseconds a piece."""
        return self.nanoseconds / 1_000 / max(self.pieces, 1)


class TimedPolicy:
    """A policy whose answers and whose learning are timed; obeys `bandit.domain.Policy`."""

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
        """Ask the policy, timed."""
        with self.deciding.running(contexts.n):
            return self.policy.probabilities(contexts, eligible, rng)

    def update(self, outcomes: Outcomes) -> None:
        """Tell the policy, timed."""
        with self.learning.running(len(outcomes)):
            self.policy.update(outcomes)

    def spec(self) -> Mapping[str, object]:
        """Return the policy's settings."""
        return self.policy.spec()

    def dumps(self) -> bytes:
        """Return what the policy learned."""
        return self.policy.dumps()

    def loads(self, state: bytes) -> None:
        """Give the policy back what it learned."""
        self.policy.loads(state)


class TimedEngine:
    """An engine whose decisions (with their log) and whose learning (with recording the events) are timed."""

    def __init__(self, engine: EngineLike) -> None:
        self.engine = engine
        self.deciding, self.learning = Stopwatch(), Stopwatch()

    def decide_batch(
        self,
        customers: Sequence[str],
        contexts: Mapping[str, Any],
        *,
        time: IntArray | int | None = None,
        decision_ids: Sequence[str] | None = None,
    ) -> DecisionBatch:
        """Ask the engine, timed."""
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
        """Tell the engine, timed; the pieces are the outcomes, of which each decision has one."""
        with self.learning.running():
            return self.engine.record_batch(decision_ids, event, revenue=revenue, time=time)

    def learn(self, *, now: int | None = None) -> object:
        """Let the engine learn, timed."""
        with self.learning.running():
            return self.engine.learn(now=now)

"""A process at work on a small database, which notes what it is promised.

What it was promised it writes, line by line, to a file of its own; what it is about to do, before it does it, so that
a half-done thing can be told from a lost one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.random import Generator

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import MICROSECONDS
from bandit.store import Store, state_hash

BENCH_KEY = b"crash"
DAY = 86_400 * MICROSECONDS
CRASH_START = 1_750_000_000 * MICROSECONDS
CRASH_CUSTOMERS = 20
ERASED_CUSTOMER = "customer-7"
"""Who is erased."""

GROWN_DAYS = 6
"""Days that the database has behind it, of 40 decisions each."""

RETAINED_FROM = CRASH_START + 3 * DAY
"""Decisions before this go when a retention run is killed."""

WAITING_DECISIONS = 2_500
"""Decisions that wait to be learned in large steps."""

IMPORTED_ROWS = 1_500

CRASH_CATALOGUE: Mapping[str, Any] = {
    "name": "crash",
    "objective": {"kind": "profit", "margin": 0.4, "window": "7d"},
    "context": {"age": {"type": "numeric"}, "member": {"type": "boolean"}},
    "dimensions": [
        {"name": "discount", "options": [{"name": "0"}, {"name": "10", "rate": 0.1}, {"name": "20", "rate": 0.2}]},
        {"name": "channel", "options": [{"name": "email", "contact_cost": 0.01}, {"name": "sms", "contact_cost": 0.1}]},
    ],
    "rules": [{"when": "not member", "forbid": {"discount": ["20"]}, "reason": "for members"}],
    "fallback": {"discount": "0", "channel": "email"},
}
CRASH_MAPPING: Mapping[str, Any] = {
    "columns": {"customer": "who", "decision_id": "id", "time": "at", "propensity": "p"},
    "context": {"age": "age", "member": "member"},
    "offer": {"discount": {"column": "discount"}, "channel": {"column": "channel"}},
    "outcomes": [{"event": "purchase", "when": "bought", "revenue": "amount"}],
}

Durability = Literal["full", "process"]


@dataclass(slots=True)
class ManualClock:
    """A clock that is moved."""

    now: int = CRASH_START

    def __call__(self) -> int:
        """Return microseconds since 1970 UTC."""
        return self.now


@dataclass(slots=True)
class AcknowledgementLog:
    """The file of acknowledgements, appended to by one system call a line: what is written survives the writer."""

    path: Path
    fd: int = -1

    def write(self, what: str, **content: object) -> None:
        """Write a line."""
        if self.fd < 0:
            self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self.fd, msgspec.json.encode({"what": what, **content}) + b"\n")

    def read(self) -> list[dict[str, Any]]:
        """Return all whole lines."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [msgspec.json.decode(line) for line in lines]


@dataclass(slots=True)
class Worker:
    """A process at work on one database."""

    path: Path
    notes: AcknowledgementLog
    durability: Durability
    rng: Generator
    catalogue: Catalogue
    clock: ManualClock = field(default_factory=lambda: ManualClock(CRASH_START + (GROWN_DAYS + 1) * DAY))
    prefix: str = "at"
    turn: int = 0

    def engine(self, *, busy_timeout: float = 5.0) -> Engine:
        """Open an engine on the database."""
        return Engine.open(
            self.path,
            self.catalogue,
            ThompsonSampling(self.catalogue),
            seed=int(self.rng.integers(2**62)),
            customer_key=BENCH_KEY,
            durability=self.durability,
            clock=self.clock,
            busy_timeout=busy_timeout,
            follow=None,
        )

    def store(self) -> Store:
        """Open the store alone."""
        return Store.open(self.path, customer_key=BENCH_KEY, durability=self.durability)

    def decide(self, engine: Engine, n: int, *, tell: bool = True) -> list[str]:
        """Decide for n customers, in one call, and acknowledge what is logged."""
        self.turn += 1
        self.clock.now += MICROSECONDS
        ids = [f"{self.prefix}-{self.turn}-{row}" for row in range(n)]
        customers = [f"customer-{number}" for number in self.rng.integers(CRASH_CUSTOMERS, size=n)]
        ages, members = np.round(50 + 10 * self.rng.standard_normal(n), 1).tolist(), (self.rng.random(n) < 0.5).tolist()
        if tell:
            self.notes.write("deciding", ids=ids, customers=customers, ages=ages, members=members)
        if n == 1:
            made = engine.decide(customers[0], {"age": ages[0], "member": members[0]}, decision_id=ids[0])
            offers, propensities, logged = [made.offer_index], [made.propensity], made.logged
        else:
            contexts: dict[str, Sequence[object]] = {"age": ages, "member": members}
            batch = engine.decide_batch(customers, contexts, decision_ids=ids)
            offers, propensities, logged = batch.offer_index.tolist(), batch.propensity.tolist(), batch.logged
        if tell and logged:
            self.notes.write("decided", ids=ids, customers=customers, offers=offers, propensities=propensities)
        return ids

    def record(self, engine: Engine, ids: Sequence[str], event: str, revenue: float, *, correct: bool = False) -> None:
        """Record an event of some decisions, in one call, and acknowledge it."""
        amounts = [round(revenue + place, 2) for place in range(len(ids))]
        self.notes.write("recording", ids=ids, event=event, revenue=amounts, correct=correct)
        engine.record_batch(ids, event, revenue=np.array(amounts), correct=correct)
        self.notes.write("recorded", ids=ids, event=event, revenue=amounts)

    def learn(self, engine: Engine, *, later: int = 0) -> None:
        """Learn, and say what state came of it."""
        learned = engine.learn(now=self.clock.now + later)
        if learned.learner:
            self.notes.write("learned", step=engine.step, state=state_hash(engine.policy.dumps()))

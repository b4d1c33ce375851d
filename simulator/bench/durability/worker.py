"""A process that works on a small database and logs to a file what the database acknowledged.

It also logs what it is about to do, so that interrupted work can be distinguished from lost work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.random import Generator

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import MICROSECONDS
from bandit.store import Store, state_hash
from bandit.store.connection_setup import Durability
from simulator.bench.engines import BENCH_KEY, BENCH_START, ManualClock
from simulator.market.season import DAY

CRASH_CUSTOMERS = 20
ERASED_CUSTOMER = "customer-7"
"""The customer who is erased."""

GROWN_DAYS = 6
"""Days of history in a template, of 40 decisions each."""

RETAINED_FROM = BENCH_START + 3 * DAY
"""The time before which a retention run removes decisions."""

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


@dataclass(slots=True)
class AcknowledgementLog:
    """The file of acknowledgements, written by one system call for each line, so that lines survive the process."""

    path: Path
    fd: int = -1

    def write(self, what: str, **content: object) -> None:
        """Append a line."""
        if self.fd < 0:
            self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self.fd, msgspec.json.encode({"what": what, **content}) + b"\n")

    def read(self) -> list[dict[str, Any]]:
        """Return all complete lines."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [msgspec.json.decode(line) for line in lines]


@dataclass(slots=True)
class Worker:
    """The work of one process on one database, with its acknowledgements."""

    path: Path
    notes: AcknowledgementLog
    durability: Durability
    rng: Generator
    catalogue: Catalogue
    clock: ManualClock = field(default_factory=lambda: ManualClock(BENCH_START + (GROWN_DAYS + 1) * DAY))
    prefix: str = "at"
    turn: int = 0
    spared: str | None = None

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
            sync=None,
        )

    def store(self) -> Store:
        """Open the store alone."""
        return Store.open(self.path, customer_key=BENCH_KEY, durability=self.durability)

    def decide(self, engine: Engine, n: int, *, log: bool = True) -> list[str]:
        """Decide for n customers in one call, none of them `spared`, and log the acknowledgement; return the ids."""
        self.turn += 1
        self.clock.now += MICROSECONDS
        ids = [f"{self.prefix}-{self.turn}-{row}" for row in range(n)]
        customers = [f"customer-{number}" for number in self.rng.integers(CRASH_CUSTOMERS, size=n)]
        customers = ["customer-0" if each == self.spared else each for each in customers]
        ages, members = np.round(50 + 10 * self.rng.standard_normal(n), 1).tolist(), (self.rng.random(n) < 0.5).tolist()
        if log:
            self.notes.write("deciding", ids=ids, customers=customers, ages=ages, members=members)
        if n == 1:
            made = engine.decide(customers[0], {"age": ages[0], "member": members[0]}, decision_id=ids[0])
            offers, propensities, logged = [made.offer_index], [made.propensity], made.logged
        else:
            contexts: dict[str, Sequence[object]] = {"age": ages, "member": members}
            batch = engine.decide_batch(customers, contexts, decision_ids=ids)
            offers, propensities, logged = batch.offer_index.tolist(), batch.propensity.tolist(), batch.logged
        if log and logged:
            self.notes.write("decided", ids=ids, customers=customers, offers=offers, propensities=propensities)
        return ids

    def record(self, engine: Engine, ids: Sequence[str], event: str, revenue: float, *, correct: bool = False) -> None:
        """Record an event of some decisions in one call, and log the acknowledgement."""
        amounts = [round(revenue + place, 2) for place in range(len(ids))]
        self.notes.write("recording", ids=ids, event=event, revenue=amounts, correct=correct)
        engine.record_batch(ids, event, revenue=np.array(amounts), correct=correct)
        self.notes.write("recorded", ids=ids, event=event, revenue=amounts)

    def learn(self, engine: Engine, *, later: int = 0) -> None:
        """Learn, and log the hash of the new state."""
        learned = engine.learn(now=self.clock.now + later)
        if learned.learner:
            self.notes.write("learned", step=engine.step, state=state_hash(engine.policy.dumps()))

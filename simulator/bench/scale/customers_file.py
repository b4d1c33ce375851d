"""One file of very many customers with history, made fast.

The first customers are the engine's own, decided and learned. The others are copied from them inside the database: a
row of `customers` under another key, and what the policy has learned of that customer alone. So the tables that a
decision reads, and the state, have the size that they would have after years. The log keeps the decisions of the first
ones: that a decision does not depend on its length, the benchmarks `opening` and `large` show.
"""

from __future__ import annotations

import contextlib
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain.customer_rows import DIGEST_BITS
from bandit.learning.customer_states import stored_state, write_customers
from bandit.models import customer_memory
from simulator.bench.engines import BENCH_START, ManualClock
from simulator.bench.speed.fixtures import ProblemSize, catalogue_mapping
from simulator.market.season import DAY

CUSTOMERS_SIZE = ProblemSize(48, 4)
"""Offers and facts."""

OWN_CUSTOMERS = 2_000
"""Customers whose decisions the engine makes itself, two of each."""

_OWN_BATCH = 500
_PURCHASES = 0.1
_COPIED_AT_ONCE = 500_000

# The keys are as long as hashed ones; customers are in the clear, so that a key is a name.
_COPY_CUSTOMERS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :n)
INSERT INTO customers (key) SELECT lower(hex(randomblob(16))) FROM numbers
"""
_COPY_EFFECTS = """
INSERT INTO customer_effects (policy_id, customer, number, version, epoch, factors)
SELECT e.policy_id, c.key, c.id - 1, e.version, e.epoch, e.factors
FROM customers c CROSS JOIN own e ON e.place = c.id % :own
WHERE c.id > :last ORDER BY c.key
"""
_OWN_EFFECTS = """
CREATE TEMP TABLE own AS
SELECT policy_id, version, epoch, factors, row_number() OVER (ORDER BY number) - 1 AS place
FROM customer_effects WHERE number < :own
"""
_KEYS = "SELECT key FROM customers WHERE id IN (SELECT value FROM json_each(?))"


class CustomersFile:
    """A database that grows by customers with history."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.catalogue = Catalogue.from_dict(catalogue_mapping(CUSTOMERS_SIZE))
        self.clock = ManualClock(BENCH_START)
        self.n = 0
        self._rng = np.random.default_rng(seed)

    def engine(self) -> Engine:
        """Open the engine, with durability "process": a disk's flush would dominate the rest."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*in the clear.*")
            return Engine.open(
                self.path,
                self.catalogue,
                ThompsonSampling(self.catalogue),
                seed=3,
                durability="process",
                clock=self.clock,
                sync=None,
            )

    def facts(self, rng: np.random.Generator, n: int) -> dict[str, list[float]]:
        """Return n contexts."""
        columns = np.round(rng.standard_normal((CUSTOMERS_SIZE.facts, n)), 3).tolist()
        return {f"fact{place}": column for place, column in enumerate(columns)}

    def names(self, rng: np.random.Generator, n: int) -> list[str]:
        """Return n customers of the file, drawn from all."""
        wanted = np.unique(rng.integers(1, self.n + 1, size=2 * n))
        numbers = rng.permutation(wanted)[:n].tolist()
        with contextlib.closing(sqlite3.connect(self.path)) as raw:
            return [key for (key,) in raw.execute(_KEYS, (str(numbers),)).fetchall()]

    def grow_to(self, customers: int, report: Callable[[int, int], None] | None = None) -> None:
        """Add customers until there are so many; `report` is called with customers done and all."""
        if not self.n:
            self._begin()
        if customers <= customer_memory.MOST_WHOLE:
            self._add_whole(customers)
        while self.n < customers:
            self._copy(min(_COPIED_AT_ONCE, customers - self.n))
            if report is not None:
                report(self.n, customers)
        self._save()

    def _begin(self) -> None:
        rng = self._rng
        with self.engine() as engine:
            for number in range(2 * OWN_CUSTOMERS // _OWN_BATCH):
                start = number * _OWN_BATCH % OWN_CUSTOMERS
                customers = [f"own-{place}" for place in range(start, start + _OWN_BATCH)]
                made = engine.decide_batch(customers, self.facts(rng, _OWN_BATCH))
                events = np.where(rng.random(_OWN_BATCH) < _PURCHASES, "purchase", "closed").tolist()
                revenue = [40.0 if event == "purchase" else None for event in events]
                engine.record_batch(made.decision_ids, events, revenue=revenue)
                self.clock.now += DAY // 2
                engine.learn()
        self.n = OWN_CUSTOMERS

    def _insert(self, raw: sqlite3.Connection, n: int) -> None:
        raw.execute(_COPY_CUSTOMERS, {"n": n})
        self.n += n

    def _add_whole(self, customers: int) -> None:
        """Add customers that the policy's state holds itself."""
        with contextlib.closing(sqlite3.connect(self.path)) as raw, raw:
            self._insert(raw, customers - self.n)
            added = [key for (key,) in raw.execute("SELECT key FROM customers WHERE id > ?", (OWN_CUSTOMERS,))]
        with self.engine() as engine:
            policy, memory = _policy(engine)
            places = memory.find_or_add(added)
            memory.natural[places] = memory.natural[places % OWN_CUSTOMERS]
            memory.precision[places] = memory.precision[places % OWN_CUSTOMERS]
            _write(engine, policy)

    def _copy(self, n: int) -> None:
        """Add customers whose rows the database has."""
        with self.engine() as engine:
            _, memory = _policy(engine)
            table, policy_id = engine.store.customer_effects, engine.policy_id
            if table.of(policy_id).saved_version() < 0:
                with engine.store.transaction():
                    table.write(policy_id, memory.version, memory.all_rows())
        with contextlib.closing(sqlite3.connect(self.path)) as raw:
            # What is lost here by a power cut is made again; the engine's own connections are as ever.
            for statement in ("synchronous = OFF", "cache_size = -200000", "temp_store = MEMORY"):
                raw.execute(f"PRAGMA {statement}")
            last = self.n
            with raw:
                self._insert(raw, n)
                raw.execute(_OWN_EFFECTS, {"own": OWN_CUSTOMERS})
                raw.execute(_COPY_EFFECTS, {"own": OWN_CUSTOMERS, "last": last})
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _save(self) -> None:
        """Write a state that knows of all customers of the table, with the digest of their rows."""
        if self.n <= customer_memory.MOST_WHOLE:
            return
        with self.engine() as engine:
            policy, memory = _policy(engine)
            digest = 0
            for rows in engine.store.customer_effects.of(engine.policy_id).all_rows(memory.version):
                digest += rows.digest()
            memory.restore_keyed(self.n, digest % (1 << DIGEST_BITS), memory.decays)
            _write(engine, policy)


def _policy(engine: Engine) -> tuple[ThompsonSampling, customer_memory.CustomerMemory]:
    """Return the policy that decides, and its customers."""
    policy = engine.learner.current.policy
    memory = policy.online.belief.customers if isinstance(policy, ThompsonSampling) else None
    if memory is None or not isinstance(policy, ThompsonSampling):
        raise TypeError("the engine of this file opens a policy with effects of customers")
    return policy, memory


def _write(engine: Engine, policy: ThompsonSampling) -> None:
    """Write the policy as the newest state."""
    store, learner = engine.store, engine.learner
    with store.transaction():
        store.ledger.save_state(learner.policy_id, learner.step, stored_state(policy))
        write_customers(store, learner.policy_id, policy)

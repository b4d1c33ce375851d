"""One file of very many customers with history, made fast by the store's own writers.

The first customers are the engine's own, decided and learned. The others have a decision, some of them a purchase, and
what the policy has learned of them alone, taken from one of the first ones. They are written as an import writes
decisions, with the learning already past them, so that the tables, indexes and states have the size that they would
have after years; what the policy knows of its population stays what it learned of the first customers.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import FloatArray
from bandit.learning.customer_states import stored_state, write_customers
from bandit.store import DecisionRows, EventRows
from simulator.bench.engines import BENCH_KEY, BENCH_START, ManualClock
from simulator.bench.speed.fixtures import ProblemSize, catalogue_mapping
from simulator.market.season import DAY

CUSTOMERS_SIZE = ProblemSize(48, 4)
"""Offers and facts."""

OWN_CUSTOMERS = 2_000
"""Customers whose decisions the engine makes itself, in parts of 500, four of each."""

_WRITTEN_AT_ONCE = 200_000
"""Customers whose rows of the policy are written in one transaction."""

_PART = 20_000
"""Customers that are added in one transaction."""

_CONTEXTS = 1_000
"""Different contexts of a part."""

_OWN_BATCH = 500
_PURCHASES = 0.1
_PAST = """
UPDATE learning_reach SET seq = (SELECT max(seq) FROM decisions), event = (SELECT max(id) FROM events)
"""


class CustomersFile:
    """A database that grows by customers with history."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.catalogue = Catalogue.from_dict(catalogue_mapping(CUSTOMERS_SIZE))
        self.clock = ManualClock(BENCH_START)
        self.n = 0
        self._rng = np.random.default_rng(seed)

    def engine(self, **settings: float | None) -> Engine:
        """Open the engine, with durability "process": a disk's flush would dominate the rest."""
        return Engine.open(
            self.path,
            self.catalogue,
            ThompsonSampling(self.catalogue),
            seed=3,
            customer_key=BENCH_KEY,
            durability="process",
            clock=self.clock,
            sync=None,
            **settings,  # type: ignore[arg-type]  # settings of the engine by name
        )

    def facts(self, rng: np.random.Generator, n: int) -> dict[str, list[float]]:
        """Return n contexts."""
        columns = np.round(rng.standard_normal((CUSTOMERS_SIZE.facts, n)), 3).tolist()
        return {f"fact{place}": column for place, column in enumerate(columns)}

    def grow_to(self, customers: int, report: Callable[[int, int], None] | None = None) -> None:
        """Add customers until there are so many; `report` is called with customers done and all."""
        if not self.n:
            self._begin()
        while self.n < customers:
            last = min(self.n + _WRITTEN_AT_ONCE, customers)
            with self.engine() as engine:
                self._add(engine, last)
            with contextlib.closing(sqlite3.connect(self.path)) as raw, raw:
                raw.execute(_PAST)
            if report is not None:
                report(self.n, customers)

    def _begin(self) -> None:
        rng = self._rng
        with self.engine() as engine:
            for number in range(4 * OWN_CUSTOMERS // _OWN_BATCH):
                start = number * _OWN_BATCH % OWN_CUSTOMERS
                customers = [customer_name(place) for place in range(start, start + _OWN_BATCH)]
                made = engine.decide_batch(customers, self.facts(rng, _OWN_BATCH))
                events = np.where(rng.random(_OWN_BATCH) < _PURCHASES, "purchase", "closed").tolist()
                revenue = [40.0 if event == "purchase" else None for event in events]
                engine.record_batch(made.decision_ids, events, revenue=revenue)
                self.clock.now += DAY // 2
                engine.learn()
        self.n = OWN_CUSTOMERS

    def _add(self, engine: Engine, last: int) -> None:
        """Add the customers up to `last`: their decisions and events, then what the policy knows of them."""
        store, learner = engine.store, engine.learner
        policy = learner.current.policy
        customers = policy.online.belief.customers if isinstance(policy, ThompsonSampling) else None
        if customers is None or not isinstance(policy, ThompsonSampling):
            raise TypeError("the engine of this file opens a policy with effects of customers")
        own = store.customers.all_stored([customer_name(place) for place in range(OWN_CUSTOMERS)])
        natural, precision = customers.rows(customers.find(own))
        catalogue_id = store.catalogues.register(self.catalogue)
        policy.online.version += 1
        customers.update = policy.online.version
        while self.n < last:
            n = min(_PART, last - self.n)
            names = [customer_name(place) for place in range(self.n, self.n + n)]
            keys = store.customers.all_stored(names)
            with store.transaction():
                self._write_decisions(engine, names, keys, catalogue_id)
            like = self._rng.integers(OWN_CUSTOMERS, size=n)
            places = customers.find_or_add(keys)
            customers.natural[places], customers.precision[places] = natural[like], precision[like]
            self.n += n
        customers.version = customers.update
        with store.transaction():
            store.ledger.save_state(learner.policy_id, learner.step, stored_state(policy))
            write_customers(store, learner.policy_id, policy)

    def _write_decisions(self, engine: Engine, customers: list[str], keys: list[str], catalogue_id: int) -> None:
        rng, n, store = self._rng, len(customers), engine.store
        facts = self.facts(rng, min(n, _CONTEXTS))
        rows_of_facts = zip(*facts.values(), strict=True)
        texts = [msgspec.json.encode(dict(zip(facts, row, strict=True))).decode() for row in rows_of_facts]
        offers = self.catalogue.n_offers
        rows = DecisionRows(
            decision_ids=[f"past-{customer}" for customer in customers],
            time=np.full(n, self.clock.now - 60 * DAY, dtype=np.int64),
            customers=customers,
            catalogue_id=catalogue_id,
            policy_id=None,
            policy_step=0,
            contexts_json=[texts[place] for place in rng.integers(len(texts), size=n).tolist()],
            eligible=np.ones((1, offers), dtype=np.bool_),
            offer=rng.integers(offers, size=n),
            propensity=np.full(n, 1.0 / offers),
            group="imported",
            removals=lambda _: "[]",
            customer_keys=keys,
        )
        seq = store.decision_writer.append(rows)
        bought = np.flatnonzero(rng.random(n) < _PURCHASES)
        revenue, none = _amounts(len(bought), 40.0), _amounts(len(bought))
        store.events.append(EventRows("purchase", rows.time[bought] + DAY, revenue, none, seq=seq[bought]))


def _amounts(n: int, amount: float = np.nan) -> FloatArray:
    return np.full(n, amount)


def customer_name(number: int) -> str:
    """Return the name of a customer of the file."""
    return f"customer-{number}"

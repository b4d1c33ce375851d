"""One customer with very many decisions: what each step costs as the history grows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.governance.customer_data import customer_data
from bandit.governance.erasure import erase
from bandit.governance.verify import verify
from bandit.store import Store
from simulator.bench.durability.large.measured import LargeStep, measured
from simulator.bench.durability.soak import resident
from simulator.bench.durability.worker import CRASH_CATALOGUE
from simulator.bench.engines import BENCH_KEY, BENCH_START, ManualClock
from simulator.market.season import DAY

THE_CUSTOMER = "the one"
HISTORY_PARTS = 10
"""Parts of the history that are measured each."""

SINGLES = 200
"""Decisions of a part that are made one at a time; the others come in batches of 500."""

OTHERS = 50
"""Other customers, each with one decision in fifty of the customer's."""

_BATCH = 500
_PURCHASES = 0.2


class OneCustomer:
    """The database of one customer."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / "customer.db"
        self.catalogue = Catalogue.from_dict(dict(CRASH_CATALOGUE))
        self.rng = np.random.default_rng(seed)
        self.clock = ManualClock(BENCH_START)
        self.last = ""

    def run(self, decisions: int, report: Callable[[LargeStep], None]) -> list[LargeStep]:
        """Make the decisions of one customer in ten parts, then read, explain, verify and erase them."""
        steps: list[LargeStep] = []

        def add(step: LargeStep) -> None:
            steps.append(step)
            report(step)

        with self._engine() as engine:
            for part in range(HISTORY_PARTS):
                for step in self._part(engine, decisions // HISTORY_PARTS, part):
                    add(step)
        add(measured("open, decide, close", self._open))
        add(measured("why, by the present state", lambda: self._explain(at_last=True)))
        add(measured("why, by an earlier state", lambda: self._explain(at_last=False)))
        add(measured("what is stored of the customer", self._history))
        add(measured("verify", self._verify))
        add(measured("erase another customer", lambda: self._erase("other-1")))
        add(measured("erase the customer", lambda: self._erase(THE_CUSTOMER)))
        add(measured("verify after it", self._verify))
        return steps

    def _engine(self) -> Engine:
        return Engine.open(
            self.path,
            self.catalogue,
            ThompsonSampling(self.catalogue),
            seed=3,
            customer_key=BENCH_KEY,
            durability="process",
            clock=self.clock,
            sync=None,
        )

    def _store(self) -> Store:
        return Store.open(self.path, customer_key=BENCH_KEY)

    def _part(self, engine: Engine, n: int, part: int) -> list[LargeStep]:
        ids: list[str] = []
        label = f"of {n * part:,} before"

        def single() -> tuple[int, str]:
            ids.extend(engine.decide(THE_CUSTOMER, {"age": 30.0, "member": True}).decision_id for _ in range(SINGLES))
            return SINGLES, ""

        def batches() -> tuple[int, str]:
            for start in range(0, n - SINGLES, _BATCH):
                size = min(_BATCH, n - SINGLES - start)
                customers = [THE_CUSTOMER] * size
                for row in range(0, size, 50):
                    customers[row] = f"other-{self.rng.integers(OTHERS)}"
                ages = np.round(40 + 10 * self.rng.standard_normal(size), 1)
                contexts = {"age": ages.tolist(), "member": [True] * size}
                ids.extend(engine.decide_batch(customers, contexts).decision_ids)
            return n - SINGLES, ""

        def record() -> tuple[int, str]:
            chosen = [ids[row] for row in np.flatnonzero(self.rng.random(len(ids)) < _PURCHASES).tolist()]
            engine.record_batch(chosen, "purchase", revenue=np.full(len(chosen), 20.0))
            return len(chosen), ""

        def learn() -> tuple[int, str]:
            return engine.learn().n, f"{resident():,.0f} MiB, state {len(engine.policy.dumps()) / 1024:,.0f} KiB"

        steps = [
            measured(f"decide one, {label}", single, alone=False),
            measured(f"decide in batches, {label}", batches, alone=False),
            measured(f"record, {label}", record, alone=False),
        ]
        self.clock.now += 10 * DAY
        self.last = ids[-1]
        return [*steps, measured(f"learn, {label}", learn, alone=False)]

    def _open(self) -> tuple[int, str]:
        with self._engine() as engine:
            engine.decide(THE_CUSTOMER, {"age": 30.0, "member": True})
        return 1, ""

    def _explain(self, *, at_last: bool) -> tuple[int, str]:
        with self._engine() as engine:
            made = engine.decide(THE_CUSTOMER, {"age": 31.0, "member": True})
            engine.explain(made.decision_id if at_last else self.last)
        return 1, ""

    def _history(self) -> tuple[int, str]:
        with self._store() as store:
            found = customer_data(store, THE_CUSTOMER)["decisions"]
        return len(found) if isinstance(found, list) else 0, ""

    def _verify(self) -> tuple[int, str]:
        with self._store() as store:
            found = verify(store)
        return found.n_decisions, f"{len(found.problems)} problems"

    def _erase(self, customer: str) -> tuple[int, str]:
        with self._store() as store:
            found = erase(store, customer)
        return found.decisions, f"{found.events:,} events"

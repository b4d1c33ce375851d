"""A file of many gigabytes: made fast, from copies of real decisions, and what each task costs on it.

The first decisions are the engine's own, learned and recomputable. The others are copies of them as an import writes
them: of no policy, older, of other customers, with their events and with the learning already past them. So the tables,
indexes and views have the size of a long-lived file, and only the first decisions are recomputed by `verify`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.governance.customer_data import customer_data
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.governance.verify import verify
from bandit.store import Store, file_size
from simulator.bench.durability.large.measured import LargeStep, measured
from simulator.bench.engines import BENCH_KEY, BENCH_START, ManualClock
from simulator.bench.speed.fixtures import ProblemSize, catalogue_mapping
from simulator.market.season import DAY

LARGE_SIZE = ProblemSize(144, 12)
"""Offers and facts: with the whole vector of probabilities a decision has about 1,700 bytes."""

REAL_DECISIONS = 10_000
"""Decisions of the engine itself, in batches of 500, a fifth of them with a purchase."""

REAL_CUSTOMERS = 2_000
CALLS = 300
"""Single calls that are timed of each kind."""

_BATCH = 500
_ROUNDS_A_COMMIT = 4

_COUNT = "SELECT count(*), max(seq) FROM decisions"
_COPY_CUSTOMERS = """
INSERT INTO customers (key) SELECT lower(hex(randomblob(16))) FROM customers WHERE id <= :customers
"""
_COPY_DECISIONS = """
INSERT INTO decisions (seq, decision_id, time, customer_id, catalogue_id, policy_id, policy_step, eligible_set_id,
    offer, propensity, grp, position, seed, batch, fault, context, probabilities)
SELECT seq + :shift, 'copy-' || :round || '-' || decision_id, time - :round * :span, customer_id + :shift_customer,
    catalogue_id, NULL, 0, eligible_set_id, offer, propensity, 'imported', position, NULL, NULL, NULL, context,
    probabilities
FROM decisions WHERE seq <= :rows
"""
_COPY_EVENTS = """
INSERT INTO events (seq, event_id, version, event, time, recorded_at, revenue, reward, corrects)
SELECT seq + :shift, event_id, version, event, time - :round * :span, recorded_at, revenue, reward, NULL
FROM events WHERE seq <= :rows AND id <= :events
"""
_PAST = """
UPDATE learning_reach SET seq = (SELECT max(seq) FROM decisions), event = (SELECT max(id) FROM events)
"""

Result = TypeVar("Result")


class LargeFile:
    """A database of a given size, and the tasks on it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / "large.db"
        self.folder = folder
        self.catalogue = Catalogue.from_dict(catalogue_mapping(LARGE_SIZE))
        self.rng = np.random.default_rng(seed)
        self.clock = ManualClock(BENCH_START)
        self.names = [f"fact{place}" for place in range(LARGE_SIZE.facts)]

    def engine(self) -> Engine:
        """Open the engine."""
        return Engine.open(
            self.path,
            self.catalogue,
            ThompsonSampling(self.catalogue),
            seed=3,
            customer_key=BENCH_KEY,
            durability="process",
            clock=self.clock,
            sync=None,
            keep_probabilities=True,
        )

    def begin(self) -> None:
        """Make the engine's own decisions, and learn them completely."""
        with self.engine() as engine:
            for _ in range(REAL_DECISIONS // _BATCH):
                customers = [f"c{number}" for number in self.rng.integers(REAL_CUSTOMERS, size=_BATCH)]
                facts = np.round(self.rng.standard_normal((LARGE_SIZE.facts, _BATCH)), 3).tolist()
                batch = engine.decide_batch(customers, dict(zip(self.names, facts, strict=True)))
                bought = [name for name in batch.decision_ids if self.rng.random() < 0.2]
                engine.record_batch(bought, "purchase", revenue=np.full(len(bought), 30.0))
                self.clock.now += DAY // 4
            self.clock.now += 10 * DAY
            engine.learn()

    def grow(self, size: int, report: Callable[[int], None] | None = None) -> int:
        """Copy the engine's decisions until the file has so many bytes; return the number of decisions."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as raw:
            # What is lost here by a power cut is made again; the engine's own connections are as ever.
            for statement in ("synchronous = OFF", "cache_size = -400000", "wal_autocheckpoint = 100000"):
                raw.execute(f"PRAGMA {statement}")
            rows, _ = raw.execute(_COUNT).fetchone()
            customers = raw.execute("SELECT max(id) FROM customers").fetchone()[0]
            events = raw.execute("SELECT max(id) FROM events").fetchone()[0]
            number = 0
            while file_size(self.path) + file_size(self.path.with_name(self.path.name + "-wal")) < size:
                raw.execute("BEGIN IMMEDIATE")
                for _ in range(_ROUNDS_A_COMMIT):
                    number += 1
                    values = {"rows": rows, "events": events, "customers": customers, "round": number, "span": 10 * DAY}
                    values |= {"shift": number * rows, "shift_customer": number * customers}
                    for statement in (_COPY_CUSTOMERS, _COPY_DECISIONS, _COPY_EVENTS):
                        raw.execute(statement, values)
                raw.execute(_PAST)
                raw.execute("COMMIT")
                if report is not None:
                    report(file_size(self.path))
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            n: int = raw.execute(_COUNT).fetchone()[0]
        return n

    def tasks(self) -> list[tuple[str, Callable[[], tuple[int, str]]]]:
        """Return the tasks in the order in which they are to be done; the last ones change the file."""
        return [
            ("open, decide, close", lambda: self._visits(1)),
            ("decide, record and learn, one at a time", lambda: self._visits(CALLS)),
            ("status and counts", self._status),
            ("history of a customer", self._history),
            ("back up", self._backup),
            ("verify", self._verify),
            ("erase a customer", self._erase),
            ("retain: the oldest tenth goes", self._retain),
        ]

    def _visits(self, n: int) -> tuple[int, str]:
        seconds: dict[str, list[float]] = {"decide": [], "record": [], "learn": []}

        def timed(what: str, call: Callable[[], Result]) -> Result:
            begun = time.perf_counter()
            found = call()
            seconds[what].append(1e3 * (time.perf_counter() - begun))
            return found

        with self.engine() as engine:
            for row in range(n):
                context = dict.fromkeys(self.names, row / n)
                made = timed("decide", partial(engine.decide, f"c{row}", context))
                timed("record", partial(engine.record, made.decision_id, "purchase", revenue=30.0))
                if row % 10 == 0:
                    timed("learn", engine.learn)
        shown = (f"{what} {np.median(each):.2f} ms (longest {max(each):.0f})" for what, each in seconds.items())
        return n, ", ".join(shown)

    def _status(self) -> tuple[int, str]:
        with self.engine() as engine:
            engine.status()
            counts = engine.store.counts()
        return 1, f"{counts.decisions:,} decisions"

    def _history(self) -> tuple[int, str]:
        with Store.open(self.path, customer_key=BENCH_KEY) as store:
            customer_data(store, "c1")
        return 1, ""

    def _backup(self) -> tuple[int, str]:
        target = self.folder / "backup.db"
        with Store.open(self.path, customer_key=BENCH_KEY) as store:
            found = store.backup(target)
        target.unlink()
        return 1, f"{found.bytes / 2**20:,.0f} MiB"

    def _verify(self) -> tuple[int, str]:
        with Store.open(self.path, customer_key=BENCH_KEY) as store:
            found = verify(store)
        return found.n_decisions, f"{len(found.problems)} problems, {found.n_recomputed:,} recomputed"

    def _erase(self) -> tuple[int, str]:
        with Store.open(self.path, customer_key=BENCH_KEY) as store:
            found = erase(store, "c1")
        return found.decisions, ""

    def _retain(self) -> tuple[int, str]:
        with contextlib.closing(sqlite3.connect(self.path)) as raw:
            first, last = raw.execute("SELECT min(time), max(time) FROM decisions").fetchone()
        with Store.open(self.path, customer_key=BENCH_KEY) as store:
            found = retain(store, first + (last - first) // 10)
        return found.decisions, ""

    def run(self, size: int, report: Callable[[LargeStep], None]) -> list[LargeStep]:
        """Make a file of so many bytes, and do every task on it."""
        steps: list[LargeStep] = []
        for what, work, alone in (
            ("make the engine's own decisions", self._begun, False),
            ("copy them", lambda: (self.grow(size), f"{file_size(self.path) / 2**20:,.0f} MiB"), True),
            *((what, work, True) for what, work in self.tasks()),
        ):
            step = measured(what, work, alone=alone)
            steps.append(step)
            report(step)
        return steps

    def _begun(self) -> tuple[int, str]:
        self.begin()
        return REAL_DECISIONS, ""

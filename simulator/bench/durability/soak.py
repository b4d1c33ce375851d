"""The soak benchmark: millions of decisions on one engine, with outcomes and learning.

Every so many decisions a row reports the memory of the process, the latency of single decisions, the cost of a learned
outcome, the size of the file, and whether the model's covariance is still symmetric and positive definite. The clock is
simulated, so that windows end and decisions without a purchase are learned.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.random import Generator

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import MICROSECONDS, FloatArray, IntArray
from bandit.policies.state import unpack
from bandit.store import file_size, wal_path
from simulator.bench.durability.soak_rows import SoakRow
from simulator.bench.engines import BENCH_KEY, ManualClock
from simulator.bench.speed.fixtures import ProblemSize, catalogue_mapping
from simulator.bench.stopwatch import Stopwatch

SOAK_SIZE = ProblemSize(48, 12)
"""Offers and facts of the catalogue."""

SOAK_CUSTOMERS = 50_000
SINGLE_SHARE = 0.04
"""Share of the decisions made one at a time."""

BATCH_SIZES = (100, 1_000)
"""Smallest and largest batch of the other decisions."""

ROUND_DECISIONS = 10_000
"""Decisions after which outcomes are recorded and learned."""

WINDOW_DAYS = 2
DAYS_IN_ALL = 90
"""Days that 2,000,000 decisions take by the simulated clock; fewer take proportionally less."""

SOAK_PERCENTILES = (50.0, 99.0)


_Decided: TypeAlias = tuple[Sequence[str], IntArray, IntArray]
"""Decision ids, customers and offers of one call."""


@dataclass(slots=True)
class _SimulatedShop:
    """Simulated customers with facts and a logistic response that can be learned."""

    rng: Generator
    facts: FloatArray
    by_fact: FloatArray
    by_offer: FloatArray

    @staticmethod
    def new(rng: Generator) -> _SimulatedShop:
        """Draw the customers and their response."""
        return _SimulatedShop(
            rng,
            np.round(rng.standard_normal((SOAK_CUSTOMERS, SOAK_SIZE.facts)), 3),
            0.3 * rng.standard_normal(SOAK_SIZE.facts),
            0.3 * rng.standard_normal((SOAK_SIZE.facts + 1, SOAK_SIZE.offers)) / np.sqrt(SOAK_SIZE.facts),
        )

    def draw_customers(self, n: int) -> IntArray:
        """Return (n,) customers, some of whom come far more often than others."""
        return np.minimum((SOAK_CUSTOMERS * self.rng.random(n) ** 1.5).astype(np.int64), SOAK_CUSTOMERS - 1)

    def draw_purchases(self, who: IntArray, offer: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the rows with a purchase, and their revenue."""
        facts = self.facts[who]
        score = -2.6 + facts @ self.by_fact + self.by_offer[-1, offer]
        score += (facts * self.by_offer[:-1, offer].T).sum(axis=1)
        bought = np.flatnonzero(self.rng.random(len(who)) < 1.0 / (1.0 + np.exp(-score)))
        return bought, np.round(self.rng.lognormal(4.0, 0.5, len(bought)), 2)


class Soak:
    """One engine that decides, records and learns by a simulated clock."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / "soak.db"
        self.catalogue = Catalogue.from_dict(
            catalogue_mapping(SOAK_SIZE) | {"objective": {"kind": "profit", "margin": 0.4, "window": f"{WINDOW_DAYS}d"}}
        )
        self.shop = _SimulatedShop.new(np.random.default_rng(seed))
        self.clock = ManualClock()
        self.names = [f"fact{place}" for place in range(SOAK_SIZE.facts)]
        self.customers = np.array([f"customer-{number}" for number in range(SOAK_CUSTOMERS)], dtype=object)
        self.tick = DAYS_IN_ALL * 86_400 * MICROSECONDS // 2_000_000
        self.engine = Engine.open(
            self.path,
            self.catalogue,
            ThompsonSampling(self.catalogue),
            seed=seed,
            customer_key=BENCH_KEY,
            durability="process",
            clock=self.clock,
            sync=None,
        )

    def run(self, decisions: int, every: int, report: Callable[[SoakRow], None]) -> None:
        """Make so many decisions, with outcomes and learning; call `report` with a row after each `every` decisions."""
        begun = time.perf_counter()
        done = 0
        with self.engine:
            while done < decisions:
                upto = min(done + every, decisions)
                single: list[float] = []
                batches, learning = Stopwatch(), Stopwatch()
                faults = 0
                while done < upto:
                    made: list[_Decided] = []
                    part = min(ROUND_DECISIONS, upto - done)
                    seconds, failed = self._decide(part, made, batches)
                    single += seconds
                    faults += failed
                    done += part
                    self._record(made)
                    with learning.running():
                        learned = self.engine.learn().n
                    learning.pieces += learned
                report(self._row(done, time.perf_counter() - begun, single, batches, learning, faults))

    def _decide(self, n: int, made: list[_Decided], batches: Stopwatch) -> tuple[list[float], int]:
        """Make n decisions; return the seconds of the single ones, and the number of faults."""
        singles = round(SINGLE_SHARE * n)
        seconds: list[float] = []
        faults, left = 0, n
        while left > 0:
            # Single decisions are spread evenly between the batches.
            size = min(int(self.shop.rng.integers(*BATCH_SIZES, endpoint=True)), left)
            alone = min(left, max(0, round(singles * (n - left + size) / n) - len(seconds)))
            for _ in range(alone):
                who = self.shop.draw_customers(1)
                context = dict(zip(self.names, self.shop.facts[who[0]].tolist(), strict=True))
                before = time.perf_counter()
                one = self.engine.decide(self.customers[who[0]], context)
                seconds.append(time.perf_counter() - before)
                faults += one.fault is not None
                made.append(([one.decision_id], who, np.array([one.offer_index])))
            left -= alone
            self.clock.now += alone * self.tick
            size = min(size - alone, left)
            if size <= 0:
                continue
            who = self.shop.draw_customers(size)
            columns = dict(zip(self.names, self.shop.facts[who].T.tolist(), strict=True))
            with batches.running(size):
                batch = self.engine.decide_batch(self.customers[who].tolist(), columns)
            faults += size if batch.fault is not None else 0
            made.append((batch.decision_ids, who, batch.offer_index))
            left -= size
            self.clock.now += size * self.tick
        return seconds, faults

    def _record(self, made: list[_Decided]) -> None:
        ids = [name for names, _, _ in made for name in names]
        bought, revenue = self.shop.draw_purchases(
            np.concatenate([who for _, who, _ in made]), np.concatenate([offer for _, _, offer in made])
        )
        if len(bought):
            self.engine.record_batch([ids[row] for row in bought.tolist()], "purchase", revenue=revenue)

    def _row(
        self, done: int, seconds: float, single: list[float], batches: Stopwatch, learning: Stopwatch, faults: int
    ) -> SoakRow:
        smallest, condition, asymmetry = definiteness(self.engine.policy.dumps())
        gc.collect()
        p50, p99 = (float(value) for value in np.percentile(1e3 * np.array(single or [np.nan]), SOAK_PERCENTILES))
        return SoakRow(
            decisions=done,
            seconds=seconds,
            rss=resident(),
            single_p50=p50,
            single_p99=p99,
            batch=batches.elapsed_microseconds,
            batch_cpu=batches.cpu_microseconds,
            learned=learning.pieces,
            learn=learning.elapsed_microseconds,
            learn_cpu=learning.cpu_microseconds,
            file=file_size(self.path) / done,
            wal=file_size(wal_path(self.path)) / 2**20,
            eigenvalue=smallest,
            condition=condition,
            asymmetry=asymmetry,
            faults=faults,
        )


def definiteness(state: bytes) -> tuple[float, float, float]:
    """Return the definiteness of a state's covariances: smallest eigenvalue, condition, asymmetry.

    Over all covariances: the smallest eigenvalue; the smallest ratio of smallest to largest eigenvalue; the largest
    difference from the transpose. NaN where the state has no covariance.
    """
    found = [array for name, array in unpack(state)[1].items() if name.endswith("covariance")]
    smallest, condition, asymmetry = np.inf, np.inf, 0.0
    for each in found:
        covariance = np.asarray(each, dtype=np.float64)
        values = np.linalg.eigvalsh(covariance)
        smallest, condition = min(smallest, float(values[0])), min(condition, float(values[0] / values[-1]))
        asymmetry = max(asymmetry, float(np.abs(covariance - covariance.T).max()))
    return (smallest, condition, asymmetry) if found else (np.nan, np.nan, np.nan)


def resident() -> float:
    """Return the resident memory of this process in mebibytes; NaN where the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

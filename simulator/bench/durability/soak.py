"""A long life: millions of decisions on one engine, with outcomes and learning, and what that does to it.

Every so many decisions a row says how much memory the process has, how long single decisions take, what a learned
outcome costs, how large the file is, and whether the belief's covariance is still one: symmetric, with all its
eigenvalues above zero. Time is the program's own, so that windows close and silence is learned.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from bandit import Catalogue, Engine, ThompsonSampling
from bandit.domain import MICROSECONDS, FloatArray, IntArray
from bandit.policies.state import unpack
from bandit.store import file_size, wal_path
from simulator.bench.durability.soak_rows import SoakRow
from simulator.bench.speed.fixtures import ProblemSize, catalogue_mapping

SOAK_SIZE = ProblemSize(48, 12)
"""Offers and facts of the catalogue that is decided for."""

SOAK_CUSTOMERS = 50_000
SINGLE_SHARE = 0.04
"""Share of the decisions that are made one at a time."""

BATCH_SIZES = (100, 1_000)
"""Smallest and largest batch of the others."""

ROUND_DECISIONS = 10_000
"""Decisions between two times of recording and learning."""

WINDOW_DAYS = 2
DAYS_IN_ALL = 90
"""Days that 2,000,000 decisions take by the program's clock; fewer take as much less."""

SOAK_PERCENTILES = (50.0, 99.0)


class ManualClock:
    """A clock that is moved."""

    def __init__(self) -> None:
        self.now = 1_750_000_000 * MICROSECONDS

    def __call__(self) -> int:
        """Return microseconds since 1970 UTC."""
        return self.now


@dataclass(slots=True)
class _SimulatedShop:
    """Customers who come, what they are like, and what they buy: a truth that is worth learning."""

    rng: Generator
    facts: FloatArray
    by_fact: FloatArray
    by_offer: FloatArray

    @staticmethod
    def new(rng: Generator) -> _SimulatedShop:
        """Draw the customers and what moves them."""
        return _SimulatedShop(
            rng,
            np.round(rng.standard_normal((SOAK_CUSTOMERS, SOAK_SIZE.facts)), 3),
            0.3 * rng.standard_normal(SOAK_SIZE.facts),
            0.3 * rng.standard_normal((SOAK_SIZE.facts + 1, SOAK_SIZE.offers)) / np.sqrt(SOAK_SIZE.facts),
        )

    def draw_customers(self, n: int) -> IntArray:
        """Return n customers, some of whom come far more often than others."""
        return np.minimum((SOAK_CUSTOMERS * self.rng.random(n) ** 1.5).astype(np.int64), SOAK_CUSTOMERS - 1)

    def draw_purchases(self, who: IntArray, offer: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the rows of those who buy, and for how much."""
        facts = self.facts[who]
        score = -2.6 + facts @ self.by_fact + self.by_offer[-1, offer]
        score += (facts * self.by_offer[:-1, offer].T).sum(axis=1)
        bought = np.flatnonzero(self.rng.random(len(who)) < 1.0 / (1.0 + np.exp(-score)))
        return bought, np.round(self.rng.lognormal(4.0, 0.5, len(bought)), 2)


class Spent:
    """Time spent inside a `with`: the clock's, and the processor's for this process."""

    def __init__(self) -> None:
        self._clock = self._cpu = 0.0

    def __enter__(self) -> None:
        self._clock -= time.perf_counter()
        self._cpu -= time.process_time()

    def __exit__(self, *raised: object) -> None:
        self._clock += time.perf_counter()
        self._cpu += time.process_time()

    def each(self, n: int) -> tuple[float, float]:
        """Return the microseconds of either that each of n things took."""
        return 1e6 * self._clock / max(1, n), 1e6 * self._cpu / max(1, n)


class Soak:
    """One engine's life; `run` lives it."""

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
            customer_key=b"soak",
            durability="process",
            clock=self.clock,
            follow=None,
        )

    def run(self, decisions: int, every: int, report: Callable[[SoakRow], None]) -> None:
        """Decide, record and learn; a row after each `every` decisions."""
        begun = time.perf_counter()
        done = 0
        with self.engine:
            while done < decisions:
                upto = min(done + every, decisions)
                single: list[float] = []
                batches, learning = Spent(), Spent()
                in_batches = learned = faults = 0
                while done < upto:
                    waiting: list[tuple[Sequence[str], IntArray, IntArray]] = []
                    part = min(ROUND_DECISIONS, upto - done)
                    took, failed = self._decide(part, waiting, batches)
                    single += took
                    in_batches, faults = in_batches + part - len(took), faults + failed
                    done += part
                    self._record(waiting)
                    with learning:
                        learned += self.engine.learn().n
                report(
                    self._row(
                        done,
                        time.perf_counter() - begun,
                        1e3 * np.array(single or [np.nan]),
                        batches.each(in_batches),
                        (learned, *learning.each(learned)),
                        faults,
                    )
                )

    def _decide(
        self, n: int, waiting: list[tuple[Sequence[str], IntArray, IntArray]], batches: Spent
    ) -> tuple[list[float], int]:
        """Decide n times; return the seconds of the single ones, and faults."""
        singles = round(SINGLE_SHARE * n)
        took: list[float] = []
        faults, left = 0, n
        while left > 0:
            # Single decisions come between the batches, as evenly as their share has it.
            size = min(int(self.shop.rng.integers(*BATCH_SIZES, endpoint=True)), left)
            alone = min(left, max(0, round(singles * (n - left + size) / n) - len(took)))
            for _ in range(alone):
                who = self.shop.draw_customers(1)
                context = dict(zip(self.names, self.shop.facts[who[0]].tolist(), strict=True))
                before = time.perf_counter()
                made = self.engine.decide(self.customers[who[0]], context)
                took.append(time.perf_counter() - before)
                faults += made.fault is not None
                waiting.append(([made.decision_id], who, np.array([made.offer_index])))
            left -= alone
            self.clock.now += alone * self.tick
            size = min(size - alone, left)
            if size <= 0:
                continue
            who = self.shop.draw_customers(size)
            columns = dict(zip(self.names, self.shop.facts[who].T.tolist(), strict=True))
            with batches:
                batch = self.engine.decide_batch(self.customers[who].tolist(), columns)
            faults += size if batch.fault is not None else 0
            waiting.append((batch.decision_ids, who, batch.offer_index))
            left -= size
            self.clock.now += size * self.tick
        return took, faults

    def _record(self, waiting: list[tuple[Sequence[str], IntArray, IntArray]]) -> None:
        ids = [name for names, _, _ in waiting for name in names]
        bought, revenue = self.shop.draw_purchases(
            np.concatenate([who for _, who, _ in waiting]), np.concatenate([offer for _, _, offer in waiting])
        )
        if len(bought):
            self.engine.record_batch([ids[row] for row in bought.tolist()], "purchase", revenue=revenue)

    def _row(
        self,
        done: int,
        seconds: float,
        single: FloatArray,
        batch: tuple[float, float],
        learned: tuple[int, float, float],
        faults: int,
    ) -> SoakRow:
        smallest, condition, asymmetry = definiteness(self.engine.policy.dumps())
        gc.collect()
        p50, p99 = (float(value) for value in np.percentile(single, SOAK_PERCENTILES))
        return SoakRow(
            decisions=done,
            seconds=seconds,
            rss=resident(),
            single_p50=p50,
            single_p99=p99,
            batch=batch[0],
            batch_cpu=batch[1],
            learned=learned[0],
            learn=learned[1],
            learn_cpu=learned[2],
            file=file_size(self.path) / done,
            wal=file_size(wal_path(self.path)) / 2**20,
            eigenvalue=smallest,
            condition=condition,
            asymmetry=asymmetry,
            faults=faults,
        )


def definiteness(state: bytes) -> tuple[float, float, float]:
    """Return what a state's covariances are like.

    That is: their smallest eigenvalue; the least that one has of its largest; the largest difference between an entry
    and its mirror image. NaN where the state has no covariance.
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
    """Return the mebibytes of memory that this process has; NaN where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

"""What the tests of the engine share: a clock that they move, a database, and requests."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

import bandit
from bandit.domain import MICROSECONDS

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400 * MICROSECONDS
KEY = b"a key for our tests"


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1_700_000_000 * MICROSECONDS

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "offers.db"


@pytest.fixture
def open_engine(path, catalogue, clock):
    """A function that opens the test's database as another engine each time (Thompson sampling by default)."""
    engines = []

    def opened(policy=None, *, catalogue=catalogue, **settings):
        options = {"seed": 7, "customer_key": KEY, "clock": clock, "durability": "process", **settings}
        engine = bandit.Engine.open(path, catalogue, policy or bandit.ThompsonSampling(catalogue), **options)
        engines.append(engine)
        return engine

    yield opened
    for engine in engines:
        engine.close()


@pytest.fixture
def locked(path):
    """A function that locks the database for all other writers until what it returns is called."""
    connections = []

    def lock():
        raw = sqlite3.connect(path, isolation_level=None, timeout=5)
        raw.execute("BEGIN EXCLUSIVE")
        connections.append(raw)
        return raw.close

    yield lock
    for raw in connections:
        raw.close()


def context(row):
    return {"gender": "fm"[row % 2], "recency": float(row % 50), "loyal": row % 3 == 0}


def serve(engine, clock, n, rng, prefix="d"):
    """n decisions, a fifth of them bought within the hour."""
    rows = range(n)
    batch = engine.decide_batch(
        [f"customer-{row % 40}" for row in rows],
        [context(row) for row in rows],
        decision_ids=[f"{prefix}{row}" for row in rows],
    )
    bought = np.flatnonzero(rng.random(n) < 0.2)
    clock.now += 3_600 * MICROSECONDS
    engine.record_batch(
        [batch.decision_ids[row] for row in bought], "purchase", revenue=rng.lognormal(4.0, 0.5, len(bought))
    )
    return batch

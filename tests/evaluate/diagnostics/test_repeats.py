"""Repeated decisions."""

import numpy as np
import pytest

from bandit.evaluate.diagnostics import (
    RepeatCounts,
)
from tests.evaluate.diagnostics.logs import N, log_of


def test_repeated_rows_are_counted_and_rows_that_differ_are_not():
    rng = np.random.default_rng(7)
    batch, customer = log_of(1_000, rng)
    ages = batch.contexts.columns["age"]
    ages[:50] = np.nan  # what is missing in both is the same
    counts = RepeatCounts()
    counts.add(batch.contexts, batch.offer, batch.time, customer)
    assert counts.result().sentence() is None
    again = batch.take(slice(0, 30))
    counts.add(again.contexts, again.offer, again.time, customer[:30])
    assert counts.result().repeated == 30
    assert counts.result().severity == "doubt"
    for changed in (
        (again.contexts, (again.offer + 1) % N, again.time, customer[:30]),
        (again.contexts, again.offer, again.time + 1, customer[:30]),
        (again.contexts, again.offer, again.time, customer[:30] + 1_000),
        (batch.contexts.take(slice(100, 130)), again.offer, again.time, customer[:30]),
    ):
        counts.add(*changed)
    assert counts.result().repeated == 30


def test_log_with_one_single_time_has_no_repeats():
    batch, customer = log_of(200, np.random.default_rng(12))
    counts = RepeatCounts()
    for _ in range(2):
        counts.add(batch.contexts, batch.offer, np.zeros(200, dtype=np.int64), customer)
    assert counts.result().sentence() is None


def test_repeats_of_a_long_log_are_estimated_from_a_sample():
    """A tenth of 20,000 rows repeated, at most 1,000 hashes kept: the share is 1/11 within 5 errors of 0.009."""
    rng = np.random.default_rng(8)
    counts = RepeatCounts(most=1_000)
    for _ in range(20):
        batch, customer = log_of(1_000, rng, customers=10**6)
        counts.add(batch.contexts, batch.offer, batch.time, customer)
        again = slice(0, 100)
        counts.add(batch.take(again).contexts, batch.offer[again], batch.time[again], customer[again])
    found = counts.result()
    assert (found.n, 250 < found.looked_at <= 1_000) == (22_000, True)
    assert found.share == pytest.approx(1 / 11, abs=0.05)
    assert found.sentence().startswith("about ")

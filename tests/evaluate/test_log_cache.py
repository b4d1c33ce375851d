"""Logs kept in memory."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.evaluate.log_cache import CachedLog, cache_log
from tests.evaluate.additive_market import CATALOGUE, draw
from tests.evaluate.memory_log import MemoryLog


@pytest.mark.parametrize("size", [64, 1_000])
def test_cached_log_is_the_log(size):
    log = draw(np.random.default_rng(6), 300, customers=20)
    mixed = log.whole.eligible.copy()
    mixed[::3, 4] = False
    mixed[1::3, 7] = False
    whole = replace(log.whole, eligible=mixed)
    cached = cache_log(MemoryLog(whole, CATALOGUE), size)
    assert isinstance(cached, CachedLog)
    assert (cached.n, len(cached.masks), cached.catalogue) == (300, 3, CATALOGUE)
    for batch, again in zip(MemoryLog(whole, CATALOGUE).batches(70), cached.batches(70), strict=True):
        for name in ("offer", "eligible", "propensity", "converted", "revenue", "reward", "time"):
            np.testing.assert_array_equal(getattr(batch, name), getattr(again, name))
        np.testing.assert_array_equal(batch.contexts.columns["age"], again.contexts.columns["age"])
        np.testing.assert_array_equal(batch.contexts.customers, again.contexts.customers)


def test_long_logs_are_not_cached():
    log = draw(np.random.default_rng(7), 300)
    assert cache_log(log, 64, most=299) is log

"""Findings that make a policy impossible to judge."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluate.kinked_market import GREEDY, FixedPreferences, judge, market
from tests.evaluate.memory_log import MemoryLog


def test_too_few_effective_decisions_are_cannot_tell():
    warning = (
        judge(market(np.random.default_rng(10), 100), [FixedPreferences(np.array([0, 1.0, 1e-3, 1e-3]))])
        .rows[0]
        .warning
    )
    assert warning.startswith("cannot tell: of 100 decisions only")


def test_few_customers_are_cannot_tell_however_many_their_decisions():
    warning = judge(market(np.random.default_rng(22), 2_000, customers=12), [FixedPreferences(GREEDY)]).rows[0].warning
    assert warning == "cannot tell: only 12 customers (effective number) say anything about this policy"


def test_offers_that_the_log_never_shows_are_cannot_tell():
    log = market(np.random.default_rng(11), 2_000)
    batch = log.whole.take(log.whole.offer != 3)
    row = judge(MemoryLog(batch), [FixedPreferences(GREEDY)]).rows[0]
    assert row.unsupported == pytest.approx((batch.eligible[:, 3] * 5 / 8).mean())
    assert any("offers that the log never shows" in each.sentence for each in row.findings)
    assert row.verdict == "cannot tell"
    assert not row.support_ok


def test_propensities_that_are_wrong_are_cannot_tell_and_right_ones_are_not():
    log = market(np.random.default_rng(12), 2_000)
    batch = log.whole
    assert judge(log, [FixedPreferences(GREEDY)]).rows[0].warning is None
    wrong = np.minimum(1.0, batch.propensity * np.where(batch.offer == 2, 2.0, 1.0))
    off = replace(batch, propensity=wrong)
    assert "instead of 1" in judge(MemoryLog(off), [FixedPreferences(GREEDY)]).rows[0].warning

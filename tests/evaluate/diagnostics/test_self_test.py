"""The self-test of the logging policy on its own log."""

import numpy as np

from bandit.evaluate.diagnostics import (
    SelfTestSums,
)
from tests.evaluate.diagnostics.logs import N, draw, logging_of


def test_self_test_is_exact_and_detects_another_policy():
    rng = np.random.default_rng(9)
    table = logging_of("soft", 500, rng)
    offer, reward = draw(table, rng), rng.normal(3.0, 1.0, 500)
    propensity = table[np.arange(500), offer]
    sums = SelfTestSums()
    sums.add(reward[:200], propensity[:200], offer[:200], table[:200])
    sums.add(reward[200:], propensity[200:], offer[200:], table[200:])
    found = sums.result()
    assert (found.weight_error, found.value_error, found.recomputed.largest) == (0.0, 0.0, 0.0)
    assert found.sentence() is None
    other = SelfTestSums()
    shifted = table.copy()
    shifted[:10] = 1.0 / N
    other.add(reward, propensity, offer, shifted)
    assert other.result().recomputed.differing == 10
    assert "gives 10 of 500 decisions (2.0%) another probability" in other.result().sentence()
    alone = SelfTestSums()
    alone.add(reward, propensity, offer)
    assert alone.result().recomputed is None

"""Whether intervals are calibrated on a log: as promised for plain rewards, too few for rare large ones."""

from dataclasses import replace

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.evaluate import evaluate
from bandit.evaluate.resampled import ResampledInterval
from bandit.report.calibration import coverage_lines
from tests.evaluate.additive_market import CATALOGUE, WARM, Tilted, draw
from tests.evaluate.memory_log import MemoryLog
from tests.evaluate.partitioned_log import PicklingRunner, in_parts

EVEN = Tilted("even", [1] * 9, [1, 2] * 4 + [1])


def resampled(log, resamples=100, runner=None, **asked):
    asked = {"estimators": ("snips", "dr")} | asked
    return evaluate(log, {"warm": WARM, "even": EVEN}, "warm", runner=runner, resamples=resamples, **asked).calibration


def with_rewards(log, reward):
    return MemoryLog(replace(log.whole, reward=reward), CATALOGUE)


def test_the_calibration_of_seven_parts_is_that_of_the_whole():
    rng = np.random.default_rng(4)
    log = draw(rng, 2_000, customers=400)
    whole = resampled(log)
    assert {(row.policy, row.estimator, row.of) for row in whole.rows} == {
        (policy, estimator, of)
        for policy, of in (("warm", "value"), ("even", "value"), ("even", "difference"))
        for estimator in ("snips", "dr")
    }
    for parts in (1, 7):
        assert resampled(in_parts(log, parts, rng), runner=PicklingRunner()) == whole
    assert resampled(in_parts(log, 7, rng)) == whole


@pytest.mark.slow
def test_intervals_of_plain_rewards_hold_as_often_as_promised():
    """1,000 resamples of 400 customers: 95 % +- 0.7; by 4.5 sigma at least 91.9 %."""
    found = resampled(draw(np.random.default_rng(4), 2_000, customers=400), 1_000)
    assert all(0.919 < row.share < 0.98 for row in found.rows)


def test_normal_intervals_of_rewards_with_a_long_tail_hold_too_seldom():
    """Negative control: exp(3 z) has a mean of 90 and a standard deviation of 8,100, which few rows make up."""
    rng = np.random.default_rng(4)
    log = draw(rng, 2_000, customers=400)
    found = resampled(with_rewards(log, np.exp(3.0 * rng.normal(size=2_000))), 300, interval="normal")
    row = found.row("even", "snips")
    assert row.bounds[1] < 0.93
    assert row.below > row.above
    said = coverage_lines(replace(found, rows=(row,)), "snips")
    assert "too few - take the interval of the value for one of about" in said[1]


def test_a_row_by_hand():
    """94 of 100: (0.94 + 0.0192) / 1.0384 = 0.9237, +- sqrt(0.94 0.06 / 100 + 0.0001) 1.96 / 1.0384 = 0.0485."""
    row = ResampledInterval("a", "dr", "value", 100, 94, 4, 2)
    assert row.bounds == pytest.approx((0.8752, 0.9722), abs=2e-4)
    assert (row.to_dict()["below"], row.to_dict()["above"]) == (0.04, 0.02)


def test_what_cannot_be_resampled_is_said_in_a_sentence():
    log = draw(np.random.default_rng(4), 300, customers=60)
    with pytest.raises(InputError, match="7 resamples were asked for; give 100 to 100,000"):
        resampled(log, 7)
    contexts = replace(log.whole.contexts, customers=np.empty(0, dtype=object))
    with pytest.raises(InputError, match="the log names no customers, so they cannot be resampled"):
        resampled(MemoryLog(replace(log.whole, contexts=contexts), CATALOGUE))
    assert evaluate(log, {"warm": WARM}, estimators=("snips",)).calibration is None

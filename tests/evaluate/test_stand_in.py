"""What a simpler policy keeps of another's value: the ratio by hand, and customers that nobody has learned from."""

import numpy as np
import pytest

import bandit
from bandit.errors import InputError
from bandit.evaluate.stand_in import share_kept, stand_in_value
from bandit.ope import Estimate
from tests.conftest import WholeLog, amended, draw_outcomes


def log_of(catalogue, n):
    outcomes = draw_outcomes(catalogue, n, np.random.default_rng(3))
    return WholeLog(amended(outcomes, time=np.arange(n, dtype=np.int64)).batch)


def estimate(value, error):
    return Estimate("dr", value, value - error, value + error, 1_000, 500.0, 10.0, 1.0, error, 900, 0.95)


def test_the_share_kept_is_a_ratio_with_fiellers_interval():
    """Gains 8 and 10 with errors 1 and 1 and a difference whose error is sqrt(2): uncorrelated. With z = 1.96:

    10 r - 8 over sqrt(1 + r^2) is within 1.96 where (100 - 3.8415) r^2 - 160 r + (64 - 3.8415) <= 0, which is
    r = (80 +- 24.8042) / 96.1585 = 0.5740 and 1.0899, where 24.8042 is sqrt(6400 - 96.1585 x 60.1585).
    """
    kept = share_kept(estimate(8.0, 1.0), estimate(10.0, 1.0), estimate(-2.0, np.sqrt(2.0)), 0.95)
    assert kept.value == pytest.approx(0.8)
    assert (kept.low, kept.high) == pytest.approx((0.5740, 1.0899), abs=1e-4)


def test_gains_that_move_together_have_a_narrow_ratio():
    """With a difference of error 0 the two errors are one: r = (8 + e) / (10 + e)."""
    kept = share_kept(estimate(8.0, 1.0), estimate(10.0, 1.0), estimate(-2.0, 0.0), 0.95)
    ends = [(8.0 + side * 1.96) / (10.0 + side * 1.96) for side in (-1.0, 1.0)]
    assert (kept.low, kept.high) == pytest.approx(ends, abs=1e-4)


@pytest.mark.parametrize("gain", [(0.5, 1.0), (-10.0, 1.0), (1.9, 1.0)])
def test_without_a_gain_there_is_no_share(gain):
    kept = share_kept(estimate(8.0, 1.0), estimate(*gain), estimate(-2.0, 1.0), 0.95)
    assert (kept.value, kept.low, kept.high) == (None, None, None)


def test_nobody_is_judged_on_customers_that_made_the_stand_in(catalogue):
    log = log_of(catalogue, 600)
    parts, asked = [], []

    class Watched(bandit.Uniform):
        def __init__(self, number):
            super().__init__(catalogue)
            self.number = number

        def probabilities(self, contexts, eligible, rng):
            asked.extend((self.number, customer) for customer in contexts.customers)
            return super().probabilities(contexts, eligible, rng)

    def make(policy, part):
        parts.append({customer for batch in part.batches() for customer in batch.contexts.customers})
        return Watched(len(parts) - 1)

    rules = bandit.ConstantOffer(catalogue, 0)
    found = stand_in_value(log, rules, make, catalogue=catalogue, rng=np.random.default_rng(1), folds=3)
    assert found.folds == len(parts) == 3
    assert found.n == 600
    assert {customer for _, customer in asked} == set(log.whole.contexts.customers)
    assert all(customer not in parts[number] for number, customer in asked)
    assert found.baseline == "logged"


def test_the_policy_in_its_own_place_loses_nothing(catalogue):
    log = log_of(catalogue, 2_000)
    found = stand_in_value(
        log,
        bandit.ThompsonSampling(catalogue, pairs=False, width=0.0),
        lambda policy, part: policy,
        baseline=bandit.Uniform(catalogue),
        catalogue=catalogue,
        rng=np.random.default_rng(1),
    )
    assert found.loss.value == 0.0
    assert found.gain.value == found.stand_in_gain.value
    assert found.to_dict()["loss"]["value"] == 0.0


def test_a_log_that_cannot_be_split_is_refused(catalogue):
    log = WholeLog(log_of(catalogue, 40).whole.take(slice(0, 1)))
    with pytest.raises(InputError, match="too few customers"):
        stand_in_value(
            log, bandit.Uniform(catalogue), lambda *_: None, catalogue=catalogue, rng=np.random.default_rng(1)
        )
    with pytest.raises(InputError, match="at least 2 folds"):
        stand_in_value(
            log, bandit.Uniform(catalogue), lambda *_: None, catalogue=catalogue, rng=np.random.default_rng(1), folds=1
        )

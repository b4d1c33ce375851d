"""The empirical Bernstein interval, by hand and at the ends that its bound defines."""

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.ope import Feedback, estimate
from bandit.ope.estimators.snips import Snips
from tests.ope.intervals.tools import THREE


def test_bernstein_interval_of_three_rows_is_the_sum_done_by_hand():
    """Variance 13/3, L = log 80, w r in [0, 4 x 2] since the least propensity is 1/4 and the largest reward 2."""
    (answer,) = estimate(THREE, ("ips",), interval="bernstein")
    off = np.sqrt(2 * 13 / 3 * np.log(80) / 3) + 7 * 8 * np.log(80) / (3 * 2)
    assert [answer.low, answer.high] == pytest.approx([5 / 3 - off, 5 / 3 + off], rel=1e-12)
    (wider,) = estimate(THREE, ("ips",), interval="bernstein", reward_range=(0, 3))
    off += 7 * 4 * np.log(80) / (3 * 2)
    assert [wider.low, wider.high] == pytest.approx([5 / 3 - off, 5 / 3 + off], rel=1e-12)


@pytest.mark.parametrize("groups", [None, 900])
def test_bernstein_ends_of_snips_are_the_values_that_the_bound_just_does_not_refute(groups):
    """At an end v, |mean of the groups' sums of w (r - v)| is sqrt(2 V L / G) + 7 R L / (3 (G - 1))."""
    rng = np.random.default_rng(1)
    n = 3_000
    cluster = None if groups is None else rng.integers(0, groups, n)
    feedback = Feedback(rng.uniform(0, 1, n), rng.uniform(0.5, 1.0, n), rng.uniform(0, 1, n), cluster=cluster)
    (answer,) = estimate(feedback, (Snips(),), interval="bernstein", reward_range=(0.0, 1.0))
    assert 0 < answer.low < answer.value < answer.high < 1
    weight, label = feedback.target / feedback.propensity, np.arange(n) if cluster is None else cluster
    for end in (answer.low, answer.high):
        sums = np.bincount(label, weights=weight * (feedback.reward - end))
        sums, rows = sums[np.bincount(label) > 0], np.bincount(label).max()
        number, log = len(sums), np.log(80)
        spread = np.sqrt(2 * sums.var(ddof=1) * log / number)
        assert abs(sums.mean()) == pytest.approx(
            spread + 7 * rows * log / feedback.propensity.min() / (3 * (number - 1)), rel=1e-9
        )


def test_bernstein_has_no_bounds_where_weights_have_none():
    rng = np.random.default_rng(2)
    slate = Feedback(rng.uniform(0, 1, 50), np.full(50, 0.5), np.full(50, 0.5), slate_weight=rng.normal(1, 1, 50))
    (answer,) = estimate(slate, ("pi",), interval="bernstein")
    assert (answer.low, answer.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("given", [(0.0, 1.0), (2.0, 0.0), (0.0, np.inf)])
def test_an_invalid_reward_range_is_rejected(given):
    with pytest.raises(InputError, match="reward_range is"):
        estimate(THREE, ("ips",), interval="bernstein", reward_range=given)

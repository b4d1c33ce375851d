"""What a tally rejects, what a merge leaves untouched, and numbers at the limits of float64."""

import numpy as np
import pytest

from bandit.errors import InputError
from bandit.ope import Feedback, SwitchDR, Tally, estimate, resolve
from tests.ope.tools import SHARP, make, numbers

GOOD = {"reward": [1.0, 0.0], "propensity": [0.5, 0.5], "target": [0.2, 1.0]}


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.5, np.nan])
def test_a_level_outside_zero_and_one_is_rejected(level):
    with pytest.raises(InputError, match="level is"):
        estimate(Feedback(**GOOD), level=level)


def test_no_rows_are_rejected():
    with pytest.raises(InputError, match="no rows"):
        estimate(Feedback([], [], []))


def test_rows_with_and_without_clusters_do_not_mix():
    tally = Tally(1, resolve(("ips",), predictions=False))
    tally.add(Feedback(**GOOD))
    with pytest.raises(InputError, match="some rows have clusters"):
        tally.add(Feedback(**GOOD, cluster=[0, 1]))
    other = Tally(1, resolve(("ips",), predictions=False))
    other.add(Feedback(**GOOD, cluster=[0, 1]))
    with pytest.raises(InputError, match="clusters"):
        _ = tally + other


def test_tallies_of_different_estimators_do_not_merge():
    with pytest.raises(InputError, match="different policies or estimators"):
        _ = Tally(1, (SwitchDR(1.0),)) + Tally(1, (SwitchDR(2.0),))


def test_weights_that_are_all_zero_give_nan_and_no_bounds():
    ips, snips = estimate(Feedback([1.0, 2.0], [0.5, 0.5], [0.0, 0.0]))
    assert (ips.value, ips.effective_sample_size) == (0.0, 0.0)
    assert np.isnan(snips.value)
    assert (snips.low, snips.high) == (-np.inf, np.inf)
    assert snips.to_dict()["value"] is None


def test_rewards_whose_squares_overflow_have_no_bounds():
    answer = estimate(Feedback([1e300, -1e300, 1.0], [0.5] * 3, [0.5] * 3), ("ips",))[0]
    assert (answer.low, answer.high) == (-np.inf, np.inf)


def test_merging_does_not_change_the_parts():
    rng = np.random.default_rng(15)
    for groups in (None, 10):
        one, other = Tally(1, SHARP), Tally(1, SHARP)
        one.add(make(rng, 50, groups))
        other.add(make(rng, 50, groups))
        before = numbers(one.estimates())
        both = one + other
        both.add(make(rng, 50, groups))
        assert (numbers(one.estimates()) == before).all()

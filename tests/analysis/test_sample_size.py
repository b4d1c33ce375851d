"""Sample sizes against their own inverse and by hand."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from bandit.analysis.sample_size import (
    Design,
    PrecisionTarget,
    decisions_for_difference,
    decisions_for_width,
    plan,
    smallest_difference,
    width,
)
from bandit.errors import InputError

Z = 1.959963984540054


def test_width_and_smallest_difference_by_hand():
    """V = 100, 400 decisions: the error is 0.5, the width 2 x 1.96 x 0.5, detectable are (1.96 + 0.8416) x 0.5."""
    assert width(100.0, 400) == pytest.approx(Z)
    assert smallest_difference(100.0, 400) == pytest.approx((Z + 0.8416212) * 0.5)
    assert width(100.0, 400, 0.9) == pytest.approx(1.6448536)


@given(st.floats(0.01, 1e6), st.floats(0.001, 10.0), st.floats(0.5, 0.999), st.floats(0.5, 0.99), st.floats(1.001, 2.0))
def test_planned_decisions_reach_the_target_and_fewer_do_not(variance, size, level, power, less):
    n = decisions_for_width(variance, size, level)
    assert width(variance, n, level) <= size * (1 + 1e-9)
    assert n == 1 or width(variance, (n - 1) / less, level) > size * (1 - 1e-9)
    n = decisions_for_difference(variance, size, level, power)
    assert smallest_difference(variance, n, level, power) <= size * (1 + 1e-9)
    # At that difference the interval excludes 0 with the given power, if the error is as planned.
    error = sqrt(variance / n)
    assert ndtr(size / error - ndtri(0.5 + level / 2)) >= power - 1e-9


def test_a_plan_has_a_row_per_design():
    """V = 100 and a target width of 0.4: (2 x 1.96 / 0.4)^2 x 100 = 9,604 decisions, 9.6 weeks; cost 0.05 x 2."""
    target = PrecisionTarget("width", 0.4)
    planned = plan(
        [Design("log", 0.05, 100.0, 0.001), Design("live", 0.5, 25.0)], target, per_week=1_000, weeks=2, given_up=2.0
    )
    log, live = planned.rows
    assert (log.decisions, log.weeks, log.cost) == (9_604, pytest.approx(9.604), pytest.approx(0.1))
    assert log.width == pytest.approx(2 * Z * sqrt(100 / 2_000))
    assert log.conversions == pytest.approx(2.0)
    assert (live.decisions, live.cost, live.conversions) == (2_401, None, None)
    assert planned.to_dict()["rows"][0]["share"] == 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decisions_for_width(1.0, 0.0), "width is 0"),
        (lambda: decisions_for_difference(1.0, float("nan")), "difference is nan"),
        (lambda: smallest_difference(1.0, 10, power=1.0), "power is 1"),
        (lambda: plan([], PrecisionTarget("width", 1.0), per_week=0.0), "decisions a week is 0"),
        (lambda: plan([], PrecisionTarget("width", 1.0), per_week=1.0, weeks=0.0), "number of weeks is 0"),
    ],
)
def test_targets_out_of_range_are_rejected_with_a_message(call, message):
    with pytest.raises(InputError, match=message):
        call()

"""The skewness-corrected interval, by hand and against numerical derivatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from bandit.ope import Feedback, estimate, resolve
from bandit.ope.intervals.skew import Transformation, transformation
from tests.ope.intervals.tools import VALUE, make, tally_of


@given(a=st.floats(-0.5, 0.5), b=st.floats(-0.3, 0.3), t=st.floats(-6, 6))
def test_halls_transformation_is_inverted(a, b, t):
    g = Transformation(a, b, 10.0)
    # The slope (1 + a t)^2 may be 0, where a cube root keeps a third of the digits.
    assert g.invert(g.apply(t)) == pytest.approx(t, abs=2e-4)
    assert g.apply(t + 0.1) >= g.apply(t)


def test_skew_interval_of_a_mean_is_the_sum_done_by_hand():
    """Rewards 0 x 90 and 1 x 10: l = -.1 or .9 over sqrt(9); s = (10 .729 - 90 .001) / 27 = .2667.

    sum l^6 = (10 .531441 + 90 .000001) / 729 = .00729; s shrinks by 1 - .00729 / .07111 = .8975 to .23933. sum l^4 =
    (10 .6561 + 90 .0001) / 81 = .081111, so there are 2 / (.081111 - .01) = 28.125 degrees of freedom.
    """
    one = np.ones(100)
    (answer,) = estimate(Feedback(np.repeat([1.0, 0.0], [10, 90]), one, one), ("ips",), interval="skew")
    s = 0.8 / 3 * (1 - 0.0072900 / (0.8 / 3) ** 2)
    x, error = stdtrit(28.125, 0.975), np.sqrt(0.09 / 99)
    for end, quantile in ((answer.low, x), (answer.high, -x)):
        t = (np.cbrt(1 + s * (quantile - s / 6)) - 1) / (s / 3)
        assert end == pytest.approx(0.1 - error * t, rel=1e-5)


@pytest.mark.parametrize("name", ["ips", "snips", "sndr"])
def test_skew_terms_are_the_derivatives_by_the_weights_of_groups(name):
    """k and d of `transformation` from first and second differences of the value in every group's weight."""
    rng = np.random.default_rng(3)
    (feedback, _) = make(rng, 40, 12)
    ids, label = np.unique(feedback.cluster, return_inverse=True)
    (only,) = resolve((name,), feedback.has)
    w, r = feedback.target / feedback.propensity, feedback.reward
    q, m = feedback.predicted_logged, feedback.predicted_target
    columns = {"ips": (w * r,), "snips": (w * r, w), "sndr": (m, w * (r - q), w)}[name]

    def value(step):
        weights = (1.0 + step)[label]
        return only.at(np.array([weights @ column for column in columns]) / weights.sum())[0]

    size, groups = 1e-4, len(ids)
    step = size * np.eye(groups)
    first = np.array([value(e) - value(-e) for e in step]) / (2 * size)
    second = np.array([[value(e + f) - value(e - f) - value(f - e) + value(-e - f) for f in step] for e in step])
    second /= 4 * size**2
    error = np.sqrt(first @ first)
    k, d = first @ second @ first / error**3, np.trace(second) / 2 / error
    got = transformation(tally_of([feedback], (name,))._statistic(VALUE, only))
    s = np.sum(first**3) / error**3
    s *= max(0.0, 1.0 - np.sum(first**6) / error**6 / s**2)
    assert [got.a, got.b] == pytest.approx([s / 3 + k / 2, s / 6 + k / 2 - d], abs=1e-5)

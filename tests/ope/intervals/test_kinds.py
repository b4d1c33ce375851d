"""What holds for every kind of interval, and the normal and anytime intervals by hand."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, stdtrit

from bandit.errors import InputError
from bandit.ope import Feedback, IntervalKind, Tally, compare, estimate, resolve
from tests.ope.intervals.tools import THREE, ends, make, part_of, tally_of

KINDS = get_args(IntervalKind)
FEW = ("ips", "sndr")


def test_normal_interval_of_three_rows_is_the_sum_done_by_hand():
    """w r = 1, 0, 4 about 5/3: squares 4/9 + 25/9 + 49/9 = 78/9; variance of the mean 78/9 / 2 / 3 = 13/9."""
    (answer,) = estimate(THREE, ("ips",), interval="normal")
    half = stdtrit(2, 0.975) * np.sqrt(13 / 9)
    assert [answer.low, answer.high] == pytest.approx([5 / 3 - half, 5 / 3 + half], rel=1e-12)
    assert answer.interval == "normal"


def test_anytime_interval_of_three_rows_is_the_sum_done_by_hand():
    """rho^2 = (2 log 20 + log(1 + 2 log 20)) / 1000 = (5.991465 + 1.944690) / 1000, x = 3 rho^2 = .0238085."""
    (answer,) = estimate(THREE, ("ips",), interval="anytime")
    factor = np.sqrt(2 * (1 + 1 / 0.0238085) * (np.log(1.0238085) / 2 + np.log(20)))
    assert answer.high - answer.value == pytest.approx(factor * np.sqrt(13 / 9), rel=1e-5)


def test_anytime_skew_is_anytime_with_students_t_where_rewards_are_symmetric():
    """1,000 rewards of +-1 have no skewness: the half-width is the t quantile, 999 degrees of freedom, of anytime's
    tail.
    """
    half = np.tile([-1.0, 1.0], 500), np.full(1_000, 0.5), np.full(1_000, 0.5)
    plain, corrected = (estimate(Feedback(*half), ("ips",), interval=kind)[0] for kind in ("anytime", "anytime-skew"))
    x = -stdtrit(999, ndtr(-plain.high / plain.standard_error))
    assert [corrected.low, corrected.high] == pytest.approx([-x * plain.standard_error, x * plain.standard_error])
    assert 1.0 < corrected.high / plain.high < 1.01


def test_anytime_skew_reaches_further_up_where_few_rewards_carry_the_value():
    """One reward in fifty: low means come with small errors, so the truth is more often above the interval."""
    reward = (np.arange(1_000) % 50 == 0).astype(float)
    plain, corrected = (
        estimate(Feedback(reward, np.ones(1_000), np.ones(1_000)), ("ips",), interval=kind)[0]
        for kind in ("anytime", "anytime-skew")
    )
    assert corrected.high - corrected.value > 1.5 * (corrected.value - corrected.low)
    assert corrected.high > plain.high


def test_an_unknown_interval_is_rejected():
    with pytest.raises(InputError, match='there is no interval "wald"; choose from skew, normal'):
        estimate(THREE, ("ips",), interval="wald")


@pytest.mark.parametrize("groups", [None, 12])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 4))
def test_every_kind_of_interval_is_that_of_all_rows_after_a_merge_of_parts(groups, seed, parts):
    rng = np.random.default_rng(seed)
    feedback = make(rng, 40, groups)
    whole, merged = tally_of(feedback, FEW), Tally(2, resolve(FEW, feedback[0].has))
    cuts = np.sort(rng.integers(0, 41, parts - 1))
    for rows in np.split(np.arange(40), cuts):
        piece = Tally(2, merged.estimators)
        piece.add(*(part_of(each, rows) for each in feedback))
        merged = merged + piece
    for kind in KINDS:
        got = np.vstack([ends(merged.estimates(0, 0.9, kind)), ends(merged.difference(0, 1, 0.9, kind))])
        want = np.vstack([ends(whole.estimates(0, 0.9, kind)), ends(whole.difference(0, 1, 0.9, kind))])
        assert got == pytest.approx(want, rel=1e-8, abs=1e-9), kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_per_cluster_is_no_clusters_for_every_kind(kind):
    (feedback, _) = make(np.random.default_rng(8), 100)
    own = Feedback(
        feedback.reward,
        feedback.propensity,
        feedback.target,
        feedback.predicted_logged,
        feedback.predicted_target,
        np.arange(100),
    )
    got, want = ends(estimate(own, interval=kind)), ends(estimate(feedback, interval=kind))
    assert got == pytest.approx(want, rel=1e-9)


def test_a_selection_answers_with_the_value_it_chooses_and_the_interval_of_its_first_candidate():
    class Second:
        name, needs = "second", "predictions"
        candidates = resolve(("ips", "dr"), predictions=True)

        def choose(self, values, errors):
            assert np.isfinite(errors).all()
            return 1

    feedback = make(np.random.default_rng(11), 50)
    for kind in KINDS:
        got, first, second = (compare(*feedback, (each,), interval=kind)[0] for each in (Second(), "ips", "dr"))
        assert got.name == "second"
        assert got.value == second.value
        assert (got.low, got.high) == (min(first.low, second.value), max(first.high, second.value))

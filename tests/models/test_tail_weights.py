"""Robust weights of amounts: their formula, what they leave alone, and that they are removed as they were learned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.models import BayesianLinear
from bandit.models.tail_weights import (
    ANY_OFFER_NUMBER,
    CORE,
    FREEDOM,
    MAX_REMEMBERED,
    RememberedWeights,
    tail_weights,
    without_tails,
)
from tests.models.oracles import problem


def test_weights_are_one_within_three_deviations_and_student_t_beyond():
    """With nu = 4: w(3) = 13 / 13, w(6) = 13 / 40, w(50) = 13 / 2504; w z, the pull on the mean, falls to nothing."""
    found = tail_weights(np.array([0.0, 2.9, 3.0, 6.0, 50.0]) ** 2)
    np.testing.assert_allclose(found, [1.0, 1.0, 1.0, 13 / 40, 13 / 2504])
    assert (FREEDOM, CORE) == (4.0, 3.0)
    far = np.array([10.0, 100.0, 1e100])
    assert (np.diff(tail_weights(far**2) * far) < 0.0).all()


def test_usual_observations_are_learned_as_without_weights():
    rows, y, variance = problem(200, 8, np.random.default_rng(1), kind="linear")
    model, plain = BayesianLinear(np.zeros(8), variance), BayesianLinear(np.zeros(8), variance)
    model.update(rows, y, tails=np.ones(200))
    plain.update(rows, y)
    np.testing.assert_allclose(model.weights.mean, plain.weights.mean, atol=1e-12)
    assert model.rate == pytest.approx(plain.rate)
    assert model.shape == plain.shape


def test_a_weighted_belief_is_the_dense_weighted_posterior():
    """Precision = prior + sum of w row row'; the mean solves it for sum of w row y."""
    rng = np.random.default_rng(2)
    rows, y, variance = problem(150, 6, rng, kind="linear")
    tails = rng.uniform(0.1, 1.0, 150)
    model = BayesianLinear(np.zeros(6), variance)
    model.update(rows, y, tails=tails)
    precision = np.diag(1.0 / variance) + (rows * tails[:, None]).T @ rows
    np.testing.assert_allclose(model.weights.covariance, np.linalg.inv(precision), atol=1e-10)
    np.testing.assert_allclose(model.weights.mean, np.linalg.solve(precision, rows.T @ (tails * y)), atol=1e-10)


def test_observations_removed_with_their_weights_leave_the_belief_that_never_learned_them():
    rng = np.random.default_rng(3)
    rows, y, variance = problem(150, 6, rng, kind="linear")
    tails = np.where(np.arange(150) < 20, 0.2, 1.0)
    model, without = BayesianLinear(np.zeros(6), variance), BayesianLinear(np.zeros(6), variance)
    model.update(rows, y, tails=tails)
    model.retract(rows[:20], y[:20], tails=tails[:20])
    without.update(rows[20:], y[20:])
    np.testing.assert_allclose(model.weights.mean, without.weights.mean, atol=1e-9)
    np.testing.assert_allclose(model.weights.covariance, without.weights.covariance, atol=1e-10)
    assert model.noise == pytest.approx(without.noise, rel=0.02)
    wrong = BayesianLinear(np.zeros(6), variance)
    wrong.update(rows, y, tails=tails)
    wrong.retract(rows[:1], y[:1], tails=np.array([0.9]))  # the control: another weight leaves something
    assert np.abs(wrong.weights.covariance - without.weights.covariance).max() > 1e-6


def test_left_out_distances_are_those_of_a_belief_that_never_learned_the_observation():
    """By hand: learn all but one, and measure that one; the noise is that of all, which the formula keeps."""
    rng = np.random.default_rng(4)
    rows, y, variance = problem(60, 5, rng, kind="linear")
    tails = rng.uniform(0.3, 1.0, 60)
    model = BayesianLinear(np.zeros(5), variance)
    model.update(rows, y, tails=tails)
    for place in range(5):
        others = np.arange(60) != place
        without = BayesianLinear(np.zeros(5), variance)
        without.update(rows[others], y[others], tails=tails[others])
        one = slice(place, place + 1)
        expected = without.predictive_squares(rows[one], y[one]) * without.noise / model.noise
        found = model.left_out_squares(rows, y, tails)[one]
        np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_observations_learned_at_once_have_the_weights_of_their_fixed_point():
    """Learned with its weights, the belief gives each observation its weight again; the five gross errors have almost
    none, and the mean is the one without them."""
    rows, y, variance = problem(120, 5, np.random.default_rng(5), kind="linear")
    clean = BayesianLinear(np.zeros(5), variance)
    clean.update(rows[5:], y[5:])
    wrong = np.concatenate([y[:5] + 200.0, y[5:]])
    model = BayesianLinear(np.zeros(5), variance)
    tails = model.joint_tails(rows, wrong)
    assert model.shape == 2.0  # finding the weights learns nothing
    model.update(rows, wrong, tails=tails)
    np.testing.assert_allclose(tail_weights(model.left_out_squares(rows, wrong, tails)), tails, atol=5e-3)
    assert (tails[:5] < 0.01).all()
    np.testing.assert_allclose(model.weights.mean, clean.weights.mean, atol=0.1)
    assert model.noise == pytest.approx(clean.noise, rel=0.15)
    plain = BayesianLinear(np.zeros(5), variance)
    plain.update(rows, wrong)  # the control
    assert plain.noise > 100.0 * clean.noise


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([1.0, 2.0]), st.floats(0.01, 1.0)), max_size=20))
def test_every_remembered_weight_is_given_back_once_and_through_a_state(rows):
    remembered = RememberedWeights()
    offer, y, weight = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 3
    remembered.add(offer.astype(np.int64), y.astype(float), weight.astype(float))
    assert len(remembered) == int((weight < 1.0).sum())
    again = RememberedWeights.restored(remembered.state())
    below = weight < 1.0
    for each in (remembered, again):
        taken = each.take(offer[below].astype(np.int64), y[below].astype(float))
        assert len(each) == 0
        if taken is not None:
            assert sorted(taken) == sorted(weight[below])
        assert each.take(np.array([0]), np.array([1.0])) is None


def test_weights_learned_under_an_earlier_catalogue_are_found_by_the_value_alone():
    remembered = RememberedWeights()
    remembered.add(np.array([ANY_OFFER_NUMBER]), np.array([7.0]), np.array([0.25]))
    assert remembered.take(np.array([3]), np.array([7.0])).tolist() == [0.25]


def test_no_more_weights_are_remembered_than_the_bound():
    remembered = RememberedWeights()
    n = MAX_REMEMBERED + 10
    remembered.add(np.zeros(n, dtype=np.int64), np.arange(n, dtype=float), np.full(n, 0.5))
    assert len(remembered) == MAX_REMEMBERED
    assert remembered.take(np.array([0]), np.array([0.0])) is None  # the oldest is forgotten
    assert remembered.take(np.array([0]), np.array([n - 1.0])).tolist() == [0.5]


def test_a_state_of_impossible_weights_is_refused():
    arrays = {"tail_offer": np.array([1]), "tail_y": np.array([1.0]), "tail_weight": np.array([1.5])}
    with pytest.raises(ValueError, match="remembered weights"):
        RememberedWeights.restored(arrays)


def test_values_are_kept_within_three_deviations_of_their_median():
    """Of 1, 2, 3 and 900 the median is 2.5 and the median deviation 1: 900 becomes 2.5 + 3 x 1.4826."""
    assert without_tails(np.array([1.0, 2.0, 3.0, 900.0]))[3] == pytest.approx(2.5 + 3 * 1.4826)

import numpy as np
import pytest

from bandit.models import BayesianLinear
from tests.models.oracles import exact_linear, problem


@pytest.mark.parametrize("block", [1, 7, 400])
def test_linear_learning_is_the_dense_posterior_however_it_is_split(block):
    rows, y, variance = problem(400, 12, np.random.default_rng(1), kind="linear")
    model = BayesianLinear(np.zeros(12), variance)
    for start in range(0, 400, block):
        model.update(rows[start : start + block], y[start : start + block])
    mean, covariance, shape, rate = exact_linear(rows, y, variance)
    np.testing.assert_allclose(model.weights.mean, mean, atol=1e-10)
    np.testing.assert_allclose(model.weights.covariance, covariance, atol=1e-12)
    assert model.shape == pytest.approx(shape)
    assert model.rate == pytest.approx(rate, rel=1e-9)


def test_retracted_observations_leave_the_belief_that_never_learned_them():
    rows, y, variance = problem(300, 10, np.random.default_rng(2), kind="linear")
    model, without = BayesianLinear(np.zeros(10), variance), BayesianLinear(np.zeros(10), variance)
    model.update(rows, y)
    model.retract(rows[:40], y[:40])
    without.update(rows[40:], y[40:])
    np.testing.assert_allclose(model.weights.mean, without.weights.mean, atol=1e-9)
    np.testing.assert_allclose(model.weights.covariance, without.weights.covariance, atol=1e-10)
    assert model.rate == pytest.approx(without.rate)
    assert model.noise == pytest.approx(without.noise)


@pytest.mark.parametrize("n", [3, 40])
def test_an_observation_that_was_corrected_twice_at_once_is_the_last_one(n):
    """Rows a, b, ... were learned with y0; "y1 for y0" and "y2 for y1" in one call leave y2, with few and many rows.

    Removing both y0 and y1 first would take a row away twice that was learned once.
    """
    rows, y, variance = problem(n, 12, np.random.default_rng(5), kind="linear")
    belief, exact = BayesianLinear(np.zeros(12), variance), BayesianLinear(np.zeros(12), variance)
    belief.update(rows, y)
    belief.replace(np.concatenate([rows, rows]), np.concatenate([y, y + 1.0]), np.concatenate([y + 1.0, y - 2.0]))
    exact.update(rows, y - 2.0)
    np.testing.assert_allclose(belief.weights.mean, exact.weights.mean, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(belief.weights.covariance, exact.weights.covariance, rtol=1e-7, atol=1e-9)
    assert belief.noise == pytest.approx(exact.noise)


def test_removing_twice_what_was_learned_once_fails():
    """The negative control: what `replace` avoids."""
    rows, y, variance = problem(3, 12, np.random.default_rng(5), kind="linear")
    belief = BayesianLinear(np.zeros(12), variance)
    belief.update(rows, y)
    with pytest.raises(np.linalg.LinAlgError):
        belief.retract(np.concatenate([rows, rows]), np.concatenate([y, y]))

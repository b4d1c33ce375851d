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

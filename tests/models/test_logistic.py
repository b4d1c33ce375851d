import numpy as np
import pytest

from bandit.models import BayesianLogistic
from bandit.models.prior import Prior, WeightGroup
from tests.models.oracles import exact_logistic, problem


@pytest.mark.parametrize("block", [1, 50, 2000])
def test_online_logistic_is_near_the_batch_fitted_to_convergence(block):
    """Every weight within one of the batch's own deviations, deviations within 10 %."""
    rows, y, variance = problem(2000, 15, np.random.default_rng(3), kind="logistic")
    model = BayesianLogistic(np.zeros(15), variance)
    for start in range(0, 2000, block):
        model.update(rows[start : start + block], y[start : start + block])
    mean, covariance = exact_logistic(rows, y, variance)
    deviation = np.sqrt(np.diag(covariance))
    assert np.abs((model.weights.mean - mean) / deviation).max() < 1.0
    np.testing.assert_allclose(np.sqrt(np.diag(model.weights.covariance)), deviation, rtol=0.10)


def test_one_block_of_outcomes_is_the_exact_mode():
    rows, y, variance = problem(100, 15, np.random.default_rng(4), kind="logistic")
    model = BayesianLogistic(np.zeros(15), variance)
    model.update(rows, y)
    mean, covariance = exact_logistic(rows, y, variance)
    np.testing.assert_allclose(model.weights.mean, mean, atol=1e-8)
    np.testing.assert_allclose(model.weights.covariance, covariance, atol=1e-8)


def test_a_corrected_response_moves_the_belief_to_that_of_the_right_response():
    """5 % of the responses were learned wrong. Left so (the control), the belief is more than half a deviation off in
    the mean over the weights; put right, at most a quarter of that is left: what is not of first order."""
    rows, y, variance = problem(3000, 12, np.random.default_rng(5), kind="logistic")
    wrong = y.copy()
    wrong[::20] = 1.0 - y[::20]
    right, restated, left = (BayesianLogistic(np.zeros(12), variance) for _ in range(3))
    right.update(rows, y)
    for model in (restated, left):
        model.update(rows, wrong)
    restated.restate(rows, y - wrong)
    deviation = np.sqrt(np.diag(right.weights.covariance))
    off = np.abs((left.weights.mean - right.weights.mean) / deviation).mean()
    assert off > 0.5
    assert np.abs((restated.weights.mean - right.weights.mean) / deviation).mean() < 0.25 * off


def test_one_outcome_is_a_block_of_one():
    """The scalar update of one outcome ends where Newton's method over a block of one ends, with weight and offset."""
    rng = np.random.default_rng(13)
    rows, y, variance = problem(60, 9, rng, kind="logistic")
    single, block = (BayesianLogistic(np.zeros(9), 20.0 * variance) for _ in range(2))
    for row in range(60):
        weight, offset = rng.uniform(0.1, 1.0, size=1), rng.normal(size=1) * 3.0
        single.update(rows[row : row + 1], y[row : row + 1], weight, offset)
        block._learn(rows[row : row + 1], y[row : row + 1], weight, offset)
        np.testing.assert_allclose(single.weights.mean, block.weights.mean, atol=1e-7)
        np.testing.assert_allclose(single.weights.covariance, block.weights.covariance, atol=1e-7)


def test_two_outcomes_of_weight_one_half_equal_one_outcome():
    """Learned at once as 200 outcomes or 400 of weight one half: the same mode and curvature."""
    rows, y, variance = problem(60, 6, np.random.default_rng(14), kind="logistic")
    whole, halves = (BayesianLogistic(np.zeros(6), variance) for _ in range(2))
    whole.update(rows, y)
    halves.update(np.repeat(rows, 2, axis=0), np.repeat(y, 2), np.full(120, 0.5))
    np.testing.assert_allclose(halves.weights.mean, whole.weights.mean, atol=1e-8)
    np.testing.assert_allclose(halves.weights.covariance, whole.weights.covariance, atol=1e-8)


def test_a_batch_fit_is_the_mode_under_the_variances_it_ends_with():
    rows, y, variance = problem(2000, 15, np.random.default_rng(18), kind="logistic")
    prior = Prior([WeightGroup("all", float(np.sqrt(variance[0])))], np.zeros(15, dtype=np.int64), np.zeros(15))
    model = BayesianLogistic(np.zeros(15), variance)

    def batches():
        for start in range(0, 2000, 300):
            part = slice(start, start + 300)
            yield rows[part], y[part], np.ones(len(y[part]))

    model.fit(batches, prior, rounds=12)
    mean, covariance = exact_logistic(rows, y, prior.variance)
    deviation = np.sqrt(np.diag(covariance))
    assert np.abs((model.weights.mean - mean) / deviation).max() < 0.01
    np.testing.assert_allclose(np.sqrt(np.diag(model.weights.covariance)), deviation, rtol=0.01)

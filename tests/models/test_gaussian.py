import numpy as np
import pytest

from bandit.models import BayesianLinear, BayesianLogistic, Gaussian
from tests.models.oracles import problem


def test_one_observation_is_the_textbook_update():
    """Prior N(0, 1), one y = 2 with unit noise: mean 2 x 1 / (1 + 1) = 1, variance 1 / 2."""
    belief = Gaussian(np.zeros(1), np.ones(1))
    belief.condition(np.ones((1, 1)), np.array([2.0]), np.ones(1))
    assert belief.mean[0] == pytest.approx(1.0)
    assert belief.covariance[0, 0] == pytest.approx(0.5)


def test_a_replaced_prior_gives_the_belief_learned_from_that_prior():
    """A linear belief brought from N(0, 1/2) to N(m, v) afterwards is the one that started at N(m, v)."""
    rng = np.random.default_rng(15)
    rows, y, variance = problem(80, 7, rng, kind="linear")
    mean, wide = rng.normal(size=7), rng.uniform(0.01, 3.0, size=7)
    first, second = BayesianLinear(np.zeros(7), variance), BayesianLinear(mean, wide)
    for model in (first, second):
        model.update(rows, y)
    first.weights.replace_prior((np.zeros(7), variance), (mean, wide))
    np.testing.assert_allclose(first.weights.mean, second.weights.mean, atol=1e-8)
    np.testing.assert_allclose(first.weights.covariance, second.weights.covariance, atol=1e-10)


def test_a_belief_grown_by_a_column_equals_one_that_had_it_from_the_start():
    """Learned without a column that was always 0 and grown by it, the belief is the one that had it all along."""
    rng = np.random.default_rng(7)
    rows, y, variance = problem(200, 6, rng, kind="logistic")
    rows[:, 3] = 0.0
    whole = BayesianLogistic(np.zeros(6), variance)
    whole.update(rows, y)
    kept = np.array([0, 1, 2, 4, 5])
    part = BayesianLogistic(np.zeros(5), variance[kept])
    part.update(rows[:, kept], y)
    part.weights.grow(kept, np.zeros(6), variance)
    np.testing.assert_allclose(part.weights.mean, whole.weights.mean, atol=1e-9)
    np.testing.assert_allclose(part.weights.covariance, whole.weights.covariance, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "logistic"])
def test_the_covariance_is_symmetric_and_positive_after_100_000_updates(kind):
    """20,000 one by one and 80,000 in blocks; columns of very different size."""
    rng = np.random.default_rng(6)
    model = (BayesianLinear if kind == "linear" else BayesianLogistic)(np.zeros(20), np.full(20, 4.0))
    sizes = np.geomspace(0.01, 5.0, 20)
    for n, repeats in ((1, 20_000), (100, 800)):
        for _ in range(repeats):
            rows = rng.normal(size=(n, 20)) * sizes
            y = rng.normal(size=n) if kind == "linear" else (rng.random(n) < 0.05).astype(float)
            model.update(rows, y)
    covariance = model.weights.covariance
    assert np.array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0.0
    assert np.isfinite(model.weights.mean).all()

import numpy as np

from bandit.models import BayesianLinear, Gaussian
from bandit.models.prior import Prior, WeightGroup
from tests.models.oracles import problem


def test_forgetting_ends_at_the_prior_and_never_at_zero_precision():
    """Half kept, a thousand times over without anything new: the prior again, to 1e-9."""
    rows, y, variance = problem(80, 7, np.random.default_rng(16), kind="linear")
    model = BayesianLinear(np.zeros(7), variance)
    prior = Prior([WeightGroup("all", float(np.sqrt(0.5)))], np.zeros(7, dtype=np.int64), np.zeros(7))
    model.update(rows, y)
    once = Gaussian(np.zeros(7), variance)
    once.condition(rows, y, np.full(80, 2.0))
    prior.decay(model.weights, 0.5)
    np.testing.assert_allclose(model.weights.mean, once.mean, atol=1e-9)
    np.testing.assert_allclose(model.weights.covariance, once.covariance, atol=1e-10)
    for _ in range(1000):
        prior.decay(model.weights, 0.5)
    np.testing.assert_allclose(model.weights.mean, 0.0, atol=1e-9)
    np.testing.assert_allclose(model.weights.covariance, np.diag(variance), atol=1e-9)


def test_variances_of_the_prior_are_found_in_the_data():
    """200 weights of deviation 1, 200 of 0.05, both thought to be of 0.3: each found within a fifth and a factor 2."""
    rng = np.random.default_rng(17)
    truth = np.concatenate([rng.normal(size=200), 0.05 * rng.normal(size=200)])
    rows = rng.normal(size=(3000, 400))
    labels = np.repeat([0, 1], 200)
    prior = Prior([WeightGroup("strong", 0.3), WeightGroup("weak", 0.3)], labels, np.zeros(400))
    belief = Gaussian(np.zeros(400), prior.variance)
    belief.condition(rows, rows @ truth + rng.normal(size=3000), np.ones(3000))
    prior.estimate(belief, rounds=20)
    strong, weak = np.sqrt(prior.variances)
    assert 0.8 < strong < 1.2
    assert 0.025 < weak < 0.1

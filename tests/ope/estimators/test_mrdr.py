"""The weights of mrdr's reward model, by hand and against the exact variance of the estimator."""

from itertools import product

import numpy as np
import pytest

from bandit.errors import NumberError
from bandit.ope import Feedback, estimate
from bandit.ope.estimators.mrdr import mrdr_weights

CONTEXTS, OFFERS = 4, 3


def test_weights_are_the_products_done_by_hand():
    """w^2 (1 - p): 2^2 x .75, 1 x .5, 0, and 0 where nothing was drawn."""
    weights = mrdr_weights(np.array([0.25, 0.5, 0.5, 1.0]), np.array([0.5, 0.5, 0.0, 1.0]))
    assert weights == pytest.approx([3.0, 0.5, 0.0, 0.0], abs=1e-15)


def test_a_deterministic_target_has_the_weights_of_the_paper():
    """(1 - p) / p^2 where the target takes the logged offer, 0 where it does not."""
    propensity = np.array([0.1, 0.4, 0.9, 0.3])
    weights = mrdr_weights(propensity, np.array([1.0, 1.0, 1.0, 0.0]))
    assert weights[:3] == pytest.approx((1 - propensity[:3]) / propensity[:3] ** 2, rel=1e-14)
    assert weights[3] == 0.0


class World:
    """Every (context, offer, outcome) that can be logged with its probability, and a model too simple for it."""

    def __init__(self, seed, *, sure):
        rng = np.random.default_rng(seed)
        self.logging = rng.dirichlet(np.ones(OFFERS), CONTEXTS)
        self.target = rng.dirichlet(np.ones(OFFERS), CONTEXTS)
        if sure:
            self.target = np.eye(OFFERS)[self.target.argmax(axis=1)]
        self.mean = rng.normal(0.0, 3.0, (CONTEXTS, OFFERS))
        x, a, up = np.array(list(product(range(CONTEXTS), range(OFFERS), range(2)))).T
        self.x, self.a, self.reward = x, a, self.mean[x, a] + np.where(up, 1.0, -1.0)
        self.chance = self.logging[x, a] / CONTEXTS / 2
        # An intercept and two numbers of context and offer: nine means less than the world has.
        self.features = np.concatenate([np.ones((CONTEXTS, OFFERS, 1)), rng.normal(size=(CONTEXTS, OFFERS, 2))], axis=2)

    def fit(self, weights):
        """Least squares with these weights, (3,)."""
        root = np.sqrt(self.chance * weights)
        design = self.features[self.x, self.a]
        return np.linalg.lstsq(design * root[:, None], self.reward * root, rcond=None)[0]

    def robust(self):
        return self.fit(mrdr_weights(self.logging[self.x, self.a], self.target[self.x, self.a]))

    def variance(self, model):
        """Exactly what one row of mrdr varies with this model."""
        q = self.features @ model
        w = (self.target / self.logging)[self.x, self.a]
        rows = (self.target * q).sum(axis=1)[self.x] + w * (self.reward - q[self.x, self.a])
        return self.chance @ rows**2 - (self.chance @ rows) ** 2


@pytest.mark.parametrize("seed", range(5))
def test_the_weighted_fit_minimises_the_variance_for_a_deterministic_target(seed):
    """Moved in any direction it is worse; the plain fit, the negative control, gets better when moved towards it."""
    world = World(seed, sure=True)
    robust, plain = world.robust(), world.fit(np.ones(len(world.x)))
    least = world.variance(robust)
    for direction in np.random.default_rng(9).normal(size=(20, 3)):
        assert world.variance(robust + 0.01 * direction) > least
    assert world.variance(plain + 0.01 * (robust - plain)) < world.variance(plain)


@pytest.mark.parametrize("seed", range(5))
def test_its_objective_is_the_variance_less_the_products_of_two_offers_errors(seed):
    """The variance grows with the model's errors d by their quadratic form; the weights hold its diagonal."""
    world = World(seed, sure=False)
    d = (world.features @ np.array([0.5, -1.0, 2.0])) - world.mean
    t, p = world.target, world.logging
    w = (t / p)[world.x, world.a]
    no_error = (
        world.chance @ ((world.mean * t).sum(axis=1)[world.x] + w * (world.reward - world.mean[world.x, world.a])) ** 2
    )
    no_error -= np.mean((world.mean * t).sum(axis=1)) ** 2
    grown = world.variance(np.array([0.5, -1.0, 2.0])) - no_error
    whole = np.mean((t**2 / p * d**2).sum(axis=1) - (t * d).sum(axis=1) ** 2)
    assert grown == pytest.approx(whole, rel=1e-10)
    weights = mrdr_weights(p[world.x, world.a], t[world.x, world.a])
    diagonal = world.chance @ (weights * d[world.x, world.a] ** 2)
    products = np.mean((t * d).sum(axis=1) ** 2 - (t**2 * d**2).sum(axis=1))
    assert diagonal - products == pytest.approx(whole, rel=1e-10)


def test_the_weighted_fit_mostly_reduces_the_variance_for_a_stochastic_target():
    """The products that are left out may matter: of 200 worlds the fit is better than the plain one in most."""
    better = 0
    for seed in range(200):
        world = World(seed, sure=False)
        better += world.variance(world.robust()) < world.variance(world.fit(np.ones(len(world.x))))
    assert better > 180


def test_mrdr_is_dr_with_the_other_model():
    rng = np.random.default_rng(1)
    reward, propensity, target, logged, mean = rng.uniform(0.1, 1.0, (5, 50))
    as_dr = estimate(Feedback(reward, propensity, target, logged, mean), ("dr",))[0]
    as_mrdr = estimate(Feedback(reward, propensity, target, robust_logged=logged, robust_target=mean), ("mrdr",))[0]
    assert (as_mrdr.value, as_mrdr.standard_error) == (as_dr.value, as_dr.standard_error)


def test_numbers_that_are_not_probabilities_are_rejected():
    for propensity, target in (([0.0], [1.0]), ([0.5], [1.5]), ([np.nan], [0.5])):
        with pytest.raises(NumberError):
            mrdr_weights(np.array(propensity), np.array(target))
    with pytest.raises(NumberError, match="too large"):
        mrdr_weights(np.array([1e-200]), np.array([1.0]))

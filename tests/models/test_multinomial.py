"""The conditional multinomial logit: its gradient, its limits, and that it finds what made the choices."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from bandit.models.multinomial import MultinomialFit, MultinomialLogit, ObservedChoices, choose_penalty

N, D = 6, 3


def softmax(scores, eligible):
    table = np.where(eligible, np.exp(scores), 0.0)
    return table / table.sum(axis=1, keepdims=True)


def draw(rng, n, effects, level, sets=4):
    """Choices made by the model itself, from a few sets of eligible offers that all have the first."""
    masks = rng.random((sets, len(level))) < 0.7
    masks[:, 0] = True
    which = rng.integers(0, sets, n)
    x = rng.normal(size=(n, len(effects)))
    chance = softmax(x @ effects + level, masks[which])
    offer = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return ObservedChoices(x, offer, masks, which), chance


def structured(rng):
    """Effects and levels of six offers, 3 x 2, that depend on their options alone, and the options' columns."""
    options = np.hstack([np.repeat(np.eye(3), 2, axis=0), np.tile(np.eye(2), (3, 1))])
    return rng.normal(0.0, 0.7, (D, 5)) @ options.T, rng.normal(0.0, 0.5, N), options


def test_gradient_is_that_of_finite_differences():
    """(f(b + h) - f(b - h)) / 2h with h = 1e-6 is exact to about 1e-9."""
    rng = np.random.default_rng(1)
    effects, level, options = structured(rng)
    choices, _ = draw(rng, 200, effects, level)
    fit = MultinomialFit(choices, options)
    place = rng.normal(0.0, 0.3, fit.n_parameters)
    gradient = fit.loss(place, 2.0)[1]
    steps = 1e-6 * np.eye(fit.n_parameters)
    wanted = [(fit.loss(place + step, 2.0)[0] - fit.loss(place - step, 2.0)[0]) / 2e-6 for step in steps]
    assert gradient == pytest.approx(np.array(wanted), abs=1e-8)


def test_two_offers_are_a_logistic_regression():
    """With own columns, b(0) = -b(1), so the penalty on both is that of b(1) - b(0) at half its strength."""
    rng = np.random.default_rng(2)
    choices, _ = draw(rng, 400, np.array([[0.0, 1.0], [0.0, -0.5]]), np.zeros(2), sets=1)
    choices = replace(choices, masks=np.ones((1, 2), dtype=bool))
    model, _ = MultinomialFit(choices, np.eye(2)).solve(3.0, tolerance=1e-12)
    x, side = choices.x - choices.x.mean(axis=0), 2.0 * choices.offer - 1.0
    start = np.log((choices.offer == 1).sum() + 0.5) - np.log((choices.offer == 0).sum() + 0.5)

    def loss(b):
        return np.log1p(np.exp(-side * (x @ b[:2] + b[2] + start))).sum() + 0.75 * b[:2] @ b[:2] + 0.25 * b[2] ** 2

    want = minimize(loss, np.zeros(3), options={"gtol": 1e-8}).x
    assert model.coefficients[:, 1] - model.coefficients[:, 0] == pytest.approx(want[:2], abs=1e-4)
    assert model.level[1] - model.level[0] == pytest.approx(want[2] + start, abs=1e-4)


def test_it_finds_the_probabilities_that_made_the_choices():
    """About 20 numbers from 20,000 choices: an error of some sqrt(20 / 20,000) x sqrt(p (1 - p)), about .012."""
    rng = np.random.default_rng(3)
    effects, level, options = structured(rng)
    choices, _ = draw(rng, 20_000, effects, level)
    model, _ = MultinomialFit(choices, options).solve(1.0)
    fresh, chance = draw(rng, 2_000, effects, level)
    error = model.probabilities(fresh.x, fresh.masks[fresh.which]) - chance
    assert np.sqrt((error**2).mean()) < 0.012
    reversed_ = replace(model, coefficients=-model.coefficients)
    assert np.sqrt(((reversed_.probabilities(fresh.x, fresh.masks[fresh.which]) - chance) ** 2).mean()) > 0.1


def test_an_infinite_penalty_leaves_only_the_shares():
    rng = np.random.default_rng(4)
    effects, level, options = structured(rng)
    choices, _ = draw(rng, 3_000, effects, level, sets=1)
    choices = replace(choices, masks=np.ones((1, N), dtype=bool), offer=np.minimum(choices.offer, 4))
    model, _ = MultinomialFit(choices, options).solve(1e12)
    shares = model.probabilities(choices.x[:1], np.ones((1, N), dtype=bool))[0]
    assert shares == pytest.approx(np.bincount(choices.offer, minlength=N) / 3_000, abs=2e-3)
    assert 0.0 < shares[5] < 1e-3  # never chosen, and not impossible


def test_penalty_is_weak_for_strong_effects_and_strong_for_none():
    rng = np.random.default_rng(5)
    effects, level, options = structured(rng)
    held_out = np.arange(4_000) % 4 == 0
    strong, _ = draw(rng, 4_000, 3.0 * effects, level)
    none, _ = draw(rng, 4_000, 0.0 * effects, level)
    assert choose_penalty(strong, options, held_out) < choose_penalty(none, options, held_out) == 100.0


@given(st.integers(0, 2**32 - 1))
def test_probabilities_sum_to_one_over_the_eligible_and_are_zero_elsewhere(seed):
    rng = np.random.default_rng(seed)
    model = MultinomialLogit(rng.normal(size=N), np.zeros(D), rng.normal(0.0, 300.0, (D, N)), 1.0)
    eligible = rng.random((5, N)) < 0.5
    eligible[:, 2] = True
    table = model.probabilities(rng.normal(size=(5, D)), eligible)
    assert table.sum(axis=1) == pytest.approx(np.ones(5))
    assert (table[~eligible] == 0.0).all()

"""Rates of change: steps of time, the level's random walk, and half-lives chosen by approximate filters."""

import numpy as np
import pytest

from bandit.models import BayesianLinear, Gaussian
from bandit.models.contrast_rates import CONTRAST_HALF_LIVES, ContrastRates
from bandit.models.level_rates import LEVEL_VARIANCES, LevelRates
from bandit.models.prior import Prior, WeightGroup
from bandit.models.rates_of_change import RATES_FROM, RatesOfChange


def prior_of(size, deviation=0.5, base=2.0):
    """A free level and `size` - 1 other weights that share a deviation, all of mean 0."""
    labels = np.array([0] + [1] * (size - 1))
    return Prior([WeightGroup("base", base, fixed=True), WeightGroup("rest", deviation)], labels, np.zeros(size))


def test_a_step_of_time_is_the_sum_done_by_hand():
    """Two weights of mean (2, 4), variances (1, 1), covariance 1/2; the second keeps a half and gains 3/4 x 4 = 3:
    its mean 1 + (4 - 1) / 2 = 2.5, its variance 1/4 + 3 = 3.25, the covariance 1/4; the first stays."""
    belief = Gaussian(np.array([2.0, 4.0]), np.ones(2))
    belief.covariance[0, 1] = belief.covariance[1, 0] = 0.5
    belief.evolve(np.array([1.0, 0.5]), np.ones(2), np.array([0.0, 3.0]))
    np.testing.assert_allclose(belief.mean, [2.0, 2.5])
    np.testing.assert_allclose(belief.covariance, [[1.0, 0.25], [0.25, 3.25]])


def test_a_long_time_ends_at_the_prior_and_never_beyond_it():
    """After 100 half-lives the contrasts are as the prior has them; in between, no direction is wider than the prior:
    V - C has no eigenvalue below 0 but for rounding. Adding the variance without keeping less (the control) has."""
    rng = np.random.default_rng(1)
    prior = prior_of(6)
    model = BayesianLinear(prior.center, prior.variance)
    model.update(np.column_stack([np.ones(40), rng.normal(size=(40, 5))]), rng.normal(size=40))
    belief, rates = model.weights, RatesOfChange()
    rates.contrasts = ContrastRates(belief, prior.variance)
    rates.contrasts.chosen, rates.level.chosen = 4, 4
    control = belief.covariance.copy()
    for days in (1.0, 20.0, 400.0, 60.0 * 100):
        kept = 0.5 ** (days / 60.0)
        control += np.diag((1.0 - kept**2) * prior.variance)
        rates.level.chosen, rates.contrasts.chosen = 4, 4
        rates.contrasts.evidence[4] = 100.0
        rates.pass_time(days, belief, prior, RATES_FROM)
        assert np.linalg.eigvalsh(np.diag(prior.variance) - belief.covariance).min() > -1e-12
    np.testing.assert_allclose(belief.mean[1:], 0.0, atol=1e-9)
    np.testing.assert_allclose(np.diag(belief.covariance)[1:], prior.variance[1:], rtol=1e-9)
    assert np.linalg.eigvalsh(np.diag(prior.variance) - control).min() < -0.1


def filtered(levels, rng, information=30.0):
    """The rates after one observation a day of these levels, each of this information."""
    rates = LevelRates()
    for level in levels:
        noise = rng.normal() / np.sqrt(information)
        rates.see(300.0, information, information * (level + noise), 0.0)
        rates.step(1.0)
    return rates


def test_a_level_that_stands_still_is_left_alone_and_one_that_moves_is_followed():
    """A walk of variance 0.01 a day over 400 days is found to a factor of ten; a constant level (the control) has no
    rate at all."""
    rng = np.random.default_rng(2)
    moving = filtered(np.cumsum(rng.normal(0.0, 0.1, 400)), rng)
    assert moving.variance_a_day in LEVEL_VARIANCES[2:]
    still = filtered(np.zeros(200), rng)
    assert (still.variance_a_day, still.half_life) == (0.0, np.inf)


def test_the_half_life_of_the_level_is_that_of_its_filter():
    """In the steady state of variance P after each day's observation of variance r, with q gained a day: P = gain x r,
    with gain = (P + q) / (P + q + r); an observation keeps 1 - gain a day. For q = 0.01, r = 1/30: gain
    g solves g^2 = (1 - g) q / r, g = (sqrt(0.09 + 1.2) - 0.3) / 2 = 0.418; half after ln 2 / 0.541 = 1.28 days."""
    rates = LevelRates()
    rates.chosen = 3
    for day in range(300):
        rates.see(300.0, 30.0, 30.0 * (day % 2), 0.0)
        rates.chosen, rates._evidence[:] = 3, 0.0
        rates._evidence[3] = 50.0
        rates.step(1.0)
    assert rates.variance_a_day == 0.01
    assert rates.half_life == pytest.approx(1.28, abs=0.01)


def test_one_response_is_learned_as_a_batch_of_one():
    rng = np.random.default_rng(3)
    prior = prior_of(9)
    belief = Gaussian(rng.normal(size=9), prior.variance)
    half = rng.normal(size=(4, 9)) * 0.1
    belief.covariance -= half.T @ half * 0.1
    one, block = ContrastRates(belief, prior.variance), ContrastRates(belief, prior.variance)
    for rates in (one, block):
        rates._looser[:] = [-0.02, 0.0, 0.02, 0.05, 0.2]
    for turn in range(20):
        row = np.append(1.0, rng.normal(size=8))
        gain, y = belief.covariance @ row, float(turn % 2)
        one.see_one(row, gain, y, 1.5, 0.1, 0.2)
        arrays = (np.array([value]) for value in (y, 1.5, 0.1, 0.2))
        block.see(row[None], gain[None], *arrays)
    np.testing.assert_allclose(one._mean, block._mean, atol=1e-13)
    np.testing.assert_allclose(one.evidence, block.evidence, atol=1e-12)
    np.testing.assert_allclose(one._sums, block._sums, rtol=1e-12)


def exact_evidence(rows, y, days, prior):
    """The log likelihood of each half-life by Kalman filters with whole covariances, one row at a time."""
    found = []
    for half_life in CONTRAST_HALF_LIVES:
        mean, covariance, total = prior.center.copy(), np.diag(prior.variance), 0.0
        kept = np.full(len(mean), 0.5 ** (days / half_life))
        kept[0] = 1.0
        for row, observed in zip(rows, y, strict=True):
            mean = kept * mean
            covariance = kept[:, None] * covariance * kept + np.diag((1.0 - kept**2) * prior.variance)
            gain = covariance @ row
            spread, off = 1.0 + row @ gain, observed - row @ mean
            total -= 0.5 * (np.log(spread) + off**2 / spread)
            mean, covariance = mean + gain * off / spread, covariance - np.outer(gain, gain) / spread
        found.append(total)
    return np.array(found)


@pytest.mark.parametrize("half_life", [60.0, np.inf])
def test_the_approximate_filters_prefer_what_exact_ones_do(half_life):
    """3,000 amounts over 300 days with twelve weights that move with a half-life of 60 days, or stand still: the exact
    filters prefer the true half-life, and so do the approximate ones; the still market is the other's control."""
    rng = np.random.default_rng(4)
    prior = prior_of(13)
    n, days = 3_000, 0.1
    rows = np.column_stack([np.ones(n), rng.normal(size=(n, 12))])
    kept = 0.5 ** (days / half_life)
    weights, y = rng.normal(0.0, 0.5, 12), np.empty(n)
    for place in range(n):
        weights = kept * weights + np.sqrt(1.0 - kept**2) * rng.normal(0.0, 0.5, 12)
        y[place] = rows[place, 1:] @ weights + rng.normal()
    model, rates = BayesianLinear(prior.center, prior.variance, shape=1e6, rate=1e6), RatesOfChange()
    model.rates = rates
    for start in range(0, n, 20):
        rates.pass_time(20 * days, model.weights, prior, start)
        model.update(rows[start : start + 20], y[start : start + 20])
    exact = exact_evidence(rows[RATES_FROM:], y[RATES_FROM:], days, prior)
    assert CONTRAST_HALF_LIVES[exact.argmax()] == half_life
    assert rates.half_life == half_life


def test_rates_restored_from_their_state_go_on_with_the_same_bits():
    rng = np.random.default_rng(5)
    prior = prior_of(5)
    model = BayesianLinear(prior.center, prior.variance)
    model.rates = RatesOfChange()

    def day():
        model.rates.pass_time(1.0, model.weights, prior, RATES_FROM)
        rows = np.column_stack([np.ones(60), rng.normal(size=(60, 4))])
        model.update(rows, rows[:, 1] + rng.normal(size=60))

    for _ in range(4):
        day()
    meta, arrays = model.rates.state()
    fresh = RatesOfChange()
    fresh.restore(meta, arrays, model.weights, prior.variance)
    model.rates, before = fresh, model.rates
    assert {name: array.tobytes() for name, array in fresh.state()[1].items()} == {
        name: array.tobytes() for name, array in before.state()[1].items()
    }
    day()
    assert fresh.contrasts.evidence.any()


@pytest.mark.parametrize(
    ("part", "value"),
    [("level", np.zeros((2, 5))), ("means", np.full((5, 5), np.nan)), ("looser", np.ones(5))],
)
def test_a_state_that_does_not_fit_is_refused(part, value):
    prior = prior_of(5)
    belief, rates = Gaussian(prior.center, prior.variance), RatesOfChange()
    rates.contrasts = ContrastRates(belief, prior.variance)
    meta, arrays = rates.state()
    with pytest.raises(ValueError, match="its"):
        RatesOfChange().restore(meta, arrays | {part: value}, belief, prior.variance)
    with pytest.raises(ValueError, match="rates of change"):
        RatesOfChange().restore(meta | {"contrasts": 9}, arrays, belief, prior.variance)

import numpy as np
import pytest
from scipy.special import expit

from bandit.models import BayesianLinear, BayesianLogistic, Gaussian
from bandit.models.structure import PriorScales, Structure

SCALES = PriorScales(base=2.0, base_context=0.5, option=0.5, option_context=0.25, pair=0.25)


def exact_linear(rows, y, variance):
    """The conjugate posterior by one dense solve: the oracle of the blockwise one (Murphy 2012, 7.6.3)."""
    precision = rows.T @ rows + np.diag(1.0 / variance)
    mean = np.linalg.solve(precision, rows.T @ y)
    rate = 1.0 + 0.5 * (y @ y - mean @ precision @ mean)
    return mean, np.linalg.inv(precision), 2.0 + 0.5 * len(y), rate


def exact_logistic(rows, y, variance):
    """The mode and curvature of all outcomes at once, by Newton's method to convergence: the oracle."""
    mean = np.zeros(rows.shape[1])
    for _ in range(100):
        p = expit(rows @ mean)
        hessian = (rows * (p * (1 - p))[:, None]).T @ rows + np.diag(1.0 / variance)
        mean = mean + np.linalg.solve(hessian, rows.T @ (y - p) - mean / variance)
    return mean, np.linalg.inv(hessian)


def problem(n, size, rng, *, kind):
    rows = rng.normal(size=(n, size))
    rows[:, 0] = 1.0
    weights = rng.normal(size=size) * 0.3
    if kind == "linear":
        return rows, rows @ weights + rng.normal(size=n) * 0.5, np.full(size, 0.5)
    return rows, (rng.random(n) < expit(rows @ weights - 1.5)).astype(float), np.full(size, 0.5)


def test_one_observation_is_the_textbook_update():
    """Prior N(0, 1), one y = 2 with unit noise: mean 2 x 1 / (1 + 1) = 1, variance 1 / 2."""
    belief = Gaussian(np.zeros(1), np.ones(1))
    belief.condition(np.ones((1, 1)), np.array([2.0]), np.ones(1))
    assert belief.mean[0] == pytest.approx(1.0)
    assert belief.covariance[0, 0] == pytest.approx(0.5)


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


def test_what_is_retracted_was_never_learned():
    rows, y, variance = problem(300, 10, np.random.default_rng(2), kind="linear")
    model, without = BayesianLinear(np.zeros(10), variance), BayesianLinear(np.zeros(10), variance)
    model.update(rows, y)
    model.retract(rows[:40], y[:40])
    without.update(rows[40:], y[40:])
    np.testing.assert_allclose(model.weights.mean, without.weights.mean, atol=1e-9)
    np.testing.assert_allclose(model.weights.covariance, without.weights.covariance, atol=1e-10)
    assert model.rate == pytest.approx(without.rate)
    assert model.noise == pytest.approx(without.noise)


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


def test_a_restated_response_moves_the_belief_to_where_the_new_one_would_have():
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


def test_a_column_that_appears_later_costs_nothing():
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


def structure_and_belief(rng, *, n_context=4, n_pairs=5):
    main = np.kron(np.eye(3), np.ones((2, 1)))
    pairs = np.eye(6)[:, :n_pairs]
    structure = Structure(main, pairs, n_context)
    belief = Gaussian(rng.normal(size=structure.size), structure.prior_variance(SCALES))
    rows = rng.normal(size=(30, structure.size))
    belief.condition(rows, rng.normal(size=30), np.ones(30))
    return structure, belief


def test_mean_scores_are_those_of_the_rows():
    """Score of (x, offer) = row @ w, by the long way round."""
    rng = np.random.default_rng(8)
    structure, belief = structure_and_belief(rng)
    contexts = np.column_stack([np.ones(3), rng.normal(size=(3, 3))])
    scores = structure.mean_scores(belief, contexts)
    for place, context in enumerate(contexts):
        rows = structure.rows(np.tile(context, (6, 1)), np.arange(6))
        np.testing.assert_allclose(scores[place], rows @ belief.mean, atol=1e-10)


def test_draws_follow_a_belief_that_changes():
    """The factor that is kept is that of now: a weight learned to certainty no longer scatters."""
    rng = np.random.default_rng(11)
    structure, belief = structure_and_belief(rng)
    context = np.array([[1.0, 0.3, -0.7, 0.2]])
    before = structure.draw_scores(belief, context, 4000, 1.0, rng)[0].std(axis=0)
    rows = structure.rows(np.tile(context, (6, 1)), np.arange(6))
    belief.condition(rows, np.zeros(6), np.full(6, 1e-8))
    after = structure.draw_scores(belief, context, 4000, 1.0, rng)[0].std(axis=0)
    assert (before > 0.1).all()
    assert (after < 1e-2).all()


@pytest.mark.parametrize("n_pairs", [0, 5])
def test_draws_scatter_as_the_belief_says_and_offers_are_not_drawn_apart(n_pairs):
    """With 40,000 draws the covariance of the scores is right to 5 standard errors, and so is the correlation that
    offers have through shared weights; draws made apart for each offer (the control) miss it."""
    rng = np.random.default_rng(9)
    structure, belief = structure_and_belief(rng, n_pairs=n_pairs)
    context = np.array([[1.0, 0.3, -0.7, 0.2]])
    draws, width = 40_000, 0.5
    scores = structure.draw_scores(belief, context, draws, width, rng)[0].astype(np.float64)
    rows = structure.rows(np.tile(context, (6, 1)), np.arange(6))
    exact = width**2 * rows @ belief.covariance @ rows.T
    variance = np.diag(exact)
    error = np.sqrt((np.outer(variance, variance) + exact**2) / draws)
    assert (np.abs(np.cov(scores.T) - exact) < 5 * error).all()
    np.testing.assert_allclose(scores.mean(axis=0), rows @ belief.mean, atol=5 * np.sqrt(variance.max() / draws))
    apart = rng.normal(rows @ belief.mean, np.sqrt(variance), size=(draws, 6))
    assert (np.abs(np.cov(apart.T) - exact) > 5 * error).any()


def test_places_after_growth_keep_every_weight_where_its_column_went():
    rng = np.random.default_rng(10)
    structure, belief = structure_and_belief(rng, n_context=2)
    grown = Structure(structure.columns[:, 1:], structure.pairs, 4)
    places = structure.places_after_growth(np.array([0, 2]), 4)
    contexts = np.column_stack([np.ones(5), np.zeros(5), rng.normal(size=5), np.zeros(5)])
    before = structure.mean_scores(belief, contexts[:, [0, 2]])
    belief.grow(places, np.zeros(grown.size), grown.prior_variance(SCALES))
    np.testing.assert_allclose(grown.mean_scores(belief, contexts), before, atol=1e-12)

import numpy as np
import pytest

from bandit.models import Gaussian
from bandit.models.shared_design import SharedDesign


def design_and_belief(rng, *, n_context=4, n_pairs=5):
    main = np.kron(np.eye(3), np.ones((2, 1)))
    pairs = np.eye(6)[:, :n_pairs]
    design = SharedDesign(main, pairs, n_context)
    belief = Gaussian(rng.normal(size=design.size), rng.uniform(0.1, 2.0, size=design.size))
    rows = rng.normal(size=(30, design.size))
    belief.condition(rows, rng.normal(size=30), np.ones(30))
    return design, belief


def test_mean_scores_are_those_of_the_rows():
    """Score of (x, offer) = row @ w, row by row."""
    rng = np.random.default_rng(8)
    design, belief = design_and_belief(rng)
    contexts = np.column_stack([np.ones(3), rng.normal(size=(3, 3))])
    scores = design.mean_scores(belief, contexts)
    for place, context in enumerate(contexts):
        rows = design.rows(np.tile(context, (6, 1)), np.arange(6))
        np.testing.assert_allclose(scores[place], rows @ belief.mean, atol=1e-10)


def drawn_scores(design, belief, context, draws, width, rng):
    return design.draw_scores(design.draw(belief, draws, width, rng), context)[0]


def test_draws_follow_a_belief_that_changes():
    """The cached factor is renewed: a weight that was learned to certainty no longer varies between draws."""
    rng = np.random.default_rng(11)
    design, belief = design_and_belief(rng)
    context = np.array([[1.0, 0.3, -0.7, 0.2]])
    before = drawn_scores(design, belief, context, 4000, 1.0, rng).std(axis=0)
    rows = design.rows(np.tile(context, (6, 1)), np.arange(6))
    belief.condition(rows, np.zeros(6), np.full(6, 1e-8))
    after = drawn_scores(design, belief, context, 4000, 1.0, rng).std(axis=0)
    assert (before > 0.1).all()
    assert (after < 1e-2).all()


@pytest.mark.parametrize("n_pairs", [0, 5])
def test_draws_have_the_covariance_of_the_belief_across_offers(n_pairs):
    """With 40,000 draws the covariance of the scores is right to 5 standard errors, and so is the correlation that
    offers have through shared weights; draws made apart for each offer (the control) miss it."""
    rng = np.random.default_rng(9)
    design, belief = design_and_belief(rng, n_pairs=n_pairs)
    context = np.array([[1.0, 0.3, -0.7, 0.2]])
    draws, width = 40_000, 0.5
    scores = drawn_scores(design, belief, context, draws, width, rng).astype(np.float64)
    rows = design.rows(np.tile(context, (6, 1)), np.arange(6))
    exact = width**2 * rows @ belief.covariance @ rows.T
    variance = np.diag(exact)
    error = np.sqrt((np.outer(variance, variance) + exact**2) / draws)
    assert (np.abs(np.cov(scores.T) - exact) < 5 * error).all()
    np.testing.assert_allclose(scores.mean(axis=0), rows @ belief.mean, atol=5 * np.sqrt(variance.max() / draws))
    apart = rng.normal(rows @ belief.mean, np.sqrt(variance), size=(draws, 6))
    assert (np.abs(np.cov(apart.T) - exact) > 5 * error).any()


def test_every_context_of_a_batch_has_the_same_draws():
    """Two customers alone and together: the same scores; customer effects are added to the columns' effects."""
    rng = np.random.default_rng(12)
    design, belief = design_and_belief(rng)
    contexts = np.column_stack([np.ones(2), rng.normal(size=(2, 3))])
    drawn = design.draw(belief, 50, 1.0, rng)
    both = design.draw_scores(drawn, contexts)
    for row in range(2):
        np.testing.assert_allclose(both[row], design.draw_scores(drawn, contexts[row : row + 1])[0], atol=1e-5)
    own = rng.normal(size=(2, 4)).astype(np.float32)
    moved = design.draw_scores(drawn, contexts, own)
    np.testing.assert_allclose(moved - both, np.tile((own @ design.columns.T)[:, None], (1, 50, 1)), atol=1e-5)


def test_places_after_growth_keep_every_weight_where_its_column_went():
    rng = np.random.default_rng(10)
    design, belief = design_and_belief(rng, n_context=2)
    grown = SharedDesign(design.columns[:, 1:], design.pairs, 4)
    places = design.places_after_growth(np.array([0, 2]), 4)
    contexts = np.column_stack([np.ones(5), np.zeros(5), rng.normal(size=5), np.zeros(5)])
    before = design.mean_scores(belief, contexts[:, [0, 2]])
    belief.grow(places, np.zeros(grown.size), np.ones(grown.size))
    np.testing.assert_allclose(grown.mean_scores(belief, contexts), before, atol=1e-12)

"""Forward selection: the evidence is the exact marginal likelihood, and the belief that of the larger model."""

import numpy as np
from scipy.stats import multivariate_normal

from bandit.models.forward_selection import CandidateColumns, extended, log_bayes_factor, posterior, select

N, D = 60, 4


def problem(seed, effect=0.0, q=3):
    """Rows (n, D), further columns (n, q), outcomes with noise of deviation 1, and the posterior of the D weights."""
    rng = np.random.default_rng(seed)
    rows, added = rng.normal(size=(N, D)), rng.normal(size=(N, q))
    y = rows @ rng.normal(size=D) + effect * added[:, 0] + rng.normal(size=N)
    covariance = np.linalg.inv(rows.T @ rows + np.eye(D))
    return rows, added, y, covariance @ rows.T @ y, covariance


def candidates_of(rows, added, y, mean, covariance, variance=0.5, penalty=0.0):
    overlap = rows.T @ added
    information = added.T @ added - overlap.T @ covariance @ overlap
    q = added.shape[1]
    found = CandidateColumns(added.T @ (y - rows @ mean), information, np.full(q, variance), np.full(q, penalty))
    return found, overlap


def test_the_log_bayes_factor_is_the_difference_of_marginal_likelihoods():
    """With w ~ N(0, I) and v ~ N(0, t^2): y ~ N(0, I + X X' + t^2 z z') against y ~ N(0, I + X X')."""
    rows, added, y, mean, covariance = problem(1, 0.4)
    candidates, _ = candidates_of(rows, added, y, mean, covariance)
    without = multivariate_normal(np.zeros(N), np.eye(N) + rows @ rows.T).logpdf(y)
    for place in range(added.shape[1]):
        z = added[:, place]
        with_it = multivariate_normal(np.zeros(N), np.eye(N) + rows @ rows.T + 0.5 * np.outer(z, z)).logpdf(y)
        found = log_bayes_factor(candidates.score, np.diag(candidates.information), candidates.variance)[place]
        assert np.isclose(found, with_it - without, rtol=0, atol=1e-8)


def test_the_extended_belief_is_that_of_the_larger_model():
    rows, added, y, mean, covariance = problem(2, 0.4)
    candidates, overlap = candidates_of(rows, added, y, mean, covariance)
    found_mean, found_covariance = extended(mean, covariance, covariance @ overlap, posterior(candidates))
    whole = np.column_stack([rows, added])
    prior = np.concatenate([np.ones(D), np.full(added.shape[1], 1 / 0.5)])
    exact = np.linalg.inv(whole.T @ whole + np.diag(prior))
    np.testing.assert_allclose(found_covariance, exact, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found_mean, exact @ whole.T @ y, rtol=0, atol=1e-9)


def test_the_column_that_matters_is_taken_and_its_copy_is_not():
    """A column that is nearly the same explains nothing more once the first one is in."""
    rows, added, y, mean, covariance = problem(3, 1.5)
    copy = added[:, :1] + 0.01 * np.random.default_rng(4).normal(size=(N, 1))
    candidates, _ = candidates_of(rows, np.column_stack([added, copy]), y, mean, covariance, penalty=3.0)
    taken = select(candidates, 4).tolist()
    assert len(taken) == 1
    assert taken[0] in {0, 3}


def test_columns_of_noise_are_seldom_taken():
    """The negative control: with penalty log(20), a column of noise is above it in less than a twentieth of draws."""
    taken = 0
    for seed in range(100):
        candidates, _ = candidates_of(*problem(seed, 0.0, q=1), penalty=np.log(20))
        taken += len(select(candidates, 5))
    assert taken <= 5


def test_no_more_are_taken_than_allowed():
    candidates, _ = candidates_of(*problem(5, 2.0), penalty=-100.0)
    assert len(select(candidates, 2)) == 2
    assert len(select(candidates, 0)) == 0

"""A belief that is moved to other weights is the posterior that the model over these weights would have."""

import numpy as np
import pytest

from bandit.models import Gaussian
from bandit.models.belief_transfer import TransferredBelief, recall, settled, transfer


def posterior(rows, y, center, variance):
    """The belief of a linear model with noise 1: precision 1/v + X'X, natural mean c/v + X'y."""
    precision = np.diag(1.0 / variance) + rows.T @ rows
    covariance = np.linalg.inv(precision)
    return covariance @ (center / variance + rows.T @ y), covariance


def belief_of(mean, covariance):
    belief = Gaussian(mean, np.ones(len(mean)))
    belief.assign(mean, covariance)
    return belief


@pytest.fixture
def data():
    rng = np.random.default_rng(5)
    return rng.normal(size=(40, 3)), rng.normal(size=40)


def test_new_weights_at_their_prior_are_those_of_a_model_that_always_had_them(data):
    """Columns 0, 1, 2 are seen; a fourth was 0 in every row. The wide model's posterior is the embedded one."""
    rows, y = data
    variance, center = np.array([2.0, 1.0, 0.5, 0.3]), np.array([0.1, 0.0, 0.0, -0.4])
    mean, covariance = posterior(rows, y, center[:3], variance[:3])
    wide = posterior(np.column_stack([rows, np.zeros(40)]), y, center, variance)
    moved = transfer(belief_of(mean, covariance), np.eye(4, 3), center, variance)
    assert moved.known.tolist() == [True, True, True, False]
    np.testing.assert_allclose(moved.mean, wide[0], atol=1e-12)
    np.testing.assert_allclose(moved.covariance, wide[1], atol=1e-12)


def test_a_recalled_weight_is_where_one_model_of_all_outcomes_has_it(data):
    """The older belief saw all columns, the newer one 60 more rows in which column 2 was 0, and did not have it.

    Conditioning on the shared weights gives back the posterior of all 100 rows. Negative control: the weight as the
    older belief left it is another.
    """
    rows, y = data
    rng = np.random.default_rng(6)
    later, more = rng.normal(size=(60, 3)) * [1.0, 1.0, 0.0], rng.normal(size=60)
    center, variance = np.zeros(3), np.array([2.0, 1.0, 0.5])
    old = TransferredBelief(*posterior(rows, y, center, variance), np.ones(3, dtype=bool))
    kept, inner = np.eye(3)[:, :2], np.linalg.inv(old.covariance[:2, :2])
    precision = inner + later[:, :2].T @ later[:, :2]
    covariance = np.linalg.inv(precision)
    mean = covariance @ (inner @ old.mean[:2] + later[:, :2].T @ more)
    new = transfer(belief_of(mean, covariance), kept, center, variance)
    whole = posterior(np.vstack([rows, later]), np.append(y, more), center, variance)
    found = recall(new, old)
    np.testing.assert_allclose(found.mean, whole[0], atol=1e-10)
    np.testing.assert_allclose(found.covariance, whole[1], atol=1e-10)
    assert abs(old.mean[2] - whole[0][2]) > 0.001


def test_a_settled_belief_is_never_wider_than_its_prior_and_keeps_its_mean():
    """Variance 4 under a prior of 1 says -0.75 of precision learned: 0 in its place, so variance 1; 0.25 stays."""
    belief = TransferredBelief(np.array([0.7, -0.2]), np.diag([4.0, 0.25]), np.ones(2, dtype=bool))
    found = settled(belief, np.ones(2))
    np.testing.assert_allclose(found.covariance, np.diag([1.0, 0.25]), atol=1e-12)
    assert found.mean.tolist() == [0.7, -0.2]


def test_a_belief_that_its_prior_can_give_stays_as_it_is(data):
    rows, y = data
    variance = np.array([2.0, 1.0, 0.5])
    belief = TransferredBelief(*posterior(rows, y, np.zeros(3), variance), np.ones(3, dtype=bool))
    np.testing.assert_allclose(settled(belief, variance).covariance, belief.covariance, atol=1e-12)

"""The variances of customers' effects from pairs of their outcomes."""

import numpy as np
from scipy.special import expit

from bandit.models.customer_pairs import PairSums

OWNER = np.array([0, 1, 1])


def drawn(seed, variances, customers=20_000, k=4):
    """Residuals and curvatures of customers with effects on the base and on two options, at the marginal chance."""
    rng = np.random.default_rng(seed)
    columns = np.zeros((customers, k, 3))
    columns[:, :, 0] = 1.0
    columns[np.arange(customers)[:, None], np.arange(k), 1 + rng.integers(2, size=(customers, k))] = 1.0
    own = rng.normal(size=(customers, 3)) * np.sqrt(np.asarray(variances)[OWNER])
    y = rng.random((customers, k)) < expit((columns @ own[:, :, None])[:, :, 0])
    return columns, y - 0.5, np.full((customers, k), 0.25)


def test_the_sums_of_one_pair_by_hand():
    """Two outcomes of the same option, residuals 1/2 and -1/4, curvatures 1/4 and 1/2: the base's products are 1 and
    the options' 1, so both scores are -1/8 and all information is (1/4 x 1/2) x 1."""
    columns = np.array([[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]])
    sums = PairSums.of(columns, np.array([[0.5, -0.25]]), np.array([[0.25, 0.5]]), OWNER, 2)
    assert sums.score.tolist() == [-0.125, -0.125]
    assert sums.information.tolist() == [[0.125, 0.125], [0.125, 0.125]]


def test_the_variances_are_found_and_none_where_there_is_none():
    """Small variances, for which the first order is good: within .03 at 120,000 pairs (deviation of each about .01)."""
    found = PairSums.of(*drawn(1, (0.1, 0.2)), OWNER, 2).variances(np.full(2, 0.0625))
    np.testing.assert_allclose(found, [0.1, 0.2], atol=0.03)
    none = PairSums.of(*drawn(2, (0.0, 0.0)), OWNER, 2).variances(np.full(2, 0.0625))
    assert (none < 0.03).all()


def test_sums_of_parts_add_up_and_single_outcomes_say_nothing():
    columns, residual, curvature = drawn(3, (0.1, 0.2), customers=100)
    whole = PairSums.of(columns, residual, curvature, OWNER, 2)
    parts = [PairSums.of(columns[at], residual[at], curvature[at], OWNER, 2) for at in (slice(30), slice(30, None))]
    np.testing.assert_allclose((parts[0] + parts[1]).score, whole.score, rtol=1e-12)
    alone = PairSums.of(columns[:, :1], residual[:, :1], curvature[:, :1], OWNER, 2)
    np.testing.assert_allclose(alone.variances(np.array([0.1, 0.3])), [0.1, 0.3], rtol=1e-12)

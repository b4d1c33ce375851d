"""The weights of groups: by hand, in batches, and what they refuse."""

import numpy as np
import pytest

from bandit.errors import InputError, NumberError
from bandit.ope.lift import TrajectoryWeights, balanced_weights
from tests.ope.lift.experiments import favourites

THREE = np.array([0.5, 0.3, 0.2])


def test_balanced_weights_are_the_probability_over_that_of_the_mixture():
    """.5 x .2 + .3 x .8 + .2 x .5 = .44; the weights are .2, .8 and .5 over .44."""
    weights = balanced_weights(np.array([[0.2, 0.8, 0.5]]), THREE)
    assert weights[0] == pytest.approx(np.array([0.2, 0.8, 0.5]) / 0.44)


def test_shares_are_scaled_to_sum_to_one():
    p = np.array([[0.2, 0.8, 0.5]])
    assert balanced_weights(p, 10 * THREE) == pytest.approx(balanced_weights(p, THREE))


def test_weights_times_shares_sum_to_one_in_every_row():
    rng = np.random.default_rng(0)
    p, customer = rng.uniform(0.0, 1.0, (200, 3)), rng.integers(0, 30, 200)
    for weights in (balanced_weights(p, THREE), TrajectoryWeights(THREE).read(customer, p)):
        assert weights @ THREE == pytest.approx(np.ones(200))


def test_trajectory_weights_are_the_products_over_the_customers_decisions_so_far():
    """Customer 7's second decision: products .9 x .2 = .18 and .3 x .6 = .18, so both weights are 1.

    Its first is .9 and .3 over .6; customer 4 has one decision, .5 and 1 over .75.
    """
    p = np.array([[0.9, 0.3], [0.5, 1.0], [0.2, 0.6]])
    weights = TrajectoryWeights([0.5, 0.5]).read(np.array([7, 4, 7]), p)
    assert weights == pytest.approx(np.array([[1.5, 0.5], [2 / 3, 4 / 3], [1.0, 1.0]]))


def test_a_customers_first_trajectory_weights_are_the_balanced_ones():
    e = favourites(np.random.default_rng(1), 50, 0.5)
    first = TrajectoryWeights(e.shares).read(e.customer, e.probabilities)
    assert first == pytest.approx(balanced_weights(e.probabilities, e.shares))


@pytest.mark.parametrize("size", [1, 7, 150])
def test_trajectory_weights_do_not_depend_on_the_batches(size):
    rng = np.random.default_rng(2)
    p, customer = rng.uniform(0.01, 1.0, (150, 3)), rng.integers(0, 20, 150)
    reader = TrajectoryWeights(THREE)
    parts = [reader.read(customer[start : start + size], p[start : start + size]) for start in range(0, 150, size)]
    assert np.concatenate(parts) == pytest.approx(TrajectoryWeights(THREE).read(customer, p))


def test_a_decision_that_a_group_never_makes_rules_the_group_out_for_the_rest():
    p = np.array([[0.0, 0.3], [1.0, 0.001]])
    weights = TrajectoryWeights([0.5, 0.5]).read(np.array([1, 1]), p)
    assert weights == pytest.approx(np.array([[0.0, 2.0], [0.0, 2.0]]))


def test_long_histories_do_not_underflow():
    """5,000 decisions of probability .001 and .002: the product of the second is 2^5,000 times the larger."""
    p = np.tile([[0.001, 0.002]], (5_000, 1))
    weights = TrajectoryWeights([0.5, 0.5]).read(np.zeros(5_000, dtype=np.int64), p)
    assert np.isfinite(weights).all()
    assert weights[-1] == pytest.approx([0.0, 2.0])


def test_no_rows_have_no_weights():
    assert TrajectoryWeights(THREE).read(np.empty(0, dtype=np.int64), np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("p", "shares", "error", "words"),
    [
        ([[0.5, 0.5]], [0.5, 0.3, 0.2], InputError, "one column for each of the 3"),
        ([[0.0, 0.0]], [0.5, 0.5], NumberError, "row 0"),
        ([[0.1, 0.1], [1.1, 0.0]], [0.5, 0.5], NumberError, "row 1"),
        ([[np.nan, 0.1]], [0.5, 0.5], NumberError, "row 0"),
        ([[1.0]], [1.0], InputError, "at least two groups"),
        ([[0.5, 0.5]], [1.0, 0.0], InputError, "above 0"),
    ],
)
def test_probabilities_and_shares_out_of_range_are_refused(p, shares, error, words):
    with pytest.raises(error, match=words):
        balanced_weights(np.array(p), shares)

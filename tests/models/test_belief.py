"""Beliefs as natural parameters: what disjoint outcomes say merges into the belief of all."""

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import InputError
from bandit.models import Belief

SIZE = 5


def prior(design="a, b, c, d, e"):
    return Belief.of_prior(design, np.linspace(-1.0, 1.0, SIZE), np.array([0.1, 1.0, 4.0, 0.5, 25.0]))


def outcomes(seed, n):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, SIZE)) * np.array([1.0, 3.0, 0.1, 1.0, 1.0])
    return rows, rows @ np.ones(SIZE) + rng.normal(size=n), rng.uniform(0.5, 2.0, n)


def test_two_outcomes_of_two_programs_merge_by_hand():
    """One weight, prior N(0, 1), y = 1 and y = 4 with noise 1 and 2: precision 1 + 1 + 1/2 = 5/2, moment 1 + 2 = 3."""
    before = Belief.of_prior("w", np.zeros(1), np.ones(1))
    one = before.learned(np.ones((1, 1)), np.array([1.0]))
    other = before.learned(np.ones((1, 1)), np.array([4.0]), 2.0)
    merged = one.merge(other)
    assert merged.n == 2
    assert merged.mean[0] == pytest.approx(3.0 / 2.5)
    assert merged.covariance[0, 0] == pytest.approx(1.0 / 2.5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.randoms(use_true_random=False))
def test_beliefs_of_disjoint_outcomes_merge_into_the_belief_of_all_in_any_order(seed, parts, order):
    """To 1e-12 of the prior's deviations, and whatever is merged first; the control leaves one part out."""
    rows, y, noise = outcomes(seed, 200)
    part_of = np.random.default_rng(seed + 1).integers(0, parts, 200)
    whole = prior().learned(rows, y, noise)
    each = [prior().learned(rows[part_of == part], y[part_of == part], noise[part_of == part]) for part in range(parts)]
    shuffled = list(each)
    order.shuffle(shuffled)
    from_left = reduce(Belief.merge, shuffled)
    from_right = reduce(lambda one, other: other.merge(one), reversed(each))
    deviation = np.sqrt(prior().variance)
    for merged in (from_left, from_right):
        np.testing.assert_allclose(merged.mean / deviation, whole.mean / deviation, rtol=0.0, atol=1e-12)
        scaled = (merged.covariance - whole.covariance) / deviation[:, None] / deviation
        np.testing.assert_allclose(scaled, 0.0, atol=1e-12)
        assert merged.n == 200
    assert np.abs(reduce(Belief.merge, each[1:], prior()).mean - whole.mean).max() > 1e-6


def test_a_belief_in_natural_parameters_is_the_posterior_that_the_matrix_inversion_gives():
    rows, y, noise = outcomes(3, 50)
    found = prior().learned(rows, y, noise)
    precision = np.diag(1.0 / found.variance) + (rows / noise[:, None]).T @ rows
    expected = np.linalg.solve(precision, found.center / found.variance + rows.T @ (y / noise))
    np.testing.assert_allclose(found.mean, expected, atol=1e-10)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(precision), atol=1e-10)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (prior("f, g, h, i, j"), "mean something else"),
        (Belief.of_prior("a, b, c, d, e", np.zeros(2), np.ones(2)), "mean something else"),
        (replace(prior(), variance=np.ones(SIZE)), "different priors"),
        (replace(prior(), center=np.ones(SIZE)), "different priors"),
        (replace(prior(), version=2), "of version 1 and the other of version 2"),
    ],
)
def test_beliefs_of_another_version_design_or_prior_do_not_merge(other, words):
    with pytest.raises(InputError, match=words):
        prior().merge(other)


def test_a_belief_is_the_same_after_it_was_written_and_read():
    rows, y, noise = outcomes(4, 30)
    one = prior().learned(rows, y, noise)
    again = Belief.loads(one.dumps())
    assert (again.design, again.n, again.version) == (one.design, one.n, one.version)
    assert np.array_equal(again.merge(one).moment, 2.0 * one.moment)


@pytest.mark.parametrize("written", [b"", b"nothing", replace(prior(), moment=np.ones(2)).dumps()])
def test_other_bytes_are_no_belief(written):
    with pytest.raises(InputError, match="no belief"):
        Belief.loads(written)


def test_a_belief_of_a_later_version_is_refused():
    with pytest.raises(InputError, match="of version 9 and this program reads version 1"):
        Belief.loads(replace(prior(), version=9).dumps())

"""Draws that move with a belief have its distribution after every kind of change."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from bandit.domain import FloatArray
from bandit.models import BayesianLinear, BayesianLogistic
from bandit.models.gaussian import Gaussian
from bandit.models.moving_draws import MovingDraws

COUNT = 20_000
SIZE = 5


def _belief(count: int = COUNT, seed: int = 1) -> Gaussian:
    """A belief over five weights of different prior variances, with draws."""
    belief = Gaussian(np.zeros(SIZE), np.array([4.0, 1.0, 0.5, 0.25, 1.0]))
    belief.draws = MovingDraws(count, np.random.default_rng(seed))
    belief.settle()
    return belief


def _with_draws(model: BayesianLogistic | BayesianLinear, count: int = COUNT, seed: int = 1) -> MovingDraws:
    draws = model.weights.draws = MovingDraws(count, np.random.default_rng(seed))
    model.weights.settle()
    return draws


def _distance(draws: MovingDraws, covariance: FloatArray) -> float:
    """The largest difference of the draws' covariance, in units of its standard error.

    The error of the covariance of two weights from M draws is sqrt((s_ii s_jj + s_ij^2) / M).
    """
    values = draws.values.astype(np.float64)
    found = values.T @ values / len(values)
    spread = np.diag(covariance)
    error = np.sqrt((np.multiply.outer(spread, spread) + covariance**2) / len(values))
    return float((np.abs(found - covariance) / error).max())


def test_draws_have_the_covariance_of_the_belief_after_outcomes_learned_one_by_one() -> None:
    """15 numbers, each within 5 standard errors of M = 20,000 draws."""
    rng = np.random.default_rng(2)
    model = BayesianLogistic(np.zeros(SIZE), np.ones(SIZE))
    draws = _with_draws(model)
    for row in rng.standard_normal((40, SIZE)):
        model.update(row[None, :], np.array([float(rng.random() < 0.4)]))
    assert _distance(draws, model.weights.covariance) < 5.0


def test_draws_have_the_covariance_of_the_belief_after_a_block() -> None:
    """As one by one, learned at once with the n x n system; the weights 0.5 to 1.5 are those of the outcomes."""
    rng = np.random.default_rng(3)
    model = BayesianLogistic(np.zeros(SIZE), np.ones(SIZE))
    draws = _with_draws(model)
    model.update(rng.standard_normal((60, SIZE)), (rng.random(60) < 0.4).astype(float), rng.uniform(0.5, 1.5, 60))
    assert _distance(draws, model.weights.covariance) < 5.0


def test_draws_have_the_covariance_of_a_linear_belief_that_learned_and_removed_observations() -> None:
    """30 observations learned, 10 of them removed: what stays is the belief of 20."""
    rng = np.random.default_rng(4)
    model = BayesianLinear(np.zeros(SIZE), np.ones(SIZE))
    draws = _with_draws(model)
    rows, y = rng.standard_normal((30, SIZE)), rng.standard_normal(30)
    model.update(rows, y)
    model.retract(rows[:10], y[:10])
    other = BayesianLinear(np.zeros(SIZE), np.ones(SIZE))
    other.update(rows[10:], y[10:])
    assert np.allclose(model.weights.covariance, other.weights.covariance)
    assert _distance(draws, other.weights.covariance) < 5.0


def test_draws_whose_own_observations_have_no_noise_are_too_narrow() -> None:
    """The negative control: without its noise a draw learns a weight exactly, where the belief has variance left."""
    belief = _belief()
    assert belief.draws is not None
    rng = np.random.default_rng(5)
    for row in rng.standard_normal((20, SIZE)):
        gain = belief.covariance @ row
        amount = 1.0 / (1.0 + float(gain @ row))
        belief.draws.condition_one(row, gain, amount, 0.0)
        draws, belief.draws = belief.draws, None
        belief.observe_one(row, gain, amount, 1.0)
        belief.draws = draws
    assert _distance(belief.draws, belief.covariance) > 20.0


def test_draws_are_made_anew_where_the_prior_changes() -> None:
    """A prior of half the variances on a belief without observations halves every variance."""
    belief = _belief()
    center, variance = np.zeros(SIZE), np.diag(belief.covariance).copy()
    belief.replace_prior((center, variance), (center, variance / 2))
    assert belief.draws is not None
    assert belief.draws.stale
    belief.settle()
    assert _distance(belief.draws, np.diag(variance / 2)) < 5.0


def test_draws_move_as_the_weights_do_where_time_passes() -> None:
    """Half of each deviation stays and the variances 1 to 5 are added: C / 4 + diag(1, ..., 5)."""
    belief = _belief()
    assert belief.draws is not None
    belief.evolve(np.full(SIZE, 0.5), np.zeros(SIZE), np.arange(1.0, 6.0))
    assert np.allclose(np.diag(belief.covariance), [2.0, 2.25, 3.125, 4.0625, 5.25])
    assert _distance(belief.draws, belief.covariance) < 5.0


def test_weights_that_are_added_get_draws_from_their_prior_and_the_others_keep_theirs() -> None:
    """Five weights at places 0 to 4 of six; the sixth has the prior variance 9."""
    belief = _belief()
    assert belief.draws is not None
    before, variance = belief.draws.values.copy(), np.append(np.diag(belief.covariance), 9.0)
    belief.grow(np.arange(SIZE), np.zeros(SIZE + 1), variance)
    assert np.array_equal(belief.draws.values[:, :SIZE], before)
    assert _distance(belief.draws, np.diag(variance)) < 5.0


def test_draws_that_are_loaded_go_on_with_the_same_random_numbers() -> None:
    """The same step after a copy, and after a state that was written and read, has the same bits."""
    belief = _belief(32)
    assert belief.draws is not None
    others = [copy.deepcopy(belief.draws), MovingDraws.restored(32, SIZE, belief.draws.state())]
    row = np.array([1.0, 0.0, -1.0, 0.5, 2.0])
    gain = belief.covariance @ row
    for draws in (belief.draws, *others):
        draws.condition_one(row, gain, 1.0 / (1.0 + float(gain @ row)), 1.0)
    for draws in others:
        assert np.array_equal(draws.values, belief.draws.values)


def test_a_state_of_other_weights_is_refused() -> None:
    """Draws of five weights do not fit a belief over six."""
    belief = _belief(8)
    assert belief.draws is not None
    with pytest.raises(ValueError, match="draws are of another belief"):
        MovingDraws.restored(8, SIZE + 1, belief.draws.state())


@pytest.mark.slow
def test_draws_in_single_precision_stay_at_those_in_double_precision() -> None:
    """100,000 steps of a belief that forgets 0.1 % a step: no draw is further off than 0.0001 of its deviation."""
    belief, rng, chance = _belief(16), np.random.default_rng(6), np.random.default_rng(7)
    assert belief.draws is not None
    belief.draws._rng = np.random.default_rng(7)
    exact = belief.draws.values.astype(np.float64)
    for row in rng.standard_normal((100_000, SIZE)):
        gain = belief.covariance @ row
        amount = 1.0 / (1.0 + float(gain @ row))
        seen = exact @ row + chance.standard_normal(16, dtype=np.float32)
        exact -= amount * np.multiply.outer(seen, gain)
        belief.observe_one(row, gain, amount, 1.0)
        belief.covariance *= 1.001
        belief.draws.values *= np.float32(np.sqrt(1.001))
        exact *= float(np.float32(np.sqrt(1.001)))
    deviation = np.sqrt(np.diag(belief.covariance))
    assert float((np.abs(belief.draws.values - exact) / deviation).max()) < 1e-4
    assert np.array_equal(belief.covariance, belief.covariance.T)
    assert (np.linalg.eigvalsh(belief.covariance) > 0.0).all()

"""A belief in blocks: exact with one block, an assumed-density step with more, stable over many updates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.models import BayesianLinear, BayesianLogistic, Gaussian
from bandit.models.block_gaussian import BlockGaussian
from bandit.models.moving_draws import MovingDraws
from bandit.models.prior import Prior, WeightGroup
from tests.models.oracles import problem

BLOCKS = np.array([0, 1, 2, 0, 1, 2, 1, 0])
"""Blocks of three, three and two of eight weights, not next to each other."""

SIZE = len(BLOCKS)
ONE_BLOCK = np.zeros(SIZE, dtype=np.int64)
KINDS = {"linear": BayesianLinear, "logistic": BayesianLogistic}


def zeroed(belief, blocks):
    """Set the covariances between blocks to 0: the slow form of what a belief in blocks drops."""
    belief.assign(belief.mean, np.where(blocks[:, None] == blocks, belief.covariance, 0.0))


def assert_equal(one, other, atol=1e-10):
    np.testing.assert_allclose(one.mean, other.mean, atol=atol)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=atol)


@pytest.mark.parametrize("kind", KINDS)
def test_with_one_block_it_is_the_full_gaussian(kind):
    """One by one, in a block, restated, retracted, decayed, grown: one block drops nothing, so all steps are exact."""
    rows, y, variance = problem(60, SIZE, np.random.default_rng(1), kind=kind)
    full, one = KINDS[kind](np.zeros(SIZE), variance), KINDS[kind](np.zeros(SIZE), variance, blocks=ONE_BLOCK)
    wide = np.full(SIZE, 0.7)
    for model in (full, one):
        for place in range(10):
            model.update(rows[place : place + 1], y[place : place + 1])
        model.update(rows[10:], y[10:])
        if kind == "logistic":
            model.restate(rows[:5], 1.0 - 2.0 * y[:5])
        else:
            model.retract(rows[5:30], y[5:30])
        model.weights.replace_prior((np.zeros(SIZE), variance), (np.ones(SIZE), wide), 0.9)
        model.weights.evolve(np.full(SIZE, 0.99), np.zeros(SIZE), np.full(SIZE, 0.01))
        model.weights.grow(np.arange(1, SIZE + 1), np.full(SIZE + 1, 0.3), np.full(SIZE + 1, 2.0))
    assert isinstance(one.weights, BlockGaussian)
    assert_equal(one.weights, full.weights)
    more = np.column_stack([np.ones(60), rows])
    np.testing.assert_allclose(one.weights.spread(more), full.weights.spread(more), atol=1e-10)
    if kind == "linear":
        assert (one.shape, one.rate) == (full.shape, pytest.approx(full.rate, abs=1e-10))


def test_with_one_block_leverages_without_an_observation_are_those_of_the_full_gaussian():
    """Present variance s, precision w: without it s / (1 - w s), in either form."""
    rows, y, variance = problem(40, SIZE, np.random.default_rng(2), kind="linear")
    full, one = BayesianLinear(np.zeros(SIZE), variance), BayesianLinear(np.zeros(SIZE), variance, blocks=ONE_BLOCK)
    tails = np.where(np.arange(40) % 3 == 0, 0.4, 1.0)
    for model in (full, one):
        model.update(rows, y, tails=tails)
    expected = full.left_out_squares(rows, y, tails)
    np.testing.assert_allclose(one.left_out_squares(rows, y, tails), expected, rtol=1e-9)
    for model in (full, one):
        model.retract(rows[:9], y[:9], tails=tails[:9])
    assert_equal(one.weights, full.weights)
    assert one.rate == pytest.approx(full.rate, abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_with_blocks_it_is_a_full_gaussian_whose_covariances_between_blocks_are_zeroed_after_each_step(
    kind, seed, sizes
):
    """Each step is exact from independent blocks, of which the marginals are kept."""
    rows, y, variance = problem(sum(sizes), SIZE, np.random.default_rng(seed), kind=kind)
    slow, fast = KINDS[kind](np.zeros(SIZE), variance), KINDS[kind](np.zeros(SIZE), variance, blocks=BLOCKS)
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        for model in (slow, fast):
            model.update(rows[part], y[part])
        zeroed(slow.weights, BLOCKS)
        start += size
    assert_equal(fast.weights, slow.weights)


def test_what_is_kept_between_blocks_makes_the_oracle_differ():
    """Negative control: without zeroing, the full Gaussian's mean is another after two observations."""
    rows, y, variance = problem(20, SIZE, np.random.default_rng(3), kind="linear")
    full, fast = BayesianLinear(np.zeros(SIZE), variance), BayesianLinear(np.zeros(SIZE), variance, blocks=BLOCKS)
    for model in (full, fast):
        model.update(rows[:10], y[:10])
        model.update(rows[10:], y[10:])
    assert np.abs(full.weights.mean - fast.weights.mean).max() > 1e-3


def test_an_observation_is_shared_by_the_blocks_variances():
    """Variances 3 and 1 and noise 4, one y = 8 of the sum: means 8 x 3/8 and 8 x 1/8, variances 3 - 9/8 and 1 - 1/8."""
    belief = BlockGaussian(np.zeros(2), np.array([3.0, 1.0]), np.array([0, 1]))
    belief.condition(np.ones((1, 2)), np.array([8.0]), np.array([4.0]))
    np.testing.assert_allclose(belief.mean, [3.0, 1.0])
    np.testing.assert_allclose(belief.diagonal, [1.875, 0.875])


def test_what_was_learned_last_is_removed_but_for_the_shrunk_variances_of_other_blocks():
    """Ten rows learned and removed: less than 10 % of the way is left, and nothing is wider than the prior."""
    rows, y, variance = problem(60, SIZE, np.random.default_rng(4), kind="linear")
    model = BayesianLinear(np.zeros(SIZE), variance, blocks=BLOCKS)
    model.update(rows[:50], y[:50])
    before, rate = model.weights.mean.copy(), model.rate
    model.update(rows[50:], y[50:])
    moved = np.abs(model.weights.mean - before).max()
    model.retract(rows[50:], y[50:])
    assert np.abs(model.weights.mean - before).max() < 0.1 * moved
    assert model.rate == pytest.approx(rate, rel=0.02)
    model.retract(rows[:50], y[:50])
    assert (model.weights.diagonal <= variance * (1.0 + 1e-9)).all()


def test_rows_of_many_wide_blocks_can_be_removed_where_a_full_downdate_would_fail():
    """200 blocks of variance 0.05, one row of ones: the sum of the kept variances, 9.95, is above the noise of 1.

    A downdate with 1 - 9.95 would have no root; block by block, the row is 1 / (1 + 9.9) of information, and the
    prior is found again.
    """
    belief = BlockGaussian(np.zeros(200), np.full(200, 0.05), np.arange(200))
    row = np.ones((1, 200))
    belief.condition(row, np.array([2.0]), np.ones(1))
    assert float(belief.spread(row)[0]) > 1.0
    belief.downdate(row, np.array([2.0]) - row @ belief.mean, np.ones(1))
    np.testing.assert_allclose(belief.diagonal, 0.05, rtol=1e-3)
    np.testing.assert_allclose(belief.mean, 0.0, atol=1e-4)


def test_a_full_belief_becomes_one_in_blocks_with_the_same_marginals():
    """The blocks of the covariance stay, the rest is 0; growth keeps blocks together by their numbers."""
    rows, y, variance = problem(30, SIZE, np.random.default_rng(5), kind="linear")
    model = BayesianLinear(np.zeros(SIZE), variance)
    model.update(rows, y)
    full = model.weights
    assert isinstance(full, Gaussian)
    found = BlockGaussian.of(full, variance, BLOCKS)
    zeroed(full, BLOCKS)
    assert_equal(found, full, 0.0)
    places = np.array([1, 2, 3, 4, 5, 6, 8, 9])
    grown = np.insert(BLOCKS, [0, 6], [2, 0])
    assert (grown[places] == BLOCKS).all()
    for belief in (found, full):
        belief.grow(places, np.zeros(10), np.full(10, 2.0), grown)
    assert_equal(found, full, 0.0)


def test_a_restored_belief_goes_on_with_the_same_bits():
    """Mean and lower triangles are the whole state."""
    rows, y, variance = problem(30, SIZE, np.random.default_rng(6), kind="linear")
    one, other = (BayesianLinear(np.zeros(SIZE), variance, blocks=BLOCKS) for _ in range(2))
    one.update(rows[:20], y[:20])
    other.weights.restore(one.weights.mean.copy(), one.weights.state(), variance)
    for model in (one, other):
        model.weights.condition(rows[20:], y[20:], np.ones(10))
    assert_equal(one.weights, other.weights, 0.0)
    with pytest.raises(ValueError, match="7 weights; these offers have 8"):
        other.weights.restore(np.zeros(7), one.weights.state(), variance)


def test_moving_draws_are_draws_of_the_error_of_the_mean():
    """4,000 draws take 30 single steps and a block of 30 with the blocks' gains.

    With G each step's gain, the error's covariance is (1 - G row) S (1 - G row)' + noise G G' from S: the draws' own
    covariance is that, to 6 standard errors sqrt((s_ii s_jj + s_ij^2) / 4,000) in each entry.
    """
    rng = np.random.default_rng(7)
    rows, y, variance = problem(60, SIZE, rng, kind="linear")
    belief = BlockGaussian(np.zeros(SIZE), variance, BLOCKS)
    belief.draws = MovingDraws(4_000, rng)
    belief.settle()
    error = np.diag(variance)
    for place in range(30):
        row = rows[place]
        gain = belief.gain_one(row)
        amount = 1.0 / (1.0 + float(gain @ row))
        step = np.eye(SIZE) - amount * np.outer(gain, row)
        error = step @ error @ step.T + amount**2 * np.outer(gain, gain)
        belief.observe_one(row, gain, amount, 1.0)
    block = rows[30:]
    gains = np.linalg.solve(belief.gain(block) @ block.T + np.eye(30), belief.gain(block)).T
    step = np.eye(SIZE) - gains @ block
    error = step @ error @ step.T + gains @ gains.T
    belief.condition(block, y[30:], np.ones(30))
    found = np.cov(belief.draws.values.T)
    spread = np.diag(error)
    allowed = 6.0 * np.sqrt((np.multiply.outer(spread, spread) + error**2) / 4_000)
    assert (np.abs(found - error) < allowed).all()
    # Negative control: the error is not what the belief holds, which has nothing between blocks.
    assert not (np.abs(found - belief.covariance) < allowed).all()


def test_drawn_weights_have_the_covariance_of_the_blocks():
    """40,000 draws, 6 standard errors, width 0.5: a quarter of the covariance; between blocks nothing."""
    rows, y, variance = problem(30, SIZE, np.random.default_rng(8), kind="linear")
    model = BayesianLinear(np.zeros(SIZE), variance, blocks=BLOCKS)
    model.update(rows, y)
    drawn = model.weights.draw(40_000, 0.5, np.random.default_rng(9))
    exact = 0.25 * model.weights.covariance
    spread = np.diag(exact)
    allowed = 6.0 * np.sqrt((np.multiply.outer(spread, spread) + exact**2) / 40_000)
    assert (np.abs(np.cov(drawn.T) - exact) < allowed).all()


def test_a_fit_in_blocks_finds_the_mode_of_all_weights():
    """Within 2 % of a posterior deviation of the full fit's mode, at the same prior; one pass online is further off."""
    rng = np.random.default_rng(10)
    rows, y, _ = problem(3_000, SIZE, rng, kind="logistic")
    groups, labels = [WeightGroup("all", 1.0, fixed=True)], ONE_BLOCK

    def batches():
        for start in range(0, 3_000, 500):
            yield rows[start : start + 500], y[start : start + 500], np.ones(500)

    def distance(belief):
        return np.abs((belief.mean - full.weights.mean) / np.sqrt(full.weights.diagonal)).max()

    full, fast, online = (
        BayesianLogistic(np.zeros(SIZE), np.ones(SIZE), blocks=blocks) for blocks in (None, BLOCKS, BLOCKS)
    )
    for model in (full, fast):
        model.fit(batches, Prior(groups, labels, np.zeros(SIZE)), 8, 0.0)
    online.update(rows, y)
    assert distance(fast.weights) < 0.02 < distance(online.weights)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_blocks_are_symmetric_and_positive_after_100_000_updates(kind):
    """20,000 one by one and 80,000 in blocks of rows; columns of very different size, in five blocks of weights."""
    rng = np.random.default_rng(6)
    model = KINDS[kind](np.zeros(20), np.full(20, 4.0), blocks=np.arange(20) % 5)
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

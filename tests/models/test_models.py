import numpy as np
import pytest
from scipy.special import expit

from bandit.models import BayesianLinear, BayesianLogistic, Gaussian
from bandit.models.customer_effects import CustomerEffects
from bandit.models.prior import Group, Prior
from bandit.models.shared_design import SharedDesign


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


def test_one_outcome_is_a_block_of_one():
    """The way by numbers for a single outcome ends where Newton's method over a block ends, weights and offsets too."""
    rng = np.random.default_rng(13)
    rows, y, variance = problem(60, 9, rng, kind="logistic")
    single, block = (BayesianLogistic(np.zeros(9), 20.0 * variance) for _ in range(2))
    for row in range(60):
        weight, offset = rng.uniform(0.1, 1.0, size=1), rng.normal(size=1) * 3.0
        single.update(rows[row : row + 1], y[row : row + 1], weight, offset)
        block._learn(rows[row : row + 1], y[row : row + 1], weight, offset)
        np.testing.assert_allclose(single.weights.mean, block.weights.mean, atol=1e-7)
        np.testing.assert_allclose(single.weights.covariance, block.weights.covariance, atol=1e-7)


def test_two_halves_of_an_outcome_are_one():
    """Learned at once as 200 outcomes or 400 of weight one half: the same mode and curvature."""
    rows, y, variance = problem(60, 6, np.random.default_rng(14), kind="logistic")
    whole, halves = (BayesianLogistic(np.zeros(6), variance) for _ in range(2))
    whole.update(rows, y)
    halves.update(np.repeat(rows, 2, axis=0), np.repeat(y, 2), np.full(120, 0.5))
    np.testing.assert_allclose(halves.weights.mean, whole.weights.mean, atol=1e-8)
    np.testing.assert_allclose(halves.weights.covariance, whole.weights.covariance, atol=1e-8)


def test_an_exchanged_prior_is_the_one_learned_from():
    """A linear belief brought from N(0, 1/2) to N(m, v) afterwards is the one that started at N(m, v)."""
    rng = np.random.default_rng(15)
    rows, y, variance = problem(80, 7, rng, kind="linear")
    mean, wide = rng.normal(size=7), rng.uniform(0.01, 3.0, size=7)
    first, second = BayesianLinear(np.zeros(7), variance), BayesianLinear(mean, wide)
    for model in (first, second):
        model.update(rows, y)
    first.weights.replace_prior((np.zeros(7), variance), (mean, wide))
    np.testing.assert_allclose(first.weights.mean, second.weights.mean, atol=1e-8)
    np.testing.assert_allclose(first.weights.covariance, second.weights.covariance, atol=1e-10)


def test_forgetting_ends_at_the_prior_and_never_at_zero_precision():
    """Half kept, a thousand times over without anything new: the prior again, to 1e-9."""
    rows, y, variance = problem(80, 7, np.random.default_rng(16), kind="linear")
    model = BayesianLinear(np.zeros(7), variance)
    prior = Prior([Group("all", float(np.sqrt(0.5)))], np.zeros(7, dtype=np.int64), np.zeros(7))
    model.update(rows, y)
    once = Gaussian(np.zeros(7), variance)
    once.condition(rows, y, np.full(80, 2.0))
    prior.decay(model.weights, 0.5)
    np.testing.assert_allclose(model.weights.mean, once.mean, atol=1e-9)
    np.testing.assert_allclose(model.weights.covariance, once.covariance, atol=1e-10)
    for _ in range(1000):
        prior.decay(model.weights, 0.5)
    np.testing.assert_allclose(model.weights.mean, 0.0, atol=1e-9)
    np.testing.assert_allclose(model.weights.covariance, np.diag(variance), atol=1e-9)


def test_variances_of_the_prior_are_found_in_the_data():
    """200 weights of deviation 1, 200 of 0.05, both thought to be of 0.3: each found within a fifth and a factor 2."""
    rng = np.random.default_rng(17)
    truth = np.concatenate([rng.normal(size=200), 0.05 * rng.normal(size=200)])
    rows = rng.normal(size=(3000, 400))
    labels = np.repeat([0, 1], 200)
    prior = Prior([Group("strong", 0.3), Group("weak", 0.3)], labels, np.zeros(400))
    belief = Gaussian(np.zeros(400), prior.variance)
    belief.condition(rows, rows @ truth + rng.normal(size=3000), np.ones(3000))
    prior.estimate(belief, rounds=20)
    strong, weak = np.sqrt(prior.variances)
    assert 0.8 < strong < 1.2
    assert 0.025 < weak < 0.1


def test_a_batch_fit_is_the_mode_under_the_variances_it_ends_with():
    rows, y, variance = problem(2000, 15, np.random.default_rng(18), kind="logistic")
    prior = Prior([Group("all", float(np.sqrt(variance[0])))], np.zeros(15, dtype=np.int64), np.zeros(15))
    model = BayesianLogistic(np.zeros(15), variance)

    def batches():
        for start in range(0, 2000, 300):
            part = slice(start, start + 300)
            yield rows[part], y[part], np.ones(len(y[part]))

    model.fit(batches, prior, rounds=12)
    mean, covariance = exact_logistic(rows, y, prior.variance)
    deviation = np.sqrt(np.diag(covariance))
    assert np.abs((model.weights.mean - mean) / deviation).max() < 0.01
    np.testing.assert_allclose(np.sqrt(np.diag(model.weights.covariance)), deviation, rtol=0.01)


class TestPersonal:
    @staticmethod
    def simulated(rng, customers, visits, deviation):
        """Customers with their own deviations on 4 columns, of which each offer has the base and one more."""
        own = rng.normal(size=(customers, 4)) * deviation
        who = rng.permutation(np.repeat(np.arange(customers), visits))
        columns = np.zeros((len(who), 4))
        columns[:, 0] = 1.0
        columns[np.arange(len(who)), 1 + rng.integers(3, size=len(who))] = 1.0
        score = np.full(len(who), -1.0)
        y = (rng.random(len(who)) < expit(score + (columns * own[who]).sum(axis=1))).astype(float)
        names = np.array([f"c{each}" for each in who], dtype=object)
        return own, who, names, columns, score, y

    def test_one_outcome_of_one_customer_by_hand(self):
        """Variance 1/4 on one column, score 0, bought: p = 1/2, w = 1/4; the mean moves by
        (1/4)(1/2) / (1 + 1/16) = 2/17, and the precision from 4 to 4 + 1/4."""
        personal = CustomerEffects(np.zeros(1, dtype=np.int64), np.array([0.5]))
        one = np.ones(1)
        personal.learn(np.array(["c"], dtype=object), np.ones((1, 1)), np.zeros(1), one, one)
        mean, variance = personal.means_and_variances(personal.places(np.array(["c", "stranger"], dtype=object)))
        np.testing.assert_allclose(mean[:, 0], [2 / 17, 0.0], atol=1e-6)
        np.testing.assert_allclose(1.0 / variance[:, 0], [4.25, 4.0], rtol=1e-6)

    @pytest.mark.parametrize("visits", [1, 5, 50])
    def test_history_never_predicts_worse_than_no_history(self, visits):
        """Mean squared error of each customer's own deviation, against 0 (what leaving it out says)."""
        rng = np.random.default_rng(19)
        own, _, names, columns, score, y = self.simulated(rng, 4000 // visits, visits, 0.4)
        personal = CustomerEffects(np.array([0, 1, 1, 1]), np.array([0.25, 0.25]))
        for start in range(0, len(y), 500):
            part = slice(start, start + 500)
            personal.learn(names[part], columns[part], score[part], y[part], np.ones(len(y[part])))
            personal.estimate()
        everybody = np.array([f"c{each}" for each in range(len(own))], dtype=object)
        mean, _ = personal.means_and_variances(personal.places(everybody))
        assert ((mean - own) ** 2).mean() < (own**2).mean()

    def test_how_much_customers_differ_is_found_in_their_histories(self):
        """All start from 0.25: where nobody differs it shrinks, where customers differ by 0.4 it grows."""
        found = []
        for deviation in (0.0, 0.4):
            _, _, names, columns, score, y = self.simulated(np.random.default_rng(20), 200, 40, deviation)
            personal = CustomerEffects(np.array([0, 1, 1, 1]), np.array([0.25, 0.25]))
            for start in range(0, len(y), 500):
                part = slice(start, start + 500)
                personal.learn(names[part], columns[part], score[part], y[part], np.ones(len(y[part])))
                personal.estimate()
            found.append(np.sqrt(personal.variances))
        assert (found[0] < 0.23).all()
        assert (found[1] > 0.30).all()

    def test_a_batch_with_a_customer_twice_is_two_batches(self):
        rng = np.random.default_rng(21)
        _, _, names, columns, score, y = self.simulated(rng, 7, 6, 0.4)
        whole, parts = (CustomerEffects(np.array([0, 1, 1, 1]), np.array([0.3, 0.3])) for _ in range(2))
        ones = np.ones(len(y))
        whole.learn(names, columns, score, y, ones)
        for row in range(len(y)):
            part = slice(row, row + 1)
            parts.learn(names[part], columns[part], score[part], y[part], ones[part])
        everybody = np.array([f"c{each}" for each in range(7)], dtype=object)
        for one, other in zip(
            *(each.means_and_variances(each.places(everybody)) for each in (whole, parts)), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-6)

    def test_a_state_comes_back_whole(self):
        rng = np.random.default_rng(22)
        _, _, names, columns, score, y = self.simulated(rng, 20, 3, 0.4)
        personal, other = (CustomerEffects(np.array([0, 1, 1, 1]), np.array([0.3, 0.3])) for _ in range(2))
        personal.learn(names, columns, score, y, np.ones(len(y)))
        other.restore(personal.state())
        for one, same in zip(
            *(each.means_and_variances(each.places(names)) for each in (personal, other)), strict=True
        ):
            assert np.array_equal(one, same)


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
    structure = SharedDesign(main, pairs, n_context)
    belief = Gaussian(rng.normal(size=structure.size), rng.uniform(0.1, 2.0, size=structure.size))
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


def drawn_scores(structure, belief, context, draws, width, rng):
    return structure.draw_scores(structure.draw(belief, draws, width, rng), context)[0]


def test_draws_follow_a_belief_that_changes():
    """The factor that is kept is that of now: a weight learned to certainty no longer scatters."""
    rng = np.random.default_rng(11)
    structure, belief = structure_and_belief(rng)
    context = np.array([[1.0, 0.3, -0.7, 0.2]])
    before = drawn_scores(structure, belief, context, 4000, 1.0, rng).std(axis=0)
    rows = structure.rows(np.tile(context, (6, 1)), np.arange(6))
    belief.condition(rows, np.zeros(6), np.full(6, 1e-8))
    after = drawn_scores(structure, belief, context, 4000, 1.0, rng).std(axis=0)
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
    scores = drawn_scores(structure, belief, context, draws, width, rng).astype(np.float64)
    rows = structure.rows(np.tile(context, (6, 1)), np.arange(6))
    exact = width**2 * rows @ belief.covariance @ rows.T
    variance = np.diag(exact)
    error = np.sqrt((np.outer(variance, variance) + exact**2) / draws)
    assert (np.abs(np.cov(scores.T) - exact) < 5 * error).all()
    np.testing.assert_allclose(scores.mean(axis=0), rows @ belief.mean, atol=5 * np.sqrt(variance.max() / draws))
    apart = rng.normal(rows @ belief.mean, np.sqrt(variance), size=(draws, 6))
    assert (np.abs(np.cov(apart.T) - exact) > 5 * error).any()


def test_every_context_of_a_batch_meets_the_same_draws():
    """Two customers alone and together: the same scores; `own` effects are added to the columns' effects."""
    rng = np.random.default_rng(12)
    structure, belief = structure_and_belief(rng)
    contexts = np.column_stack([np.ones(2), rng.normal(size=(2, 3))])
    drawn = structure.draw(belief, 50, 1.0, rng)
    both = structure.draw_scores(drawn, contexts)
    for row in range(2):
        np.testing.assert_allclose(both[row], structure.draw_scores(drawn, contexts[row : row + 1])[0], atol=1e-5)
    own = rng.normal(size=(2, 4)).astype(np.float32)
    moved = structure.draw_scores(drawn, contexts, own)
    np.testing.assert_allclose(moved - both, np.tile((own @ structure.columns.T)[:, None], (1, 50, 1)), atol=1e-5)


def test_places_after_growth_keep_every_weight_where_its_column_went():
    rng = np.random.default_rng(10)
    structure, belief = structure_and_belief(rng, n_context=2)
    grown = SharedDesign(structure.columns[:, 1:], structure.pairs, 4)
    places = structure.places_after_growth(np.array([0, 2]), 4)
    contexts = np.column_stack([np.ones(5), np.zeros(5), rng.normal(size=5), np.zeros(5)])
    before = structure.mean_scores(belief, contexts[:, [0, 2]])
    belief.grow(places, np.zeros(grown.size), np.ones(grown.size))
    np.testing.assert_allclose(grown.mean_scores(belief, contexts), before, atol=1e-12)

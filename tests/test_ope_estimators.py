"""The contract of every estimator, and each one against sums done by hand and exact expectations."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from bandit.ope import ESTIMATORS, Feedback, ShrunkDR, SwitchDR, Tally, compare, estimate

NAMES = tuple(ESTIMATORS)
# With moderate weights in the tests, these thresholds make switch-dr and dr-os differ from dr.
SHARP = (*(ESTIMATORS[name] for name in NAMES[:5]), SwitchDR(2.0), ShrunkDR(4.0))


def make(rng, n=200, groups=None, level=0.0):
    """Feedback with weights from 0 to about 10, and clusters on request."""
    propensity = rng.uniform(0.1, 1.0, n)
    target = rng.uniform(0.0, 1.0, n)
    logged = rng.normal(level, 1.0, n)
    cluster = None if groups is None else rng.integers(0, groups, n)
    return Feedback(rng.normal(level, 2.0, n), propensity, target, logged, rng.normal(level, 1.0, n), cluster)


def rows(feedback, chosen):
    """The chosen rows of a feedback."""
    cluster = None if feedback.cluster is None else feedback.cluster[chosen]
    return Feedback(
        feedback.reward[chosen],
        feedback.propensity[chosen],
        feedback.target[chosen],
        feedback.predicted_logged[chosen],
        feedback.predicted_target[chosen],
        cluster,
    )


def numbers(estimates):
    """The estimates as one array, for comparisons."""
    return np.array([[e.value, e.low, e.high, e.effective_sample_size, e.max_weight] for e in estimates])


def influences(name, feedback):
    """Each row's influence, straight from the formula in each estimator's page: the slow oracle."""
    w = feedback.target / feedback.propensity
    r, q, m = feedback.reward, feedback.predicted_logged, feedback.predicted_target
    shrunk = {"switch-dr": np.where(w <= 2.0, w, 0.0), "dr-os": 4.0 * w / (w**2 + 4.0)}.get(name, w)
    if name == "ips":
        return w * r - np.mean(w * r)
    if name == "snips":
        return w * (r - np.sum(w * r) / np.sum(w)) / np.mean(w)
    if name == "dm":
        return m - m.mean()
    if name == "sndr":
        ratio = np.sum(w * (r - q)) / np.sum(w)
        return m - m.mean() + w * (r - q - ratio) / np.mean(w)
    rows_of = m + shrunk * (r - q)
    return rows_of - rows_of.mean()


def test_three_rows_give_the_sums_done_by_hand():
    """w = .5/.5, .5/.25, 1/.5 = 1, 2, 2;  w r = 1, 0, 4;  r - q = .5, -.5, 1;  w (r - q) = .5, -1, 2.

    ips 5/3; snips 5/5; dm (.5 + 1 + 1.5)/3 = 1; dr 1 + 1.5/3; sndr 1 + 1.5/5; switch-dr at 1.5 keeps row one:
    1 + .5/3; dr-os at 4 has weights 4/5, 8/8, 8/8: 1 + (.4 - .5 + 1)/3. Effective sample size 25/9.
    """
    feedback = Feedback([1, 0, 2], [0.5, 0.25, 0.5], [0.5, 0.5, 1.0], [0.5, 0.5, 1.0], [0.5, 1.0, 1.5])
    answers = estimate(feedback, ("ips", "snips", "dm", "dr", "sndr", SwitchDR(1.5), ShrunkDR(4.0)))
    assert [a.name for a in answers] == list(NAMES)
    assert [a.value for a in answers] == pytest.approx([5 / 3, 1, 1, 1.5, 1.3, 1 + 0.5 / 3, 1.3], abs=1e-14)
    assert answers[0].effective_sample_size == pytest.approx(25 / 9)
    assert (answers[0].max_weight, answers[0].mean_weight, answers[0].n) == (2.0, pytest.approx(5 / 3), 3)


def test_interval_of_three_rows_is_the_sum_done_by_hand():
    """w r = 1, 0, 4 about 5/3: squares 4/9 + 25/9 + 49/9 = 78/9; variance of the mean 78/9 / 2 / 3 = 13/9."""
    feedback = Feedback([1, 0, 2], [0.5, 0.25, 0.5], [0.5, 0.5, 1.0])
    ips = estimate(feedback, ("ips",))[0]
    assert ips.standard_error == pytest.approx(np.sqrt(13 / 9), rel=1e-12)
    assert ips.high - ips.value == pytest.approx(stdtrit(2, 0.975) * np.sqrt(13 / 9), rel=1e-12)


def test_clustered_interval_of_four_rows_is_the_sum_done_by_hand():
    """w = 1, rewards 1, 3 | 5, 7, mean 4: sums of deviations -4 and 4; 2/1 x (16 + 16) / 16 = 4, so the error is 2."""
    feedback = Feedback([1, 3, 5, 7], np.ones(4), np.ones(4), cluster=np.array([8, 8, 3, 3]))
    ips = estimate(feedback, ("ips",))[0]
    assert (ips.value, ips.standard_error, ips.clusters, ips.n) == (4.0, pytest.approx(2.0), 2, 4)
    assert ips.high == pytest.approx(4 + 2 * stdtrit(1, 0.975))


def outcomes_of_a_tiny_problem():
    """The true value, and (probability, propensity, target, reward, q_logged, q_target) of every outcome."""
    share = np.array([0.3, 0.7])
    logging = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    target = np.array([[0.0, 0.5, 0.5], [0.1, 0.1, 0.8]])
    chance = np.array([[0.1, 0.4, 0.2], [0.5, 0.05, 0.3]])
    prize = np.array([[3.0, -1.0, 2.0], [1.0, 8.0, 4.0]])
    wrong = np.array([[5.0, -2.0, 0.3], [0.0, 1.0, -7.0]])
    truth = float(share @ (target * chance * prize).sum(axis=1))
    table = []
    for x, a, hit in product(range(2), range(3), range(2)):
        p = share[x] * logging[x, a] * (chance[x, a] if hit else 1 - chance[x, a])
        table.append((p, logging[x, a], target[x, a], prize[x, a] * hit, wrong[x, a], target[x] @ wrong[x]))
    return truth, table


@pytest.mark.parametrize("name", ["ips", "dr"])
def test_expectation_over_all_logged_outcomes_is_the_true_value_exactly(name):
    truth, table = outcomes_of_a_tiny_problem()
    expected = 0.0
    for p, propensity, target, reward, logged, mean in table:
        one = Feedback([reward], [propensity], [target], [logged], [mean])
        expected += p * estimate(one, (name,))[0].value
    assert expected == pytest.approx(truth, abs=1e-13)


@pytest.mark.parametrize("name", ["ips", "dr"])
def test_expectation_is_not_the_true_value_when_propensities_are_wrong(name):
    """The negative control of the test before: propensities off by a factor that depends on the offer."""
    truth, table = outcomes_of_a_tiny_problem()
    expected = 0.0
    for p, propensity, target, reward, logged, mean in table:
        one = Feedback([reward], [propensity**2], [target], [logged], [mean])
        expected += p * estimate(one, (name,))[0].value
    assert abs(expected - truth) > 0.1


def test_direct_method_has_the_bias_of_its_model():
    truth, table = outcomes_of_a_tiny_problem()
    expected = sum(p * mean for p, _, _, _, _, mean in table)
    answer = sum(p * estimate(Feedback([r], [e], [t], [q], [m]), ("dm",))[0].value for p, e, t, r, q, m in table)
    assert answer == pytest.approx(expected)
    assert abs(answer - truth) > 0.1


@pytest.mark.parametrize("estimator", SHARP, ids=NAMES)
class TestEveryEstimator:
    """What holds for each of the seven."""

    def test_gradient_is_the_derivative_of_the_value(self, estimator):
        means = np.array([0.7, -0.4, 1.3])[: len(estimator.terms)]
        if estimator.name == "snips":
            means = np.array([0.7, 1.3])
        _, gradient = estimator.at(means)
        step = 1e-6 * np.eye(len(means))
        numeric = [(estimator.at(means + e)[0] - estimator.at(means - e)[0]) / 2e-6 for e in step]
        assert gradient == pytest.approx(numeric, rel=1e-8)

    @pytest.mark.parametrize("groups", [None, 20])
    def test_standard_error_is_that_of_the_influence_values(self, estimator, groups):
        feedback = make(np.random.default_rng(3), 300, groups)
        psi = influences(estimator.name, feedback)
        if groups is not None:
            psi = np.bincount(feedback.cluster, weights=psi)
        variance = len(psi) / (len(psi) - 1) * np.sum(psi**2) / 300**2
        assert estimate(feedback, (estimator,))[0].standard_error == pytest.approx(np.sqrt(variance), rel=1e-11)

    @pytest.mark.parametrize("groups", [None, 15])
    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 5))
    def test_merge_of_parts_is_all(self, estimator, groups, seed, parts):
        rng = np.random.default_rng(seed)
        target, base = make(rng, 60, groups), make(rng, 60, groups)
        base = Feedback(
            target.reward,
            target.propensity,
            base.target,
            target.predicted_logged,
            base.predicted_target,
            target.cluster,
        )
        whole = Tally(2, (estimator,))
        whole.add(target, base)
        part = rng.integers(0, parts, 60)
        merged = Tally(2, (estimator,))
        for place in range(parts):
            piece = Tally(2, (estimator,))
            piece.add(rows(target, part == place), rows(base, part == place))
            merged = merged + piece
        for policy in (0, 1):
            got, want = numbers(merged.estimates(policy)), numbers(whole.estimates(policy))
            assert got == pytest.approx(want, rel=1e-12, abs=1e-12)
        got, want = numbers(merged.difference(0, 1)), numbers(whole.difference(0, 1))
        assert got == pytest.approx(want, rel=1e-12, abs=1e-12)

    def test_batches_give_what_all_rows_at_once_give(self, estimator):
        feedback = make(np.random.default_rng(5), 300, 40)
        tally = Tally(1, (estimator,))
        for start in range(0, 300, 37):
            tally.add(rows(feedback, slice(start, start + 37)))
        assert numbers(tally.estimates()) == pytest.approx(numbers(estimate(feedback, (estimator,))), rel=1e-12)

    @pytest.mark.parametrize("groups", [None, 15])
    def test_order_of_rows_does_not_matter(self, estimator, groups):
        rng = np.random.default_rng(6)
        feedback = make(rng, 100, groups)
        shuffled = rows(feedback, rng.permutation(100))
        got, want = estimate(shuffled, (estimator,)), estimate(feedback, (estimator,))
        assert numbers(got) == pytest.approx(numbers(want), rel=1e-12)

    def test_a_row_a_cluster_is_no_clusters(self, estimator):
        rng = np.random.default_rng(7)
        feedback = make(rng, 100)
        own = Feedback(
            feedback.reward,
            feedback.propensity,
            feedback.target,
            feedback.predicted_logged,
            feedback.predicted_target,
            rng.permutation(100) * 7 - 300,
        )
        got, want = estimate(own, (estimator,)), estimate(feedback, (estimator,))
        assert numbers(got) == pytest.approx(numbers(want), rel=1e-12)

    def test_rows_twice_in_one_cluster_are_no_news(self, estimator):
        """Each row twice as one cluster has the interval of each row once; unclustered it pretends to know more."""
        feedback = make(np.random.default_rng(8), 100)
        twice = rows(feedback, np.repeat(np.arange(100), 2))
        clustered = Feedback(
            twice.reward,
            twice.propensity,
            twice.target,
            twice.predicted_logged,
            twice.predicted_target,
            np.repeat(np.arange(100), 2),
        )
        once = estimate(feedback, (estimator,))[0]
        assert estimate(clustered, (estimator,))[0].standard_error == pytest.approx(once.standard_error, rel=1e-12)
        assert estimate(twice, (estimator,))[0].standard_error < 0.75 * once.standard_error

    def test_scale_of_the_reward_is_the_scale_of_the_answer(self, estimator):
        feedback = make(np.random.default_rng(9), 80)
        cents = Feedback(
            100 * feedback.reward,
            feedback.propensity,
            feedback.target,
            100 * feedback.predicted_logged,
            100 * feedback.predicted_target,
        )
        one, other = estimate(feedback, (estimator,))[0], estimate(cents, (estimator,))[0]
        got = [other.value, other.low, other.high]
        assert got == pytest.approx([100 * one.value, 100 * one.low, 100 * one.high], rel=1e-11)

    @pytest.mark.parametrize("groups", [None, 15])
    def test_a_policy_against_itself_differs_by_nothing_for_certain(self, estimator, groups):
        feedback = make(np.random.default_rng(10), 500, groups, level=3.0)
        (answer,) = compare(feedback, feedback, (estimator,))
        assert (answer.value, answer.low, answer.high) == (0.0, 0.0, 0.0)

    def test_difference_is_that_of_the_values_and_turns_its_sign(self, estimator):
        rng = np.random.default_rng(11)
        one = make(rng, 200, 30)
        other = Feedback(
            one.reward, one.propensity, rng.uniform(0, 1, 200), one.predicted_logged, rng.normal(size=200), one.cluster
        )
        forth, back = compare(one, other, (estimator,))[0], compare(other, one, (estimator,))[0]
        values = [estimate(each, (estimator,))[0].value for each in (one, other)]
        assert forth.value == pytest.approx(values[0] - values[1], abs=1e-12)
        assert [back.low, back.high] == pytest.approx([-forth.high, -forth.low], rel=1e-12)

    def test_difference_has_the_error_of_the_row_by_row_difference_of_influences(self, estimator):
        rng = np.random.default_rng(12)
        one = make(rng, 200)
        other = Feedback(one.reward, one.propensity, rng.uniform(0, 1, 200), one.predicted_logged, rng.normal(size=200))
        psi = influences(estimator.name, one) - influences(estimator.name, other)
        want = np.sqrt(200 / 199 * np.sum(psi**2)) / 200
        assert compare(one, other, (estimator,))[0].standard_error == pytest.approx(want, rel=1e-11)

    def test_own_log_with_a_model_that_is_right_gives_the_realised_mean(self, estimator):
        rng = np.random.default_rng(13)
        reward, propensity = rng.normal(2.0, 1.0, 100), rng.uniform(0.1, 1.0, 100)
        feedback = Feedback(reward, propensity, propensity, reward, reward)
        (answer,) = estimate(feedback, (estimator,))
        assert answer.value == pytest.approx(reward.mean(), rel=1e-12)
        assert answer.max_weight == answer.mean_weight == 1.0
        assert answer.effective_sample_size == pytest.approx(100)

    def test_large_constant_in_the_reward_costs_no_digits_of_the_interval(self, estimator):
        """Rewards about 1e6 with an error of order 1: the interval is that of the rewards about 0 where w = 1."""
        rng = np.random.default_rng(14)
        noise, half = rng.normal(size=200), np.full(200, 0.5)
        model = 0.5 * noise
        near = estimate(Feedback(noise, half, half, model, noise - model), (estimator,))[0]
        far = estimate(Feedback(noise + 1e6, half, half, model + 1e6, noise - model), (estimator,))[0]
        if estimator.name in {"ips", "snips"}:
            assert far.value - 1e6 == pytest.approx(near.value, abs=1e-8)
        assert far.standard_error == pytest.approx(near.standard_error, rel=1e-7)

    def test_one_row_has_a_value_and_no_bounds(self, estimator):
        (answer,) = estimate(Feedback([2.0], [0.5], [0.5], [2.0], [2.0]), (estimator,))
        assert (answer.value, answer.low, answer.high) == (2.0, -np.inf, np.inf)


def test_own_log_gives_the_realised_mean_whatever_the_model():
    rng = np.random.default_rng(1)
    reward, propensity, model = rng.normal(size=50), rng.uniform(0.1, 1.0, 50), rng.normal(size=50)
    answers = estimate(Feedback(reward, propensity, propensity, model, model), SHARP[:-1])
    for answer in answers:
        if answer.name != "dm":
            assert answer.value == pytest.approx(reward.mean(), abs=1e-13)


def test_constant_reward_is_what_snips_answers_for_certain():
    rng = np.random.default_rng(2)
    for groups in (None, 9):
        feedback = make(rng, 100, groups)
        flat = Feedback(np.full(100, 3.3), feedback.propensity, feedback.target, cluster=feedback.cluster)
        ips, snips = estimate(flat)
        assert snips.value == pytest.approx(3.3, rel=1e-14)
        assert snips.low == snips.high == snips.value
        assert ips.high > ips.low


def test_switch_and_shrinkage_end_in_dr_and_dm():
    feedback = make(np.random.default_rng(4))
    dm, dr = (each.value for each in estimate(feedback, ("dm", "dr")))
    for lenient in (SwitchDR(np.inf), ShrunkDR(1e18)):
        assert estimate(feedback, (lenient,))[0].value == pytest.approx(dr, rel=1e-12)
    for strict in (SwitchDR(0.0), ShrunkDR(1e-18)):
        assert estimate(feedback, (strict,))[0].value == pytest.approx(dm, abs=1e-12)


def test_merging_leaves_the_parts_as_they_were():
    rng = np.random.default_rng(15)
    for groups in (None, 10):
        one, other = Tally(1, SHARP), Tally(1, SHARP)
        one.add(make(rng, 50, groups))
        other.add(make(rng, 50, groups))
        before = numbers(one.estimates())
        both = one + other
        both.add(make(rng, 50, groups))
        assert (numbers(one.estimates()) == before).all()

"""What holds for every estimator, whatever the rows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.ope import Tally, compare, estimate
from bandit.ope.feedback import NEED_COLUMNS
from tests.ope.tools import NAMES, SHARP, another_policy, make, modelled, numbers, rows

OPTIONAL = tuple(name for columns in NEED_COLUMNS.values() for name in columns)
PREDICTED = (*NEED_COLUMNS["predictions"], *NEED_COLUMNS["robust"])


def influences(name, feedback):
    """Each row's influence, straight from the formula in each estimator's page: the slow oracle."""
    w = feedback.target / feedback.propensity
    r, q, m = feedback.reward, feedback.predicted_logged, feedback.predicted_target
    if name == "snips":
        return w * (r - np.sum(w * r) / np.sum(w)) / np.mean(w)
    if name == "sndr":
        ratio = np.sum(w * (r - q)) / np.sum(w)
        return m - m.mean() + w * (r - q - ratio) / np.mean(w)
    of_rows = {
        "ips": w * r,
        "clipped-ips": np.where(w > 2.0, 2.0, w) * r,
        "dm": m,
        "dr": m + w * (r - q),
        "switch-dr": m + np.where(w <= 2.0, w, 0.0) * (r - q),
        "dr-os": m + 4.0 * w / (w**2 + 4.0) * (r - q),
        "mrdr": feedback.robust_target + w * (r - feedback.robust_logged),
        "mips": feedback.marginal_weight * r,
        "pi": feedback.slate_weight * r,
    }[name]
    return of_rows - of_rows.mean()


@pytest.mark.parametrize("estimator", SHARP, ids=NAMES)
class TestEveryEstimator:
    """What holds for each of them, those that select among others apart."""

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
    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 5))
    def test_merge_of_parts_is_all(self, estimator, groups, seed, parts):
        rng = np.random.default_rng(seed)
        target = make(rng, 60, groups)
        base = another_policy(rng, target)
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
            assert got == pytest.approx(want, rel=1e-9, abs=1e-12)
        got, want = numbers(merged.difference(0, 1)), numbers(whole.difference(0, 1))
        assert got == pytest.approx(want, rel=1e-9, abs=1e-12)

    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60))
    def test_order_of_rows_and_of_batches_does_not_matter(self, estimator, seed, n):
        rng = np.random.default_rng(seed)
        feedback = make(rng, n, int(rng.integers(2, 30)))
        shuffled, batches = rows(feedback, rng.permutation(n)), Tally(1, (estimator,))
        for start in range(0, n, 17):
            batches.add(rows(shuffled, slice(start, start + 17)))
        want = numbers(estimate(feedback, (estimator,)))
        assert numbers(estimate(shuffled, (estimator,))) == pytest.approx(want, rel=1e-9, abs=1e-12)
        assert numbers(batches.estimates()) == pytest.approx(want, rel=1e-9, abs=1e-12)

    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([-3.0, 0.01, 100.0]))
    def test_scale_of_the_reward_is_the_scale_of_the_answer(self, estimator, seed, factor):
        feedback = make(np.random.default_rng(seed), 80)
        scaled = {name: factor * getattr(feedback, name) for name in PREDICTED}
        cents = replace(feedback, reward=factor * feedback.reward, **scaled)
        one, other = estimate(feedback, (estimator,))[0], estimate(cents, (estimator,))[0]
        bounds = sorted([factor * one.low, factor * one.high])
        assert [other.value, other.low, other.high] == pytest.approx([factor * one.value, *bounds], rel=1e-9)

    def test_a_row_a_cluster_is_no_clusters(self, estimator):
        rng = np.random.default_rng(7)
        feedback = make(rng, 100)
        own = replace(feedback, cluster=rng.permutation(100) * 7 - 300)
        got, want = estimate(own, (estimator,)), estimate(feedback, (estimator,))
        assert numbers(got) == pytest.approx(numbers(want), rel=1e-12)

    def test_rows_twice_in_one_cluster_are_no_news(self, estimator):
        """Each row twice as one cluster has the interval of each row once; unclustered it pretends to know more."""
        feedback = make(np.random.default_rng(8), 100)
        twice = rows(feedback, np.repeat(np.arange(100), 2))
        clustered = replace(twice, cluster=np.repeat(np.arange(100), 2))
        once = estimate(feedback, (estimator,))[0]
        assert estimate(clustered, (estimator,))[0].standard_error == pytest.approx(once.standard_error, rel=1e-12)
        assert estimate(twice, (estimator,))[0].standard_error < 0.75 * once.standard_error

    @pytest.mark.parametrize("groups", [None, 15])
    def test_a_policy_against_itself_differs_by_nothing_for_certain(self, estimator, groups):
        feedback = make(np.random.default_rng(10), 500, groups, level=3.0)
        (answer,) = compare(feedback, feedback, (estimator,))
        assert (answer.value, answer.low, answer.high) == (0.0, 0.0, 0.0)

    def test_difference_is_that_of_the_values_and_turns_its_sign(self, estimator):
        rng = np.random.default_rng(11)
        one = make(rng, 200, 30)
        other = another_policy(rng, one)
        forth, back = compare(one, other, (estimator,))[0], compare(other, one, (estimator,))[0]
        values = [estimate(each, (estimator,))[0].value for each in (one, other)]
        assert forth.value == pytest.approx(values[0] - values[1], abs=1e-12)
        assert [back.low, back.high] == pytest.approx([-forth.high, -forth.low], rel=1e-12)

    def test_difference_has_the_error_of_the_row_by_row_difference_of_influences(self, estimator):
        rng = np.random.default_rng(12)
        one = make(rng, 200)
        other = another_policy(rng, one)
        psi = influences(estimator.name, one) - influences(estimator.name, other)
        want = np.sqrt(200 / 199 * np.sum(psi**2)) / 200
        assert compare(one, other, (estimator,))[0].standard_error == pytest.approx(want, rel=1e-11)

    def test_own_log_with_a_model_that_is_right_gives_the_realised_mean(self, estimator):
        rng = np.random.default_rng(13)
        reward, propensity = rng.normal(2.0, 1.0, 100), rng.uniform(0.1, 1.0, 100)
        (answer,) = estimate(modelled(reward, propensity, propensity, reward, reward), (estimator,))
        assert answer.value == pytest.approx(reward.mean(), rel=1e-12)
        assert answer.max_weight == answer.mean_weight == 1.0
        assert answer.effective_sample_size == pytest.approx(100)

    def test_large_constant_in_the_reward_costs_no_digits_of_the_interval(self, estimator):
        """Rewards about 1e6 with an error of order 1: the interval is that of the rewards about 0 where w = 1."""
        rng = np.random.default_rng(14)
        noise, half = rng.normal(size=200), np.full(200, 0.5)
        model = 0.5 * noise
        near = estimate(modelled(noise, half, half, model, noise - model), (estimator,))[0]
        far = estimate(modelled(noise + 1e6, half, half, model + 1e6, noise - model), (estimator,))[0]
        if estimator.needs not in {"predictions", "robust"}:
            assert far.value - 1e6 == pytest.approx(near.value, abs=1e-8)
        assert far.standard_error == pytest.approx(near.standard_error, rel=1e-7)

    def test_one_row_has_a_value_and_no_bounds(self, estimator):
        (answer,) = estimate(modelled([2.0], [0.5], [0.5], [2.0], [2.0]), (estimator,))
        assert (answer.value, answer.low, answer.high) == (2.0, -np.inf, np.inf)

    def test_columns_it_does_not_need_do_not_move_it(self, estimator):
        feedback = make(np.random.default_rng(16), 50)
        needed = () if estimator.needs is None else NEED_COLUMNS[estimator.needs]
        bare = replace(feedback, **{name: None for name in OPTIONAL if name not in needed})
        assert estimate(bare, (estimator,)) == estimate(feedback, (estimator,))

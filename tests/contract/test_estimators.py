"""The contract of an off-policy estimator, for every registered one, the selections among others included.

A new estimator is tested by being registered. `SHARP` adds those with a parameter that only shows with larger weights.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import InputError
from bandit.ope import ESTIMATORS, Feedback, Tally, compare, estimate, resolve
from bandit.ope.estimator import Selection
from bandit.ope.feedback import NEED_COLUMNS
from tests.ope.tools import SHARP_ONES, another_policy, make, modelled, numbers, rows

REGISTERED = tuple(pytest.param(each, id=name) for name, each in ESTIMATORS.items())
SHARP = tuple(pytest.param(each, id=f"{name}-sharp") for name, each in SHARP_ONES.items())
OPTIONAL = tuple(name for columns in NEED_COLUMNS.values() for name in columns)
PREDICTIONS = (*NEED_COLUMNS["predictions"], *NEED_COLUMNS["robust"])
# A constant added to all rewards and predictions adds the same constant to the value.
SHIFTED_BY_A_CONSTANT = {
    *("snips", "dm", "dr", "sndr", "switch-dr", "dr-os", "mrdr"),
    *("switch-dr-slope", "dr-os-slope"),
}


def transformed(feedback, of):
    """The feedback with `of` applied to all rewards and predictions."""
    return replace(feedback, **{name: of(getattr(feedback, name)) for name in ("reward", *PREDICTIONS)})


def tally_of(estimator, *feedback):
    tally = Tally(len(feedback), (estimator,))
    tally.add(*feedback)
    return tally


def value_of(estimator, feedback):
    return estimate(feedback, (estimator,))[0].value


@pytest.mark.parametrize("estimator", [*REGISTERED, *SHARP])
class TestEveryEstimator:
    @pytest.mark.parametrize("groups", [None, 15])
    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 5))
    def test_merge_of_parts_is_all(self, estimator, groups, seed, parts):
        rng = np.random.default_rng(seed)
        target = make(rng, 60, groups)
        base = another_policy(rng, target)
        whole, merged = tally_of(estimator, target, base), Tally(2, (estimator,))
        part = rng.integers(0, parts, 60)
        for index in range(parts):
            merged = merged + tally_of(estimator, rows(target, part == index), rows(base, part == index))
        for policy in (0, 1):
            got, want = numbers(merged.estimates(policy)), numbers(whole.estimates(policy))
            assert got == pytest.approx(want, rel=1e-9, abs=1e-12)
        got, want = numbers(merged.difference(0, 1)), numbers(whole.difference(0, 1))
        assert got == pytest.approx(want, rel=1e-9, abs=1e-12)

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60))
    def test_batches_and_their_order_do_not_matter(self, estimator, seed, n):
        rng = np.random.default_rng(seed)
        feedback = make(rng, n, int(rng.integers(2, 30)))
        shuffled, batches = rows(feedback, rng.permutation(n)), Tally(1, (estimator,))
        for start in range(0, n, 17):
            batches.add(rows(shuffled, slice(start, start + 17)))
        want = numbers(estimate(feedback, (estimator,)))
        assert numbers(estimate(shuffled, (estimator,))) == pytest.approx(want, rel=1e-9, abs=1e-12)
        assert numbers(batches.estimates()) == pytest.approx(want, rel=1e-9, abs=1e-12)

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([-3.0, 0.01, 100.0]))
    def test_scale_of_the_reward_is_the_scale_of_the_value_and_the_interval(self, estimator, seed, factor):
        feedback = make(np.random.default_rng(seed), 80)
        (one,) = estimate(feedback, (estimator,))
        (other,) = estimate(transformed(feedback, lambda column: factor * column), (estimator,))
        bounds = sorted([factor * one.low, factor * one.high])
        assert [other.value, other.low, other.high] == pytest.approx([factor * one.value, *bounds], rel=1e-9)

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_a_constant_added_to_rewards_and_predictions_is_added_to_equivariant_values(self, estimator, seed):
        """The negative control: ips and those like it move by the constant times their mean weight, which is not 1."""
        feedback = make(np.random.default_rng(seed), 80)
        moved = value_of(estimator, transformed(feedback, lambda column: column + 7.0)) - value_of(estimator, feedback)
        if estimator.name in SHIFTED_BY_A_CONSTANT:
            assert moved == pytest.approx(7.0, rel=1e-9)
        else:
            assert abs(moved - 7.0) > 1e-6

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_the_value_is_linear_in_rewards_and_predictions_unless_it_is_a_selection(self, estimator, seed):
        """2 r1 - 3 r2, and predictions alike, have the value 2 v1 - 3 v2: so prices can be changed after the fact."""
        rng = np.random.default_rng(seed)
        one = make(rng, 70)
        other = transformed(one, lambda column: rng.normal(size=len(column)))
        names = ("reward", *PREDICTIONS)
        both = replace(one, **{name: 2 * getattr(one, name) - 3 * getattr(other, name) for name in names})
        for each in estimator.candidates if isinstance(estimator, Selection) else (estimator,):
            want = 2 * value_of(each, one) - 3 * value_of(each, other)
            assert value_of(each, both) == pytest.approx(want, rel=1e-9, abs=1e-11)

    def test_weights_of_one_and_a_model_without_error_give_the_realised_mean(self, estimator):
        rng = np.random.default_rng(13)
        reward, propensity = rng.normal(2.0, 1.0, 100), rng.uniform(0.1, 1.0, 100)
        (answer,) = estimate(modelled(reward, propensity, propensity, reward, reward), (estimator,))
        assert answer.value == pytest.approx(reward.mean(), rel=1e-12)
        assert answer.max_weight == answer.mean_weight == 1.0
        assert answer.effective_sample_size == pytest.approx(100)

    def test_a_target_that_never_makes_the_logged_offers_is_worth_its_prediction_or_unknown(self, estimator):
        """Weights of 0: the mean prediction 0.25 with a model, 0 without; NaN where sum(w) is the denominator."""
        zero, quarter = np.zeros(20), np.full(20, 0.25)
        (answer,) = estimate(modelled(np.arange(20.0), np.full(20, 0.5), zero, zero, quarter), (estimator,))
        if estimator.name in {"snips", "sndr"}:
            assert np.isnan(answer.value)
            assert (answer.low, answer.high) == (-np.inf, np.inf)
        else:
            assert answer.value == (0.25 if estimator.needs in {"predictions", "robust"} else 0.0)
        assert (answer.effective_sample_size, answer.max_weight, answer.mean_weight) == (0.0, 0.0, 0.0)

    def test_a_row_per_cluster_is_no_clusters(self, estimator):
        rng = np.random.default_rng(7)
        feedback = make(rng, 100)
        own = replace(feedback, cluster=rng.permutation(100) * 7 - 300)
        got, want = estimate(own, (estimator,)), estimate(feedback, (estimator,))
        assert numbers(got) == pytest.approx(numbers(want), rel=1e-12)

    def test_only_the_partition_into_clusters_matters_not_their_ids(self, estimator):
        rng = np.random.default_rng(9)
        feedback = make(rng, 100, 20)
        renamed = replace(feedback, cluster=(rng.permutation(20) * 11 - 50)[feedback.cluster])
        got, want = estimate(renamed, (estimator,)), estimate(feedback, (estimator,))
        assert numbers(got) == pytest.approx(numbers(want), rel=1e-11)

    def test_rows_twice_in_one_cluster_carry_no_information(self, estimator):
        """Each row twice as one cluster has the error of each row once; unclustered it is smaller, by about sqrt(2)."""
        feedback = make(np.random.default_rng(8), 100)
        twice = rows(feedback, np.repeat(np.arange(100), 2))
        clustered = replace(twice, cluster=np.repeat(np.arange(100), 2))
        once = estimate(feedback, (estimator,))[0]
        assert estimate(clustered, (estimator,))[0].standard_error == pytest.approx(once.standard_error, rel=1e-12)
        assert estimate(twice, (estimator,))[0].standard_error < 0.75 * once.standard_error

    @pytest.mark.parametrize("groups", [None, 15])
    def test_a_policy_does_not_differ_from_itself(self, estimator, groups):
        feedback = make(np.random.default_rng(10), 500, groups, level=3.0)
        (answer,) = compare(feedback, feedback, (estimator,))
        assert (answer.value, answer.low, answer.high) == (0.0, 0.0, 0.0)

    def test_difference_turns_its_sign_with_the_policies(self, estimator):
        rng = np.random.default_rng(11)
        one = make(rng, 200, 30)
        other = another_policy(rng, one)
        forth, back = compare(one, other, (estimator,))[0], compare(other, one, (estimator,))[0]
        assert [back.value, back.low, back.high] == pytest.approx([-forth.value, -forth.high, -forth.low], rel=1e-12)

    def test_difference_is_that_of_the_values_of_one_estimator(self, estimator):
        """A selection selects one candidate for the difference, so it is that of the values of this candidate."""
        rng = np.random.default_rng(11)
        one = make(rng, 200, 30)
        other = another_policy(rng, one)
        difference = compare(one, other, (estimator,))[0].value
        each = estimator.candidates if isinstance(estimator, Selection) else (estimator,)
        differences = [value_of(candidate, one) - value_of(candidate, other) for candidate in each]
        assert np.abs(np.array(differences) - difference).min() < 1e-12

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

    def test_columns_it_does_not_need_do_not_change_it(self, estimator):
        feedback = make(np.random.default_rng(16), 50)
        needed = () if estimator.needs is None else NEED_COLUMNS[estimator.needs]
        bare = replace(feedback, **{name: None for name in OPTIONAL if name not in needed})
        assert estimate(bare, (estimator,)) == estimate(feedback, (estimator,))

    def test_without_the_columns_it_needs_it_is_rejected_by_their_names(self, estimator):
        feedback = make(np.random.default_rng(17), 50)
        if estimator.needs is None:
            bare = replace(feedback, **dict.fromkeys(OPTIONAL))
            assert len(estimate(bare, (estimator,))) == 1
            return
        lacking = replace(feedback, **dict.fromkeys(NEED_COLUMNS[estimator.needs]))
        with pytest.raises(InputError, match=f"{estimator.name} needs {NEED_COLUMNS[estimator.needs][0]}"):
            estimate(lacking, (estimator,))
        with pytest.raises(InputError, match=f"{estimator.name} needs"):
            Tally(1, (estimator,)).add(lacking)

    def test_an_estimate_is_json_also_where_it_is_not_defined(self, estimator):
        feedback = make(np.random.default_rng(18), 50, 10)
        plain = json.loads(json.dumps(estimate(feedback, (estimator,))[0].to_dict(), allow_nan=False))
        assert (plain["name"], plain["n"], plain["clusters"]) == (estimator.name, 50, 10)
        assert plain["low"] <= plain["value"] <= plain["high"]
        nothing = estimate(modelled([1.0], [0.5], [0.0], [0.0], [0.0]), (estimator,))[0].to_dict()
        assert json.loads(json.dumps(nothing, allow_nan=False))["low"] is None

    def test_what_cannot_be_estimated_is_rejected(self, estimator):
        feedback = make(np.random.default_rng(19), 10)
        with pytest.raises(InputError, match="no rows"):
            estimate(rows(feedback, slice(0, 0)), (estimator,))
        with pytest.raises(InputError, match="level is 1"):
            estimate(feedback, (estimator,), level=1.0)
        with pytest.raises(InputError, match="no interval"):
            estimate(feedback, (estimator,), interval="wald")
        with pytest.raises(InputError, match="same rows"):
            compare(feedback, replace(feedback, reward=feedback.reward + 1.0), (estimator,))
        with pytest.raises(InputError, match="named twice"):
            Tally(1, (estimator, estimator))


@pytest.mark.parametrize("estimator", REGISTERED)
def test_a_registered_estimator_is_found_by_its_name(estimator):
    assert ESTIMATORS[estimator.name] is estimator
    met = frozenset() if estimator.needs is None else frozenset({estimator.needs})
    assert resolve((estimator.name,), met) == (estimator,)
    # Terms are shared between estimators by equality, so each must be hashable.
    candidates = estimator.candidates if isinstance(estimator, Selection) else (estimator,)
    assert all(hash(term) is not None for each in candidates for term in each.terms)


@pytest.mark.parametrize("estimator", REGISTERED)
def test_values_are_the_same_alone_and_in_company(estimator):
    feedback = make(np.random.default_rng(20), 80)
    together = {each.name: each for each in estimate(feedback, tuple(ESTIMATORS))}
    assert numbers([together[estimator.name]]) == pytest.approx(numbers(estimate(feedback, (estimator,))), rel=1e-12)


def test_feedback_of_lists_and_of_arrays_is_the_same():
    lists = Feedback([1, 0, 2], [0.5, 0.25, 0.5], [0.5, 0.5, 1.0])
    arrays = Feedback(*(np.array(column) for column in (lists.reward, lists.propensity, lists.target)))
    assert estimate(lists) == estimate(arrays)

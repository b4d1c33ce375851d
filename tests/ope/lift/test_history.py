"""Balanced weights where a policy follows each customer's own history, which betrays the customer's group.

The market is `personal` of `experiments`: the policy of group 0 learns what each customer buys, group 1 is served by a
fixed one. The true difference, .0496 +- .0003 per decision, is that of the means of 3,200,000 decisions.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.ope.lift.experiments import personal, returning

TRUE = 0.0496
RUNS = 60


@pytest.fixture(scope="module")
def found():
    """Values and standard errors (RUNS, 4, 2) of four estimates of 60 experiments with 2,000 customers each.

    By means, by balanced weights, by trajectory weights, and by balanced weights with the personal part left out of the
    probabilities, .5 for each offer, although the offers were drawn from those with it.
    """
    rows = []
    for run in range(RUNS):
        e = personal(np.random.default_rng([1, run]), 2_000)
        common = replace(e, probabilities=np.stack([np.full(len(e.reward), 0.5), e.probabilities[:, 1]], axis=1))
        sums = [(e, "means", "means"), (e, "balanced", "balanced"), (e, "trajectory", "balanced")]
        estimates = [
            each.sums(weights).differences([(0, 1)], method)[0].estimate
            for each, weights, method in [*sums, (common, "balanced", "balanced")]
        ]
        rows.append([[each.value, each.standard_error] for each in estimates])
    return np.array(rows)


def bias(found, place):
    """The mean error of an estimate in units of its own standard error over the runs."""
    values = found[:, place, 0]
    return (values.mean() - TRUE) / (values.std(ddof=1) / np.sqrt(RUNS))


def test_means_are_right_whatever_policies_depend_on(found):
    assert abs(bias(found, 0)) < 3.0


def test_balanced_weights_are_biased_where_probabilities_depend_on_the_customers_history(found):
    """The negative control: -.007, more than two standard errors of one experiment."""
    assert bias(found, 1) < -10.0
    assert found[:, 1, 0].mean() == pytest.approx(TRUE - 0.007, abs=0.0015)


def test_probabilities_that_did_not_serve_give_biased_weights(found):
    """Leaving out the personal part of a policy that served with it is worse: .021 instead of .050."""
    assert found[:, 3, 0].mean() == pytest.approx(TRUE - 0.029, abs=0.002)


def test_trajectory_weights_are_right_and_need_a_third_of_the_variance(found):
    assert abs(bias(found, 2)) < 3.0
    variances = (found[:, :, 1] ** 2).mean(axis=0)
    assert variances[2] / variances[0] == pytest.approx(0.34, abs=0.03)


def test_standard_errors_are_those_of_repeated_experiments(found):
    """Of 60 runs a standard deviation is known to about 9 %."""
    spread, error = found[:, :3, 0].std(axis=0, ddof=1), found[:, :3, 1].mean(axis=0)
    assert error / spread == pytest.approx(np.ones(3), abs=0.28)


def test_the_calibration_of_weights_finds_a_history_that_betrays_the_group():
    """With 20,000 customers: balanced weights are found to be wrong, trajectory weights are not."""
    e = personal(np.random.default_rng(2), 20_000)
    wrong, right = (e.sums(weights).calibration() for weights in ("balanced", "trajectory"))
    assert any(not each.low <= 0.0 <= each.high for each in wrong)
    assert all(each.low <= 0.0 <= each.high for each in right)


def test_without_a_personal_part_balanced_weights_are_right():
    """The same market with a policy that does not learn of customers: .5 and .2 for offer 1, which .6 like.

    A purchase has .4 where the offer is liked and .1 where not: (.5 - .2) (.6 - .4) .3 = .018.
    """
    values = [
        personal(np.random.default_rng([3, run]), 2_000, weight=0.0)
        .sums()
        .differences([(0, 1)], "balanced")[0]
        .estimate.value
        for run in range(RUNS)
    ]
    assert np.mean(values) == pytest.approx(0.018, abs=3 * np.std(values) / np.sqrt(RUNS))


def test_a_trajectorys_value_per_customer_is_right_where_groups_differ_in_how_often_customers_return():
    """By hand: purchases 0.7 x .6 + .3 x .2 = .48 and .32, so customers return with .5 + .4 x .48 = .692 and .628; over
    eight visits sum r^t = 3.0759 and 2.6229, times .48 and .32: 1.4764 - .8393 = .6371 per customer.

    The negative control: the value per decision times the decisions per customer of both groups takes these to be
    equally many, and gives .16 x 2.85 = .456.
    """
    true = 0.48 * (1 - 0.692**8) / 0.308 - 0.32 * (1 - 0.628**8) / 0.372
    rows = []
    for run in range(2 * RUNS):
        e = returning(np.random.default_rng([4, run]), 500)
        sums = [(e.sums("means"), "means"), (e.sums("trajectory", totals=True), "balanced")]
        sums.append((e.sums("trajectory"), "balanced"))
        found = [each.differences([(0, 1)], method, "customer")[0].estimate for each, method in sums]
        rows.append([[each.value, each.standard_error] for each in found])
    values, errors = np.array(rows)[:, :, 0], np.array(rows)[:, :, 1]
    off = (values.mean(axis=0) - true) / (values.std(axis=0, ddof=1) / np.sqrt(2 * RUNS))
    assert np.abs(off[:2]).max() < 3.0
    assert off[2] < -10.0
    assert errors[:, :2].mean(axis=0) / values[:, :2].std(axis=0, ddof=1) == pytest.approx(np.ones(2), abs=0.28)
    assert (errors[:, 1] ** 2).mean() < 0.9 * (errors[:, 0] ** 2).mean()

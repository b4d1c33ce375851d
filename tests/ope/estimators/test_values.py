"""Values by hand, exact expectations over all logs of a small problem, and identities between estimators."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.ope import DEFAULT, Feedback, ShrunkDR, SwitchDR, estimate
from bandit.ope.estimators.clipped_ips import ClippedIps
from tests.ope.tools import SHARP, make, modelled

UNBIASED = ("ips", "dr", "mrdr", "mips", "pi")


def test_three_rows_give_the_sums_done_by_hand():
    """w = .5/.5, .5/.25, 1/.5 = 1, 2, 2;  w r = 1, 0, 4;  r - q = .5, -.5, 1;  w (r - q) = .5, -1, 2.

    ips 5/3; snips 5/5; dm (.5 + 1 + 1.5)/3 = 1; dr 1 + 1.5/3; sndr 1 + 1.5/5; switch-dr at 1.5 keeps row one:
    1 + .5/3; dr-os at 4 has weights 4/5, 8/8, 8/8: 1 + (.4 - .5 + 1)/3. clipped-ips at 1.5: (1 + 0 + 3)/3. mrdr with
    q = 0, 1, 1 and means 1, 1, 4: (6 + 1 - 2 + 2)/3 = 7/3. mips with weights .5, 3, 1: (.5 + 2)/3; pi with weights
    -1, 2, 2: (-1 + 4)/3. Effective sample size 25/9.
    """
    feedback = Feedback(
        [1, 0, 2],
        [0.5, 0.25, 0.5],
        [0.5, 0.5, 1.0],
        [0.5, 0.5, 1.0],
        [0.5, 1.0, 1.5],
        robust_logged=[0, 1, 1],
        robust_target=[1, 1, 4],
        marginal_weight=[0.5, 3, 1],
        slate_weight=[-1, 2, 2],
    )
    answers = estimate(feedback, ("ips", "snips", "dm", "dr", "sndr", SwitchDR(1.5), ShrunkDR(4.0)))
    assert [a.name for a in answers] == list(DEFAULT)
    assert [a.value for a in answers] == pytest.approx([5 / 3, 1, 1, 1.5, 1.3, 1 + 0.5 / 3, 1.3], abs=1e-14)
    assert answers[0].effective_sample_size == pytest.approx(25 / 9)
    assert (answers[0].max_weight, answers[0].mean_weight, answers[0].n) == (2.0, pytest.approx(5 / 3), 3)
    others = estimate(feedback, (ClippedIps(1.5), "mrdr", "mips", "pi"))
    assert [a.name for a in others] == ["clipped-ips", "mrdr", "mips", "pi"]
    assert [a.value for a in others] == pytest.approx([4 / 3, 7 / 3, 2.5 / 3, 1], abs=1e-14)


def test_standard_error_of_three_rows_is_the_sum_done_by_hand():
    """w r = 1, 0, 4 about 5/3: squares 4/9 + 25/9 + 49/9 = 78/9; variance of the mean 78/9 / 2 / 3 = 13/9."""
    feedback = Feedback([1, 0, 2], [0.5, 0.25, 0.5], [0.5, 0.5, 1.0])
    assert estimate(feedback, ("ips",))[0].standard_error == pytest.approx(np.sqrt(13 / 9), rel=1e-12)


def test_clustered_standard_error_of_four_rows_is_the_sum_done_by_hand():
    """w = 1, rewards 1, 3 | 5, 7, mean 4: sums of deviations -4 and 4; 2/1 x (16 + 16) / 16 = 4, so the error is 2."""
    feedback = Feedback([1, 3, 5, 7], np.ones(4), np.ones(4), cluster=np.array([8, 8, 3, 3]))
    ips = estimate(feedback, ("ips",))[0]
    assert (ips.value, ips.standard_error, ips.clusters, ips.n) == (4.0, pytest.approx(2.0), 2, 4)


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


@pytest.mark.parametrize("name", ["ips", "dr", "mrdr"])
def test_expectation_over_all_logged_outcomes_is_the_true_value_exactly(name):
    truth, table = outcomes_of_a_tiny_problem()
    expected = 0.0
    for p, propensity, target, reward, logged, mean in table:
        one = modelled([reward], [propensity], [target], [logged], [mean])
        expected += p * estimate(one, (name,))[0].value
    assert expected == pytest.approx(truth, abs=1e-13)


@pytest.mark.parametrize("name", ["ips", "dr", "mrdr"])
def test_expectation_is_not_the_true_value_when_propensities_are_wrong(name):
    """The negative control of the test before: propensities off by a factor that depends on the offer."""
    truth, table = outcomes_of_a_tiny_problem()
    expected = 0.0
    for p, propensity, target, reward, logged, mean in table:
        one = modelled([reward], [propensity**2], [target], [logged], [mean])
        expected += p * estimate(one, (name,))[0].value
    assert abs(expected - truth) > 0.1


def test_direct_method_has_the_bias_of_its_model():
    truth, table = outcomes_of_a_tiny_problem()
    expected = sum(p * mean for p, _, _, _, _, mean in table)
    answer = sum(p * estimate(Feedback([r], [e], [t], [q], [m]), ("dm",))[0].value for p, e, t, r, q, m in table)
    assert answer == pytest.approx(expected)
    assert abs(answer - truth) > 0.1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_weights_of_one_give_the_realised_mean_for_any_model(seed):
    """The negative control: dr-os shrinks even a weight of 1, to 4/5 at 4, and dm is its model."""
    rng = np.random.default_rng(seed)
    reward, propensity, model = rng.normal(size=50), rng.uniform(0.1, 1.0, 50), rng.normal(size=50)
    for answer in estimate(modelled(reward, propensity, propensity, model, model), SHARP):
        if answer.name in {"dm", "dr-os"}:
            assert abs(answer.value - reward.mean()) > 1e-6
        else:
            assert answer.value == pytest.approx(reward.mean(), abs=1e-13)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), constant=st.floats(-50, 50))
def test_a_constant_added_to_all_rewards_moves_the_self_normalised_by_just_that(seed, constant):
    """The negative control: ips and dr move by the constant times the mean weight."""
    feedback = make(np.random.default_rng(seed), 60)
    names = ("snips", "sndr", "ips", "dr")
    before = [each.value for each in estimate(feedback, names)]
    after = estimate(replace(feedback, reward=feedback.reward + constant), names)
    moved = np.array([each.value for each in after]) - before
    share = after[0].mean_weight
    assert moved == pytest.approx([constant, constant, constant * share, constant * share], abs=1e-10)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_model_without_error_makes_the_dr_family_equal_to_dm(seed):
    rng = np.random.default_rng(seed)
    reward, mean = rng.normal(size=40), rng.normal(size=40)
    feedback = modelled(reward, rng.uniform(0.1, 1.0, 40), rng.uniform(0.0, 1.0, 40), reward, mean)
    for answer in estimate(feedback, ("dm", "dr", "sndr", "switch-dr", "dr-os", "mrdr")):
        assert answer.value == pytest.approx(mean.mean(), abs=1e-13)


@pytest.mark.parametrize("name", UNBIASED)
def test_unbiased_estimators_are_linear_in_their_weights(name):
    """Half of every weight is half of the weighted part: the value is linear in the weights."""
    feedback = make(np.random.default_rng(17), 60)
    columns = ("target", "marginal_weight", "slate_weight")
    halved = replace(feedback, **{column: 0.5 * getattr(feedback, column) for column in columns})
    none = replace(feedback, **{column: 0.0 * getattr(feedback, column) for column in columns})
    whole, half, rest = (estimate(each, (name,))[0].value for each in (feedback, halved, none))
    assert half - rest == pytest.approx((whole - rest) / 2, abs=1e-13)


def test_snips_of_a_constant_reward_is_exact():
    rng = np.random.default_rng(2)
    for groups in (None, 9):
        feedback = make(rng, 100, groups)
        flat = Feedback(np.full(100, 3.3), feedback.propensity, feedback.target, cluster=feedback.cluster)
        ips, snips = estimate(flat)
        assert snips.value == pytest.approx(3.3, rel=1e-14)
        assert snips.low == snips.high == snips.value
        assert ips.high > ips.low


def test_extreme_parameters_give_ips_dr_and_dm():
    feedback = make(np.random.default_rng(4))
    ips, dm, dr = (each.value for each in estimate(feedback, ("ips", "dm", "dr")))
    for lenient in (SwitchDR(np.inf), ShrunkDR(1e18), ShrunkDR(np.inf)):
        assert estimate(feedback, (lenient,))[0].value == pytest.approx(dr, rel=1e-12)
    for strict in (SwitchDR(0.0), ShrunkDR(1e-18)):
        assert estimate(feedback, (strict,))[0].value == pytest.approx(dm, abs=1e-12)
    assert estimate(feedback, (ClippedIps(np.inf),))[0].value == ips
    assert estimate(feedback, (ClippedIps(1e-12),))[0].value == pytest.approx(0.0, abs=1e-11)


def test_clipping_lowers_the_value_of_non_negative_rewards():
    feedback = make(np.random.default_rng(18))
    positive = replace(feedback, reward=np.abs(feedback.reward))
    values = [estimate(positive, (ClippedIps(largest),))[0].value for largest in (0.5, 1.0, 2.0, 4.0, np.inf)]
    assert (np.diff(values) > 0).all()

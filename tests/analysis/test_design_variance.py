"""The variance of each experimental design, against enumeration and by hand."""

from itertools import product

import numpy as np
import pytest

from bandit.analysis.design_variance import (
    live_variance,
    logged_conversions,
    logged_variance,
    pilot_variance,
    two_group_factor,
)
from bandit.analysis.response_model import ResponseModel
from bandit.errors import InputError
from bandit.ope import Feedback, estimate


def enumerated(response, k, exploration, agreement, uplift, estimator):
    """The variance of the paired term over all contexts, offers and outcomes.

    Two kinds of context, where the policies agree and where not; the rules take offer 0, the candidate there 1. A
    conversion is worth exactly `worth`, and the reward model of dr knows every mean.
    """
    better = response.with_uplift(uplift / (1.0 - agreement))
    mean, square = 0.0, 0.0
    for (agree, share), offer in product(((True, agreement), (False, 1.0 - agreement)), range(k)):
        logged = exploration / k + (1.0 - exploration) * (offer == 0)
        weight = (0.0 if agree else float(offer == 1) - float(offer == 0)) / logged
        earned = better if not agree and offer == 1 else response
        predicted = 0.0 if agree else better.value - response.value
        for converts, chance in ((1, earned.rate), (0, 1.0 - earned.rate)):
            reward = converts * earned.worth - earned.cost
            term = weight * reward if estimator == "ips" else predicted + weight * (reward - earned.value)
            mean += share * logged * chance * term
            square += share * logged * chance * term**2
    assert mean == pytest.approx(uplift, abs=1e-12)
    return square - mean**2


@pytest.mark.parametrize("estimator", ["ips", "dr"])
@pytest.mark.parametrize("exploration", [0.1, 1.0])
@pytest.mark.parametrize(("agreement", "uplift"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.5), (0.4, 0.5)])
def test_the_variance_of_a_log_is_that_of_enumeration(estimator, exploration, agreement, uplift):
    response = ResponseModel(0.2, 10.0, 0.0, 0.3)
    planned = logged_variance(response, 6, exploration, agreement=agreement, uplift=uplift, estimator=estimator)
    assert planned == pytest.approx(enumerated(response, 6, exploration, agreement, uplift, estimator))
    # Negative control: another number of offers.
    other = logged_variance(response, 5, exploration, agreement=agreement, uplift=uplift, estimator=estimator)
    assert other != pytest.approx(planned, rel=0.05)


def test_live_groups_share_customers_and_not_decisions():
    """Variance 38.5, a quarter on the policy, 5 decisions a customer at rho 0.1: 38.5 (4 + 4/3) 1.4 = 287.47."""
    response = ResponseModel(0.1, 20.0, 5.0)
    assert live_variance(response, 0.25, visits=5, correlation=0.1) == pytest.approx(38.5 * 16 / 3 * 1.4)


def test_only_a_difference_shared_by_a_customers_decisions_increases_the_variance_of_a_log():
    response = ResponseModel(0.1, 20.0, 5.0)
    once, often = (logged_variance(response, 6, 0.1, visits=visits) for visits in (1, 10))
    assert once == often
    once, often = (logged_variance(response, 6, 0.1, visits=visits, uplift=0.2, agreement=0.5) for visits in (1, 10))
    assert often - once == pytest.approx(9 * 0.2**2)


def test_conversions_that_support_an_estimate_are_those_of_explored_candidate_offers():
    """A fifth agrees, a tenth over 5 offers, 0.3 convert: 0.8 x 0.02 x 0.3 = 0.0048 a decision."""
    assert logged_conversions(ResponseModel(0.3, 1.0, 0.0), 5, 0.1, 0.2) == pytest.approx(0.0048)


def test_a_reward_model_saves_the_share_it_explains():
    response = ResponseModel(0.1, 20.0, 5.0)
    assert logged_variance(response, 6, 0.1, explained=0.3) == pytest.approx(0.7 * logged_variance(response, 6, 0.1))


def test_a_pilot_gives_its_own_variance():
    """Rewards 0 and 2, half each: variance 1 per decision (n / (n - 1)), whatever their number."""
    for n in (100, 10_000):
        ones = np.ones(n)
        value = estimate(Feedback(np.arange(n) % 2 * 2.0, ones, ones), ("ips",))[0]
        assert pilot_variance(value) == pytest.approx(1.0, rel=2 / n)
    with pytest.raises(InputError, match="no standard error"):
        pilot_variance(estimate(Feedback(np.ones(5), np.ones(5), np.ones(5)), ("ips",))[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: logged_variance(r, 6, 0.0), "exploration is 0"),
        (lambda r: logged_variance(r, 1, 0.1), "eligible offers is 1"),
        (lambda r: logged_variance(r, 6, 0.1, agreement=1.0), "agreement is 1"),
        (lambda r: logged_variance(r, 6, 0.1, explained=1.0), "explained is 1"),
        (lambda r: live_variance(r, 1.0), "policy is 1"),
        (lambda r: live_variance(r, correlation=-0.1), "correlation is -0.1"),
        (lambda _: two_group_factor(0.0), "policy is 0"),
    ],
)
def test_designs_out_of_range_are_rejected_with_a_message(call, message):
    with pytest.raises(InputError, match=message):
        call(ResponseModel(0.1, 20.0, 5.0))


def test_two_groups_of_equal_size_have_four_times_the_variance_of_one_mean():
    """1 / .5 + 1 / .5 = 4; a quarter on the policy: 4 + 4/3."""
    assert two_group_factor(0.5) == 4.0
    assert two_group_factor(0.25) == pytest.approx(16 / 3)

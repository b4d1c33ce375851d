"""The variance V per decision of an estimated difference to the segment rules, by experimental design.

Let r be the reward of a decision and D = V(candidate) - V(rules). An estimate of D is a mean of n terms of variance V.

**From the log of rules with exploration**: a share e of decisions is drawn uniformly from k eligible offers. The rules'
own offer has the propensity p = 1 - e + e / k, any other q = e / k. Where a deterministic candidate agrees with the
rules (a share g of the contexts) the paired term of `ips` and `dr` is 0, since both policies have the same weight.
Elsewhere, with the residual s = r - (the reward model's prediction) for dr and s = r for ips, the term is s / q where
the candidate's offer was logged, -s / p where the rules' was, 0 otherwise, plus for dr the predicted difference. So

    V = (1 - g) (E[s^2 | candidate] / q + E[s^2 | rules] / p) + W,

with E[s^2] = (1 - R2) Var(r) for dr with a model that explains a share R2 of the variance, E[r^2] for ips, and W the
variance of the true difference d(x) between contexts: assuming d = D / (1 - g) wherever they disagree,
W = D^2 g / (1 - g) (for ips minus D^2 / (1 - g), which the second moments contain). k enters only through 1 / q, so the
mean number of eligible offers is the number to use. A randomised candidate needs fewer decisions.

Repeated decisions of a customer: a customer effect common to all offers is multiplied by the difference of the two
weights, whose mean is 0 in every context, so it adds no covariance between the terms of two decisions. Only d(x) does,
and a customer's decisions may share it completely: W is multiplied by `visits`, the other terms are not.

**Live, side by side** (an A/B test): a share s of the customers on the policy, the others on the rules,

    V = (Var(r | policy) / s + Var(r | rules) / (1 - s)) (1 + (m - 1) rho),

with m decisions a customer whose rewards have correlation rho (the design effect of Kish 1965, "Survey sampling"):
customers, not decisions, are randomised, and nothing cancels.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Literal

from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.analysis.response_model import ResponseModel
    from bandit.ope import Estimate


def logged_variance(
    response: ResponseModel,
    eligible: float,
    exploration: float,
    *,
    agreement: float = 0.0,
    uplift: float = 0.0,
    explained: float = 0.0,
    visits: float = 1.0,
    estimator: Literal["dr", "ips"] = "dr",
) -> float:
    """Return V of the paired difference estimated from the log of rules with a share of `exploration` (see module).

    `eligible` is k, `agreement` g, `uplift` D, `explained` R2 and `visits` the decisions a customer. InputError for
    values out of range.
    """
    check_number("exploration", exploration, 0.0 < exploration <= 1.0, "a share above 0 and at most 1, such as 0.1")
    check_number("agreement", agreement, 0.0 <= agreement < 1.0, "a share from 0 to below 1")
    check_number("share explained", explained, 0.0 <= explained < 1.0, "a share from 0 to below 1")
    check_number("number of eligible offers", eligible, eligible >= 2.0, "at least 2")
    check_number("number of decisions a customer", visits, visits >= 1.0, "at least 1")
    q = exploration / eligible
    p = 1.0 - exploration + q
    disagreement = 1.0 - agreement
    candidate = response.with_uplift(uplift / disagreement)
    between_contexts = uplift**2 * agreement / disagreement
    if estimator == "ips":
        within = disagreement * (candidate.second_moment / q + response.second_moment / p) - uplift**2 / disagreement
    else:
        within = (1.0 - explained) * disagreement * (candidate.variance / q + response.variance / p)
    return within + between_contexts * visits


def logged_conversions(response: ResponseModel, eligible: float, exploration: float, agreement: float = 0.0) -> float:
    """Return the conversions per decision that support the estimate: (1 - g) q c, of explored candidate offers."""
    return (1.0 - agreement) * exploration / eligible * response.rate


def live_variance(
    response: ResponseModel, share: float = 0.5, *, uplift: float = 0.0, visits: float = 1.0, correlation: float = 0.0
) -> float:
    """Return V of the difference of two group means, with a `share` of the customers on the policy (see module)."""
    check_number("share of customers on the policy", share, 0.0 < share < 1.0, "a share between 0 and 1, such as 0.5")
    check_number("number of decisions a customer", visits, visits >= 1.0, "at least 1")
    check_number("correlation", correlation, 0.0 <= correlation <= 1.0, "a number from 0 to 1")
    both = response.with_uplift(uplift).variance / share + response.variance / (1.0 - share)
    return both * (1.0 + (visits - 1.0) * correlation)


def two_group_factor(share: float) -> float:
    """Return 1 / s + 1 / (1 - s): V of a difference of two groups relative to V of one mean, at a `share` s."""
    check_number("share of customers on the policy", share, 0.0 < share < 1.0, "a share between 0 and 1, such as 0.5")
    return 1.0 / share + 1.0 / (1.0 - share)


def pilot_variance(difference: Estimate) -> float:
    """Return V estimated from a pilot log: n x the squared (clustered) standard error of the difference."""
    error = difference.standard_error
    if not isfinite(error) or error <= 0:
        raise InputError(
            f"the pilot log has no standard error for the difference of {difference.n:,} decisions; give one with more "
            "decisions, or another policy"
        )
    return error**2 * difference.n


def check_number(what: str, given: float, valid: bool, wanted: str) -> None:
    """Raise InputError with what is wrong and what to give, unless the number is valid."""
    if not valid:
        raise InputError(f"the {what} is {given:g}; give {wanted}")

"""How many decisions it takes until a difference to the segment rules is told from nothing: by formula, before launch.

Let r be the reward of a decision and D = V(candidate) - V(rules). Every estimate of D is a mean of n terms of variance
V, so its interval at `level` has the width 2 z sqrt(V / n), z being the normal quantile of (1 + level) / 2, and a true
difference of (z + z_power) sqrt(V / n) is told from nothing with probability `power` (Cohen 1988, "Statistical Power
Analysis for the Behavioral Sciences"). What remains is V.

**From the log of rules that leave a share e to chance**, evenly over k eligible offers. The rules' own offer has the
propensity p = 1 - e + e / k, any other q = e / k. Where the candidate, certain of its choice, agrees with the rules
(a share g of the contexts) the paired term of `ips` and `dr` is 0, since both policies have the same weight there.
Elsewhere, with what a reward model predicts taken off the reward (the residual s; for ips, s = r), it is s / q where
the candidate's offer was made, -s / p where the rules' was, 0 otherwise, plus for dr the predicted difference. So

    V = (1 - g) (E[s^2 | candidate] / q + E[s^2 | rules] / p) + W,

with E[s^2] = (1 - R2) Var(r) for dr with a model that explains a share R2 of the variance, E[r^2] for ips, and W the
variance of the true difference d(x) between contexts: taking d to be D / (1 - g) wherever they disagree,
W = D^2 g / (1 - g) (for ips less (D^2 / (1 - g)), which the second moments contain). k enters through 1 / q only,
so its mean over contexts is the number to use. A candidate that is not certain of its choice needs fewer decisions.

Decisions of one customer: what a customer does more or less of under every offer is multiplied with the difference of
the two weights, whose mean in any context is 0, so it makes no covariance between the terms of two decisions. Only
d(x) does, which a customer's decisions may share in full: W counts `visits` times, and nothing else does.

**Live, side by side**, a share s of the customers on the policy and the others on the rules:

    V = (Var(r | policy) / s + Var(r | rules) / (1 - s)) (1 + (m - 1) rho),

with m decisions a customer whose rewards correlate by rho (Kish 1965, "Survey sampling"): customers, not decisions,
are put into groups, and nothing cancels.

All this is the normal interval. Few conversions behind an estimate make it skewed, and the default interval of
`evaluate`, which allows for that, is then wider: on simulated retail logs (`python -m simulator.validation.sample_size_check`) by a
tenth with 20 conversions, a fifth with 10, a third with 5 and a half with 3. So a plan counts them: of the decisions
from a log those that show the candidate's offer where it differs, (1 - g) q of all, and of these the share c that
converts.

Rewards: a decision converts with probability c and is then worth w on average, with deviation t, less a cost h paid
in any case: E[r] = c w - h, Var(r) = c (t^2 + w^2) - (c w)^2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, isfinite, sqrt
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import ndtri

from bandit.errors import InputError
from bandit.ope.estimate import check_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.ope import Estimate

Design: TypeAlias = Literal["log", "live", "pilot"]

FEW_CONVERSIONS = 30.0
"""With fewer conversions behind an estimate than this, intervals are wider than foretold."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a decision earns: it converts at `rate`, is then worth `worth` +- `deviation`, and costs `cost` anyway."""

    rate: float
    worth: float
    deviation: float
    cost: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise InputError(f"the response rate is {self.rate:g}; give a share above 0 and at most 1, such as 0.05")
        if not (isfinite(self.worth) and self.worth > 0):
            raise InputError(
                f"a conversion is worth {self.worth:g} on average; give a basket whose margin is more than the offers "
                "cost"
            )
        if not (isfinite(self.deviation) and self.deviation >= 0):
            raise InputError(f"the deviation of what a conversion is worth is {self.deviation:g}; give 0 or more")

    @property
    def value(self) -> float:
        """The mean reward of a decision."""
        return self.rate * self.worth - self.cost

    @property
    def variance(self) -> float:
        """The variance of the reward of a decision."""
        return self.rate * (self.deviation**2 + self.worth**2) - (self.rate * self.worth) ** 2

    @property
    def square(self) -> float:
        """The mean of the squared reward of a decision."""
        return self.variance + self.value**2

    def raised(self, by: float) -> Response:
        """Return the response of a policy that earns `by` more a decision: more convert, or where all do, for more."""
        if self.rate == 1.0:
            return replace(self, worth=self.worth + by)
        return replace(self, rate=min(max(self.rate + by / self.worth, 1e-9), 1.0))


def response_of(catalogue: Catalogue, rate: float, basket: float, basket_deviation: float) -> Response:
    """Return what a decision earns under the catalogue's objective, its offers taken equally often.

    For objective "reward", `basket` is the mean reward and `rate` is not used. A conversion of basket b is worth
    b (margin - rate) - redemption cost; where offers differ in these, that is part of the deviation.
    """
    kind = catalogue.objective.kind
    if kind == "conversion":
        return Response(rate, 1.0, 0.0)
    if kind == "reward":
        return Response(1.0, basket, basket_deviation)
    if kind == "revenue":
        return Response(rate, basket, basket_deviation)
    money = catalogue.money
    kept = catalogue.objective.margin - money.rate
    worth = basket * kept - money.redemption_cost
    deviation = sqrt(float(np.mean((basket_deviation * kept) ** 2) + worth.var()))
    return Response(rate, float(worth.mean()), deviation, float(money.contact_cost.mean()))


def logged_variance(
    response: Response,
    eligible: float,
    exploration: float,
    *,
    agreement: float = 0.0,
    uplift: float = 0.0,
    explained: float = 0.0,
    visits: float = 1.0,
    estimator: Literal["dr", "ips"] = "dr",
) -> float:
    """Return V of the paired difference, judged from the log of the rules with a share of `exploration`."""
    _check("exploration", exploration, 0.0 < exploration <= 1.0, "a share above 0 and at most 1, such as 0.1")
    _check("agreement", agreement, 0.0 <= agreement < 1.0, "a share from 0 to below 1")
    _check("share explained", explained, 0.0 <= explained < 1.0, "a share from 0 to below 1")
    _check("number of eligible offers", eligible, eligible >= 2.0, "at least 2")
    _check("number of decisions a customer", visits, visits >= 1.0, "at least 1")
    other = exploration / eligible
    own = 1.0 - exploration + other
    apart = 1.0 - agreement
    better = response.raised(uplift / apart)
    shared = uplift**2 * agreement / apart
    if estimator == "ips":
        rows = apart * (better.square / other + response.square / own) - uplift**2 / apart
    else:
        rows = (1.0 - explained) * apart * (better.variance / other + response.variance / own)
    return rows + shared * visits


def logged_conversions(response: Response, eligible: float, exploration: float, agreement: float = 0.0) -> float:
    """Return the conversions behind the estimate, a decision: of the candidate's offers that chance showed."""
    return (1.0 - agreement) * exploration / eligible * response.rate


def live_variance(
    response: Response, share: float = 0.5, *, uplift: float = 0.0, visits: float = 1.0, correlation: float = 0.0
) -> float:
    """Return V of the difference of two means, a `share` of the customers being on the policy."""
    _check("share of customers on the policy", share, 0.0 < share < 1.0, "a share between 0 and 1, such as 0.5")
    _check("number of decisions a customer", visits, visits >= 1.0, "at least 1")
    _check("correlation", correlation, 0.0 <= correlation <= 1.0, "a number from 0 to 1")
    both = response.raised(uplift).variance / share + response.variance / (1.0 - share)
    return both * (1.0 + (visits - 1.0) * correlation)


def two_groups(share: float) -> float:
    """Return how much larger V is with a `share` of the customers in one group than that of one mean: 1/s + 1/(1-s)."""
    _check("share of customers on the policy", share, 0.0 < share < 1.0, "a share between 0 and 1, such as 0.5")
    return 1.0 / share + 1.0 / (1.0 - share)


def pilot_variance(difference: Estimate) -> float:
    """Return V as a pilot log shows it: its standard error, clustered and all, squared and times its decisions."""
    error = difference.standard_error
    if not isfinite(error) or error <= 0:
        raise InputError(
            f"the pilot log has no standard error for the difference of {difference.n:,} decisions; give one with more "
            "decisions, or another policy"
        )
    return error**2 * difference.n


def width(variance: float, decisions: float, level: float = 0.95) -> float:
    """Return the width of the interval of the difference after so many decisions."""
    return 2.0 * _quantile(level) * sqrt(variance / decisions)


def decisions_for_width(variance: float, wanted: float, level: float = 0.95) -> int:
    """Return after how many decisions the interval is at most so wide."""
    _check("width", wanted, isfinite(wanted) and wanted > 0, "a number above 0")
    return max(ceil(variance * (2.0 * _quantile(level) / wanted) ** 2), 1)


def smallest_difference(variance: float, decisions: float, level: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest true difference that so many decisions tell from nothing with probability `power`."""
    return _reach(level, power) * sqrt(variance / decisions)


def decisions_for_difference(variance: float, wanted: float, level: float = 0.95, power: float = 0.8) -> int:
    """Return after how many decisions such a true difference is told from nothing with probability `power`."""
    _check("difference", wanted, isfinite(wanted) and wanted > 0, "a number above 0")
    return max(ceil(variance * (_reach(level, power) / wanted) ** 2), 1)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached: an interval narrower than `size`, or a difference of `size` told with `power`."""

    kind: Literal["width", "difference"]
    size: float
    level: float = 0.95
    power: float = 0.8

    def decisions(self, variance: float) -> int:
        """Return after how many decisions it is reached."""
        if self.kind == "width":
            return decisions_for_width(variance, self.size, self.level)
        return decisions_for_difference(variance, self.size, self.level, self.power)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to learn the difference, a decision of it: `variance` is V, `conversions` those behind the estimate.

    `share` is the share left to chance ("log"), the share of customers on the policy ("live"), or None ("pilot");
    `conversions` is None where they are not known.
    """

    design: Design
    share: float | None
    variance: float
    conversions: float | None = None


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One way to learn the difference: what it can tell after the weeks asked about, and when it reaches the goal.

    `share` is the share left to chance ("log"), the share of customers on the policy ("live"), or None ("pilot").
    `cost` is what exploring costs a decision, None where it is not known. `variance` is V of one decision.
    `conversions` are those behind the estimate after the weeks asked about.
    """

    design: Design
    share: float | None
    variance: float
    conversions: float | None
    width: float
    smallest_difference: float
    decisions: int
    weeks: float
    cost: float | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Plan:
    """Ways to learn a difference, with `per_week` decisions; widths and differences are those after `weeks`."""

    goal: Goal
    per_week: float
    weeks: float
    rows: tuple[PlanRow, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        goal = {name: getattr(self.goal, name) for name in self.goal.__slots__}
        return {
            "goal": goal,
            "decisions_per_week": self.per_week,
            "weeks": self.weeks,
            "rows": [row.to_dict() for row in self.rows],
        }


def plan(
    ways: Sequence[Way],
    goal: Goal,
    per_week: float,
    weeks: float = 4.0,
    given_up: float | None = None,
) -> Plan:
    """Return a row for each way; `given_up` is value(rules) - value(uniform choice), where it is known."""
    _check("number of decisions a week", per_week, isfinite(per_week) and per_week >= 1.0, "at least 1")
    _check("number of weeks", weeks, isfinite(weeks) and weeks > 0.0, "a number above 0")
    rows = []
    for way in ways:
        needed = goal.decisions(way.variance)
        known = way.design == "log" and given_up is not None
        cost = (way.share or 0.0) * (given_up or 0.0) if known else None
        rows.append(
            PlanRow(
                design=way.design,
                share=way.share,
                variance=way.variance,
                conversions=None if way.conversions is None else way.conversions * per_week * weeks,
                width=width(way.variance, per_week * weeks, goal.level),
                smallest_difference=smallest_difference(way.variance, per_week * weeks, goal.level, goal.power),
                decisions=needed,
                weeks=needed / per_week,
                cost=cost,
            )
        )
    return Plan(goal, per_week, weeks, tuple(rows))


def _quantile(level: float) -> float:
    check_level(level)
    return float(ndtri(0.5 + level / 2.0))


def _reach(level: float, power: float) -> float:
    _check("power", power, 0.5 <= power < 1.0, "a share from 0.5 to below 1, such as 0.8")
    return _quantile(level) + float(ndtri(power))


def _check(what: str, seen: float, fits: bool, wanted: str) -> None:
    if not fits:
        raise InputError(f"the {what} is {seen:g}; give {wanted}")

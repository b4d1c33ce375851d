"""How many decisions tell two live groups of customers apart: at one look, and with a look every day.

Of n decisions in all, by K customers in all, a group with share s of the customers has the mean reward with variance

    (Var(r) / s) ((1 - rho) / n + rho c / K),

rho being the correlation of the rewards of one customer and c the mean square of the decisions per customer over the
square of their mean (1 where all have equally many): the design effect of Kish 1965, "Survey sampling". While new
customers keep coming, K = n / visits and the variance falls as 1 / n. A fixed number of customers who return gives it
the lower bound Var(r) rho c / (s K): a lift below what that allows is never told.

One look on a fixed day tells a lift d with probability `power` once d = (z + z_power) errors. A look every day uses the
wider interval of `bandit.ope.intervals.anytime`; when it tells the lift is computed exactly by `repeated_looks`. Both
are for m comparisons that hold together by Bonferroni's inequality. `lift` does the same for daily looks; for one look
its max-t intervals are a little narrower, by at most 2 % for three comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, isfinite
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import ndtri

from bandit.analysis.design_variance import check_number
from bandit.analysis.repeated_looks import first_look_distribution, signal_needed, spaced_looks
from bandit.errors import InputError
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE, check_level
from bandit.ope.intervals.anytime import anytime_half_width

if TYPE_CHECKING:
    from bandit.domain import FloatArray

PlannedLook: TypeAlias = Literal["daily", "once"]

LONGEST_WEEKS = 520
"""The last week in which a plan looks for a verdict."""

MIN_PLANNED_EVENTS = 10.0
"""With fewer outcomes in the smaller group, lift cannot tell whatever the interval says."""

_DAYS = 7.0


@dataclass(frozen=True, slots=True)
class GroupReward:
    """The reward of a group's decisions: its variance, its correlation within a customer, and how many earn something.

    `rate` is the share of decisions whose outcome is of the rarer kind. InputError for values out of range.
    """

    variance: float
    correlation: float = 0.0
    rate: float = 1.0

    def __post_init__(self) -> None:
        check_number("variance of a reward", self.variance, 0.0 < self.variance < inf, "a number above 0")
        check_number("correlation", self.correlation, 0.0 <= self.correlation <= 1.0, "a number from 0 to 1")
        check_number("share of decisions that earn something", self.rate, 0.0 < self.rate <= 1.0, "a share above 0")


@dataclass(frozen=True, slots=True)
class CustomerTraffic:
    """The decisions per week, and by how many customers they are.

    New customers keep coming and make `visits` decisions each; or the same `customers` make all of them. `spread` is
    the mean square of the decisions per customer over the square of their mean.
    """

    decisions_per_week: float
    visits: float = 1.0
    customers: float | None = None
    spread: float = 1.0

    def __post_init__(self) -> None:
        weekly, base = self.decisions_per_week, self.customers
        check_number("number of decisions a week", weekly, isfinite(weekly) and weekly >= 1.0, "at least 1")
        check_number("number of decisions a customer", self.visits, 1.0 <= self.visits < inf, "at least 1")
        check_number("spread of the decisions per customer", self.spread, 1.0 <= self.spread < inf, "at least 1")
        if base is not None:
            check_number("number of customers", base, 2.0 <= base < inf, "at least 2")

    def customers_after(self, decisions: float) -> float:
        """Return the number of customers who have made this many decisions in all."""
        return decisions / self.visits if self.customers is None else min(decisions, self.customers)

    def decisions_until(self, customers: float) -> float:
        """Return the number of decisions until so many customers were seen, infinity where there are not as many."""
        if self.customers is None:
            return customers * self.visits
        return customers if customers <= self.customers else inf


@dataclass(frozen=True, slots=True)
class LiftTarget:
    """The lift per decision to tell, at which level and power, within how many weeks, and by which look.

    `comparisons` is how many hold together; `everyone` says that the customers of all groups are in the comparison, not
    those of the two groups alone (the width of the daily interval depends on their number). InputError for a lift of 0.
    """

    lift: float
    level: float = 0.95
    power: float = 0.8
    weeks: float = 4.0
    look: PlannedLook = "daily"
    comparisons: int = 1
    everyone: bool = True

    def __post_init__(self) -> None:
        if not (isfinite(self.lift) and self.lift != 0.0):
            raise InputError(
                f"the lift to tell is {self.lift:g}; give how much more (or less) a decision of the policy earns, such "
                'as --lift 0.2 or --lift "10%"'
            )
        check_level(self.level)
        check_number("power", self.power, 0.5 <= self.power < 1.0, "a share from 0.5 to below 1, such as 0.8")
        check_number("number of weeks", self.weeks, 0.0 < self.weeks < inf, "a number above 0")

    @property
    def single_level(self) -> float:
        """The level of one comparison's interval."""
        return 1.0 - (1.0 - self.level) / self.comparisons

    @property
    def single_look_signal(self) -> float:
        """The lift in standard errors that one look tells with the power asked for: z + z_power."""
        return float(ndtri(0.5 + self.single_level / 2.0) + ndtri(self.power))


@dataclass(frozen=True, slots=True)
class DailyTiming:
    """When a look every day tells: the decisions and weeks until it has with the power asked for, None for never.

    `mean_weeks` is how long it takes on average if it stops as soon as it tells, and at the latest then.
    """

    decisions: int | None
    weeks: float | None
    mean_weeks: float | None


@dataclass(frozen=True, slots=True)
class GroupPair:
    """The policy's group and another one, with their shares of the customers."""

    policy: GroupReward
    other: GroupReward
    policy_share: float
    other_share: float

    def error(self, decisions: FloatArray | float, traffic: CustomerTraffic) -> FloatArray:
        """Return the standard error of the lift after these numbers of decisions in all groups."""
        n = np.asarray(decisions, dtype=np.float64)
        customers = n / traffic.visits if traffic.customers is None else np.minimum(n, traffic.customers)
        within, between = self._parts(traffic)
        return np.asarray(np.sqrt(within / n + between / customers))

    def first_decisions(self, traffic: CustomerTraffic) -> float:
        """Return the decisions in all groups before which `lift` says "cannot tell" whatever the difference is."""
        smaller = min(self.policy_share, self.other_share)
        both = self.policy_share + self.other_share
        rate = (self.policy.rate * self.policy_share + self.other.rate * self.other_share) / both
        customers = traffic.decisions_until(MIN_EFFECTIVE_SAMPLE_SIZE / smaller)
        return max(customers, MIN_EFFECTIVE_SAMPLE_SIZE / smaller, MIN_PLANNED_EVENTS / (smaller * rate))

    def single_look(self, traffic: CustomerTraffic, target: LiftTarget) -> int | None:
        """Return the decisions in all groups at which one look tells the lift at the power asked for; None for never.

        A variance of 100 a decision in both groups of a half each is 400 per decision in all, and a lift of 1 needs
        (1.96 + 0.8416)^2 x 400 decisions:

        >>> reward = GroupReward(100.0)
        >>> GroupPair(reward, reward, 0.5, 0.5).single_look(CustomerTraffic(1_000), LiftTarget(1.0))
        3140
        """
        within, between = self._parts(traffic)
        largest = (target.lift / target.single_look_signal) ** 2
        if traffic.customers is None:
            needed = (within + between * traffic.visits) / largest
        elif within + between <= largest * traffic.customers:
            needed = (within + between) / largest
        else:
            left = largest - between / traffic.customers
            needed = within / left if left > 0.0 else inf
        needed = max(needed, self.first_decisions(traffic))
        return ceil(needed - 1e-9) if isfinite(needed) else None

    def daily_look(self, traffic: CustomerTraffic, target: LiftTarget) -> DailyTiming:
        """Return when a look every day tells the lift."""
        days, fractions, widths, signal = self._looks(traffic, target, LONGEST_WEEKS, to_the_end=False)
        if not len(days):
            return DailyTiming(None, None, None)
        shown = first_look_distribution(fractions, widths, signal)
        if shown[-1] < target.power:
            return DailyTiming(None, None, None)
        last = int(np.argmax(shown >= target.power))
        gained = np.diff(shown[: last + 1], prepend=0.0)
        gained[-1] += 1.0 - shown[last]
        week = float(days[last]) / _DAYS
        decisions = ceil(week * traffic.decisions_per_week - 1e-9)
        return DailyTiming(decisions, week, float(gained @ days[: last + 1]) / _DAYS)

    def signal_within(self, traffic: CustomerTraffic, target: LiftTarget) -> float:
        """Return the lift in standard errors at the deadline that is told by then, by the look asked for.

        Infinite where `lift` says nothing by then.
        """
        if target.look == "once":
            enough = self.first_decisions(traffic) <= target.weeks * traffic.decisions_per_week
            return target.single_look_signal if enough else inf
        _, fractions, widths, _ = self._looks(traffic, target, target.weeks, to_the_end=True)
        return signal_needed(fractions, widths, target.power) if len(fractions) else inf

    def _looks(
        self, traffic: CustomerTraffic, target: LiftTarget, weeks: float, *, to_the_end: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """Return days, fractions of the information and half-widths of the looks, and the signal at the last one."""
        per_day, last = traffic.decisions_per_week / _DAYS, int(weeks * _DAYS)
        first = self.first_decisions(traffic) / per_day
        if first > last:
            return np.empty(0), np.empty(0), np.empty(0), 0.0
        days = np.arange(max(ceil(first - 1e-9), 1), last + 1, dtype=np.float64)
        errors = self.error(days * per_day, traffic)
        kept = spaced_looks(1.0 / errors**2, to_the_end=to_the_end)
        days, errors = days[kept], errors[kept]
        part = 1.0 if target.everyone else self.policy_share + self.other_share
        widths = [
            anytime_half_width(traffic.customers_after(n) * part, target.single_level)
            for n in (days * per_day).tolist()
        ]
        return days, (errors[-1] / errors) ** 2, np.array(widths), abs(target.lift) / float(errors[-1])

    def _parts(self, traffic: CustomerTraffic) -> tuple[float, float]:
        """Return the variance of the lift as a / decisions + b / customers: a and b."""
        within = between = 0.0
        for reward, share in ((self.policy, self.policy_share), (self.other, self.other_share)):
            within += reward.variance * (1.0 - reward.correlation) / share
            between += reward.variance * reward.correlation * traffic.spread / share
        return within, between


def clustered_variance(reward: GroupReward, decisions: float, traffic: CustomerTraffic) -> float:
    """Return n times the variance of a group's mean over n decisions: Var(r) (1 - rho + rho c n / K)."""
    per_customer = decisions / traffic.customers_after(decisions)
    return reward.variance * (1.0 - reward.correlation + reward.correlation * traffic.spread * per_customer)


def smallest_share(rate: float, decisions: float, traffic: CustomerTraffic) -> float:
    """Return the share of a group that by then has the customers and outcomes without which `lift` cannot tell."""
    return max(
        MIN_EFFECTIVE_SAMPLE_SIZE / traffic.customers_after(decisions), MIN_PLANNED_EVENTS / (decisions * rate)
    ) * (1.0 + 1e-9)


def standard_error_allowed(target: LiftTarget, signal: float) -> float:
    """Return the standard error at which the lift is `signal` standard errors; 0 where that is infinite."""
    return abs(target.lift) / signal if isfinite(signal) else 0.0

"""The plan of live groups: when the policy is told from each other group, at which shares, and what that costs.

The cost is the lift that is forgone until then: where the policy is better, by every decision outside its group, and
where it is worse, by every decision in it. Told by one look from all other groups, that is proportional to
(1 - s) (v_p / s + V / (1 - s)) = v_p (1 - s) / s + V, which falls with the policy's share s towards V while the time
grows without limit: what is cheapest depends on the time that there is. Daily looks, whose intervals grow with the
number of customers, and groups that keep their shares make very large shares of the policy costlier again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal, TypeAlias

from bandit.analysis.group_shares import (
    PLANNED_GROUP,
    SHARE_ROUNDING,
    check_compared,
    check_group_shares,
    fastest_shares,
    shares_within,
    split_share,
)
from bandit.analysis.group_timing import (
    CustomerTraffic,
    DailyTiming,
    GroupPair,
    GroupReward,
    LiftTarget,
    clustered_variance,
    smallest_share,
    standard_error_allowed,
)
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.tabular import Cell

COMPARED_POLICY_SHARES = (0.5, 0.8, 0.9, 0.95)
"""Shares of the policy's group that the table compares, beside the planned and the best ones."""

ShareKind: TypeAlias = Literal["planned", "compared", "fastest", "cheapest"]

_ROUNDS = 12
"""Rounds in which the best shares and the time that they take are brought into agreement; most need two."""

_SEARCHED = 1e-3
"""How exactly the cheapest share is searched; near it the cost hardly changes."""


@dataclass(frozen=True, slots=True)
class PairPlan:
    """When the policy is told from one other group, at the planned shares; None for never (daily: in ten years).

    `decisions`, `customers` and `weeks` are those of all groups until one look on a fixed day tells it, and
    `group_customers` the customers of the two groups by then. `daily` is for a look every day.
    """

    group: str
    decisions: int | None
    customers: int | None
    group_customers: tuple[int, int] | None
    weeks: float | None
    daily: DailyTiming

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        names = ("group", "decisions", "customers", "group_customers", "weeks")
        daily = self.daily
        return {name: getattr(self, name) for name in names} | {
            "daily": {"decisions": daily.decisions, "weeks": daily.weeks, "mean_weeks": daily.mean_weeks}
        }


@dataclass(frozen=True, slots=True)
class SharePlan:
    """One division of the customers: the weeks until the policy is told from every group compared, and the cost.

    `weeks` are for one look, `daily_weeks` and `mean_weeks` for a look every day: with the power asked for, and on
    average if the experiment stops as soon as it tells; None for never. `cost` is the lift forgone until then by the
    look of the target (on average for daily looks), None for never.
    """

    kind: ShareKind
    shares: Mapping[str, float]
    weeks: float | None
    daily_weeks: float | None
    mean_weeks: float | None
    cost_per_week: float
    cost: float | None

    def to_row(self) -> dict[str, Cell]:
        """Return the division as one row of a table."""
        numbers: dict[str, Cell] = {
            "weeks_one_look": self.weeks,
            "weeks_daily": self.daily_weeks,
            "weeks_daily_mean": self.mean_weeks,
            "cost_per_week": self.cost_per_week,
            "cost": self.cost,
        }
        return {"division": self.kind, **{f"share_{name}": each for name, each in self.shares.items()}, **numbers}

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"shares": dict(self.shares)}


@dataclass(frozen=True, slots=True)
class GroupPlan(Tabular):
    """The plan: each pair at the planned shares, and the divisions of the customers that are compared.

    `cheapest` is None where no shares tell the lift within `target.weeks`.
    """

    target: LiftTarget
    traffic: CustomerTraffic
    rewards: Mapping[str, GroupReward]
    pairs: tuple[PairPlan, ...]
    planned: SharePlan
    compared: tuple[SharePlan, ...]
    fastest: SharePlan
    cheapest: SharePlan | None

    @property
    def rows(self) -> tuple[SharePlan, ...]:
        """All divisions, the planned one first."""
        best = () if self.cheapest is None else (self.cheapest,)
        return (self.planned, *self.compared, self.fastest, *best)

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"shares of the customers, and the weeks until a lift of {self.target.lift:g} a decision is told"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a division of the customers; weeks and cost are None for never."""
        return [each.to_row() for each in self.rows]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        target, traffic = self.target, self.traffic
        return {
            "lift": target.lift,
            "level": target.level,
            "power": target.power,
            "within_weeks": target.weeks,
            "look": target.look,
            "comparisons": target.comparisons,
            "traffic": {name: getattr(traffic, name) for name in traffic.__slots__},
            "rewards": {
                name: {"variance": each.variance, "correlation": each.correlation, "rate": each.rate}
                for name, each in self.rewards.items()
            },
            "pairs": [each.to_dict() for each in self.pairs],
            "shares": [each.to_dict() for each in self.rows],
            "cheapest": None if self.cheapest is None else dict(self.cheapest.shares),
            "fastest": dict(self.fastest.shares),
        }


def plan_groups(
    shares: Mapping[str, float],
    rewards: Mapping[str, GroupReward],
    traffic: CustomerTraffic,
    target: LiftTarget,
    against: Sequence[str] = (),
) -> GroupPlan:
    """Return the plan for groups with these shares of the customers.

    The policy is to be told from the groups `against`, by default from all others; the best shares leave those of the
    remaining groups as they are. InputError for shares that do not sum to 1, for a group that is not there, and without
    a group to compare with.
    """
    return _GroupPlanner(check_group_shares(shares), rewards, traffic, target, check_compared(shares, against)).plan()


def plan_shares(
    shares: Mapping[str, float],
    rewards: Mapping[str, GroupReward],
    traffic: CustomerTraffic,
    target: LiftTarget,
    against: Sequence[str] = (),
) -> SharePlan:
    """Return only the times and the cost of these shares; see `plan_groups`."""
    checked = check_group_shares(shares)
    return _GroupPlanner(checked, rewards, traffic, target, check_compared(shares, against)).row("planned", checked)


@dataclass(frozen=True, slots=True)
class _GroupPlanner:
    """Computes the parts of one plan."""

    shares: Mapping[str, float]
    rewards: Mapping[str, GroupReward]
    traffic: CustomerTraffic
    target: LiftTarget
    against: tuple[str, ...]

    def plan(self) -> GroupPlan:
        """Return the whole plan."""
        cheapest = self._cheapest()
        return GroupPlan(
            target=self.target,
            traffic=self.traffic,
            rewards={name: self.rewards[name] for name in self.shares},
            pairs=tuple(self._pair_plan(name) for name in self.against),
            planned=self.row("planned", self.shares),
            compared=tuple(
                self.row("compared", self._with_policy_share(share))
                for share in COMPARED_POLICY_SHARES
                if abs(share - self.shares[PLANNED_GROUP]) > SHARE_ROUNDING
            ),
            fastest=self.row("fastest", self._fastest()),
            cheapest=None if cheapest is None else self.row("cheapest", cheapest),
        )

    def _pair(self, shares: Mapping[str, float], name: str) -> GroupPair:
        return GroupPair(self.rewards[PLANNED_GROUP], self.rewards[name], shares[PLANNED_GROUP], shares[name])

    def _pair_plan(self, name: str) -> PairPlan:
        pair = self._pair(self.shares, name)
        decisions, daily = pair.single_look(self.traffic, self.target), pair.daily_look(self.traffic, self.target)
        if decisions is None:
            return PairPlan(name, None, None, None, None, daily)
        customers = self.traffic.customers_after(decisions)
        both = (round(customers * pair.policy_share), round(customers * pair.other_share))
        return PairPlan(name, decisions, round(customers), both, decisions / self.traffic.decisions_per_week, daily)

    def row(self, kind: ShareKind, shares: Mapping[str, float]) -> SharePlan:
        """Return the times and the cost of one division of the customers."""
        pairs = [self._pair(shares, name) for name in self.against]
        decisions = [each.single_look(self.traffic, self.target) for each in pairs]
        single = _longest([None if n is None else n / self.traffic.decisions_per_week for n in decisions])
        timings = [each.daily_look(self.traffic, self.target) for each in pairs]
        daily, mean = _longest([each.weeks for each in timings]), _longest([each.mean_weeks for each in timings])
        forgone = 1.0 - shares[PLANNED_GROUP] if self.target.lift > 0.0 else shares[PLANNED_GROUP]
        weekly = self.traffic.decisions_per_week * abs(self.target.lift) * forgone
        lasts = mean if self.target.look == "daily" else single
        return SharePlan(kind, dict(shares), single, daily, mean, weekly, None if lasts is None else weekly * lasts)

    def _with_policy_share(self, share: float) -> dict[str, float]:
        """Return the planned shares with another one of the policy; the others keep their proportions."""
        rest = (1.0 - share) / (1.0 - self.shares[PLANNED_GROUP])
        return {name: share if name == PLANNED_GROUP else each * rest for name, each in self.shares.items()}

    def _with_best(self, best: tuple[float, Mapping[str, float]]) -> dict[str, float]:
        """Return the planned shares with those of the groups compared replaced, in the same order."""
        found = {PLANNED_GROUP: best[0], **best[1]}
        return {name: found.get(name, each) for name, each in self.shares.items()}

    @property
    def _divided(self) -> float:
        """The share of the customers that is divided among the policy and the groups that it is told from."""
        return 1.0 - sum(each for name, each in self.shares.items() if name not in {PLANNED_GROUP, *self.against})

    def _variances(self, decisions: float) -> tuple[float, dict[str, float]]:
        """Return the clustered variances of the policy and of the groups compared after so many decisions."""
        found = {name: clustered_variance(self.rewards[name], decisions, self.traffic) for name in self.shares}
        return found[PLANNED_GROUP], {name: found[name] for name in self.against}

    def _fastest(self) -> dict[str, float]:
        """Return the shares that tell the lift soonest by one look, and by daily looks but for their first days."""
        decisions = self.traffic.decisions_per_week * self.target.weeks
        shares = dict(self.shares)
        for _ in range(_ROUNDS):
            shares = self._with_best(fastest_shares(*self._variances(decisions), self._divided))
            needed = [self._pair(shares, name).single_look(self.traffic, self.target) for name in self.against]
            known = [each for each in needed if each is not None]
            if self.traffic.customers is None or not known or max(known) == decisions:
                break
            decisions = float(max(known))
        return shares

    def _cheapest(self) -> dict[str, float] | None:
        """Return the shares that tell the lift within the time at the smallest cost until it is told, None if none do.

        Searched between the smallest and the largest share of the policy that tell it within the time.
        """
        from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import

        decisions = self.traffic.decisions_per_week * self.target.weeks
        policy, others = self._variances(decisions)
        low = self._last_share_within(decisions, policy, others, larger=False)
        high = self._last_share_within(decisions, policy, others, larger=True)
        if low is None or high is None or low > high:
            return None

        def shares_at(share: float) -> dict[str, float]:
            return self._with_best((share, split_share(self._divided - share, others)))

        def cost(share: float) -> float:
            found = self.row("cheapest", shares_at(share)).cost
            return inf if found is None else found

        inside = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": _SEARCHED})
        return shares_at(min((high, low, float(inside.x)), key=cost))

    def _last_share_within(
        self, decisions: float, policy: float, others: Mapping[str, float], *, larger: bool
    ) -> float | None:
        """Return the largest or smallest share of the policy that tells the lift within the time, None if none does.

        How large the lift must be in standard errors depends a little on the shares, since looks begin when the smaller
        group has enough customers; so the two are computed in turn, from the fastest shares on.
        """
        rate = min(self.rewards[name].rate for name in (PLANNED_GROUP, *self.against))
        least = smallest_share(rate, decisions, self.traffic)
        most = self._divided - least * sum(others.values()) / min(others.values())
        share = fastest_shares(policy, others, self._divided)[0]
        for _ in range(_ROUNDS):
            shares = self._with_best((share, split_share(self._divided - share, others)))
            signal = max(self._pair(shares, name).signal_within(self.traffic, self.target) for name in self.against)
            largest = decisions * standard_error_allowed(self.target, signal) ** 2
            best = shares_within(policy, others, largest, self._divided, larger=larger)
            if best is None or least > most:
                return None
            last, share = share, min(max(best[0], least), most)
            if abs(share - last) < SHARE_ROUNDING:
                break
        return share


def _longest(weeks: Sequence[float | None]) -> float | None:
    """Return the longest time, None (never) if one of them is."""
    known = [each for each in weeks if each is not None]
    return max(known) if len(known) == len(weeks) else None

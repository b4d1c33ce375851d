"""Report of a plan of live groups: the pairs, the shares compared, and a summary in sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.analysis.group_shares import PLANNED_GROUP
from bandit.analysis.group_timing import LONGEST_WEEKS, MIN_PLANNED_EVENTS
from bandit.report.numbers import count
from bandit.report.sample_size import amount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.analysis.group_plan import GroupPlan, SharePlan
    from bandit.catalogue import Catalogue

_NEVER = "never"

_LATER = f"over {LONGEST_WEEKS}"


def pairs_table(planned: GroupPlan, catalogue: Catalogue) -> Table:
    """Return the table of one row a pair: customers and weeks until it is told, at one look and at daily looks."""
    target = planned.target
    table = Table(
        title=f"until a lift of {escape(amount(target.lift, catalogue))} a decision is told at the planned shares, "
        f"{_shares(planned.planned.shares)}; {target.level:.0%} intervals, {target.power:.0%} power",
        title_justify="left",
    )
    table.add_column("groups")
    headings = ("customers in all", "in these two groups", "decisions in all", "weeks, one look")
    for heading in (*headings, "weeks, look every day", "on average"):
        table.add_column(heading, justify="right")
    for pair in planned.pairs:
        both = _NEVER if pair.group_customers is None else " + ".join(map(count, pair.group_customers))
        table.add_row(
            f"{PLANNED_GROUP} against {escape(pair.group)}",
            _count(pair.customers),
            both,
            _count(pair.decisions),
            _weeks(pair.weeks),
            _weeks(pair.daily.weeks, _LATER),
            _weeks(pair.daily.mean_weeks, _LATER),
        )
    return table


def shares_table(planned: GroupPlan, catalogue: Catalogue) -> Table:
    """Return the table of one row a division of the customers: the weeks until it tells, and the cost until then."""
    target = planned.target
    what = "lift forgone outside" if target.lift > 0.0 else "lift lost in"
    table = Table(
        title=f"shares of the customers, weeks until the policy is told from {_names(planned)}, and the {what} "
        "the policy's group until then",
        title_justify="left",
    )
    table.add_column("shares")
    for name in planned.planned.shares:
        table.add_column(escape(name), justify="right")
    for heading in ("weeks, one look", "weeks, look every day", "on average", "cost a week", "cost until told"):
        table.add_column(heading, justify="right")
    best = 0
    for row in planned.rows:
        if row.kind in {"fastest", "cheapest"} and not best:
            table.add_section()
            best = 1
        table.add_row(
            _kind(row, planned),
            *(_percent(share) for share in row.shares.values()),
            _weeks(row.weeks),
            _weeks(row.daily_weeks, _LATER),
            _weeks(row.mean_weeks, _LATER),
            escape(_total(row.cost_per_week, catalogue)),
            _NEVER if row.cost is None else escape(_total(row.cost, catalogue)),
        )
    return table


def group_plan_lines(planned: GroupPlan, catalogue: Catalogue) -> list[str]:
    """Return the summary in sentences: how long the planned shares take, what they cost, and which are better."""
    target, row = planned.target, planned.planned
    lift = amount(target.lift, catalogue)
    names = _names(planned)
    lines = [
        (
            f"With {_shares(row.shares)} a lift of {lift} a decision over {names} is "
            f"{_told(row, target.power)}{_cost(row, planned, catalogue)}."
        ),
    ]
    lines.append(_best(planned, catalogue))
    lines.append(_fixed_base(planned) or _new_customers(planned))
    window = catalogue.objective.window / (86_400 * 1_000_000)
    lines.append(
        f"Only settled decisions count in lift: add the window of {window:g} day{'s' * (window != 1.0)} to each time."
    )
    if target.comparisons > 1:
        lines.append(
            f"The intervals are those of {target.comparisons} comparisons that hold together, as lift makes them; with "
            "--policy-only, as in lift --group policy, they are narrower."
        )
    return lines


def _best(planned: GroupPlan, catalogue: Catalogue) -> str:
    """Return which shares tell within the time at the smallest cost, or how long the fastest take."""
    target = planned.target
    look = "looking every day" if target.look == "daily" else "with one look"
    fastest, cheapest = planned.fastest, planned.cheapest
    if cheapest is None:
        weeks = fastest.daily_weeks if target.look == "daily" else fastest.weeks
        need = "never tell it" if weeks is None else f"need {_span(weeks)}"
        return (
            f"No shares tell it within {_span(target.weeks)} {look}: the fastest, {_shares(fastest.shares)}, {need}; "
            "--weeks gives more time."
        )
    cost = "" if cheapest.cost is None else f", for {_total(cheapest.cost, catalogue)} until then"
    return (
        f"The cheapest shares that tell it within {_span(target.weeks)} {look} are {_shares(cheapest.shares)}{cost}; "
        f"the fastest are {_shares(fastest.shares)}."
    )


def _told(row: SharePlan, power: float) -> str:
    if row.weeks is None:
        return f"never told with {power:.0%} probability: the same customers return, and there are too few of them"
    daily = (
        f"not within {LONGEST_WEEKS // 52} years if you look every day"
        if row.daily_weeks is None
        else f"within {_span(row.daily_weeks)} if you look every day"
        + ("" if row.mean_weeks is None else f" ({row.mean_weeks:.1f} on average)")
    )
    return f"told with {power:.0%} probability after {_span(row.weeks)} by one look on that day, or {daily}"


def _cost(row: SharePlan, planned: GroupPlan, catalogue: Catalogue) -> str:
    if row.cost is None:
        return ""
    look = "on average, looking every day" if planned.target.look == "daily" else "with one look"
    what = "forgone" if planned.target.lift > 0.0 else "lost"
    return f"; until then it costs {_total(row.cost, catalogue)} of lift {what} ({look})"


def _fixed_base(planned: GroupPlan) -> str:
    base = planned.traffic.customers
    if base is None:
        return ""
    return (
        f"The same {count(round(base))} customers make all decisions; more weeks tell more of each, not of more people."
    )


def _new_customers(planned: GroupPlan) -> str:
    traffic = planned.traffic
    new = traffic.decisions_per_week / traffic.visits
    each = f"{traffic.visits:.3g} decision{'s' * (traffic.visits != 1.0)}"
    return (
        f"Assumed: {count(round(new))} new customers a week with {each} each; if the same customers return, give their "
        "number with --customers."
    )


def few_outcomes(planned: GroupPlan) -> list[str]:
    """Return the pairs whose smaller group has few outcomes when they are told."""
    lines = []
    for pair in planned.pairs:
        if pair.decisions is None:
            continue
        smaller = min((planned.planned.shares[name], name) for name in (PLANNED_GROUP, pair.group))
        outcomes = pair.decisions * smaller[0] * planned.rewards[smaller[1]].rate
        if outcomes < 3.0 * MIN_PLANNED_EVENTS:
            lines.append(
                f"{pair.group}: by one look the smaller group has only about {outcomes:.0f} outcomes; with fewer than "
                f"{3.0 * MIN_PLANNED_EVENTS:.0f} the interval is wider than planned."
            )
    return lines


def _kind(row: SharePlan, planned: GroupPlan) -> str:
    if row.kind == "planned":
        return "as planned"
    if row.kind == "compared":
        return f"{_percent(row.shares[PLANNED_GROUP])} on the policy"
    if row.kind == "fastest":
        return "fastest"
    return f"cheapest within {_span(planned.target.weeks)}"


def _names(planned: GroupPlan) -> str:
    names = [escape(pair.group) for pair in planned.pairs]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {_percent(share)}" for name, share in shares.items())


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f}".removesuffix(".0") + "%"


def _total(value: float, catalogue: Catalogue) -> str:
    """Return a sum over many decisions with its unit; of conversions, their number."""
    if catalogue.objective.kind == "conversion":
        return f"{value:,.0f} conversions" if value >= 10.0 else f"{value:.2g} conversion{'s' * (value != 1.0)}"
    return amount(value, catalogue)


def _count(number: int | None) -> str:
    return _NEVER if number is None else count(number)


def _weeks(weeks: float | None, unknown: str = _NEVER) -> str:
    if weeks is None:
        return unknown
    return f"{weeks:,.1f}" if weeks < 100.0 else count(math.ceil(weeks))


def _span(weeks: float) -> str:
    """Return a time rounded up: in days up to two weeks, then in weeks."""
    if weeks <= 2.0:
        days = max(math.ceil(weeks * 7.0 - 1e-6), 1)
        if days % 7:
            return f"{days} day{'s' * (days > 1)}"
    whole = max(math.ceil(weeks - 1e-6), 1)
    return f"{count(whole)} week{'s' * (whole > 1)}"


def plan_tables(planned: GroupPlan, catalogue: Catalogue) -> Sequence[Table]:
    """Return both tables."""
    return [pairs_table(planned, catalogue), shares_table(planned, catalogue)]

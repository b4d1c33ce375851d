"""A plan as a table and in plain words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.analysis.sample_size import FEW_CONVERSIONS
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.analysis.sample_size import Plan, PlanRow
    from bandit.catalogue import Catalogue

_NEVER = 520
"""Weeks after which it is not said how many more."""


def plan_table(planned: Plan, catalogue: Catalogue) -> Table:
    """Return one row a way to learn the difference."""
    goal = planned.goal
    wanted = escape(amount(goal.size, catalogue))
    until = f"the interval is below {wanted}" if goal.kind == "width" else f"{wanted} is told from nothing"
    table = Table(
        title=f"the difference to the rules after {_span(planned.weeks)} of {count(round(planned.per_week))} "
        f"decisions, and what is needed until {until}; intervals of {goal.level:.0%}, told {goal.power:.0%} of the "
        "time",
        title_justify="left",
    )
    table.add_column("learned")
    costs = any(row.cost is not None for row in planned.rows)
    known = any(row.conversions is not None for row in planned.rows)
    headings = ["costs a decision"] * costs + ["conversions behind it"] * known
    for heading in (*headings, "width", "tells", "decisions needed", "weeks needed"):
        table.add_column(heading, justify="right")
    for row in planned.rows:
        table.add_row(
            _way(row),
            *([_cost(row, catalogue)] if costs else []),
            *([_conversions(row)] if known else []),
            escape(amount(row.width, catalogue)),
            escape(amount(row.smallest_difference, catalogue)),
            count(row.decisions),
            _weeks(row.weeks),
        )
    return table


def plan_lines(planned: Plan, catalogue: Catalogue, asked: PlanRow) -> list[str]:
    """Return the answer in plain words, for the row asked about and for the comparison side by side."""
    goal = planned.goal
    wanted = amount(goal.size, catalogue)
    can = (
        f"you can tell a difference of {wanted} from nothing"
        if goal.kind == "difference"
        else f"the interval of the difference is narrower than {wanted}"
    )
    rate = f"with {count(round(planned.per_week))} decisions a week"
    if asked.design == "log":
        rate += f" and {_share(asked.share)} left to chance"
    elif asked.design == "pilot":
        rate += " of the pilot's kind"
    lines = [f"{rate[0].upper()}{rate[1:]} {can} {_when(asked.weeks)}."]
    live = next((row for row in planned.rows if row.design == "live"), None)
    if live is not None:
        lines.append(
            f"Live, with {_share(live.share)} of the customers on the policy and the others on the rules, "
            f"{_when(live.weeks)}: but then the customers meet it."
        )
    if asked.conversions is not None and asked.conversions < FEW_CONVERSIONS:
        lines.append(
            f"After {_span(planned.weeks)} only about {asked.conversions:.0f} conversions stand behind it: "
            f"with fewer than {FEW_CONVERSIONS:.0f} the interval will be wider than foretold."
        )
    return lines


def amount(value: float, catalogue: Catalogue) -> str:
    """Return a difference with its unit."""
    if catalogue.objective.kind == "conversion":
        points = _number(100.0 * value)
        return f"{points} percentage point{'s' * (points != '1')}"
    if catalogue.objective.kind == "reward":
        return _number(value)
    return f"{_number(value, fewest=2)} {catalogue.currency}"


def _way(row: PlanRow) -> str:
    if row.design == "log":
        return f"from the log, {_share(row.share)} left to chance"
    return "from a log like the pilot's" if row.design == "pilot" else f"live, {_share(row.share)} on the policy"


def _conversions(row: PlanRow) -> str:
    return "" if row.conversions is None else count(round(row.conversions))


def _cost(row: PlanRow, catalogue: Catalogue) -> str:
    return "" if row.cost is None else escape(amount(row.cost, catalogue))


def _share(share: float | None) -> str:
    return f"{100.0 * (share or 0.0):g}%"


def _span(weeks: float) -> str:
    return f"{_number(weeks)} week{'s' * (weeks != 1.0)}"


def _weeks(weeks: float) -> str:
    return f"{count(math.ceil(weeks))}" if weeks >= 1.0 else "less than 1"


def _when(weeks: float) -> str:
    if weeks > _NEVER:
        return "only after more than ten years"
    whole = max(math.ceil(weeks), 1)
    return f"after {count(whole)} week{'s' * (whole > 1)}"


def _number(value: float, fewest: int = 0) -> str:
    """Return a number with three figures, no exponent and no idle zeros, but `fewest` decimals below 1,000."""
    size = abs(value)
    if size >= 1_000.0:
        return f"{value:,.0f}"
    figures = max(2 - math.floor(math.log10(size)), 0) if size > 0.0 else 0
    whole, _, decimals = f"{value:,.{max(figures, fewest)}f}".partition(".")
    decimals = decimals.rstrip("0").ljust(fewest, "0")
    return f"{whole}.{decimals}" if decimals else whole

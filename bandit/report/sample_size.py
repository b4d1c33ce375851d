"""Report of a sample size plan: the table of designs and a summary in sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.analysis.sample_size import FEW_CONVERSIONS
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.analysis.sample_size import PlanRow, SampleSizePlan
    from bandit.catalogue import Catalogue

_MAX_WEEKS = 520
"""The longest duration that is printed as a number of weeks."""


def plan_table(planned: SampleSizePlan, catalogue: Catalogue) -> Table:
    """Return the table of the plan, one row per design."""
    target = planned.target
    wanted = escape(amount(target.size, catalogue))
    until = f"the interval is narrower than {wanted}" if target.kind == "width" else f"{wanted} is detected"
    table = Table(
        title=f"precision of the difference to the rules after {_span(planned.weeks)} of "
        f"{count(round(planned.per_week))} decisions, and what is needed until {until}; {target.level:.0%} intervals, "
        f"{target.power:.0%} power",
        title_justify="left",
    )
    table.add_column("design")
    costs = any(row.cost is not None for row in planned.rows)
    known = any(row.conversions is not None for row in planned.rows)
    headings = ["cost per decision"] * costs + ["conversions"] * known
    for heading in (*headings, "interval width", "detectable", "decisions needed", "weeks needed"):
        table.add_column(heading, justify="right")
    for row in planned.rows:
        table.add_row(
            _design(row),
            *([_cost(row, catalogue)] if costs else []),
            *([_conversions(row)] if known else []),
            escape(amount(row.width, catalogue)),
            escape(amount(row.smallest_difference, catalogue)),
            count(row.decisions),
            _weeks(row.weeks),
        )
    return table


def plan_lines(planned: SampleSizePlan, catalogue: Catalogue, asked: PlanRow) -> list[str]:
    """Return the summary in sentences, for the requested row and for the live design."""
    target = planned.target
    wanted = amount(target.size, catalogue)
    can = (
        f"you can detect a difference of {wanted}"
        if target.kind == "difference"
        else f"the interval of the difference is narrower than {wanted}"
    )
    rate = f"with {count(round(planned.per_week))} decisions a week"
    if asked.design == "log":
        rate += f" and {_share(asked.share)} exploration"
    elif asked.design == "pilot":
        rate += " as in the pilot"
    lines = [f"{rate[0].upper()}{rate[1:]} {can} {_when(asked.weeks)}."]
    live = next((row for row in planned.rows if row.design == "live"), None)
    if live is not None:
        lines.append(
            f"Live, with {_share(live.share)} of the customers on the policy and the others on the rules, "
            f"{_when(live.weeks)}; but then customers are exposed to the policy."
        )
    if asked.conversions is not None and asked.conversions < FEW_CONVERSIONS:
        lines.append(
            f"After {_span(planned.weeks)} the estimate rests on only about {asked.conversions:.0f} conversions: "
            f"with fewer than {FEW_CONVERSIONS:.0f} the interval will be wider than planned."
        )
    return lines


def amount(value: float, catalogue: Catalogue) -> str:
    """Return a difference formatted with its unit."""
    if catalogue.objective.kind == "conversion":
        points = _number(100.0 * value)
        return f"{points} percentage point{'s' * (points != '1')}"
    if catalogue.objective.kind == "reward":
        return _number(value)
    return f"{_number(value, fewest=2)} {catalogue.currency}"


def _design(row: PlanRow) -> str:
    if row.design == "log":
        return f"from the log, {_share(row.share)} exploration"
    return "from a log like the pilot" if row.design == "pilot" else f"live, {_share(row.share)} on the policy"


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
    if weeks > _MAX_WEEKS:
        return "only after more than ten years"
    whole = max(math.ceil(weeks), 1)
    return f"after {count(whole)} week{'s' * (whole > 1)}"


def _number(value: float, fewest: int = 0) -> str:
    """Return a number with three significant figures and no trailing zeros, but `fewest` decimals below 1,000."""
    size = abs(value)
    if size >= 1_000.0:
        return f"{value:,.0f}"
    places = max(2 - math.floor(math.log10(size)), 0) if size > 0.0 else 0
    whole, _, decimals = f"{value:,.{max(places, fewest)}f}".partition(".")
    decimals = decimals.rstrip("0").ljust(fewest, "0")
    return f"{whole}.{decimals}" if decimals else whole

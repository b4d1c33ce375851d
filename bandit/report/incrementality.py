"""Incrementality as tables and sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.evaluate.diagnostics.cures import CURES
from bandit.report.left_out import (
    OFFER_UNKNOWN,
    OTHER_ASSIGNMENT,
    SEVERAL_GROUPS,
    STILL_OPEN,
    group_unknown,
    left_out_lines,
    never_activated,
)
from bandit.report.numbers import UNKNOWN_NUMBER, NumberFormat, count, counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bandit.evaluate.incrementality_log import IncrementalityReport
    from bandit.evaluate.incrementality_results import (
        GroupIncrements,
        Increment,
        Incrementality,
        OptionIncrement,
        Spending,
    )
    from bandit.ope import Estimate

_CANNOT_TELL = "cannot tell"

MOST_OPTION_REASONS = 8
"""With more options than this of which nothing can be told, the others are counted."""


def increment_table(found: Incrementality, currency: str) -> Table:
    """Return a table of one row a group and measure: with its offers, anyway, and the difference."""
    table = Table(
        title=f"per 1,000 decisions; intervals of {_level(found)} {_look(found)}; money in {escape(currency)}",
        title_justify="left",
    )
    table.add_column("group", overflow="fold")
    table.add_column("measure")
    for heading in ("with its offers", "anyway", "added"):
        table.add_column(heading, justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("share anyway", justify="right")
    for group in found.groups:
        table.add_section()
        for place, row in enumerate(group.measures):
            numbers = NumberFormat.of([row.served, row.anyway, row.added])
            table.add_row(
                "" if place else escape(group.name),
                row.measure,
                numbers.number(row.served.value),
                numbers.number(row.anyway.value),
                numbers.number(row.added.value, signed=True),
                _CANNOT_TELL if group.reason else numbers.interval(row.added, signed=True),
                _share(row.anyway_share),
            )
    return table


def spending_table(found: Incrementality, currency: str) -> Table:
    """Return a table of one row a group: what its incentives cost, and what the money went to."""
    table = Table(
        title=f"cost of incentives per 1,000 decisions in {escape(currency)}; wasted: on purchases that come anyway",
        title_justify="left",
    )
    table.add_column("group", overflow="fold")
    table.add_column("spent", justify="right")
    table.add_column("wasted", justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    for heading in ("no purchase", "on added", "per added purchase"):
        table.add_column(heading, justify="right")
    numbers = _money_format(*(group.spending for group in found.groups))
    for group in found.groups:
        money = group.spending
        wasted, added = (
            UNKNOWN_NUMBER if each is None else numbers.number(each.value) for each in (money.wasted, money.on_added)
        )
        table.add_row(
            escape(group.name),
            numbers.number(money.spent.value),
            wasted,
            _CANNOT_TELL if group.reason or money.wasted is None else numbers.interval(money.wasted),
            numbers.number(money.unanswered.value),
            added,
            "" if group.reason or money.per_added is None else f"{money.per_added:,.2f}",
        )
    return table


def option_table(group: GroupIncrements, currency: str) -> Table:
    """Return a table of one row an option of one group; those of which nothing can be told say so."""
    title = f"{group.name} by option: per 1,000 decisions with it; wasted {currency} per 1,000 decisions of all"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("option", overflow="fold")
    for heading in ("decisions", "purchases", "anyway", "added"):
        table.add_column(heading, justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("wasted", justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    rates = _coarse(
        *(each for row in group.options if row.conversions and not row.reason for each in _rates(row.conversions))
    )
    money = _coarse(*(row.wasted for row in group.options if row.wasted and not row.reason))
    dimension = None
    for row in group.options:
        if row.dimension != dimension:
            table.add_section()
            dimension = row.dimension
        table.add_row(f"{escape(row.dimension)} {escape(row.option)}", count(row.decisions), *_cells(row, rates, money))
    return table


def incrementality_verdicts(found: Incrementality, currency: str) -> list[str]:
    """Return each group in words: the sign of what its offers added, what would have come anyway, and the money."""
    return [line for group in found.groups for line in _in_words(group, currency)]


def incrementality_lines(report: IncrementalityReport, currency: str) -> list[str]:
    """Return the sentences below the tables: why something is not told, what was measured, what was left out."""
    found = report.found
    lines = [line for group in found.groups for line in _not_told(group)]
    decisions = found.decisions + sum(group.decisions for group in found.groups)
    customers = found.customers + sum(group.customers for group in found.groups)
    measured = f"{counted(decisions, 'settled decision')} of {counted(customers, 'customer')}"
    lines.append(
        f'Measured on {measured}, against "{found.control}", who got {report.control_offer}'
        f"{_control_cost(found, currency)}."
    )
    if any(group.spending.wasted for group in found.groups):
        lines.append(
            "Contact cost counts as spent on a purchase that comes anyway where there is one, and as spent without a "
            "purchase where there is none."
        )
    if not report.shares_known:
        lines.append(
            "Whether the groups have the sizes that were meant was not checked: no shares are known (--shares)."
        )
    return [*lines, *(f"{each.severity}: {each.sentence}." for each in found.findings), *_left_out(report)]


def _in_words(group: GroupIncrements, currency: str) -> list[str]:
    """Return what a group's offers brought and cost, in at most three sentences, or why that cannot be told."""
    if group.reason is not None:
        return [f"? {group.name}: cannot tell - {group.reason}; {CURES['more decisions']}."]
    row = group.measure("conversions")
    whole = _coarse(row.served, row.anyway, row.added)
    added = whole.number(abs(row.added.value))
    bounds = whole.interval(row.added)
    sign, rest = "?", f"whether its offers added any cannot be told ({bounds})"
    if row.added.low > 0.0:
        sign, rest = "+", f"the {added} others ({bounds}) came through its offers"
    elif row.added.high < 0.0:
        sign, rest = "-", f"its offers lost {added} ({bounds})"
    first = (
        f"{sign} {group.name}: of 1,000 decisions {whole.number(row.served.value)} are purchases "
        f"({whole.interval(row.served)}); {whole.number(row.anyway.value)} ({whole.interval(row.anyway)}) would have "
        f"come anyway; {rest}."
    )
    return [first, *_money_in_words(group.spending, currency)]


def _money_in_words(money: Spending, currency: str) -> list[str]:
    if money.spent.value == 0.0 and money.spent.standard_error == 0.0:
        return ["  Its incentives cost nothing."]
    numbers = _money_format(money)
    words = f"  Its incentives cost {numbers.number(money.spent.value)} {currency} ({numbers.interval(money.spent)})"
    if money.wasted is not None and money.wasted_share is not None and money.on_added is not None:
        words += (
            f", of which {numbers.number(money.wasted.value)} ({numbers.interval(money.wasted)}; "
            f"{_share(money.wasted_share)}) went to purchases that would have come anyway and "
            f"{numbers.number(money.unanswered.value)} to decisions without a purchase"
        )
    lines = [f"{words}."]
    if money.per_added is not None:
        lines.append(f"  That is {money.per_added:,.2f} {currency} for each added purchase.")
    return lines


def _not_told(group: GroupIncrements) -> list[str]:
    """Return why nothing is said of some options."""
    if group.no_options is not None:
        return [f"{group.name}: nothing is said of what it wasted, nor of its options: {group.no_options}."]
    if group.reason is not None:
        return []
    rows = [row for row in group.options if row.reason is not None]
    lines = [
        f"? {group.name}, {row.dimension} {row.option}: cannot tell - {row.reason}."
        for row in rows[:MOST_OPTION_REASONS]
    ]
    more = len(rows) - MOST_OPTION_REASONS
    if more > 0:
        lines.append(f"Of {counted(more, 'more option')} of {group.name} nothing can be told.")
    return lines


def _left_out(report: IncrementalityReport) -> list[str]:
    return left_out_lines(
        (report.several, "customer", SEVERAL_GROUPS),
        (report.still_open, "decision", STILL_OPEN),
        (report.left_out, "decision", OFFER_UNKNOWN),
        (report.not_activated, "decision", never_activated(report.activation)),
        (report.other_assignment, "decision", OTHER_ASSIGNMENT),
        *((n, "decision", group_unknown(name)) for name, n in report.other_groups.items()),
    )


def _control_cost(found: Incrementality, currency: str) -> str:
    cost = found.control_spent
    if cost.value == 0.0:
        return ""
    return f", which cost {cost.value:,.4g} {currency} per 1,000 decisions itself"


def _cells(row: OptionIncrement, rates: NumberFormat, money: NumberFormat) -> list[str]:
    if row.reason is not None or row.conversions is None or row.wasted is None:
        return ["", "", "", _CANNOT_TELL, "", ""]
    each = row.conversions
    return [
        rates.number(each.served.value),
        rates.number(each.anyway.value),
        rates.number(each.added.value, signed=True),
        rates.interval(each.added, signed=True),
        money.number(row.wasted.value),
        money.interval(row.wasted) if row.wasted.value else "",
    ]


def _rates(row: Increment) -> tuple[Estimate, ...]:
    return row.served, row.anyway, row.added


def _money_format(*rows: Spending) -> NumberFormat:
    """Return the format of what was spent and wasted; the small amounts beside them have as many decimals."""
    return _coarse(*(each for money in rows for each in (money.spent, money.wasted) if each is not None))


def _coarse(*estimates: Estimate) -> NumberFormat:
    """Return a format with one significant figure of the smallest error, for sentences and wide tables."""
    return NumberFormat(max(NumberFormat.of(estimates).decimals - 1, 0))


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.0%}" if math.isfinite(estimate.value) else UNKNOWN_NUMBER


def _level(found: Incrementality) -> str:
    return f"{found.options.level:.4g}" if found.options.level > 0.995 else f"{found.options.level:.0%}"


def _look(found: Incrementality) -> str:
    return "at every look" if found.options.look == "daily" else "for one look"


def has_costs(groups: Iterable[GroupIncrements]) -> bool:
    """Say whether any group's incentives cost anything."""
    return any(group.spending.spent.value != 0.0 for group in groups)

"""What would have been bought anyway, and the money for incentives that was spent on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.charts.stacked import StackedRow, stacked_chart
from bandit.report.html.numbers import bounds, middle, percent
from bandit.report.html.section import ReportSection, TableCell, missing, sentence, table
from bandit.report.incrementality import has_costs, incrementality_lines
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.evaluate.incrementality_results import GroupIncrements, Incrementality
    from bandit.report.html.charts.canvas import ReportChart
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import ReportTable

_KEY, _TITLE = "waste", "How much goes to those who buy anyway?"

_UNKNOWN = TableCell("cannot tell", "unknown")


def waste_section(contents: ReportContents) -> ReportSection:
    """Return the section on incrementality."""
    report = contents.increments.value
    if report is None:
        return missing(_KEY, _TITLE, contents.increments.reason)
    found, currency = report.found, contents.source.catalogue.currency
    told = [group for group in found.groups if group.reason is None]
    charts = [_purchases(told)] if told else []
    money = [group for group in told if group.spending.wasted is not None and group.spending.spent.value > 0.0]
    if money:
        charts.append(_money(money, currency))
    tables = [_measures(found, currency)]
    if has_costs(found.groups):
        tables.append(_spending(found, currency))
    tables += [_options(group, currency) for group in told if group.options]
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=_finding(told, currency),
        charts=tuple(charts),
        tables=tuple(tables),
        notes=tuple(line.strip() for line in incrementality_lines(report, currency)),
    )


def _finding(told: list[GroupIncrements], currency: str) -> str:
    if not told:
        return "What would have been bought anyway cannot be told yet."
    group = max(told, key=lambda each: each.decisions)
    row, money = group.measure("conversions"), group.spending
    anyway = 100.0 * min(row.anyway_share.value, 1.0)
    words = f'of 100 purchases in group "{group.name}", about {anyway:.0f} would have come without its offers'
    if money.wasted_share is not None and money.spent.value > 0.0:
        words += (
            f"; {percent(money.wasted_share.value)} of what its incentives cost ({middle(money.spent)} {currency} per "
            "1,000 decisions) went to them"
        )
    return sentence(words)


def _purchases(told: list[GroupIncrements]) -> ReportChart:
    rows = []
    for group in told:
        row = group.measure("conversions")
        anyway = min(row.anyway.value, row.served.value)
        words = f"{middle(row.served)} purchases, {middle(row.added, signed=True)} added"
        rows.append(StackedRow(group.name, words, (anyway, max(row.added.value, 0.0))))
    parts = ("would have come anyway", "added by the offers")
    return stacked_chart(
        "purchases-chart", "Purchases per 1,000 decisions", rows, parts, "purchases per 1,000 decisions"
    )


def _money(told: list[GroupIncrements], currency: str) -> ReportChart:
    rows = []
    for group in told:
        money = group.spending
        wasted = 0.0 if money.wasted is None else money.wasted.value
        added = 0.0 if money.on_added is None else money.on_added.value
        rows.append(
            StackedRow(group.name, f"{middle(money.spent)} {currency} spent", (wasted, added, money.unanswered.value))
        )
    parts = ("wasted: bought anyway", "on added purchases", "no purchase")
    return stacked_chart(
        "money-chart", "What incentives cost, and where it went", rows, parts, f"{currency} per 1,000 decisions"
    )


def _measures(found: Incrementality, currency: str) -> ReportTable:
    columns = {
        "group": False, "measure": False, "with its offers": True, "anyway": True, "added": True, "interval": True,
        "share anyway": True,
    }  # fmt: skip
    rows: list[list[str | TableCell]] = []
    for group in found.groups:
        for row in group.measures:
            rows.append([  # noqa: PERF401 - a row of seven cells reads better here
                group.name, row.measure, middle(row.served), middle(row.anyway), middle(row.added, signed=True),
                _UNKNOWN if group.reason else bounds(row.added, signed=True), percent(row.anyway_share.value),
            ])  # fmt: skip
    return table(f"Per 1,000 decisions; money in {currency}", columns, rows)


def _spending(found: Incrementality, currency: str) -> ReportTable:
    columns = {
        "group": False, "spent": True, "wasted": True, "interval": True, "no purchase": True, "on added": True,
        "per added purchase": True,
    }  # fmt: skip
    rows: list[list[str | TableCell]] = []
    for group in found.groups:
        money = group.spending
        untold = group.reason is not None or money.wasted is None
        rows.append([
            group.name,
            middle(money.spent),
            "" if money.wasted is None else middle(money.wasted),
            _UNKNOWN if untold or money.wasted is None else bounds(money.wasted),
            middle(money.unanswered),
            "" if money.on_added is None else middle(money.on_added),
            "" if money.per_added is None else f"{money.per_added:,.2f}",
        ])  # fmt: skip
    return table(f"Cost of incentives, {currency} per 1,000 decisions", columns, rows)


def _options(group: GroupIncrements, currency: str) -> ReportTable:
    columns = {
        "option": False, "decisions": True, "purchases": True, "anyway": True, "added": True, "interval": True,
        "wasted": True,
    }  # fmt: skip
    rows: list[list[str | TableCell]] = []
    for row in group.options:
        cells: list[str | TableCell] = [f"{row.dimension} {row.option}", count(row.decisions)]
        if row.reason is not None or row.conversions is None:
            rows.append([*cells, "", "", "", _UNKNOWN, ""])
            continue
        each = row.conversions
        wasted = "" if row.wasted is None else middle(row.wasted)
        rows.append([*cells, middle(each.served), middle(each.anyway), middle(each.added, signed=True),
                     bounds(each.added, signed=True), wasted])  # fmt: skip
    caption = f"{group.name} by option: per 1,000 decisions with it; wasted {currency} per 1,000 decisions of all"
    return table(caption, columns, rows)

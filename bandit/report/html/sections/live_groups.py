"""Live groups of customers: what each earned more than another, in all and week by week."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.charts.forest import ForestRow, forest_chart
from bandit.report.html.numbers import RewardWords, bounds, middle, percent
from bandit.report.html.section import ReportSection, missing, sentence, table, tone_of, verdict_cell
from bandit.report.lift import lift_lines
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.evaluate.lift_log import LiftReport
    from bandit.evaluate.lift_results import LiftRow
    from bandit.ope import Estimate
    from bandit.report.html.charts.canvas import ReportChart
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import ReportTable, TableCell

_KEY, _TITLE = "groups", "What did each live group earn?"

_MOST_WEEK_ROWS = 16


def live_groups_section(contents: ReportContents) -> ReportSection:
    """Return the section on the lift between live groups."""
    report = contents.lift.value
    if report is None:
        return missing(_KEY, _TITLE, contents.lift.reason)
    unit = RewardWords.of(contents.source.catalogue)
    charts = [_overall(report, unit)]
    if report.lift.weeks:
        charts.append(_weeks(report, unit))
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=_finding(report, unit),
        charts=tuple(charts),
        tables=(_group_table(report, unit), _pair_table(report, unit), *_week_tables(report, unit)),
        notes=tuple(line.strip() for line in lift_lines(report)[1:]),
    )


def interval_of(report: LiftReport, row: LiftRow) -> Estimate:
    """Return the difference with the interval that verdicts rest on."""
    return row.anytime if report.lift.options.look == "daily" else row.once


def _finding(report: LiftReport, unit: RewardWords) -> str:
    said = []
    for row in report.lift.verdicts:
        shown = interval_of(report, row)
        size = f"{middle(shown, signed=True)} {unit.amount} per decision"
        said.append({
            "better": f'"{row.group}" earned more than "{row.baseline}" ({size})',
            "worse": f'"{row.group}" earned less than "{row.baseline}" ({size})',
            "no difference found": f'no difference was found between "{row.group}" and "{row.baseline}"',
        }.get(row.verdict, f'of "{row.group}" it cannot be told'))  # fmt: skip
    return sentence("; ".join(said))


def _overall(report: LiftReport, unit: RewardWords) -> ReportChart:
    rows = [_forest_row(report, row, f"{row.group} minus {row.baseline}") for row in _pairs(report)]
    return forest_chart(
        "groups-chart", "Differences between live groups, per decision", rows, f"{unit.amount} per decision"
    )


def _weeks(report: LiftReport, unit: RewardWords) -> ReportChart:
    rows = [
        _forest_row(report, row, f"{part.name}: {row.group}") for part in report.lift.weeks for row in part.rows[:1]
    ]
    baseline = report.lift.options.baseline
    return forest_chart(
        "weeks-chart",
        "The same week by week",
        rows[-_MOST_WEEK_ROWS:],
        f"more or less than {baseline} in that week, {unit.amount} per decision",
    )


def _forest_row(report: LiftReport, row: LiftRow, name: str) -> ForestRow:
    shown = interval_of(report, row)
    words = f"{middle(shown, signed=True)}: {row.verdict}" if row.verdict != "cannot tell" else "? cannot tell"
    return ForestRow(name, words, shown.value, shown.low, shown.high, tone_of(row.verdict))


def _pairs(report: LiftReport) -> list[LiftRow]:
    lift = report.lift
    return [row for row in lift.rows if (row.method, row.unit) == (lift.method, lift.options.unit)]


def _group_table(report: LiftReport, unit: RewardWords) -> ReportTable:
    lift = report.lift
    whole, every = sum(each.share for each in lift.groups), sum(each.customers for each in lift.groups)
    columns = {
        "group": False, "customers": True, "share": True, "share meant": True, "decisions": True,
        f"{unit.what} per decision": True, "interval (one look)": True,
    }  # fmt: skip
    rows: list[list[str | TableCell]] = []
    for each in lift.groups:
        value = each.values[lift.method]["decision"]
        meant = "" if report.sample_ratio is None else percent(each.share / whole)
        rows.append([
            each.name, count(each.customers), percent(each.customers / max(every, 1)), meant, count(each.decisions),
            middle(value), bounds(value),
        ])  # fmt: skip
    return table("The groups", columns, rows)


def _pair_table(report: LiftReport, unit: RewardWords) -> ReportTable:
    columns = {"groups": False, f"{unit.amount} per decision": True, "interval": True, "verdict": False}
    rows: list[list[str | TableCell]] = [
        [f"{row.group} minus {row.baseline}", *_cells(report, row), verdict_cell(row.verdict)] for row in _pairs(report)
    ]
    return table("Differences; the intervals are those the verdicts rest on", columns, rows)


def _week_tables(report: LiftReport, unit: RewardWords) -> tuple[ReportTable, ...]:
    if not report.lift.weeks:
        return ()
    columns = {
        "week": False, "group": False, "customers": True, f"minus {report.lift.options.baseline}": True,
        "interval": True, "verdict": False,
    }  # fmt: skip
    rows: list[list[str | TableCell]] = [
        [part.name, row.group, count(part.customers), *_cells(report, row), verdict_cell(row.verdict)]
        for part in report.lift.weeks
        for row in part.rows
    ]
    return (table(f"By week, {unit.amount} per decision; the intervals hold for all weeks together", columns, rows),)


def _cells(report: LiftReport, row: LiftRow) -> list[str | TableCell]:
    shown = interval_of(report, row)
    return [middle(shown, signed=True), bounds(shown, signed=True)]

"""What each group earned week by week, as it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.charts.lines import MOST_LINES, TimeLine, lines_chart
from bandit.report.html.numbers import RewardWords, bounds, middle, percent
from bandit.report.html.section import ReportSection, missing, sentence, table
from bandit.report.numbers import count
from bandit.report.times import iso_minute

if TYPE_CHECKING:
    from bandit.evaluate.breakdown import LearningCurve, LearningPoint
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import TableCell

_KEY, _TITLE = "curve", "Does it earn more with time?"
_DAY = 10
_ALL = "all decisions"
_FEW = 2
"""Periods that make a curve."""


def learning_curve_section(contents: ReportContents) -> ReportSection:
    """Return the section on the learning curve."""
    curve = contents.curve.value
    if curve is None:
        return missing(_KEY, _TITLE, contents.curve.reason)
    starts = sorted({point.start for point in curve.points if point.start is not None})
    if not curve.times_known or len(starts) < _FEW:
        return missing(_KEY, _TITLE, "a curve needs decisions of two weeks and more, with their times")
    unit = RewardWords.of(contents.source.catalogue)
    names = list(dict.fromkeys(_name(curve, point) for point in curve.points))
    shown = sorted(names, key=lambda name: -sum(point.n for point in curve.points if _name(curve, point) == name))
    place = {start: number for number, start in enumerate(starts)}
    lines = [
        TimeLine(
            name,
            tuple(
                (place[point.start], point.value.value, point.value.low, point.value.high)
                for point in curve.points
                if _name(curve, point) == name and point.start is not None
            ),
        )
        for name in shown[:MOST_LINES]
    ]
    days = [iso_minute(start)[:_DAY] for start in starts]
    rows: list[list[str | TableCell]] = [
        [
            iso_minute(point.start)[:_DAY], point.group, point.policy, count(point.n), count(point.customers),
            middle(point.value), bounds(point.value), percent(point.response.value),
        ]
        for point in curve.points
    ]  # fmt: skip
    columns = {
        "week from": False, "group": False, "served by": False, "decisions": True, "customers": True,
        f"{unit.what} per decision": True, "interval": True, "responded": True,
    }  # fmt: skip
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=_finding(curve, shown[0], unit),
        charts=(
            lines_chart("curve-chart", "Earned per decision, week by week", days, lines, f"{unit.amount} per decision"),
        ),
        tables=(table("By week and group, as it happened", columns, rows),),
        notes=(
            "This is what happened, not what caused it: seasons and campaigns move all lines.",
            "Lines compare with each other only where customers were dealt to the groups at random.",
            f"Each interval holds for itself, with {percent(curve.level)} confidence.",
        ),
    )


def _name(curve: LearningCurve, point: LearningPoint) -> str:
    if len({each.group for each in curve.points}) > 1:
        return point.group
    return point.policy if len({each.policy for each in curve.points}) > 1 else _ALL


def _finding(curve: LearningCurve, name: str, unit: RewardWords) -> str:
    mine = [point for point in curve.points if _name(curve, point) == name and point.start is not None]
    first, last = min(mine, key=lambda each: each.start or 0), max(mine, key=lambda each: each.start or 0)
    apart = first.value.high < last.value.low or last.value.high < first.value.low
    moved = "more than" if last.value.value > first.value.value else "less than"
    words = f"{moved} in the first" if apart else "which may be no different from the first"
    return sentence(
        f"{name} earned {middle(last.value)} {unit.amount} per decision in the last week, {words} "
        f"({middle(first.value)})"
    )

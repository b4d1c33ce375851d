"""Response and profit by depth of discount."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.charts.depths import DepthPanel, depths_chart
from bandit.report.html.numbers import RewardWords, bounds, middle, percent
from bandit.report.html.section import ReportSection, missing, sentence, table
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.evaluate.breakdown import DepthPoint
    from bandit.report.html.charts.canvas import ReportChart
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import ReportTable, TableCell

_KEY, _TITLE = "depth", "How deep should the discount be?"

_MOST_DIMENSIONS, _FEWEST_DEPTHS = 3, 2


def depth_section(contents: ReportContents) -> ReportSection:
    """Return the section on depth."""
    found = contents.depth.value
    if found is None:
        return missing(_KEY, _TITLE, contents.depth.reason)
    if not found.points:
        return missing(_KEY, _TITLE, "needs a dimension whose options give away different shares of revenue (rate)")
    unit = RewardWords.of(contents.source.catalogue)
    dimensions = list(dict.fromkeys(point.dimension for point in found.points))[:_MOST_DIMENSIONS]
    by_dimension = {name: [point for point in found.points if point.dimension == name] for name in dimensions}
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=" ".join(_finding(name, points, unit) for name, points in by_dimension.items()),
        charts=tuple(
            _chart(name, points, unit, place)
            for place, (name, points) in enumerate(by_dimension.items())
            if sum(point.reason is None for point in points) >= _FEWEST_DEPTHS
        ),
        tables=(_table(found.points, unit),),
        notes=_notes(found.points),
    )


def _finding(name: str, points: list[DepthPoint], unit: RewardWords) -> str:
    sure = [point for point in points if point.reason is None]
    if len(sure) < _FEWEST_DEPTHS:
        return sentence(f"what the depths of {name} would bring if everyone got them cannot be told")
    best = max(sure, key=lambda each: each.value.value)
    rivals = [point for point in sure if point is not best and point.value.high > best.value.low]
    words = (
        f"if everyone got it, {name} {best.option} would bring most: {middle(best.value)} {unit.amount} per decision"
    )
    if rivals:
        words += f", though {', '.join(point.option for point in rivals)} may bring as much"
    return sentence(words)


def _chart(name: str, points: list[DepthPoint], unit: RewardWords, place: int) -> ReportChart:
    panels = (
        DepthPanel("share that responds", tuple(_ends(point, response=True) for point in points), percent=True),
        DepthPanel(
            f"{unit.amount} per decision", tuple(_ends(point, response=False) for point in points), percent=False
        ),
    )
    depths, sure = [point.rate for point in points], [point.reason is None for point in points]
    return depths_chart(f"depth-chart-{place}", f"{name}: if everyone got it", depths, sure, panels)


def _ends(point: DepthPoint, *, response: bool) -> tuple[float, float, float]:
    each = point.response if response else point.value
    return each.value, each.low, each.high


def _table(points: tuple[DepthPoint, ...], unit: RewardWords) -> ReportTable:
    columns = {
        "option": False, "gives away": True, "decisions": True, "got it": True, "would respond": True, "interval": True,
        f"{unit.amount} per decision": True, "its interval": True, "why not": False,
    }  # fmt: skip
    rows: list[list[str | TableCell]] = [
        [
            f"{point.dimension} {point.option}", percent(point.rate), count(point.n), count(point.given),
            percent(point.response.value), f"{percent(point.response.low)} to {percent(point.response.high)}",
            middle(point.value), bounds(point.value), point.reason or "",
        ]
        for point in points
    ]  # fmt: skip
    return table("By depth: what giving it to everyone who may get it would bring", columns, rows)


def _notes(points: tuple[DepthPoint, ...]) -> tuple[str, ...]:
    notes = [
        "These are averages over all customers; the right depth differs from one to another, which a policy learns.",
        "Each interval holds for itself.",
    ]
    if len({round(point.allowed, 6) for point in points}) > 1:
        notes.append(
            "Not every customer may get every depth: points with different numbers of decisions are about different "
            "customers."
        )
    unclear = dict.fromkeys(point.reason for point in points if point.reason is not None)
    return (*notes, *(sentence(f"cannot tell: {reason}") for reason in unclear))

"""Which option is better or worse for whom, and where it cannot be told: a heat map for each fact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bandit.report.html.charts.heat import HeatCell, heat_chart
from bandit.report.html.numbers import RewardWords, bounds, middle
from bandit.report.html.section import ReportSection, missing, sentence, table, verdict_cell
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.evaluate.breakdown import OptionSegment, OptionSegments
    from bandit.report.html.charts.canvas import ReportChart
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import ReportTable, TableCell

_KEY, _TITLE = "segments", "Which option works for whom, and how sure is that?"

MOST_HEAT_ROWS, MOST_HEAT_COLUMNS, MOST_HEAT_CHARTS = 24, 7, 4
"""Most options and segments of one heat map, and most heat maps; the table has everything."""


def options_by_segment_section(contents: ReportContents) -> ReportSection:
    """Return the section on options by segment."""
    found = contents.segments.value
    if found is None:
        return missing(_KEY, _TITLE, contents.segments.reason)
    if not found.cells:
        return missing(_KEY, _TITLE, "needs a dimension of at least two options")
    unit = RewardWords.of(contents.source.catalogue)
    facts = list(dict.fromkeys(cell.fact for cell in found.cells))
    told = {cell.fact for cell in found.cells if cell.finding != "cannot tell"}
    shown = [fact for fact in facts if fact in told and (fact or len(told) == 1)]
    charts = [_chart(found, fact, number) for number, fact in enumerate(shown)]
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=_finding(found, unit),
        charts=tuple(charts[:MOST_HEAT_CHARTS]),
        tables=(_table(found, unit),),
        notes=_notes(found, unit, [fact for fact in facts if fact and fact not in told]),
    )


def _finding(found: OptionSegments, unit: RewardWords) -> str:
    sure = [cell for cell in found.cells if cell.finding != "cannot tell" and cell.difference is not None]
    if not sure:
        return "For no option and segment can it be told whether giving it to all of them is better or worse."
    best = max(sure, key=lambda cell: 0.0 if cell.difference is None else cell.difference.value)
    words = (
        f"of {len(found.cells)} pairs of an option and a segment, {len(sure)} can be told apart from {found.baseline}"
    )
    if best.difference is not None and best.finding == "better":
        words += (
            f"; most for {_who(best)} with {best.dimension} {best.option} ({middle(best.difference, signed=True)} "
            f"{unit.amount} per decision)"
        )
    return sentence(words)


def _who(cell: OptionSegment) -> str:
    return f"{cell.fact} {cell.segment}" if cell.fact else cell.segment


def _chart(found: OptionSegments, fact: str, number: int) -> ReportChart:
    cells = [cell for cell in found.cells if cell.fact == fact]
    rows = list(dict.fromkeys((cell.dimension, cell.option) for cell in cells))[:MOST_HEAT_ROWS]
    columns = list(dict.fromkeys(cell.segment for cell in cells))[:MOST_HEAT_COLUMNS]
    by_place = {(cell.dimension, cell.option, cell.segment): cell for cell in cells}
    table_of_cells = [
        [_heat_cell(by_place.get((dimension, option, segment))) for segment in columns] for dimension, option in rows
    ]
    title = f"By {fact}: more or less than {found.baseline}" if fact else f"More or less than {found.baseline}"
    names = [f"{dimension} {option}" for dimension, option in rows]
    return heat_chart(f"segments-chart-{number}", title, names, columns, table_of_cells)


def _heat_cell(cell: OptionSegment | None) -> HeatCell | None:
    if cell is None:
        return None
    away = cell.difference
    if away is None or not math.isfinite(away.value):
        return HeatCell(math.nan, sure=False)
    return HeatCell(away.value, cell.finding != "cannot tell")


def _table(found: OptionSegments, unit: RewardWords) -> ReportTable:
    columns = {
        "segment": False, "option": False, "decisions": True, "got it": True, f"would earn, {unit.amount}": True,
        f"minus {found.baseline}": True, "interval": True, "finding": False, "why": False,
    }  # fmt: skip
    rows: list[list[str | TableCell]] = []
    for cell in found.cells:
        away, told = cell.difference, cell.finding != "cannot tell"
        rows.append([
            _who(cell), f"{cell.dimension} {cell.option}", count(cell.n), count(cell.given), middle(cell.value),
            "" if away is None else middle(away, signed=True), "" if away is None else bounds(away, signed=True),
            verdict_cell(cell.finding), "" if told else cell.reason.removeprefix("cannot tell: "),
        ])  # fmt: skip
    rows.sort(key=lambda row: row[-1] != "")
    return table("Every option and segment; the intervals of the differences hold together", columns, rows)


def _notes(found: OptionSegments, unit: RewardWords, untold: list[str]) -> tuple[str, ...]:
    notes = [
        (
            f"A number is what giving the option to the whole segment would earn more or less, in {unit.amount} per "
            f"decision, than {found.baseline} earned with the same customers. Grey with a question mark: it cannot "
            "be told; the table says why."
        ),
        (
            f"It rests on the {count(found.chance)} of {count(found.n)} decisions that were left to chance. The "
            f"intervals are wide enough for all {count(found.compared)} comparisons together."
        ),
    ]
    if untold:
        notes.append(f"By {', '.join(untold)} nothing can be told apart; the table has the numbers.")
    return tuple(notes)

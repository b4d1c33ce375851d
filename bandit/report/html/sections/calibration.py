"""Whether predicted chances of a response are right, for customers that the model has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.report.html.charts.calibration import calibration_chart
from bandit.report.html.numbers import bounds, middle, percent
from bandit.report.html.section import ReportSection, missing, sentence, table
from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.evaluate.breakdown import OutcomeCalibration
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import TableCell

_KEY, _TITLE = "calibration", "Are the predictions right?"

_FEW_EVENTS = 10
_NEARLY = 0.15
"""By how much a slope may miss 1 to be nearly right."""


def calibration_section(contents: ReportContents) -> ReportSection:
    """Return the section on the calibration of predicted responses."""
    found = contents.calibration.value
    if found is None:
        return missing(_KEY, _TITLE, contents.calibration.reason)
    if not found.bins:
        return missing(_KEY, _TITLE, found.note or "the log is too small to tell")
    points = [
        (each.predicted, each.observed.value, each.observed.low, each.observed.high, each.events >= _FEW_EVENTS)
        for each in found.bins
    ]
    rows: list[list[str | TableCell]] = [
        [
            percent(each.predicted), percent(each.observed.value),
            f"{percent(each.observed.low)} to {percent(each.observed.high)}", count(each.n), count(each.events),
        ]
        for each in found.bins
    ]  # fmt: skip
    columns = {"predicted": True, "responded": True, "interval": True, "decisions": True, "rarer outcomes": True}
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=_finding(found),
        charts=(calibration_chart("calibration-chart", "Predicted and observed responses", points),),
        tables=(table("By predicted chance", columns, rows),),
        notes=_notes(found),
    )


def _finding(found: OutcomeCalibration) -> str:
    slope = found.slope
    if slope is None:
        return sentence(found.note or "whether the predictions are right cannot be told")
    if slope.low <= 1.0 <= slope.high:
        return "Yes, as far as this log can tell: customers respond as often as predicted."
    if abs(slope.value - 1.0) <= _NEARLY:
        more = "extreme" if slope.value < 1.0 else "cautious"
        return f"Nearly: predictions are slightly too {more} (a slope of {middle(slope)} where 1 is right)."
    if slope.value < 1.0:
        return "Predictions are too extreme: the truth lies closer to the average than they say."
    return "Predictions are too cautious: customers differ more than they say."


def _notes(found: OutcomeCalibration) -> tuple[str, ...]:
    notes = [
        f"The predictions for {count(found.n)} decisions are by copies of the model that have not seen their customers."
    ]
    if found.slope is not None:
        notes.append(
            f"The slope of calibration is {middle(found.slope)} ({bounds(found.slope)}); 1 is right, below 1 "
            "predictions are too extreme."
        )
    if found.note:
        notes.append(sentence(found.note))
    return tuple(notes)

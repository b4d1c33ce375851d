"""The policies judged from the log: a forest plot of their differences to the baseline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bandit.evaluate import LOGGED
from bandit.report.html.charts.forest import ForestRow, forest_chart
from bandit.report.html.numbers import RewardWords, bounds, middle, percent
from bandit.report.html.section import ReportSection, TableCell, missing, sentence, table, tone_of, verdict_cell
from bandit.report.numbers import UNKNOWN_NUMBER, count

if TYPE_CHECKING:
    from bandit.evaluate import Evaluation, PolicyEvaluation
    from bandit.report.html.charts.canvas import ReportChart
    from bandit.report.html.contents import ReportContents
    from bandit.report.html.section import ReportTable

_KEY, _TITLE = "policies", "What would each policy have earned?"

_FEW = 3
"""Most policies that are named in the finding."""

MOST_FOREST_ROWS = 24
"""With more policies than this the chart shows those with the largest differences; the table has all."""


def policies_section(contents: ReportContents) -> ReportSection:
    """Return the section on the policies judged from the log."""
    found = contents.evaluation.value
    if found is None:
        return missing(_KEY, _TITLE, contents.evaluation.reason)
    unit = RewardWords.of(contents.source.catalogue)
    compared = [row for row in found.rows if row.name != found.baseline]
    return ReportSection(
        key=_KEY,
        title=_TITLE,
        finding=_finding(found, compared),
        charts=(_chart(found, compared, unit),) if compared else (),
        tables=(_table(found, unit),),
        notes=_notes(contents, found),
    )


def baseline_words(found: Evaluation) -> str:
    """Return the baseline's name in a sentence."""
    return "what was logged" if found.baseline in {None, LOGGED} else str(found.baseline)


def why(row: PolicyEvaluation) -> str:
    """Return why a policy cannot be told from its baseline."""
    return (row.reason or "there is no baseline to compare it with").removeprefix("cannot tell: ")


def _finding(found: Evaluation, compared: list[PolicyEvaluation]) -> str:
    baseline = baseline_words(found)
    better, worse, unclear = (
        [row.name for row in compared if row.verdict == verdict] for verdict in ("better", "worse", "cannot tell")
    )
    if len(compared) == 1:
        (row,) = compared
        words = {
            "better": f"{row.name} would have earned more than {baseline}",
            "worse": f"{row.name} would have earned less than {baseline}",
            "no difference found": f"No difference was found between {row.name} and {baseline}",
        }.get(row.verdict or "", f"what {row.name} would have earned cannot be told: {why(row)}")
        return sentence(words)
    named = f" ({', '.join(better)})" if 0 < len(better) <= _FEW else ""
    parts = [f"of {len(compared)} policies {len(better)} would have earned more than {baseline}{named}"]
    parts += [f"{len(worse)} less"] if worse else []
    parts += [f"of {len(unclear)} it cannot be told"] if unclear else []
    return sentence(", ".join(parts))


def _chart(found: Evaluation, compared: list[PolicyEvaluation], unit: RewardWords) -> ReportChart:
    rows = sorted(compared, key=lambda row: -math.inf if row.together is None else row.together.value, reverse=True)
    baseline = baseline_words(found)
    return forest_chart(
        "policies-chart",
        f"Difference to {baseline}, per decision",
        [_forest_row(row) for row in rows[:MOST_FOREST_ROWS]],
        f"more or less than {baseline}, {unit.amount} per decision",
    )


def _forest_row(row: PolicyEvaluation) -> ForestRow:
    shown = row.together
    if shown is None or row.verdict == "cannot tell":
        nothing = math.nan
        return ForestRow(row.name, "? cannot tell", nothing, nothing, nothing, "unknown", why(row))
    return ForestRow(
        row.name,
        f"{middle(shown, signed=True)}: {row.verdict}",
        shown.value,
        shown.low,
        shown.high,
        tone_of(row.verdict),
    )


def _table(found: Evaluation, unit: RewardWords) -> ReportTable:
    baseline = baseline_words(found)
    columns = {
        "policy": False,
        f"{unit.what} per decision": True,
        "interval": True,
        f"minus {baseline}": True,
        "interval of the verdict": True,
        "verdict": False,
        "effective decisions": True,
    }
    rows: list[list[str | TableCell]] = []
    for row in found.rows:
        value, told = row.estimate(found.default), row.support_ok
        both = row.together
        rows.append([
            row.name,
            middle(value) if told else UNKNOWN_NUMBER,
            bounds(value) if told else "",
            "" if both is None else middle(both, signed=True),
            "" if both is None else bounds(both, signed=True),
            verdict_cell(row.verdict),
            f"{row.effective_sample_size:,.0f}",
        ])  # fmt: skip
    rows.append(["as logged", middle(found.realised), bounds(found.realised), "", "", "", count(found.n)])
    level = percent(found.realised.level)
    return table(f"Values by the estimator {found.default}; intervals of {level}", columns, rows)


def _notes(contents: ReportContents, found: Evaluation) -> tuple[str, ...]:
    notes = ["An estimate is about the customers and the time of this log; another season may differ."]
    if found.crossfit:
        notes.append(
            f"A policy that learns was judged by {found.crossfit} copies: each learned from the other customers, and "
            "was judged on those it had not seen. What learns from the whole log is likely to be a little better."
        )
    compared = sum(row.together is not None for row in found.rows)
    if compared > 1:
        notes.append(f"The intervals are wide enough for all {compared} comparisons together, as are the verdicts.")
    reasons: dict[str, list[str]] = {}
    for row in found.rows:
        if row.verdict == "cannot tell" and row.reason is not None:
            reasons.setdefault(row.reason.removeprefix("cannot tell: "), []).append(row.name)
    for reason, names in reasons.items():
        who = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        notes.append(f"Cannot tell for {who}: {reason}.")
    unsupported = [row for row in found.rows if row.support_ok and row.unsupported > 0.0]
    notes += [
        f"{row.name} would give {percent(row.unsupported)} of its offers in ways that the log never shows."
        for row in unsupported
    ]
    return (*notes, *contents.notes)

"""The report of an import, as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.report.left_out import outside_lines
from bandit.report.numbers import count, counted

if TYPE_CHECKING:
    from bandit.logfiles import ImportReport


def import_tables(report: ImportReport, show: int) -> list[Table]:
    """Return the counts and, where rows were rejected, the kinds of fault and the first `show` rows, as tables."""
    counts = Table(title="import", title_justify="left", show_header=False)
    counts.add_column()
    counts.add_column(justify="right")
    counts.add_row("rows read", count(report.n_rows))
    counts.add_row("imported", count(report.n_imported))
    counts.add_row("there before, unchanged", count(report.n_repeated))
    counts.add_row("refused", count(report.n_refused))
    if report.left_out:
        counts.add_row("lines left out", count(report.n_left_out))
    tables = [counts, *_left_out_table(report)]
    if not report.n_refused:
        return tables
    kinds = Table(title="why rows were refused", title_justify="left")
    kinds.add_column("reason", overflow="fold")
    kinds.add_column("rows", justify="right")
    for reason, n in report.by_reason.items():
        kinds.add_row(escape(reason), count(n))
    lines = Table(title=f"the first {min(show, len(report.refused)):,} of them", title_justify="left")
    lines.add_column("line", justify="right")
    lines.add_column("reason", overflow="fold")
    for rejection in report.refused[:show]:
        lines.add_row(str(rejection.line), escape(rejection.reason))
    return [*tables, kinds, lines]


def _left_out_table(report: ImportReport) -> list[Table]:
    """Return the lines that are left out by reason, as a table if there are any."""
    if not report.left_out:
        return []
    table = Table(title="what was left out", title_justify="left")
    table.add_column("reason", overflow="fold")
    table.add_column("lines", justify="right")
    for reason, n in report.left_out.items():
        table.add_row(escape(reason), count(n))
    return [table]


def left_out_sentence(report: ImportReport) -> str:
    """Return what is left out of a file as one sentence, empty where nothing is.

    >>> from bandit.logfiles import ImportReport
    >>> left_out_sentence(ImportReport(5, 5, 0, 0, (), {}, {"never shown": 2}))
    '2 lines are left out: never shown (2)'
    """
    if not report.left_out:
        return ""
    parts = ", ".join(f"{reason} ({count(n)})" for reason, n in report.left_out.items())
    return f"{counted(report.n_left_out, 'line', ('is', 'are'))} left out: {parts}"


def import_lines(report: ImportReport) -> list[str]:
    """Return sentences on rows that were imported although no policy of the catalogue can choose their offer."""
    used = report.n_imported + report.n_repeated
    lines = outside_lines(report.n_outside, used, report.outside, counted_in=True)
    if lines:
        lines.append(
            "They are stored under a version of the catalogue that has their options as stopped; the catalogue of the "
            "database stays the one given."
        )
    return lines


def import_json(report: ImportReport) -> dict[str, object]:
    """Return the report as plain JSON values."""
    return {
        "n_rows": report.n_rows,
        "n_imported": report.n_imported,
        "n_repeated": report.n_repeated,
        "n_refused": report.n_refused,
        "by_reason": dict(report.by_reason),
        "outside": [each.to_dict() for each in report.outside],
        "findings": [finding.to_dict() for finding in report.findings],
        **({} if report.event_rows is None else {"event_rows": report.event_rows.to_dict()}),
        "refused": [{"line": rejection.line, "reason": rejection.reason} for rejection in report.refused],
        "left_out": dict(report.left_out),
        "notices": list(report.notices),
        "undeclared": [found.to_dict() for found in report.undeclared],
    }

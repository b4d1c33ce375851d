"""The report of an import, as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.report.numbers import count

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
    if not report.n_refused:
        return [counts]
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
    return [counts, kinds, lines]


def import_json(report: ImportReport) -> dict[str, object]:
    """Return the report as plain JSON values."""
    return {
        "n_rows": report.n_rows,
        "n_imported": report.n_imported,
        "n_repeated": report.n_repeated,
        "n_refused": report.n_refused,
        "by_reason": dict(report.by_reason),
        "refused": [{"line": rejection.line, "reason": rejection.reason} for rejection in report.refused],
        "undeclared": [found.to_dict() for found in report.undeclared],
    }

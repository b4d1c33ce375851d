"""Rows of results as CSV, unrounded, and as Markdown tables, rounded by the widths of their intervals."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

from bandit.ope.numbers import LARGEST_WRITTEN_OUT, NumberFormat
from bandit.printable import plain, without_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bandit.tabular import Cell, Tabular

_LONGEST_CELL = 2_000

_INTERVAL_ERRORS = 3.92
"""Standard errors that a 95 % interval is wide."""

_FIGURES = 4


def csv_text(tables: Sequence[tuple[str, Tabular]]) -> str:
    """Return the rows of named tables as one CSV document; of several, its first column names the table.

    Numbers are not rounded and unknown ones are empty. Text that a spreadsheet would run as a formula has an
    apostrophe before it (CWE-1236).
    """
    named = [(name, table.to_rows()) for name, table in tables]
    several = len(named) > 1
    columns = list(dict.fromkeys(key for _, rows in named for row in rows for key in row))
    if not columns:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(["table"] if several else []), *columns])
    for name, rows in named:
        for row in rows:
            writer.writerow([*([name] if several else []), *(_csv_cell(row.get(column)) for column in columns)])
    return text.getvalue()


def markdown_text(tables: Sequence[tuple[str, Tabular]]) -> str:
    """Return named tables in Markdown, each under its name where there are several; `|` in text is escaped."""
    parts = []
    for name, table in tables:
        head = [f"### {_markdown_cell(name, None)}", ""] if len(tables) > 1 else []
        parts.append("\n".join([*head, *_markdown_lines(table.to_rows())]))
    return "\n\n".join(parts) + "\n"


def _markdown_lines(rows: Sequence[Mapping[str, Cell]]) -> list[str]:
    if not rows:
        return ["nothing to show"]
    columns = list(rows[0])
    formats = _formats(rows)
    numeric = {name for name in columns if any(_is_number(row[name]) for row in rows)}
    return [
        _markdown_row(_markdown_cell(name.replace("_", " "), None) for name in columns),
        _markdown_row("---:" if name in numeric else "---" for name in columns),
        *(_markdown_row(_markdown_cell(row[name], formats.get(name)) for name in columns) for row in rows),
    ]


def _formats(rows: Sequence[Mapping[str, Cell]]) -> dict[str, NumberFormat]:
    """Return one format for all columns that are values with intervals: two figures of the smallest error."""
    names, errors = set(), []
    for name in rows[0]:
        bounds = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
        if not set(bounds) <= rows[0].keys():
            continue
        names |= {name, *bounds}
        for row in rows:
            low, high = row[bounds[0]], row[bounds[1]]
            if isinstance(low, float) and isinstance(high, float) and high > low:
                errors.append((high - low) / _INTERVAL_ERRORS)
    numbers = NumberFormat.of_error(min(errors, default=math.nan))
    return dict.fromkeys(names, numbers)


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_cell(value: Cell, numbers: NumberFormat | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return plain(value, _LONGEST_CELL).replace("\\", "\\\\").replace("|", "\\|")
    if not math.isfinite(value):
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if numbers is not None:
        return numbers.number(value)
    if 10.0**_FIGURES <= abs(value) < LARGEST_WRITTEN_OUT:
        return f"{value:,.0f}"
    return f"{value:.{_FIGURES}g}"


def _csv_cell(value: Cell) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return without_formula(value)
    return value if math.isfinite(value) else ""


def _is_number(value: Cell) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

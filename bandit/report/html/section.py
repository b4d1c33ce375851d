"""The record of one section of a report, ready to be shown: a finding, charts, tables, and what cannot be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from bandit.report.html.charts.canvas import ReportChart

Tone: TypeAlias = Literal["good", "bad", "open", "unknown", "well", "doubt", "fatal", "plain"]
"""How something looks: a verdict (better, worse, no difference found, cannot tell), a check, or neither."""

TONE_SIGNS: dict[Tone, str] = {
    "good": "▲", "bad": "▼", "open": "●", "unknown": "?", "well": "✓", "doubt": "!", "fatal": "✕", "plain": "",
}  # fmt: skip
"""A sign beside each tone, so that none is told by its colour alone."""

MOST_TABLE_ROWS = 150
"""Most rows of a table, so that a report stays small; the commands with --json have them all."""

_TONES: dict[str, Tone] = {
    "better": "good",
    "worse": "bad",
    "no difference found": "open",
    "cannot tell": "unknown",
}


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell: its text, with a tone where it is a verdict."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class ReportTable:
    """The numbers of a chart: `numeric` says which columns are numbers, which are set to the right."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ReportSection:
    """One section: the question as a heading, the finding in one plain sentence, then charts, tables and notes.

    `missing` says why there is nothing to show, and what it needs; it is empty where there is.
    """

    key: str
    title: str
    finding: str = ""
    tone: Tone = "plain"
    charts: tuple[ReportChart, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    notes: tuple[str, ...] = field(default=())
    missing: str = ""


def tone_of(verdict: str | None) -> Tone:
    """Return the tone of a verdict."""
    return _TONES.get(verdict or "", "plain")


def verdict_cell(verdict: str | None) -> TableCell:
    """Return the cell of a verdict."""
    return TableCell(verdict or "", tone_of(verdict))


def table(caption: str, columns: dict[str, bool], rows: list[list[str | TableCell]]) -> ReportTable:
    """Return a table of at most `MOST_TABLE_ROWS` rows; `columns` says whether a heading's cells are numbers."""
    if len(rows) > MOST_TABLE_ROWS:
        caption, rows = f"{caption} (the first {MOST_TABLE_ROWS} of {len(rows):,} rows)", rows[:MOST_TABLE_ROWS]
    cells = tuple(tuple(cell if isinstance(cell, TableCell) else TableCell(cell) for cell in row) for row in rows)
    numeric = frozenset(place for place, is_number in enumerate(columns.values()) if is_number)
    return ReportTable(caption, tuple(columns), cells, numeric)


def missing(key: str, title: str, reason: str) -> ReportSection:
    """Return a section that cannot be computed."""
    return ReportSection(key, title, missing=sentence(reason))


def sentence(text: str) -> str:
    """Return a reason as a sentence of its own.

    >>> sentence("there are only 3 customers")
    'There are only 3 customers.'
    """
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")

"""Tables and sentences at the width of a terminal: a table where it fits, else one record a row; no word is broken."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from bandit.printable import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType
    from rich.table import Column, Table

SIGN_STYLES = {"+": "green", "-": "red", "?": "yellow", "=": "blue"}
"""The colour of a sentence on a verdict, by the sign it begins with."""

_NARROWEST = 24
"""A column of text that may be folded is not made narrower than this."""

_EDGE, _GAP = 1, 3
"""Columns that a table takes beside its cells: at its right end, and for each of its columns."""

_COMMANDS = ("offer-bandit ", "cd ")


def wrapped(sentence: str, width: int, indent: str = "") -> str:
    """Return a sentence in lines of at most `width` characters; its own indentation, or `indent`, goes on below.

    Words are not broken. A line that is a command is left as it is, so that it can be copied.
    """
    own = sentence[: len(sentence) - len(sentence.lstrip())]
    indent = "  " if sentence[:2] in {f"{sign} " for sign in SIGN_STYLES} else indent
    if sentence.lstrip().startswith(_COMMANDS) or not sentence.strip():
        return sentence
    lines = textwrap.wrap(
        sentence.strip(),
        max(width, len(own) + 10),
        initial_indent=own,
        subsequent_indent=own or indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def verdict_text(sentence: str, width: int) -> Text:
    """Return a sentence in lines; where it begins with the sign of a verdict, that is in its colour."""
    text = Text(wrapped(visible(sentence), width))
    style = SIGN_STYLES.get(sentence[:1])
    if style is not None and sentence[1:2] == " ":
        end = text.plain.find(" - ")
        text.stylize(style, 0, end if end > 0 else len(text))
    return text


def fitted(table: Table, width: int) -> list[RenderableType]:
    """Return a table with its title above it, or its rows as records where it is wider than `width`."""
    make_visible(table)
    title = table.title
    above: list[RenderableType] = []
    if title:
        table.title = None
        above = [Text(wrapped(_plain(title), width), style="italic")]
    if not table.show_header:
        return [*above, table]
    for column in table.columns:
        _wrap_heading(column)
    if sum(_least(column) + _GAP for column in table.columns) + _EDGE <= width:
        return [*above, table]
    return [*above, *records(table, width)]


def make_visible(table: Table) -> None:
    """Escape in a table's title, headings and cells what could steer a terminal or turn the order of its text."""
    if table.title is not None:
        table.title = Text(visible(_plain(table.title)))
    for column in table.columns:
        column.header = _visible_cell(column.header)
        column._cells = [_visible_cell(cell) for cell in column.cells]  # noqa: SLF001 - rich has no other way to set them


def _visible_cell(cell: RenderableType) -> RenderableType:
    text = _plain(cell)
    if text.replace("\n", "").isprintable():
        return cell
    return Text(visible(text), style=cell.style if isinstance(cell, Text) else "")


def records(table: Table, width: int) -> Iterator[Text]:
    """Yield one record a row: its first cell as a heading, then a line for each other cell that is not empty."""
    headings = [_plain(column.header).replace("\n", " ") for column in table.columns]
    first, begun = "", False
    for row in zip(*([_plain(cell) for cell in column.cells] for column in table.columns), strict=True):
        first = row[0] or first
        fields = _fields(headings[1:], row[1:])
        label = max((len(name) for name, _ in fields), default=0)
        if begun:
            yield Text("")
        begun = True
        yield Text(wrapped(f"{headings[0]}: {first}" if headings[0] else first, width, "  "), style="bold")
        for name, value in fields:
            start = f"  {name.ljust(label)}  "
            lines = textwrap.wrap(
                value,
                max(width - len(start), 10),
                break_long_words=False,
                break_on_hyphens=False,
            )
            yield Text(start + ("\n" + " " * len(start)).join(lines))


def _fields(headings: Sequence[str], cells: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names and values of a record; an interval stands in brackets behind the value before it."""
    fields: list[tuple[str, str]] = []
    for name, value in zip(headings, cells, strict=True):
        if not value:
            continue
        if name.endswith("interval") and fields:
            before, number = fields[-1]
            fields[-1] = (before, f"{number} ({value})")
        else:
            fields.append((name, value))
    return fields


def _wrap_heading(column: Column) -> None:
    """Break a heading at its spaces where it is wider than the cells below it; only text may be folded."""
    heading = _plain(column.header)
    cells = max((cell_len(_plain(cell)) for cell in column.cells), default=0)
    words = max((cell_len(word) for word in heading.split()), default=0)
    lines = textwrap.wrap(heading, max(cells, words, 1), break_long_words=False, break_on_hyphens=False)
    column.header = Text("\n".join(lines))
    if not _folds(column):
        column.no_wrap = True


def _least(column: Column) -> int:
    """Return the width that a column needs."""
    lines = [*_plain(column.header).split("\n"), *(line for cell in column.cells for line in _plain(cell).split("\n"))]
    widest = max(map(cell_len, lines), default=0)
    if not _folds(column):
        return widest
    words = max((cell_len(word) for line in lines for word in line.split()), default=0)
    return min(widest, max(_NARROWEST, words))


def _folds(column: Column) -> bool:
    return column.overflow == "fold"


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else Text.from_markup(str(cell)).plain

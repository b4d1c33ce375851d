"""Results as tables: rows of plain values, a dataframe, and what a notebook shows."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from bandit.errors import MissingExtraError
from bandit.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

Cell: TypeAlias = str | int | float | bool | None
"""A value of a table."""

MOST_HTML_ROWS = 200
"""Most rows that a notebook is shown; the dataframe has them all."""


class Tabular:
    """A result that is a table: each class defines `to_rows`, and its dataframe and HTML follow."""

    __slots__ = ()

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one dictionary a row, all with the same keys in the same order; numbers are not rounded."""
        raise TypeError(f"{type(self).__name__} does not define to_rows")

    def html_title(self) -> str:
        """Return the line above the table in a notebook, empty for none."""
        return ""

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a pandas dataframe; MissingExtraError where pandas is not installed."""
        try:
            import pandas as pd  # noqa: PLC0415 - an optional extra
        except ImportError as fault:
            raise MissingExtraError("a dataframe", "frames") from fault
        return pd.DataFrame(self.to_rows())

    def _repr_html_(self) -> str:
        """Return the table as HTML, for a notebook."""
        return html_table(self.to_rows(), self.html_title())


@dataclass(frozen=True, slots=True)
class RowTable(Tabular):
    """Rows that are a table of their own, with a title."""

    rows: tuple[dict[str, Cell], ...]
    title: str = ""

    def html_title(self) -> str:
        """Return the title."""
        return self.title

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return the rows."""
        return list(self.rows)


def html_table(rows: Sequence[dict[str, Cell]], title: str = "") -> str:
    """Return rows as an HTML table with escaped text, at most `MOST_HTML_ROWS` of them."""
    above = f"<p>{html.escape(title)}</p>" if title else ""
    if not rows:
        return f"{above}<p>nothing to show</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(_html_cell(value) for value in row.values()) + "</tr>" for row in rows[:MOST_HTML_ROWS]
    )
    more = len(rows) - MOST_HTML_ROWS
    below = f"<p>and {counted(more, 'more row')}</p>" if more > 0 else ""
    return f"{above}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _html_cell(value: Cell) -> str:
    if value is None or isinstance(value, (bool, str)):
        text = value if isinstance(value, str) else "" if value is None else "yes" if value else "no"
        return f'<td style="text-align:left">{html.escape(text)}</td>'
    number = "" if not math.isfinite(value) else f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    return f'<td style="text-align:right">{number}</td>'

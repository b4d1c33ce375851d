"""What became of a file of outcomes, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.report.numbers import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.tabular import Cell


def outcome_table(n_rows: int, rows: Sequence[dict[str, Cell]]) -> Table:
    """Return the numbers of rows by what became of them; kinds without a row are left out, apart from the first."""
    table = Table(title="outcomes", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("rows read", count(n_rows))
    for row in rows:
        if row["rows"] or row["result"] == "recorded":
            table.add_row(escape(str(row["result"])), count(int(row["rows"] or 0)))
    return table

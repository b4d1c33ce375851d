"""The state of a database and of the installation, as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.report.numbers import count

if TYPE_CHECKING:
    from bandit.audit import Verified


def verified_lines(verified: Verified) -> list[str]:
    """Return what a verification found, a sentence a line."""
    if verified.problems:
        return [*verified.problems, *verified.notes]
    n, again = count(verified.n_decisions), count(verified.n_recomputed)
    found = f"No problem found: {n} decisions, {again} of them the engine's own, computed again and found the same."
    return [found, *verified.notes]


def doctor_tables(sections: Mapping[str, Mapping[str, object]]) -> list[Table]:
    """Return one table a section, a row a finding."""
    tables = []
    for title, rows in sections.items():
        table = Table(title=escape(title), title_justify="left", show_header=False)
        table.add_column()
        table.add_column(overflow="fold")
        for name, value in rows.items():
            table.add_row(escape(name), escape(_words(value)))
        tables.append(table)
    return tables


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return "-" if value is None else str(value)

"""Explanations on a terminal, within 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.printable import plain
from bandit.report.numbers import count
from bandit.report.times import iso_minute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.explain import CustomerDecisions
    from bandit.report.reasons import ReasonRow, ReasonView

REASON_WIDTH = 80
"""Columns that an explanation fits into."""

_BAR = 12
"""Characters of the longest bar."""


def reason_tables(view: ReasonView) -> list[Table]:
    """Return an explanation as tables without borders, the headline first."""
    tables = [_lines([view.headline]), _rows(view.overview)]
    tables.append(_lines([view.eligible], above=True))
    if view.removed:
        tables.append(_rows([(each[0], f"{each[1]} ({each[2]})") for each in view.removed], indent=2))
    if view.segment:
        tables.append(_lines(view.segment, above=True))
    if view.offers:
        tables.append(_offer_table(view.offers))
    if view.lead:
        tables.append(_lines(view.lead, above=True))
    if view.reasons:
        tables.append(_reason_table(view.reasons, view.reasons_title))
    tables.append(_lines([" ".join(view.chance)], above=True))
    if view.notes:
        tables.append(_lines(view.notes, above=True))
    return tables


def customer_table(found: CustomerDecisions, customer: str) -> list[Table]:
    """Return the last decisions of a customer as a list, two lines each."""
    shown = len(found.lines)
    every = (
        f"the {count(shown)} decisions"
        if shown == found.n
        else f"the last {count(shown)} of {count(found.n)} decisions"
    )
    every = "the 1 decision" if found.n == 1 else every
    tables = [_lines([f'{every[0].upper()}{every[1:]} for "{plain(customer, 200)}", the newest first:'])]
    for each in found.lines:
        chance = "probability unknown" if each.propensity is None else f"probability {100 * each.propensity:.3g}%"
        repeats = f", held for {count(each.repeats)} more requests" if each.repeats else ""
        words = f"{plain(each.offer, 200)} (by {plain(each.served, 60)}, {chance}{repeats})"
        tables.append(_rows([(iso_minute(each.time), plain(each.decision_id, 200)), ("", words)]))
    return tables


def _lines(lines: Sequence[str], *, above: bool = False) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, width=REASON_WIDTH, padding=(0, 0))
    table.add_column(overflow="fold")
    if above:
        table.add_row("")
    for line in lines:
        table.add_row(escape(line))
    return table


def _rows(rows: Sequence[tuple[str, str]], indent: int = 0) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, width=REASON_WIDTH, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for name, words in rows:
        table.add_row(" " * indent + escape(name), escape(words))
    return table


def _offer_table(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, width=REASON_WIDTH, padding=(0, 2, 0, 0), title=" ", title_justify="left")
    head, *others = rows
    table.add_column("", no_wrap=True)
    for name in head[1:]:
        table.add_column(escape(name), overflow="fold", ratio=1)
    for row in others:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _reason_table(rows: Sequence[ReasonRow], title: str) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        show_header=False,
        width=REASON_WIDTH,
        padding=(0, 2, 0, 0),
        title="\n" + escape(title),
        title_justify="left",
        title_style="",
    )
    table.add_column(overflow="fold", ratio=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, width=_BAR)
    table.add_column(overflow="fold", max_width=24)
    for row in rows:
        table.add_row(escape(row.words), escape(row.number), _bar(row.bar), escape(row.remark))
    return table


def _bar(share: float | None) -> str:
    """Return a bar of plus or minus signs: its sign shows without colour."""
    if share is None:
        return ""
    length = round(abs(share) * _BAR)
    return ("+" if share > 0.0 else "-") * length

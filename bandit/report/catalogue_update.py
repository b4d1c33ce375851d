"""Changes of a catalogue, and what they do to a database, as tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from bandit.printable import counted, plain
from bandit.tabular import RowTable

if TYPE_CHECKING:
    from bandit.catalogue.changes import CatalogueChange
    from bandit.governance.catalogue_update import CatalogueUpdate

_SHOWN = 60


def change_rows(changes: Sequence[CatalogueChange]) -> RowTable:
    """Return the changes as rows, all their columns."""
    return RowTable(tuple(row for change in changes for row in change.to_rows()), "Changes of the catalogue")


def change_table(changes: Sequence[CatalogueChange]) -> Table:
    """Return the changes as a table: what, from, to, and what each does."""
    table = Table(title="Changes of the catalogue", title_justify="left")
    for name in ("change", "what", "before", "after", "what it does"):
        table.add_column(name, overflow="fold")
    for change in changes:
        what = f"{change.what} {change.name}"
        cells = (change.kind, what, _short(change.before), _short(change.after), change.effects)
        table.add_row(*(escape(plain(cell)) for cell in cells))
    return table


def change_lines(changes: Sequence[CatalogueChange]) -> list[str]:
    """Return the sentences below the table of changes."""
    if not changes:
        return ["The two catalogues say the same."]
    lines = []
    gone = [change.name for change in changes if change.what == "option" and change.kind == "removed"]
    new = [change.name for change in changes if change.what == "option" and change.kind == "added"]
    if gone and new:
        lines.append(
            f"If a new option ({plain(', '.join(new))}) is an old one under another name ({plain(', '.join(gone))}), "
            'write aliases = ["old name"] beside its name: then what was learned of it stays.'
        )
    return lines


def update_lines(update: CatalogueUpdate) -> list[str]:
    """Return what an update did, or would do, one sentence a line."""
    lines = change_lines(update.changes) if update.changes else []
    if update.carried is not None:
        words = plain(update.carried.words)
        lines.append(f"{words[0].upper()}{words[1:]}." if update.done else f"To be done: {words}.")
    if update.n_recent and update.from_version != update.version:
        before, after = update.eligible_before, update.eligible_after
        lines.append(
            f"The customers of the last {counted(update.n_recent, 'decision')} may get {after.mean:,.1f} offers in the "
            f"mean; before {before.mean:,.1f}."
            + (f" {after.none:.1%} of them may get none, and have the fallback." if after.none else "")
        )
    lines += [f"{plain(each[0].upper() + each[1:])}." for each in update.notes]
    if not update.done:
        lines.append("Nothing was changed.")
    elif update.policy_id is not None and update.from_version != update.version:
        lines.append(
            f"The catalogue is version {update.version}, served by policy {update.policy_id}; open the programs that "
            "decide again with it."
        )
    return lines


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."

"""The commands of the catalogue: what differs between two versions, and the change of one in a live database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import output_format, progress, show, show_plain
from bandit.cli.help import CONTEXT_SETTINGS, PanelCommand, PanelGroup
from bandit.cli.options import AsJson, Database, Format
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue

catalogue = typer.Typer(
    name="catalogue",
    help="Compare two versions of a catalogue, and change that of a live database without forgetting.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    cls=PanelGroup,
    context_settings=CONTEXT_SETTINGS,
)


@catalogue.callback()
def start_catalogue(context: typer.Context) -> None:
    """Print the help if no command is given."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A catalogue (TOML), or a database for its own.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another one.")],
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Show what differs between two catalogues, and what it does to belief, eligibility and money.

    Names go by `aliases` of the second one: an option that is renamed without an alias is one removed and one added,
    and what was learned of it does not go over.
    """
    from bandit.catalogue.changes import catalogue_changes
    from bandit.report.catalogue_update import change_lines, change_rows, change_table

    style = output_format(as_json, format_name)
    one, other = _catalogue_of(before), _catalogue_of(after)
    changes = catalogue_changes(one, other)

    def document() -> dict[str, object]:
        return {
            "before": one.version,
            "after": other.version,
            "n_offers_before": one.n_offers,
            "n_offers_after": other.n_offers,
            "changes": [change.to_dict() for change in changes],
        }

    if not show_plain(style, document, lambda: [("changes", change_rows(changes))]):
        show([change_table(changes)] if changes else [], change_lines(changes))


def apply(
    db: Database,
    file: Annotated[Path, typer.Argument(metavar="CATALOGUE", help="The changed catalogue (TOML).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Change the catalogue of a live database: the policy keeps what it has learned.

    The new version gets a policy with the settings of the one that serves, and with its belief: weights by name, new
    options at a prior by which they win a tenth of the draws, removed ones kept for their return. Nothing that was
    learned is learned again, and propensities stay exact. Programs that are open go on with the catalogue that they
    opened; open them again with the new one. It asks nothing: see first with --dry-run.
    """
    from bandit.catalogue import Catalogue
    from bandit.cli.databases import reading_without_key, writing_without_key
    from bandit.engine.default_policy import default_policy
    from bandit.governance.catalogue_update import update_catalogue
    from bandit.report.catalogue_update import change_rows, change_table, update_lines

    style = output_format(as_json, format_name)
    changed = Catalogue.from_toml(file)
    with (reading_without_key if dry_run else writing_without_key)(db) as store, progress("taking over"):
        update = update_catalogue(store, changed, default_policy(store), dry_run=dry_run)
    if not show_plain(style, update.to_dict, lambda: [("changes", change_rows(update.changes))]):
        show([change_table(update.changes)] if update.changes else [], update_lines(update))


def _catalogue_of(path: Path) -> Catalogue:
    """Return the catalogue in a TOML file, or that which a database serves."""
    from bandit.catalogue import Catalogue

    if not path.exists():
        raise InputError(f"{path}: there is no such file; give a catalogue (TOML) or a database")
    if path.is_dir():
        raise InputError(f"{path}: is a directory; give a catalogue (TOML) or a database")
    with path.open("rb") as stream:
        is_database = stream.read(16) == b"SQLite format 3\0"
    if not is_database:
        return Catalogue.from_toml(path)
    with _store_catalogue(path) as found:
        return found


@contextmanager
def _store_catalogue(path: Path) -> Iterator[Catalogue]:
    """Yield the catalogue of the policy that serves a database, else the newest."""
    from bandit.cli.databases import catalogue_for, reading_without_key
    from bandit.engine.default_policy import default_policy

    with reading_without_key(path) as store:
        number = default_policy(store)
        if number is None:
            yield catalogue_for(store, None)
        else:
            yield store.catalogues.get(store.catalogues.policy_spec(number)[0])


for _name, _function, _example in (
    ("diff", diff, "offer-bandit catalogue diff offers.db catalogue.toml"),
    ("apply", apply, "offer-bandit catalogue apply offers.db catalogue.toml --dry-run"),
):
    catalogue.command(
        _name,
        cls=PanelCommand,
        context_settings=CONTEXT_SETTINGS,
        epilog=f"\b\nExample:\n  {_example}",
    )(_function)

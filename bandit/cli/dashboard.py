"""The command that makes a database browsable: dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import note, show_json
from bandit.cli.options import AsJson, Database
from bandit.errors import InputError
from bandit.printable import visible

if TYPE_CHECKING:
    from bandit.report.dashboard.metadata import DashboardSubject


def dashboard(
    db: Database,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata",
            metavar="FILE",
            help="Datasette's metadata file; default: offers-dashboard.json beside offers.db.",
        ),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Write the metadata file anew, though one is there that differs.")
    ] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Start Datasette, until Ctrl-C.")] = False,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="The port; 0 takes a free one.")] = 8001,
    immutable: Annotated[
        bool, typer.Option("--immutable", help="The file is a finished copy that nobody writes to, such as a backup.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a database browsable with Datasette: results, decisions, events, roll-out, options never served.

    Writes a metadata file with titles, descriptions of every table and column, and queries, and prints the command that
    starts Datasette; --serve starts it. A metadata file that is already there is used as it is, so that you can
    change it; --renew writes it anew. The pages only read, and are served to this machine alone unless --host says
    otherwise: there is no login. The database is opened read-only while engines go on writing.

    Datasette is an extra: pip install "offer-bandit[dashboard]"
    """
    from bandit.report.dashboard.metadata import write_metadata
    from bandit.report.dashboard.serve import DashboardServer, has_datasette

    if serve and as_json:
        raise InputError("--serve and --json exclude each other: a server prints no result")
    subject = _subject(db)
    file = db.with_name(f"{db.stem}-dashboard.json") if metadata is None else metadata
    server = DashboardServer(db, file, host, port, immutable)
    server.check()
    done = write_metadata(file, subject, renew=renew)
    if done == "kept":
        note(f"note: {file} is not what this version would write; it is used as it is (--renew writes it anew)")
    if not server.is_local:
        note(f"note: whoever reaches {host} can read the whole database; there is no login")
    if subject.in_clear:
        note("note: customers are stored in the clear there, and the pages show them")
    if as_json:
        show_json({"metadata": str(file), "metadata_is": done, "command": server.command})
        return
    typer.echo(visible(f"{'wrote' if done == 'written' else 'uses'} {file}"))
    if serve:
        server.run()
        return
    typer.echo(visible(f"start it with --serve, or with\n  {server.command}"))
    if not has_datasette():
        note('note: Datasette is not installed: pip install "offer-bandit[dashboard]"')


def _subject(db: Path) -> DashboardSubject:
    from bandit.cli.databases import reading_without_key
    from bandit.report.dashboard.metadata import DashboardSubject

    with reading_without_key(db) as store:
        latest = store.catalogues.latest()
        return DashboardSubject(db.stem, None if latest is None else latest[1].name, store.customers.are_named)

"""The command that writes the log to a file: export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.choices import EXPORT_FORMAT_NAMES
from bandit.cli.console import note, progress, show, show_json
from bandit.cli.options import AsJson, CatalogueFile, Database
from bandit.errors import InputError
from bandit.printable import counted

if TYPE_CHECKING:
    from bandit.logfiles import ExportReport


_STDOUT = "-"


def export(
    db: Database,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help=f"One of {', '.join(EXPORT_FORMAT_NAMES)}; default: by the ending of OUT.",
        ),
    ] = None,
    catalogue: CatalogueFile = None,
    include_open: Annotated[bool, typer.Option("--open", help="Include decisions whose window has not ended.")] = False,
    mapping: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help='Write the mapping for importing the file; "-" prints it. Where DB is a log file: what reads it.',
        ),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Write a dataset: OUT is a folder or an address, with N partitions by customer; 64 is usual.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help='Of a dataset: "last" adds what is new; a time begins a new one with the decisions from then on.',
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the log to one file (Parquet, CSV, dsjson), or to a dataset of Parquet files by customer.

    One row per decision: customer, time, offer, facts, propensity and outcome. `offer-bandit import` reads
    all formats back. Customers are written as they are stored: under a hash where the database has a key.

    With --partitions OUT becomes a dataset: a folder, or an address such as s3://bucket/log, which `evaluate` and
    others take in place of a database, on several processes or machines with --cluster. It has every decision and
    event; `offer-bandit export offers.db log --since last` adds what came since, as often as you like. DB can also be
    a log file (Parquet, CSV, dsjson), with --catalogue and, unless it is an export, --mapping.
    """
    from bandit.cli.databases import catalogue_for, reading
    from bandit.cli.datasets import DatasetExport, export_dataset_to, is_dataset
    from bandit.cli.logs import LOG_FILE_ENDINGS
    from bandit.logfiles import export as export_log
    from bandit.logfiles import format_of, mapping_toml

    from_file = db.name.endswith(LOG_FILE_ENDINGS)
    if partitions is not None or since is not None or from_file or (format_name is None and is_dataset(out)):
        if format_name is not None:
            raise InputError(f'a dataset is written as Parquet; leave out --format "{format_name}"')
        export_dataset_to(DatasetExport(db, out, catalogue, mapping, partitions, since, force), as_json=as_json)
        return
    format_of(out, format_name)
    beside = None if mapping in {None, _STDOUT} else Path(str(mapping))
    if mapping == _STDOUT and as_json:
        raise InputError("--mapping - prints the mapping where --json prints; name a file for it")
    if beside is not None and beside.exists() and not force:
        raise InputError(f"{beside}: is there already; choose another name, or overwrite it with --force")
    with reading(db) as store:
        target = catalogue_for(store, catalogue)
        with progress("exporting") as report:
            written = export_log(
                store, target, out, format_name, include_open=include_open, force=force, progress=report
            )
        if store.customers.in_clear:
            note(f"note: customers are in the clear in {out}, as they are in {db}")
    if beside is not None:
        try:
            beside.write_text(mapping_toml(target, written), encoding="utf-8")
        except OSError as fault:
            raise InputError(f"{beside}: cannot be written: {fault.strerror}; choose another place") from fault
    if as_json:
        show_json(_plain(written) | {"mapping": None if beside is None else str(beside)})
    elif mapping == _STDOUT:
        sys.stdout.write(mapping_toml(target, written))
    else:
        show([], _sentences(written, beside))


def _plain(written: ExportReport) -> dict[str, object]:
    return {
        "file": str(written.path),
        "format": written.format,
        "decisions": written.n,
        "left_out": written.left_out,
        "open": written.still_open,
        "bytes": written.n_bytes,
        "propensities_known": written.propensities_known,
    } | ({} if written.activation is None else {"not_activated": written.not_activated})


def _sentences(written: ExportReport, mapping: Path | None) -> list[str]:
    from bandit.report.left_out import OFFER_UNKNOWN, left_out_lines, never_activated

    lines = [
        f"Written to {written.path}: {counted(written.n, 'decision')}, {written.n_bytes:,} bytes of {written.format}."
    ]
    if mapping is not None:
        lines.append(f"Written to {mapping}: the mapping that reads it back.")
    return lines + left_out_lines(
        (written.left_out, "decision", OFFER_UNKNOWN),
        (written.still_open, "decision", "still open (--open writes them too)"),
        (written.not_activated, "decision", never_activated(written.activation)),
    )

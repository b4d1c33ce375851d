"""The commands for data protection: erase, retain, export-customer."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from bandit.cli.console import note, progress, show, show_json
from bandit.cli.options import AsJson, Database
from bandit.errors import CatalogueError, InputError
from bandit.printable import counted

Customer = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's key, as given to decide.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


def erase(
    db: Database,
    customer: Customer,
    dataset: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Erase from this exported dataset, too; can be repeated."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase a customer: decisions, events, personal state, and what the policies learned from them.

    Every policy that learned from the customer is rebuilt without them, and the file is rewritten, so that no byte
    of the customer is left in it. Copies of the database are not changed; known copies are listed. Datasets that
    `export` wrote are outside the database: name them with --dataset, or in the place of DB to erase from one alone;
    only the files of the customer's partition are written again.
    """
    from bandit.cli.databases import writing
    from bandit.cli.datasets import erase_from, erasure_sentences, is_dataset
    from bandit.governance.erasure import erase as erase_customer
    from bandit.report.maintenance import erased_lines

    if is_dataset(db):
        if not yes:
            ask(f"Erase all data in {db} on this customer? This cannot be undone.", "--yes")
        outside = erase_from([db, *(dataset or ())], customer)
        if as_json:
            show_json({"datasets": [each.to_dict() for each in outside]})
        else:
            show([], erasure_sentences(outside))
        return
    with writing(db) as store:
        if not yes:
            ask(f"Erase all data in {db} on this customer? This cannot be undone.", "--yes")
        outside = erase_from(dataset or [], customer)
        with progress("erasing") as report:
            erased = erase_customer(store, customer, report)
    if as_json:
        plain = asdict(erased) | {name: [str(path) for path in getattr(erased, name)] for name in _PATHS}
        show_json(plain | ({"datasets": [each.to_dict() for each in outside]} if outside else {}))
        return
    show([], [*erased_lines(erased), *erasure_sentences(outside)])


def retain(
    db: Database,
    days: Annotated[int | None, typer.Option(min=1, metavar="N", help="Keep decisions of the last N days.")] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DURATION", help='Remove decisions older than this, such as "400d".'),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and change nothing.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove decisions older than an age, with their events; the policies keep what they learned from them.

    Customers without any decision left are removed too. `verify` and `rebuild` start from the state kept at that time.
    """
    from bandit.cli.databases import writing
    from bandit.clock import now
    from bandit.governance.retention import retain as retain_since
    from bandit.report.maintenance import retained_lines

    if (days is None) == (older_than is None):
        raise InputError("give the age by either --days or --older-than, such as --days 400")
    age = timedelta(days=days).days * _DAY if days is not None else _age(str(older_than))
    before = now() - age
    with writing(db) as store:
        if not dry_run and not yes:
            would = retain_since(store, before, dry_run=True)
            if would.decisions:
                ask(
                    f"Remove {counted(would.decisions, 'decision')} made before {_iso(before)}? This cannot be undone.",
                    "--yes",
                )
        with progress("removing") as report:
            retained = retain_since(store, before, report, dry_run=dry_run)
    if as_json:
        show_json(asdict(retained) | {"before": _iso(before)})
        return
    show([], retained_lines(retained, _iso(before)))


def export_customer(
    db: Database,
    customer: Customer,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A new file to write to; default: stdout.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write all data on one customer as one JSON document: to stdout, or to a new file with --out.

    Contexts, offers by name, propensities, events, and how each policy expects the customer to differ from others.
    """
    import msgspec

    from bandit.cli.databases import reading
    from bandit.governance.customer_data import customer_data
    from bandit.store.database_file import create_private

    with reading(db) as store:
        data = customer_data(store, customer)
    if out is None:
        show_json(data)
        return
    text = msgspec.json.format(msgspec.json.encode(data), indent=2)
    try:
        create_private(out)
        out.write_bytes(text + b"\n")
    except FileExistsError as fault:
        raise InputError(f"{out}: already exists; give a new file") from fault
    except OSError as fault:
        raise InputError(f"{out}: cannot be written ({fault.strerror}); give another file") from fault
    if as_json:
        show_json({"file": str(out), "bytes": len(text) + 1})
        return
    note(f"Written to {out}: all data in {db} on this customer.")


_DAY = 86_400_000_000
_PATHS = ("older_copies", "spools")


def ask(question: str, option: str) -> None:
    """Ask for confirmation; InputError if stdin is not a terminal."""
    if not sys.stdin.isatty():
        raise InputError(f"{question} Nothing was changed; give {option} to do it")
    typer.confirm(question, abort=True, err=True)


def _age(text: str) -> int:
    from bandit.catalogue.file_tables import window_microseconds

    try:
        age = window_microseconds(text)
    except CatalogueError as fault:
        raise InputError(f"--older-than: {fault}") from fault
    if not age:
        raise InputError("--older-than: an age of 0 would remove every decision; give a longer one")
    return age


def _iso(time: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).isoformat(timespec="seconds")

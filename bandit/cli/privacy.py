"""The commands that keep a promise to customers: erase, retain, export-customer."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bandit.catalogue.schema import window_microseconds
from bandit.cli.console import note, progress, show, show_json
from bandit.cli.databases import reading, writing
from bandit.cli.options import AsJson, Database
from bandit.clock import now
from bandit.errors import CatalogueError, InputError
from bandit.governance.customer_data import customer_data
from bandit.governance.erasure import erase as erase_customer
from bandit.governance.retention import retain as retain_since
from bandit.report import erased_lines, retained_lines

Customer = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's key, as it was given to decide.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


def erase(db: Database, customer: Customer, yes: Yes = False, as_json: AsJson = False) -> None:
    """Forget a customer: decisions, events, personal state, and what the policies learned from them.

    Every policy that learned from the customer is folded again without them, and the file is rewritten, so that no
    byte of the customer is left in it. Copies elsewhere are not reached: those that are known are named.
    """
    with writing(db) as store:
        if not yes:
            _ask(f"Erase all that {db} has of this customer? This cannot be undone.", "--yes")
        with progress("folding again") as report:
            erased = erase_customer(store, customer, report)
    if as_json:
        show_json(asdict(erased) | {name: [str(path) for path in getattr(erased, name)] for name in _PATHS})
        return
    show([], erased_lines(erased))


def retain(
    db: Database,
    days: Annotated[int | None, typer.Option(min=1, metavar="N", help="Keep decisions of the last N days.")] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="DURATION", help='Remove what is older, as "400d".')
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove decisions older than an age, with their events; what was learned of them stays, and no name with it.

    Customers who have no decision left are no longer known. `verify` and `rebuild` begin from the state that is kept
    from then on.
    """
    if (days is None) == (older_than is None):
        raise InputError("the age is given by one of --days and --older-than; give one, as --days 400")
    age = timedelta(days=days).days * _DAY if days is not None else _age(str(older_than))
    before = now() - age
    with writing(db) as store:
        if not dry_run and not yes:
            would = retain_since(store, before, dry_run=True)
            if would.decisions:
                _ask(
                    f"Remove {would.decisions:,} decisions made before {_iso(before)}? This cannot be undone.", "--yes"
                )
        with progress("folding") as report:
            retained = retain_since(store, before, report, dry_run=dry_run)
    if as_json:
        show_json(asdict(retained) | {"before": _iso(before)})
        return
    show([], retained_lines(retained, _iso(before)))


def export_customer(
    db: Database,
    customer: Customer,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it to a new file; default: print it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write all that is held on one customer as one JSON document; with --out, --json says on stdout what was written.

    Contexts, offers by name, propensities, events, and how each policy believes that the customer deviates from others.
    """
    with reading(db) as store:
        held = customer_data(store, customer)
    if out is None:
        show_json(held)
        return
    text = msgspec.json.format(msgspec.json.encode(held), indent=2)
    try:
        with out.open("xb") as file:
            file.write(text + b"\n")
    except FileExistsError as fault:
        raise InputError(f"{out}: exists already; name a new file") from fault
    except OSError as fault:
        raise InputError(f"{out}: cannot be written ({fault.strerror}); name another file") from fault
    if as_json:
        show_json({"file": str(out), "bytes": len(text) + 1})
        return
    note(f"{out} has all that {db} holds on this customer.")


_DAY = 86_400_000_000
_PATHS = ("older_copies", "spools")


def _ask(question: str, option: str) -> None:
    """Go on only where a person says yes; InputError where there is none to ask."""
    if not sys.stdin.isatty():
        raise InputError(f"{question} Nothing was changed; give {option} to do it")
    typer.confirm(question, abort=True, err=True)


def _age(text: str) -> int:
    try:
        age = window_microseconds(text)
    except CatalogueError as fault:
        raise InputError(f"--older-than: {fault}") from fault
    if not age:
        raise InputError("--older-than: an age of nothing would remove everything; give a longer one")
    return age


def _iso(time: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).isoformat(timespec="seconds")

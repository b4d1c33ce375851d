"""The command that gives a database a new customer key: rotate-key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import progress, show, show_json
from bandit.cli.options import AsJson, Database
from bandit.cli.privacy import Yes, ask
from bandit.printable import counted

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.governance.key_rotation import RotationReport


def rotate_key(
    db: Database,
    make: Annotated[
        bool, typer.Option("--make", help="Make a random key and add it to the key file, unless one is there already.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Hash the customers of a database with a new key: who has the old key finds nobody in it any more.

    The keys are lines of the file that OFFER_BANDIT_KEY_FILE names, oldest first, and the new one is the last; all of
    them are needed from then on, and an engine that has the new line already goes on without a pause. A database whose
    customers are in the clear gets its first key. Copies of the database keep the old hashes, and are listed.
    """
    from bandit.cli.databases import require
    from bandit.governance.key_rotation import rotate_key as rotate
    from bandit.store.customer_key import add_to_key_file, customer_key, random_key

    require(db)
    key = customer_key(missing_ok=make)
    new = random_key() if make and not _has_further(db, key) else None
    given = key if new is None else new if key is None else b"\n".join((key, new))
    if not dry_run and not yes:
        would = rotate(db, given, dry_run=True)
        ask(
            f"Hash {counted(would.customers, 'customer')} in {db} with key {would.n_keys}? It cannot be undone; "
            f"`offer-bandit backup` makes a copy first.",
            "--yes",
        )
    if new is not None and not dry_run:
        add_to_key_file(new)
    with progress("hashing") as report:
        found = rotate(db, given, report, dry_run=dry_run)
    if as_json:
        show_json(found.to_dict())
        return
    show([], _lines(found))


def _has_further(db: Path, key: bytes | None) -> bool:
    """Say whether a database has a key to go on to already."""
    from bandit.store import Store

    with Store.to_rotate(db, key) as store:
        return bool(store.customers.hash.further)


def _lines(found: RotationReport) -> list[str]:
    who, key = counted(found.customers, "customer"), f"key {found.n_keys}"
    before = "were in the clear" if found.from_clear else f"were under {counted(found.n_keys - 1, 'key')}"
    if found.dry_run:
        return [f"To be hashed with {key}: {who}, who {before}. Nothing was changed."]
    lines = [f"Hashed with {key}: {who}, who {before}; what was stored of them before is not in the file any more."]
    if found.policies:
        numbers = ", ".join(map(str, found.policies))
        lines.append(f"Customers were renamed in what these policies know of them: {numbers}.")
    lines += [f"To be deleted by hand, since its customers are as before: {path}" for path in found.older_copies]
    lines += [f"Has customers as before, until it is written to the database: {path}" for path in found.spools]
    return lines

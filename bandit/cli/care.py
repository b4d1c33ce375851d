"""The commands that check: verify and doctor."""

from __future__ import annotations

import platform
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from bandit._version import __version__
from bandit.audit import verify as verify_store
from bandit.cli.bring import COMMANDS
from bandit.cli.console import progress, show, show_json
from bandit.cli.databases import reading, writing
from bandit.cli.options import AsJson, Database
from bandit.clock import now
from bandit.errors import OfferBanditError, StoreError
from bandit.report import doctor_tables, verified_lines
from bandit.store import Store

NEEDED = ("numpy", "scipy", "vowpalwabbit", "sqlite-utils", "typer", "rich", "msgspec", "rule-engine")
EXTRA = ("pyarrow",)
LINTER = "bandit"
"""A security linter's distribution, whose import name and files clash with ours."""

_MOST_DUE = 100_000


def verify(db: Database, as_json: AsJson = False) -> None:
    """Check the database and compute its decisions again; exits with 2 where a problem is found."""
    with writing(db) as store, progress("verifying") as report:
        verified = verify_store(store, report)
    if as_json:
        show_json(
            {
                "ok": not verified.problems,
                "n_decisions": verified.n_decisions,
                "n_recomputed": verified.n_recomputed,
                "problems": list(verified.problems),
                "notes": list(verified.notes),
            }
        )
    else:
        show([], verified_lines(verified))
    if verified.problems:
        raise typer.Exit(2)


def doctor(
    db: Annotated[Path | None, typer.Argument(metavar="[DB]", help="A database to look at as well.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is installed, what is wrong with it, and how a database is; exits with 2 where something is wrong."""
    problems: list[str] = []
    notes: list[str] = []
    sections: dict[str, dict[str, object]] = {"installation": _installation(problems)}
    if db is not None:
        with reading(db) as store:
            sections["database"] = _database(store, problems, notes)
            sections["left to learn"] = _left_to_learn(store)
    if as_json:
        show_json({"ok": not problems, **sections, "problems": problems, "notes": notes})
    else:
        said = [*(f"problem: {each}" for each in problems), *(f"note: {each}" for each in notes)]
        show(doctor_tables({name: rows for name, rows in sections.items() if rows}), said or ["Nothing is wrong."])
    if problems:
        raise typer.Exit(2)


def _installation(problems: list[str]) -> dict[str, object]:
    found: dict[str, object] = {
        "offer-bandit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "encoding of stdout": sys.stdout.encoding,
    }
    for name in (*NEEDED, *EXTRA):
        found[name] = _version(name)
        if found[name] is None and name in NEEDED:
            problems.append(f"{name} is not installed; install offer-bandit again")
    found["simulator"] = bool(metadata.entry_points(group=COMMANDS, name="simulate"))
    linter = _version(LINTER)
    found["security linter in this environment"] = linter
    if linter is not None:
        problems.append(
            f'the security linter "{LINTER}" {linter} is installed in this environment and has the import name of '
            f"offer-bandit; take it away with `pip uninstall {LINTER}` and install offer-bandit again"
        )
    return found


def _database(store: Store, problems: list[str], notes: list[str]) -> dict[str, object]:
    try:
        problems += store.check()
    except OfferBanditError as fault:
        problems.append(str(fault))
    counts = store.counts()
    if store.customers_in_clear and counts.decisions:
        notes.append(f"customers are stored in the clear in {store.path}; a key keeps them hashed from the start")
    latest = store.latest_catalogue()
    return {
        "path": str(store.path),
        "decisions": counts.decisions,
        "events": counts.events,
        "customers": counts.customers,
        "customers in the clear": store.customers_in_clear,
        "catalogues": counts.catalogues,
        "newest catalogue": None if latest is None else f"{latest[1].name} ({latest[1].n_offers:,} offers)",
        "policies": counts.policies,
        "first decision": _iso(counts.first_time),
        "last decision": _iso(counts.last_time),
        "bytes of the file": counts.file_bytes,
        "bytes of the write-ahead log": counts.wal_bytes,
    }


def _left_to_learn(store: Store) -> dict[str, object]:
    left: dict[str, object] = {}
    for row in store.policies():
        objective = store.catalogue(row.catalogue_id).objective
        name = f"policy {row.id} ({row.spec.get('kind')})"
        try:
            due = store.due(
                row.id,
                objective.event,
                objective.window,
                now(),
                limit=_MOST_DUE,
                counts_at_once=objective.kind == "reward",
            )
        except StoreError as fault:
            left[name] = str(fault)
        else:
            left[name] = f"outcomes: {len(due):,}" + (" or more" if len(due) == _MOST_DUE else "")
    return left


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _iso(time: int | None) -> str | None:
    if time is None:
        return None
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).isoformat(timespec="seconds")

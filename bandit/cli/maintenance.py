"""The commands that check and maintain a database: verify, rebuild, backup, doctor."""

from __future__ import annotations

import platform
import sqlite3
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit._version import __version__
from bandit.cli.console import output_format, progress, show, show_json, show_plain
from bandit.cli.datasets import is_dataset
from bandit.cli.options import AsJson, Database, Format, PolicyId
from bandit.cli.setup import COMMANDS
from bandit.errors import InputError, OfferBanditError, PolicyError, StoreError
from bandit.printable import counted, plain
from bandit.tabular import RowTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.evaluate.event_use import EventUses
    from bandit.store import Store
    from bandit.tabular import Cell


NEEDED = ("numpy", "scipy", "vowpalwabbit", "sqlite-utils", "typer", "rich", "msgspec")
EXTRA = ("pyarrow",)
LINTER = "bandit"
"""A security linter's distribution, whose import name and files clash with ours."""

_MOST_DUE = 100_000

_MOST_REFUSED = 50
"""Decisions that the section about refused lines lists."""


def verify(
    db: Database,
    chain: Annotated[
        bool, typer.Option("--chain", help="Also compare every row with the chain of hashes: shows any change.")
    ] = False,
    anchor: Annotated[
        str | None,
        typer.Option(
            "--anchor", metavar="ANCHOR", help="What `anchor` printed, or a file with it; the log up to it is the same?"
        ),
    ] = None,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Check the database and recompute its decisions; exit with 2 if a problem is found.

    With --chain, every row is compared with the hash that was kept when it was written, which shows any later change
    or deletion; with --anchor, that the log up to the anchor is still the same.
    """
    from bandit.cli.chain import chain_lines, check_chain_of
    from bandit.cli.databases import checking
    from bandit.governance.verify import verify as verify_store
    from bandit.report.maintenance import verified_lines

    style = output_format(as_json, format_name)
    with checking(db) as store, progress("verifying") as report:
        verified = verify_store(store, report)
        checked = check_chain_of(store, anchor) if chain or anchor is not None else None
    if checked is not None:
        problems, notes = (*verified.problems, *checked.problems), (*verified.notes, *checked.notes)
        verified = replace(verified, problems=problems, notes=notes)

    def document() -> dict[str, object]:
        return {
            "ok": not verified.problems,
            "n_decisions": verified.n_decisions,
            "n_recomputed": verified.n_recomputed,
            "problems": list(verified.problems),
            "notes": list(verified.notes),
        } | ({} if checked is None else {"chain": checked.to_dict()})

    if not show_plain(style, document, lambda: [("findings", verified)]):
        show([], [*verified_lines(verified), *(chain_lines(checked) if checked and not verified.problems else [])])
    if verified.problems:
        raise typer.Exit(2)


def rebuild(db: Database, policy_id: PolicyId = None, as_json: AsJson = False) -> None:
    """Rebuild each policy from the log and compare it with its stored state; exit with 2 if they differ."""
    from bandit.cli.databases import writing
    from bandit.learning import PolicyLearner
    from bandit.policies import build
    from bandit.report.maintenance import rebuilt_lines

    with writing(db) as store:
        rows = [row for row in store.catalogues.policies() if policy_id in {None, row.id}]
        if policy_id is not None and not rows:
            raise InputError(f"{db}: there is no policy {policy_id}; `offer-bandit doctor` lists the policies")
        rebuilt, problems = {}, []
        for row in rows:
            try:
                catalogue = store.catalogues.get(row.catalogue_id)
                policy = build(catalogue, row.spec)
                if policy.learns:
                    with progress(f"rebuilding policy {row.id}") as report:
                        learner = PolicyLearner(store, catalogue, row.catalogue_id, policy)
                        rebuilt[row.id] = learner.rebuild(report)
            except PolicyError as fault:
                problems.append(f"policy {row.id} cannot be rebuilt: {fault}")
    same = not problems and all(each.same for each in rebuilt.values())
    if as_json:
        policies = [{"policy_id": number, **asdict(each)} for number, each in rebuilt.items()]
        show_json({"ok": same, "policies": policies, "problems": problems})
    else:
        show([], [*rebuilt_lines(rebuilt), *problems])
    if not same:
        raise typer.Exit(2)


def backup(
    db: Database,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup to write: one file.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the database to a file while it is in use, and check the copy; needs no customer key.

    The copy is one consistent state; it gets its name after it has been checked. A customer who is erased later
    stays in the copy.
    """
    from bandit.cli.databases import require
    from bandit.store.maintenance.backup import backup as backup_store

    require(db)
    with progress("copying") as report:
        made = backup_store(db, file, force=force, progress=report)
    if as_json:
        show_json({"file": str(made.path), "bytes": made.bytes, "rows": made.rows, "recorded": made.recorded})
        return
    copied = counted(made.rows.get("decisions", 0), "decision")
    lines = [f"{made.path} is a copy of {db}, checked: {made.bytes:,} bytes, {copied}."]
    lines += (
        []
        if made.recorded
        else [f"{db} cannot be written to or has an older schema, so the backup is not recorded in it."]
    )
    show([], lines)


def doctor(
    db: Annotated[Path | None, typer.Argument(metavar="[DB]", help="A database or a dataset to check as well.")] = None,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Check the installation and, if given, a database; exit with 2 if there is a problem.

    DB can also be a dataset: then each of its files is read and compared with what was written.
    """
    style = output_format(as_json, format_name)
    problems: list[str] = []
    notes: list[str] = []
    uses: EventUses | None = None
    sections: dict[str, dict[str, object]] = {"installation": _installation(problems)}
    if db is not None and is_dataset(db):
        sections["dataset"] = _dataset(db, problems, notes)
    elif db is not None:
        from bandit.cli.databases import reading

        with reading(db) as store:
            sections["database"] = _database(store, problems, notes)
            uses = _events(store, problems, notes)
            sections["events"] = {} if uses is None else uses.lines()
            sections["left to learn"] = _left_to_learn(store)
            refused = _refused(store, problems)
            if refused:
                sections["refused spool lines"] = refused
            taken_over = _taken_over(store)
            if taken_over:
                sections["took over"] = taken_over
    document = {"ok": not problems, **sections, "problems": problems, "notes": notes}
    if uses is not None:
        document["event names"] = uses.to_dict()["names"]
    if not show_plain(style, lambda: document, lambda: [("findings", _finding_rows(sections, problems, notes))]):
        from bandit.report.maintenance import doctor_tables

        lines = [*(f"problem: {each}" for each in problems), *(f"note: {each}" for each in notes)]
        show(doctor_tables({name: rows for name, rows in sections.items() if rows}), lines or ["No problem found."])
    if problems:
        raise typer.Exit(2)


def _finding_rows(
    sections: Mapping[str, Mapping[str, object]], problems: Sequence[str], notes: Sequence[str]
) -> RowTable:
    """Return one row a finding, then the problems and the notes."""
    rows: list[dict[str, Cell]] = [
        {"section": section, "name": name, "value": None if value is None else str(value)}
        for section, values in sections.items()
        for name, value in values.items()
    ]
    rows += [{"section": "problem", "name": None, "value": each} for each in problems]
    rows += [{"section": "note", "name": None, "value": each} for each in notes]
    return RowTable(tuple(rows))


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
            problems.append(f"{name} is not installed; reinstall offer-bandit")
    found["simulator"] = bool(metadata.entry_points(group=COMMANDS, name="simulate"))
    linter = _version(LINTER)
    found["security linter in this environment"] = linter
    if linter is not None:
        problems.append(
            f'the security linter "{LINTER}" {linter} is installed in this environment and has the import name of '
            f"offer-bandit; remove it with `pip uninstall {LINTER}` and reinstall offer-bandit"
        )
    return found


def _dataset(address: Path, problems: list[str], notes: list[str]) -> dict[str, object]:
    from bandit.logfiles.dataset.check import check_dataset

    with progress("reading the dataset") as report:
        found = check_dataset(address, report)
    problems += found.problems
    notes += found.notes
    return found.lines()


def _database(store: Store, problems: list[str], notes: list[str]) -> dict[str, object]:
    from bandit.report.implausible import implausible_lines, set_aside_lines
    from bandit.store.database_file import is_open_to_others
    from bandit.store.schema import VERSION
    from bandit.store.spool.file import spools

    try:
        problems += store.check()
    except OfferBanditError as fault:
        problems.append(str(fault))
    counts = store.counts()
    if store.customers.in_clear and counts.decisions:
        notes.append(
            f"customers are stored in the clear in {store.path}; with a key, a new database stores only hashes"
        )
    notes += [
        f"{path} may be read by other users of this machine; `chmod 600 {path}` keeps it to its owner"
        for path in (store.path, *store.deletion.copies())
        if is_open_to_others(path)
    ]
    latest = store.catalogues.latest()
    notes += [] if latest is None else latest[1].notes
    runs = store.journal()
    backups = [run for run in runs if run.kind == "backup"]
    if store.deletion.scrub_is_due():
        problems.append(
            f"{store.path}: a deletion or a rotation ended before the file was rewritten; run the command again"
        )
    notes += [found.sentence for found in store.imports.findings()]
    if latest is not None:
        notes += _undeclared_notes(store, *latest)
        notes += implausible_lines(store, *latest)
    notes += set_aside_lines(store)
    notes += [f"{path} is an older copy of this database" for path in store.deletion.copies()]
    notes += [
        f"{path} is an unfinished copy: delete it unless a backup is running"
        for path in store.deletion.unfinished_copies()
    ]
    return {
        "path": str(store.path),
        "schema version": VERSION,
        "decisions": counts.decisions,
        "events": counts.events,
        "customers": counts.customers,
        "customers in the clear": store.customers.in_clear,
        "catalogues": counts.catalogues,
        "newest catalogue": None if latest is None else f"{latest[1].name} ({latest[1].n_offers:,} offers)",
        **({} if latest is None else _customers_by_group(store, *latest)),
        "policies": counts.policies,
        "first decision": _iso(counts.first_time),
        "last decision": _iso(counts.last_time),
        "bytes of the file": counts.file_bytes,
        "bytes of the write-ahead log": counts.wal_bytes,
        "spools beside it": len(spools(store.path)),
        "head of the chain": str(store.chain_head()),
        "leases": ", ".join(f"{lease.name} until {_iso(lease.until)}" for lease in store.leases.all()) or None,
        "last backup": _iso(backups[-1].time) if backups else None,
        "erasures": sum(run.kind == "erase" for run in runs),
        "retention runs": sum(run.kind == "retain" for run in runs),
        "last rotation of the customer key": _iso(
            next((run.time for run in reversed(runs) if run.kind == "rotate key"), None)
        ),
    }


def _refused(store: Store, problems: list[str]) -> dict[str, object]:
    """Return the decisions named in spooled lines that the database refused, with the reasons; add the problem."""
    from bandit.store.spool.refused import refused_lines, refused_sentence

    lines = refused_lines(store.path)
    if lines:
        problems.append(refused_sentence(store.path, lines))
    named = [(plain(name), plain(line.reason)) for line in lines for name in line.decision_ids]
    return dict(named[:_MOST_REFUSED])


def _events(store: Store, problems: list[str], notes: list[str]) -> EventUses | None:
    """Return what the recorded events are taken for; add why some do not count."""
    from bandit.evaluate.event_use import event_uses

    try:
        uses = event_uses(store)
    except OfferBanditError as fault:
        problems.append(str(fault))
        return None
    if uses.problem is not None:
        problems.append(uses.problem)
    notes += [note.sentence for note in uses.notes]
    return uses


def _undeclared_notes(store: Store, catalogue_id: int, catalogue: Catalogue) -> list[str]:
    """Return sentences about undeclared values of the newest catalogue's facts, as decisions and learning read them."""
    from bandit.catalogue.undeclared import undeclared_counts
    from bandit.report.undeclared import undeclared_lines

    found = []
    for counts in undeclared_counts(catalogue.facts):
        texts = store.fact_counts.texts(catalogue_id, counts.fact.name)
        if texts:
            contexts = catalogue.contexts({counts.fact.name: list(texts)}, exact=True)
            counts.add(contexts, list(texts.values()))
        found.append(counts.result())
    return [line.rstrip(".") for line in undeclared_lines([each for each in found if each is not None])]


def _customers_by_group(store: Store, catalogue_id: int, catalogue: Catalogue) -> dict[str, object]:
    """Return the numbers of customers in each declared group and in several; nothing if none is declared."""
    from bandit.store import Where

    if catalogue.groups is None:
        return {}
    counts, several = store.decisions.customers_by_group(Where(catalogue_id=catalogue_id))
    n = max(sum(counts.values()), 1)
    sizes = (f"{name} {counts.get(name, 0):,} ({counts.get(name, 0) / n:.1%})" for name in catalogue.groups.names)
    return {"customers by group": ", ".join(sizes), "customers in several groups": several}


def _left_to_learn(store: Store) -> dict[str, object]:
    from bandit.clock import now

    left: dict[str, object] = {}
    for row in store.catalogues.policies():
        catalogue = store.catalogues.get(row.catalogue_id)
        objective = catalogue.objective
        name = f"policy {row.id} ({row.spec.get('kind')})"
        try:
            due = store.ledger.due(
                row.id,
                objective.event,
                objective.window,
                now(),
                limit=_MOST_DUE,
                counts_at_once=objective.kind == "reward",
                silent=catalogue.silent_groups,
                activation=objective.activation,
                stages=objective.stages,
            )
        except StoreError as fault:
            left[name] = str(fault)
        else:
            left[name] = f"outcomes: {len(due):,}" + (" or more" if len(due) == _MOST_DUE else "")
    return left


def _taken_over(store: Store) -> dict[str, object]:
    """Return what each policy took over from another when the catalogue changed."""
    from bandit.learning import CarryReport

    kinds = {row.id: row.spec.get("kind") for row in store.catalogues.policies()}
    rows = store.carried.all()
    return {f"policy {row.policy_id} ({kinds[row.policy_id]})": CarryReport.of(row).words for row in rows}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _iso(time: int | None) -> str | None:
    if time is None:
        return None
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)).isoformat(timespec="seconds")

"""Decisions for the file of an audience: its facts are read, its offers are written, for `decide --out`."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bandit.cli.console import note, progress, show, show_json
from bandit.errors import InputError, LogFileError
from bandit.printable import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.clock import Time
    from bandit.domain import ObjectArray, Progress
    from bandit.engine import Engine
    from bandit.engine.campaign import CampaignOffers
    from bandit.logfiles.rejections import Rejections

MOST_LISTED_ROWS = 5
"""Rows of an audience that cannot be used and are listed."""

_CHUNK_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class AudienceOptions:
    """The options of `decide` for an audience, as given on the command line."""

    db: Path
    audience: Path
    out: Path
    campaign: str
    column: str
    time: Time
    as_json: bool


@dataclass(frozen=True, slots=True, eq=False)
class AudienceRows:
    """The rows of an audience that can be used: customers, and a column of each fact that the file has.

    `missing` are the declared facts without a column, `unused` the columns that are no facts.
    """

    customers: Sequence[str]
    columns: Mapping[str, ObjectArray]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    rejections: Rejections


def decide_audience(engine: Engine, options: AudienceOptions) -> None:
    """Decide for an audience, write its offers, and print what was done; InputError where that cannot be done."""
    from bandit.engine.campaign import decide_campaign

    _require_writable(options)
    with progress("reading") as report:
        rows = read_audience(options.audience, options.column, engine.catalogue, report)
    if not rows.customers:
        first = rows.rejections.listed[0].reason if rows.rejections.listed else "it has no rows"
        raise LogFileError(f"{options.audience}: no row can be used, the first because {first}; correct the file")
    with progress("deciding") as report:
        found = decide_campaign(
            engine, options.campaign, rows.customers, rows.columns, time=options.time, progress=report
        )
    write_offers(options.out, found)
    _say(options, rows, found, engine.policy.name)


def read_audience(path: Path, column: str, catalogue: Catalogue, report: Progress | None = None) -> AudienceRows:
    """Return the rows of an audience's file; LogFileError for a file that cannot be read or has no customers."""
    import numpy as np

    from bandit.domain import Contexts
    from bandit.logfiles import LogMapping
    from bandit.logfiles.columns.facts import FactReader
    from bandit.logfiles.columns.identity import IdentityReader
    from bandit.logfiles.rejections import Rejections
    from bandit.logfiles.sources.open_source import open_source

    if not path.is_file():
        raise LogFileError(f"{path}: there is no such file; give the file of the audience")
    source = open_source(path, escaped_formulas=True)
    present = list(source.columns)
    if column not in present:
        shown = ", ".join(f'"{name}"' for name in present[:40])
        raise LogFileError(
            f'{path}: has no column "{column}" with the customers; the columns are {shown}: name it by '
            "--customer-column"
        )
    names = {
        name: next((one for one in (name, *fact.aliases) if one in present), None)
        for name, fact in catalogue.facts.items()
    }
    context = {name: given for name, given in names.items() if given is not None}
    mapping = LogMapping.from_dict(
        {
            "columns": {"customer": column, "propensity": "unknown"},
            "context": context,
            "offer": catalogue.offer(0),
        },
        where=str(path),
    )
    identity, facts = IdentityReader(mapping), FactReader(catalogue, mapping)
    rejections = Rejections(MOST_LISTED_ROWS)
    customers: list[str] = []
    parts: list[Contexts] = []
    wanted = list(dict.fromkeys([*identity.columns, *facts.columns]))
    for chunk in source.chunks(wanted, _CHUNK_ROWS, report):
        known = rejections.chunk(chunk.lines)
        for line, n_fields in chunk.misfits:
            known.add(line, "wrong number of fields", f"it has {n_fields} fields, and the header {chunk.n_fields}")
        given, _ = identity.read(chunk, known)
        contexts = facts.read(chunk, known)
        kept = np.flatnonzero(known.close())
        customers += [str(given[row]) for row in kept.tolist()] if given is not None else []
        parts.append(contexts.take(kept))
    used = {column, *context.values()}
    joined = Contexts.concat(parts) if parts else None
    columns: dict[str, ObjectArray] = {}
    if joined is not None:  # numbers stay columns of numbers
        columns = {name: cast("ObjectArray", joined.text.get(name, joined.columns[name])) for name in context}
    return AudienceRows(
        customers,
        columns,
        tuple(name for name, given_ in names.items() if given_ is None),
        tuple(name for name in present if name not in used),
        rejections,
    )


def write_offers(path: Path, found: CampaignOffers) -> None:
    """Write the offers of a campaign as CSV, whole or not at all; texts that a spreadsheet would run are escaped."""
    from bandit.printable import without_formulas

    columns = [
        ("customer", found.customers),
        ("decision_id", found.decision_ids),
        *((name, column.tolist()) for name, column in found.offers.items()),
        ("propensity", list(map(repr, found.propensity.tolist()))),
        ("group", found.group.tolist()),
    ]
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(without_formulas([name for name, _ in columns]))
            writer.writerows(zip(*(without_formulas(list(column)) for _, column in columns), strict=True))
        part.replace(path)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise InputError(
            f"{path}: cannot be written: {fault.strerror}; the decisions are kept, so run it again with another file"
        ) from fault


def _require_writable(options: AudienceOptions) -> None:
    """InputError before anything is decided where the offers could not be written."""
    folder = options.out.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{options.out}: cannot be written, so nothing was decided; choose another place")
    if options.out.exists() and options.audience.exists() and options.out.samefile(options.audience):
        raise InputError(f"{options.out}: is the file of the audience itself; write the offers to another one")


def _say(options: AudienceOptions, rows: AudienceRows, found: CampaignOffers, policy: str) -> None:
    rejections = rows.rejections
    if options.as_json:
        show_json(
            found.to_dict()
            | {
                "file": str(options.out),
                "policy": policy,
                "n_refused": rejections.n,
                "refused": [{"line": each.line, "reason": each.reason} for each in rejections.listed],
                "facts_missing": list(rows.missing),
                "columns_unused": list(rows.unused),
            }
        )
        return
    before = len(found) - found.n_new
    said = f'{counted(len(found), "offer")} of the campaign "{found.campaign}" written to {options.out}: '
    lines = [f"{said}{found.n_new:,} decided now by {policy}, {before:,} before."]
    if found.n_changed:
        lines.append(
            f"{counted(found.n_changed, 'customer', ('has', 'have'))} other facts than when the offer was chosen; the "
            "offer stays."
        )
    if found.fault is not None:
        lines.append(f"The fallback was served to some: {found.fault}.")
    show([], lines)
    if rejections.n:
        note(f"note: {counted(rejections.n, 'row')} cannot be used, without an offer:")
        for each in rejections.listed:
            note(f"note:   line {each.line}: {each.reason}")
    if rows.missing:
        note(f"note: the file has no column for {', '.join(rows.missing)}, which is missing for all customers")
    if rows.unused:
        note(f"note: columns that are no facts are not used: {', '.join(rows.unused)}")

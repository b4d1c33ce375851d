"""Open the log of a command: a database, or a log file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, get_args

from bandit.catalogue import Catalogue
from bandit.catalogue.objective import ObjectiveKind
from bandit.cli.console import note, progress
from bandit.cli.databases import catalogue_for, reading
from bandit.cli.datasets import is_dataset
from bandit.cli.mappings import mapping_of
from bandit.cli.options import LogOptions
from bandit.clock import now
from bandit.errors import InputError
from bandit.logfiles import ColumnLog, open_file
from bandit.printable import as_sentence
from bandit.report.imports import left_out_sentence
from bandit.report.left_out import STILL_OPEN, left_out_lines, never_activated, outside_lines
from bandit.report.undeclared import undeclared_lines
from bandit.store import Store, StoreLog, Where

if TYPE_CHECKING:
    from bandit.logfiles.dataset.log import DatasetLog
    from bandit.logfiles.rejections import ImportReport

OpenedLog: TypeAlias = "StoreLog | ColumnLog | DatasetLog"
"""The log of a command: of a database, of a file, or a dataset."""

OBJECTIVE_KINDS: tuple[str, ...] = get_args(ObjectiveKind)

LOG_FILE_ENDINGS = (
    ".parquet",
    ".csv",
    ".csv.gz",
    ".dsjson",
    ".json",
    ".json.gz",
    ".jsonl",
    ".jsonl.gz",
    ".ndjson",
    ".ndjson.gz",
)
"""Endings of log files that are read without a database."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A log with its catalogue; `store` is None for a log file and a dataset."""

    catalogue: Catalogue
    log: OpenedLog
    store: Store | None


@contextmanager
def opened(options: LogOptions, purpose: str = "evaluate on") -> Iterator[Opened]:
    """Open the settled decisions of a database or of a file; InputError if there are none."""
    path, catalogue, mapping = options.path, options.catalogue, options.mapping
    objective = (options.objective, options.event, options.window)
    if path.name.endswith(LOG_FILE_ENDINGS):
        if catalogue is None:
            raise InputError(f"{path}: a log file has no catalogue; give one with --catalogue")
        target = with_objective(Catalogue.from_toml(catalogue), *objective)
        given = None if mapping is None else mapping_of(mapping, path, target)
        with progress("reading") as report:
            read = open_file(path, target, given, progress=report)
        say_what_was_read(read.report)
        require_rows(str(path), read, purpose)
        say_notices(target)
        yield Opened(target, read, None)
        return
    if is_dataset(path):
        yield _opened_dataset(options, purpose)
        return
    if mapping is not None:
        raise InputError(
            f"--mapping is for files ({', '.join(LOG_FILE_ENDINGS)}); {path} is read as a database, which needs none"
        )
    with reading(path) as store:
        target = with_objective(catalogue_for(store, catalogue), *objective)
        log = settled_log(store, target, options.written_by)
        require_rows(str(path), log, purpose)
        say_notices(target)
        yield Opened(target, log, store)


def _opened_dataset(options: LogOptions, purpose: str) -> Opened:
    """Open the settled decisions of a dataset; InputError if there are none."""
    from bandit.logfiles.dataset.log import open_dataset

    if options.mapping is not None:
        raise InputError(f"{options.path}: is read as a dataset, which needs no mapping; leave out --mapping")
    given = None if options.catalogue is None else Catalogue.from_toml(options.catalogue)
    log = open_dataset(options.path, given, policy_id=options.written_by)
    target = with_objective(log.catalogue, options.objective, options.event, options.window)
    if target is not log.catalogue:
        log = open_dataset(options.path, target, policy_id=options.written_by)
    require_rows(log.address, log, purpose)
    say_notices(target)
    return Opened(target, log, None)


def say_what_was_read(read: ImportReport) -> None:
    """Say on standard error what of a log file could not be used, and what was noticed."""
    if read.event_rows is not None:
        note("note: " + " ".join(read.event_rows.sentences()))
    if read.n_refused:
        first = read.refused[0]
        note(
            f"note: {read.n_refused:,} of {read.n_rows:,} rows are left out, the first at line "
            f"{first.line}: {first.reason}"
        )
    for notice in (left_out_sentence(read), *read.notices):
        if notice:
            note(f"note: {notice}")
    for line in undeclared_lines(read.undeclared):
        note(f"note: {line}")


def say_notices(catalogue: Catalogue) -> None:
    """Say on standard error what is allowed in a catalogue and seldom meant."""
    for sentence in catalogue.notices:
        note(f"note: {sentence}")


def with_objective(catalogue: Catalogue, kind: str | None, event: str | None, window: str | None) -> Catalogue:
    """Return the catalogue, with the objective of the command line if there is one."""
    if kind is not None and kind not in OBJECTIVE_KINDS:
        raise InputError(f'there is no objective "{kind}"; choose from {", ".join(OBJECTIVE_KINDS)}')
    given = {"kind": kind, "event": event, "window": window}
    changed = {key: value for key, value in given.items() if value is not None}
    if not changed:
        return catalogue
    plain = catalogue.to_dict()
    objective = plain.get("objective", {})
    plain["objective"] = (dict(objective) if isinstance(objective, dict) else {}) | changed
    events = plain.get("events")
    if isinstance(events, dict) and event is not None:  # another event converts now, and the declared one does not
        former = {name: "feedback" if part == "converts" else part for name, part in events.items()}
        plain["events"] = former | {event: "converts"}
    return Catalogue.from_stored(plain, where="the objective asked for", fact_hash=catalogue.fact_hash)


def settled_log(store: Store, catalogue: Catalogue, policy_id: int | None) -> StoreLog:
    """Return the decisions, of one policy or of all, that are closed or have their window over by now."""
    if policy_id is not None and policy_id not in {row.id for row in store.catalogues.policies()}:
        known = ", ".join(str(row.id) for row in store.catalogues.policies()) or "none"
        raise InputError(f"{store.path}: no policy {policy_id} has decided in this database; known are {known}")
    before = now() - catalogue.objective.window
    return StoreLog(store, catalogue, where=Where(policy_id=policy_id, settled_before=before))


def require_rows(name: str, log: OpenedLog, purpose: str = "evaluate on") -> None:
    """Raise InputError if the log has no decisions."""
    if log.n == 0:
        raise InputError(" ".join([f"{name}: the log has no decisions to {purpose}; import some first.", *unused(log)]))


def unused(
    log: OpenedLog, *, open_told: bool = False, counted_in: bool = False, notices_told: bool = False
) -> list[str]:
    """Return sentences about the decisions that were left out, and about what was noticed when files were read.

    Those still open, and what was noticed, are skipped if that is told already. With `counted_in` the decisions whose
    offer no policy can choose are part of the result, and the sentence says so.
    """
    not_activated, event = (0, None) if isinstance(log, ColumnLog) else (log.not_activated, log.activation)
    noticed = [] if notices_told else [as_sentence(text) for text in log.notices]
    outside = outside_lines(
        log.left_out,
        log.n + log.left_out,
        log.outside_reasons,
        counted_in=counted_in,
        costs_count=log.catalogue.objective.kind == "profit",
    )
    return (
        noticed
        + outside
        + left_out_lines(
            (0 if open_told else log.still_open, "decision", STILL_OPEN),
            (not_activated, "decision", never_activated(event)),
        )
    )


def left_out_json(log: OpenedLog) -> dict[str, object]:
    """Return the numbers of decisions that were left out, by the reason; JSON values.

    "not_activated" is there where the objective has an activation. "left_out" are those whose offer no policy of the
    catalogue can choose, and "outside" says why; "lines_left_out", by reason, and "notices" are there where a file has
    any, and "noticed" where something was when files were read.
    """
    reasons = [each.to_dict() for each in log.outside_reasons]
    numbers: dict[str, object] = {"left_out": log.left_out, "open": log.still_open, "outside": reasons}
    if isinstance(log, ColumnLog) and log.report.left_out:
        numbers["lines_left_out"] = dict(log.report.left_out)
    if isinstance(log, ColumnLog) and log.report.notices:
        numbers["notices"] = list(log.report.notices)
    if not isinstance(log, ColumnLog) and log.activation is not None:
        numbers["not_activated"] = log.not_activated
    return numbers | ({"noticed": list(log.notices)} if log.notices else {})

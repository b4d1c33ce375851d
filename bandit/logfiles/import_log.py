"""The import of a logged campaign: read in chunks, checked column by column, written in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.catalogue import checked_catalogue
from bandit.catalogue.context_json import contexts_json
from bandit.clock import now
from bandit.domain import Progress
from bandit.errors import DuplicateError, LogFileError
from bandit.logfiles.columns.conditional_rules import MASK_CELLS
from bandit.logfiles.columns.outcome_events import check_outcome_events
from bandit.logfiles.events.event_rows import decision_rows
from bandit.logfiles.extended import ImportTarget
from bandit.logfiles.known_rows import AS_NEW, recognise, repeated_finding
from bandit.logfiles.mapping.mapping import CLOSED, LogMapping
from bandit.logfiles.other_versions import known_elsewhere
from bandit.logfiles.row_digests import RowDigests
from bandit.logfiles.row_reader import CheckedRows, RowReader
from bandit.logfiles.sources.open_source import open_source
from bandit.store import PLACEHOLDER, DecisionRows, EventRows
from bandit.store.holdings import leaves_nothing_held
from bandit.store.tables.imports import ImportRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, OutsideReason
    from bandit.logfiles.known_rows import KnownRows
    from bandit.logfiles.rejections import ImportFinding, ImportReport
    from bandit.logfiles.sources.source import Source
    from bandit.store import Store

IMPORT_CHUNK_ROWS = 50_000
"""Rows of a file that are checked and written at a time."""


@leaves_nothing_held
def import_log(
    store: Store,
    catalogue: Catalogue,
    mapping: LogMapping | Mapping[str, object] | str | Path,
    path: str | Path,
    *,
    progress: Progress | None = None,
    strict: bool = False,
    max_listed: int = 1000,
    accept_refused: bool = False,
    as_new: bool = False,
) -> ImportReport:
    """Import a CSV, gzipped CSV, Parquet or dsjson log; importing it again, or a longer export, adds what is new.

    Decisions without ids are recognised by customer, time and offer, and without these by the first rows of the file;
    with `as_new` all rows are new, unless this very file was imported before.
    Rows that cannot be used are rejected one by one and reported; a malformed file, and with `strict` any rejected
    row, raises LogFileError, and then nothing at all is written. So does a log whose rows are refused because of what
    came of them, unless `accept_refused` or the mapping says that the others are wanted: they give other numbers. Rows
    whose offer no policy of the catalogue can choose, such as one whose option was stopped, are imported under an
    extended version of it, which has their options as `stopped`; the report counts them. `progress` is called with
    bytes done and bytes in all. CatalogueError where the mapping does not fit the catalogue; DuplicateError where the
    log has a decision of the same id with other content.
    """
    catalogue = store.catalogues.fitting(checked_catalogue(catalogue))
    path, mapping = Path(path), LogMapping.of(mapping)
    check_outcome_events(catalogue, mapping)
    given = ImportTarget(catalogue, mapping)
    run = _ImportRun(
        store, path, given, progress, max_listed, strict=strict, accept_refused=accept_refused, as_new=as_new
    )
    store.fetch_spooled()
    target: ImportTarget | None = given
    while target is not None:
        last, (report, target) = target, run.attempt(target)
    return replace(report, outside=run.outside) if last is not given else report


class _OtherOffersError(Exception):
    """Leaves the transaction of an attempt: the file has offers that the catalogue of the attempt does not have."""


@dataclass(slots=True)
class _ImportRun:
    """The attempts to import one file: under the catalogue given, then under one with all offers of the file.

    All decisions of a file are stored under one catalogue, so that what was eligible is known of each of them. Where a
    part of the file was imported before under the catalogue given, as by a version that refused the other rows, its
    decisions stay there, and the other rows alone are stored under the extended catalogue.
    """

    store: Store
    path: Path
    given: ImportTarget
    progress: Progress | None
    max_listed: int
    strict: bool
    accept_refused: bool
    as_new: bool
    outside: tuple[OutsideReason, ...] = ()

    def attempt(self, target: ImportTarget) -> tuple[ImportReport, ImportTarget | None]:
        """Return the report, and the target of the next attempt where this one wrote nothing, else None."""
        source, reader = self._opened(target)
        try:
            with self.store.transaction():
                return self._write(reader, source, target), None
        except _OtherOffersError:
            if target is self.given:
                self.outside = reader.outside.reasons()
            return reader.report(), target.extended(reader.outside)
        except DuplicateError as fault:
            if target is self.given:
                raise
            try:
                with self.store.transaction():
                    return self._write_apart(target), None
            except DuplicateError:
                raise fault from None

    def _opened(self, target: ImportTarget) -> tuple[Source, RowReader]:
        """Return the file as a source of decisions, and what reads its rows."""
        file = target.mapping.file
        opened = open_source(self.path, file.delimiter, self.progress, escaped_formulas=file.escaped_formulas)
        source = decision_rows(opened, target.reading, target.mapping)
        reader = RowReader(
            target.reading, target.mapping, str(self.path), max_listed=self.max_listed, own_weights=source.has_weights
        )
        return source, reader

    def _write(self, reader: RowReader, source: Source, target: ImportTarget) -> ImportReport:
        given_id = self.store.catalogues.register(self.given.reading)
        catalogue_id = given_id
        if target is not self.given:
            catalogue_id = self.store.catalogues.register(target.stored, extends=given_id)
        known, digests = self._recognise(reader, source, target)
        names = None if known is None else known.names
        writer = _ImportWriter(self.store, target.reading, catalogue_id, target.mapping)
        for rows in reader.read(source, IMPORT_CHUNK_ROWS, self.progress, names=names, digests=digests):
            if reader.outside.n:
                continue  # the rest is read to learn all other offers of the file
            try:
                writer.write(rows)
            except DuplicateError as fault:
                raise DuplicateError(f"{self.path}: nothing of it is imported: {fault}") from fault
        _check_repeated(writer, str(self.path))
        report = reader.report(writer.n_repeated, _findings(known, writer, reader.n_rows))
        if self.strict and report.n_refused:
            first = report.refused[0]
            raise LogFileError(
                f"{self.path}: {report.n_refused:,} of {report.n_rows:,} rows are refused, the first at line "
                f"{first.line}: {first.reason}; correct them, or import the others without strict"
            )
        if reader.outside.n:
            raise _OtherOffersError
        rows_known = {} if known is None or digests is None else {"rows": known.to_json(digests)}
        self._keep(reader, report, source.digest, catalogue_id, rows_known)
        return report

    def _write_apart(self, target: ImportTarget) -> ImportReport:
        """Write the rows with offers of the catalogue given under that, and the others under the extended one."""
        given_id = self.store.catalogues.register(self.given.reading)
        extended_id = self.store.catalogues.register(target.stored, extends=given_id)
        apart: list[BoolArray] = []
        n_repeated = 0
        for part, number in ((self.given, given_id), (target, extended_id)):
            source, reader = self._opened(part)
            known, digests = self._recognise(reader, source, part)
            names = None if known is None else known.names
            writer = _ImportWriter(self.store, part.reading, number, part.mapping)
            chunks = reader.read(source, IMPORT_CHUNK_ROWS, self.progress, names=names, digests=digests)
            for place, rows in enumerate(chunks):
                if part is self.given:
                    apart.append(rows.outside >= 0)
                    writer.write(replace(rows, ok=rows.ok & ~apart[place]))
                else:
                    writer.write(replace(rows, ok=rows.ok & apart[place]))
            n_repeated += writer.n_repeated
        report = reader.report(n_repeated)
        rows_known = {} if known is None or digests is None else {"rows": known.to_json(digests)}
        self._keep(reader, report, source.digest, extended_id, rows_known)
        return report

    def _keep(
        self, reader: RowReader, report: ImportReport, digest: str, catalogue_id: int, rows_known: Mapping[str, object]
    ) -> None:
        """Write what the store keeps of the import; LogFileError where its findings refuse the log."""
        if report.n_refused < report.n_rows:
            reader.reject_findings(report, accepted=self.accept_refused)
        if report.n_imported or any(finding.lasting for finding in report.findings):
            self.store.imports.append(_record(self.path, digest, catalogue_id, report, rows_known))

    def _recognise(
        self, reader: RowReader, source: Source, target: ImportTarget
    ) -> tuple[KnownRows | None, RowDigests | None]:
        """Return how rows without ids or customers are named, and what digests them; None for a log with both."""
        columns = target.mapping.file.columns
        if columns.customer is not None and columns.decision_id is not None:
            return None, None
        wanted = reader.row_columns
        known = recognise(self.store, target.mapping, source, str(self.path), wanted, as_new=self.as_new)
        return known, RowDigests(wanted.rows, wanted.outcomes)


def _findings(known: KnownRows | None, writer: _ImportWriter, n_rows: int) -> tuple[ImportFinding, ...]:
    """Return what is to be said of rows that were in the log before, where their ids were made."""
    if known is None:
        return ()
    if not writer.n_repeated or not writer.ids_are_made:
        return known.findings
    return (*known.findings, repeated_finding(known, writer.n_repeated, n_rows, writer.n_completed))


def _check_repeated(writer: _ImportWriter, name: str) -> None:
    """LogFileError where rows that seem to be in the log already had an event there which they do not have here."""
    if writer.n_missing:
        raise LogFileError(
            f"{name}: {writer.n_repeated:,} rows seem to be in the log already, but {writer.n_missing:,} of them had "
            f'"{writer.event}" there and do not have it here, so that they may be others; name a column with decision '
            f"ids in the mapping, or {AS_NEW}"
        )


def _record(
    path: Path, digest: str, catalogue_id: int, report: ImportReport, rows_known: Mapping[str, object]
) -> ImportRow:
    """Return what the store keeps of an import."""
    details = {"findings": [finding.to_dict() for finding in report.findings if finding.lasting], **rows_known}
    numbers = (report.n_rows, report.n_imported, report.n_repeated, report.n_refused)
    return ImportRow(now(), path.name, digest, catalogue_id, *numbers, details)


class _ImportWriter:
    """Writes checked rows into a store, within a transaction; `n_repeated` counts those that it had before.

    Of these `n_completed` have events that it did not have. Where ids are made, `n_missing` lack the objective's event
    although it had that.
    """

    def __init__(self, store: Store, catalogue: Catalogue, catalogue_id: int, mapping: LogMapping) -> None:
        """Number offers by `catalogue`; `catalogue_id` is that of the version to store them under."""
        self._store, self._catalogue, self._catalogue_id = store, catalogue, catalogue_id
        known = mapping.propensities_known
        self._policy_id = None if known else store.catalogues.unknown_policy(self._catalogue_id)
        self._last_seq = store.decisions.last_seq()
        self.ids_are_made = mapping.file.columns.decision_id is None
        self.event = catalogue.objective.event
        self.n_repeated = self.n_completed = self.n_missing = 0

    def write(self, rows: CheckedRows) -> None:
        """Write the rows that can be used, and their outcomes."""
        kept = np.flatnonzero(rows.ok)
        contexts = rows.contexts if len(kept) == len(rows) else rows.contexts.take(kept)
        json = contexts_json(self._catalogue.facts, contexts)
        ids, customers, groups = (_kept(column, rows) for column in (rows.decision_ids, rows.customers, rows.groups))
        seqs = self._elsewhere(ids, rows, kept)
        step = max(1, MASK_CELLS // self._catalogue.n_offers)
        for start in range(0, len(kept), step):
            part = slice(start, start + step)
            places, seq = kept[part], seqs[part]
            new = np.flatnonzero(seq == 0)
            at, own = places[new], new + start
            seq[new] = self._store.decision_writer.append(
                DecisionRows(
                    decision_ids=_taken(ids, own),
                    time=rows.time[at],
                    customers=_taken(customers, own),
                    catalogue_id=self._catalogue_id,
                    policy_id=self._policy_id,
                    policy_step=0,
                    contexts_json=_taken(json, own),
                    eligible=rows.eligible.mask(at),
                    offer=rows.offer[at],
                    propensity=self._propensity(rows.propensity[at]),
                    group=_taken(groups, own),
                    removals=rows.eligible.removals(at),
                    weights=rows.weight[at] if len(rows.weight) else None,
                )
            )
            self._check_events(rows, places, seq)
            self._write_events(rows, places, seq)
            self.n_repeated += int((seq <= self._last_seq).sum())

    def _elsewhere(self, ids: Sequence[str], rows: CheckedRows, kept: IntArray) -> IntArray:
        """Return the numbers of rows that are there under another version of the catalogue, 0 for others."""
        if not (self.ids_are_made and self._last_seq):
            return np.zeros(len(kept), dtype=np.int64)
        propensity = self._propensity(rows.propensity[kept])
        return known_elsewhere(self._store, self._catalogue, self._catalogue_id, ids, rows.offer[kept], propensity)

    def _propensity(self, propensity: FloatArray) -> FloatArray:
        """Return what the store has as propensities: a placeholder where they are unknown."""
        return propensity if self._policy_id is None else np.full(len(propensity), PLACEHOLDER)

    def _check_events(self, rows: CheckedRows, places: IntArray, seq: IntArray) -> None:
        """Count the rows that were there before with an event of the objective, and do not have it any more."""
        old = seq <= self._last_seq
        if not (self.ids_are_made and old.any()):
            return
        for event in rows.events:
            if event.event == self.event:
                without = seq[old & ~event.happened[places]]
                self.n_missing += self._store.imports.with_event(without.tolist(), self.event)

    def _write_events(self, rows: CheckedRows, places: IntArray, seq: IntArray) -> None:
        """Write what happened in some rows, which are the decisions `seq`."""
        for event in rows.events:
            happened = event.happened[places]
            if happened.any():
                at = places[happened]
                time = rows.time if event.time is None else event.time
                ids = None if event.ids is None else event.ids[at].tolist()
                receipt = self._store.events.append(
                    EventRows(
                        event.event, time[at], event.revenue[at], event.reward[at], seq=seq[happened], event_ids=ids
                    )
                )
                self.n_completed += receipt.n_new - int((seq[happened] > self._last_seq).sum())
        closed = rows.closed[places]
        if closed.any():
            missing = np.full(int(closed.sum()), np.nan)
            self._store.events.append(EventRows(CLOSED, rows.time[places[closed]], missing, missing, seq=seq[closed]))


def _taken(column: Sequence[str], places: IntArray) -> Sequence[str]:
    """Return some places of a column, which are in order; the column's own part where none is left out."""
    if len(places) and places[-1] - places[0] + 1 == len(places):
        return column[int(places[0]) : int(places[-1]) + 1]
    return [column[place] for place in places.tolist()]


def _kept(column: Sequence[str] | None, rows: CheckedRows) -> list[str]:
    """Return a column's texts in the rows that can be used."""
    return [] if column is None else list(compress(column, rows.ok))

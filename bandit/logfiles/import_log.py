"""The import of a logged campaign: read in chunks, checked column by column, written in one transaction."""

from __future__ import annotations

from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.context_json import contexts_json
from bandit.clock import now
from bandit.domain import Progress
from bandit.errors import DuplicateError, LogFileError
from bandit.logfiles.columns.eligibility import MASK_CELLS
from bandit.logfiles.known_rows import AS_NEW, recognise, repeated_finding
from bandit.logfiles.mapping.mapping import CLOSED, LogMapping
from bandit.logfiles.row_digests import RowDigests
from bandit.logfiles.row_reader import CheckedRows, RowReader
from bandit.logfiles.sources.open_source import open_source
from bandit.store import PLACEHOLDER, DecisionRows, EventRows
from bandit.store.tables.imports import ImportRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray
    from bandit.logfiles.known_rows import KnownRows
    from bandit.logfiles.rejections import ImportFinding, ImportReport
    from bandit.store import Store

IMPORT_CHUNK_ROWS = 50_000
"""Rows of a file that are checked and written at a time."""


def import_log(
    store: Store,
    catalogue: Catalogue,
    mapping: LogMapping,
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
    came of them, unless `accept_refused` or the mapping says that the others are wanted: they give other numbers.
    `progress` is called with bytes done and bytes in all. CatalogueError where the mapping does not fit the catalogue;
    DuplicateError where the log has a decision of the same id with other content.
    """
    path = Path(path)
    reader = RowReader(catalogue, mapping, str(path), max_listed=max_listed)
    source = open_source(path, mapping.file.delimiter, progress)
    with store.transaction():
        known = digests = None
        if mapping.file.columns.customer is None or mapping.file.columns.decision_id is None:
            known = recognise(store, mapping, source, str(path), reader.row_columns, as_new=as_new)
            digests = RowDigests(reader.row_columns.rows, reader.row_columns.outcomes)
        writer = _ImportWriter(store, catalogue, mapping)
        try:
            names = None if known is None else known.names
            for rows in reader.read(source, IMPORT_CHUNK_ROWS, progress, names=names, digests=digests):
                writer.write(rows)
        except DuplicateError as fault:
            raise DuplicateError(f"{path}: nothing of it is imported: {fault}") from fault
        _check_repeated(writer, str(path))
        report = reader.report(writer.n_repeated, _findings(known, writer, reader.n_rows))
        if strict and report.n_refused:
            first = report.refused[0]
            raise LogFileError(
                f"{path}: {report.n_refused:,} of {report.n_rows:,} rows are refused, the first at line "
                f"{first.line}: {first.reason}; correct them, or import the others without strict"
            )
        if report.n_refused < report.n_rows:
            reader.reject_findings(report, accepted=accept_refused)
        if report.n_imported or any(finding.lasting for finding in report.findings):
            rows_known = {} if known is None or digests is None else {"rows": known.to_json(digests)}
            store.imports.append(_record(path, source.digest, writer.catalogue_id, report, rows_known))
    return report


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

    def __init__(self, store: Store, catalogue: Catalogue, mapping: LogMapping) -> None:
        self._store, self._catalogue = store, catalogue
        self.catalogue_id = store.catalogues.register(catalogue)
        known = mapping.propensities_known
        self._policy_id = None if known else store.catalogues.unknown_policy(self.catalogue_id)
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
        step = max(1, MASK_CELLS // self._catalogue.n_offers)
        for start in range(0, len(kept), step):
            part = slice(start, start + step)
            places = kept[part]
            seq = self._store.decision_writer.append(
                DecisionRows(
                    decision_ids=ids[part],
                    time=rows.time[places],
                    customers=customers[part],
                    catalogue_id=self.catalogue_id,
                    policy_id=self._policy_id,
                    policy_step=0,
                    contexts_json=json[part],
                    eligible=rows.eligible.mask(places),
                    offer=rows.offer[places],
                    propensity=self._propensity(rows.propensity[places]),
                    group=groups[part],
                    removals=rows.eligible.removals(places),
                )
            )
            self._check_events(rows, places, seq)
            self._write_events(rows, places, seq)
            self.n_repeated += int((seq <= self._last_seq).sum())

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
                receipt = self._store.events.append(
                    EventRows(event.event, rows.time[at], event.revenue[at], event.reward[at], seq=seq[happened])
                )
                self.n_completed += receipt.n_new - int((seq[happened] > self._last_seq).sum())
        closed = rows.closed[places]
        if closed.any():
            missing = np.full(int(closed.sum()), np.nan)
            self._store.events.append(EventRows(CLOSED, rows.time[places[closed]], missing, missing, seq=seq[closed]))


def _kept(column: Sequence[str] | None, rows: CheckedRows) -> list[str]:
    """Return a column's texts in the rows that can be used."""
    return [] if column is None else list(compress(column, rows.ok))

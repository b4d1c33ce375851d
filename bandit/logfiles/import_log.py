"""The import of a logged campaign: read in chunks, checked column by column, written in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.context_json import contexts_json
from bandit.domain import Progress
from bandit.errors import DuplicateError, LogFileError
from bandit.logfiles.columns.conditional_rules import MASK_CELLS
from bandit.logfiles.extended import ImportTarget
from bandit.logfiles.mapping.mapping import CLOSED, LogMapping
from bandit.logfiles.row_reader import CheckedRows, RowReader
from bandit.logfiles.sources.open_source import open_source
from bandit.store import PLACEHOLDER, DecisionRows, EventRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, OutsideReason
    from bandit.logfiles.rejections import ImportReport
    from bandit.logfiles.sources.source import Source
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
) -> ImportReport:
    """Import a CSV, gzipped CSV, Parquet or dsjson log; importing the same file again adds nothing.

    Rows that cannot be used are rejected one by one and reported; a malformed file, and with `strict` any rejected
    row, raises LogFileError, and then nothing at all is written. Rows whose offer no policy of the catalogue can
    choose, such as one whose option was stopped, are imported under an extended version of it, which has their options
    as `stopped`; the report counts them. `progress` is called with bytes done and bytes in all. CatalogueError where
    the mapping does not fit the catalogue; DuplicateError where the log has a decision of the same id with other
    content.
    """
    path = Path(path)
    given = ImportTarget(catalogue, mapping)
    run = _ImportRun(store, path, given, progress, max_listed, strict=strict)
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
    outside: tuple[OutsideReason, ...] = ()

    def attempt(self, target: ImportTarget) -> tuple[ImportReport, ImportTarget | None]:
        """Return the report, and the target of the next attempt where this one wrote nothing, else None."""
        reader = RowReader(target.reading, target.mapping, str(self.path), max_listed=self.max_listed)
        source = open_source(self.path, target.mapping.file.delimiter, self.progress)
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

    def _write(self, reader: RowReader, source: Source, target: ImportTarget) -> ImportReport:
        given_id = self.store.catalogues.register(self.given.reading)
        catalogue_id = given_id
        if target is not self.given:
            catalogue_id = self.store.catalogues.register(target.stored, extends=given_id)
        writer = _ImportWriter(
            self.store, target.reading, catalogue_id, propensities_known=target.mapping.propensities_known
        )
        for rows in reader.read(source, IMPORT_CHUNK_ROWS, self.progress, digest=source.digest):
            if reader.outside.n:
                continue  # the rest is read to learn all other offers of the file
            try:
                writer.write(rows)
            except DuplicateError as fault:
                raise DuplicateError(f"{self.path}: nothing of it is imported: {fault}") from fault
        report = reader.report(writer.n_repeated)
        if self.strict and report.n_refused:
            first = report.refused[0]
            raise LogFileError(
                f"{self.path}: {report.n_refused:,} of {report.n_rows:,} rows are refused, the first at line "
                f"{first.line}: {first.reason}; correct them, or import the others without strict"
            )
        if reader.outside.n:
            raise _OtherOffersError
        return report

    def _write_apart(self, target: ImportTarget) -> ImportReport:
        """Write the rows with offers of the catalogue given under that, and the others under the extended one."""
        known, n_repeated = target.mapping.propensities_known, 0
        given_id = self.store.catalogues.register(self.given.reading)
        extended_id = self.store.catalogues.register(target.stored, extends=given_id)
        apart: list[BoolArray] = []
        for part, number in ((self.given, given_id), (target, extended_id)):
            reader = RowReader(part.reading, part.mapping, str(self.path), max_listed=self.max_listed)
            source = open_source(self.path, part.mapping.file.delimiter, self.progress)
            writer = _ImportWriter(self.store, part.reading, number, propensities_known=known)
            chunks = reader.read(source, IMPORT_CHUNK_ROWS, self.progress, digest=source.digest)
            for place, rows in enumerate(chunks):
                if part is self.given:
                    apart.append(rows.outside >= 0)
                    writer.write(replace(rows, ok=rows.ok & ~apart[place]))
                else:
                    writer.write(replace(rows, ok=rows.ok & apart[place]))
            n_repeated += writer.n_repeated
        return reader.report(n_repeated)


class _ImportWriter:
    """Writes checked rows into a store, within a transaction; `n_repeated` counts those that it had before."""

    def __init__(self, store: Store, catalogue: Catalogue, catalogue_id: int, *, propensities_known: bool) -> None:
        """Number offers by `catalogue`; `catalogue_id` is that of the version to store them under."""
        self._store, self._catalogue, self._catalogue_id = store, catalogue, catalogue_id
        self._policy_id = None if propensities_known else store.catalogues.unknown_policy(self._catalogue_id)
        self._last_seq = store.decisions.last_seq()
        self.n_repeated = 0

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
                    catalogue_id=self._catalogue_id,
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
            self._write_events(rows, places, seq)
            self.n_repeated += int((seq <= self._last_seq).sum())

    def _propensity(self, propensity: FloatArray) -> FloatArray:
        """Return what the store has as propensities: a placeholder where they are unknown."""
        return propensity if self._policy_id is None else np.full(len(propensity), PLACEHOLDER)

    def _write_events(self, rows: CheckedRows, places: IntArray, seq: IntArray) -> None:
        """Write what happened in some rows, which are the decisions `seq`."""
        for event in rows.events:
            happened = event.happened[places]
            if happened.any():
                at = places[happened]
                self._store.events.append(
                    EventRows(event.event, rows.time[at], event.revenue[at], event.reward[at], seq=seq[happened])
                )
        closed = rows.closed[places]
        if closed.any():
            missing = np.full(int(closed.sum()), np.nan)
            self._store.events.append(EventRows(CLOSED, rows.time[places[closed]], missing, missing, seq=seq[closed]))


def _kept(column: Sequence[str] | None, rows: CheckedRows) -> list[str]:
    """Return a column's texts in the rows that can be used."""
    return [] if column is None else list(compress(column, rows.ok))

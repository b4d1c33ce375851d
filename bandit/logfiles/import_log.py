"""The import of a logged campaign: read in chunks, checked column by column, written in one transaction."""

from __future__ import annotations

from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.catalogue import checked_catalogue
from bandit.catalogue.context_json import contexts_json
from bandit.domain import Progress
from bandit.errors import DuplicateError, LogFileError
from bandit.logfiles.columns.eligibility import MASK_CELLS
from bandit.logfiles.mapping.mapping import CLOSED, LogMapping
from bandit.logfiles.row_reader import CheckedRows, RowReader
from bandit.logfiles.sources.open_source import open_source
from bandit.store import PLACEHOLDER, DecisionRows, EventRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray
    from bandit.logfiles.rejections import ImportReport
    from bandit.store import Store

IMPORT_CHUNK_ROWS = 50_000
"""Rows of a file that are checked and written at a time."""


def import_log(
    store: Store,
    catalogue: Catalogue,
    mapping: LogMapping | Mapping[str, object] | str | Path,
    path: str | Path,
    *,
    progress: Progress | None = None,
    strict: bool = False,
    max_listed: int = 1000,
) -> ImportReport:
    """Import a CSV, gzipped CSV, Parquet or dsjson log; importing the same file again adds nothing.

    Rows that cannot be used are rejected one by one and reported; a malformed file, and with `strict` any rejected
    row, raises LogFileError, and then nothing at all is written. `progress` is called with bytes done and bytes in
    all. CatalogueError where the mapping does not fit the catalogue; DuplicateError where the log has a decision of
    the same id with other content.
    """
    checked_catalogue(catalogue)
    path, mapping = Path(path), LogMapping.of(mapping)
    reader = RowReader(catalogue, mapping, str(path), max_listed=max_listed)
    source = open_source(path, mapping.file.delimiter, progress)
    with store.transaction():
        writer = _ImportWriter(store, catalogue, propensities_known=mapping.propensities_known)
        try:
            for rows in reader.read(source, IMPORT_CHUNK_ROWS, progress, digest=source.digest):
                writer.write(rows)
        except DuplicateError as fault:
            raise DuplicateError(f"{path}: nothing of it is imported: {fault}") from fault
        report = reader.report(writer.n_repeated)
        if strict and report.n_refused:
            first = report.refused[0]
            raise LogFileError(
                f"{path}: {report.n_refused:,} of {report.n_rows:,} rows are refused, the first at line "
                f"{first.line}: {first.reason}; correct them, or import the others without strict"
            )
    return report


class _ImportWriter:
    """Writes checked rows into a store, within a transaction; `n_repeated` counts those that it had before."""

    def __init__(self, store: Store, catalogue: Catalogue, *, propensities_known: bool) -> None:
        self._store, self._catalogue = store, catalogue
        self._catalogue_id = store.catalogues.register(catalogue)
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

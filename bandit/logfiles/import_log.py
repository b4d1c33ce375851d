"""The import of a logged campaign: read in chunks, checked column by column, written in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import MICROSECONDS, Progress
from bandit.errors import CatalogueError, DuplicateError, LogFileError
from bandit.logfiles.columns.contexts import ContextReader
from bandit.logfiles.columns.eligibility import CELLS, eligibility_reader
from bandit.logfiles.columns.group import GroupReader
from bandit.logfiles.columns.identity import IdentityReader
from bandit.logfiles.columns.offers import OfferReader, PropensityReader
from bandit.logfiles.columns.outcomes import OutcomeColumns, OutcomeReader
from bandit.logfiles.columns.values import BAD_TIME, moment, times
from bandit.logfiles.mapping.mapping import CLOSED, LogMapping
from bandit.logfiles.rejections import ImportReport, Rejections
from bandit.logfiles.sources.csv import CsvSource
from bandit.logfiles.sources.dsjson import DsjsonSource, is_dsjson
from bandit.logfiles.sources.parquet import PARQUET, ParquetSource
from bandit.store import PLACEHOLDER, DecisionRows, EventRows

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, IntArray
    from bandit.logfiles.rejections import RowRejections
    from bandit.logfiles.sources.source import Chunk, Source
    from bandit.store import Store

_CHUNK_ROWS = 50_000
_LINE_ORDER = "2000-01-01"


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

    Rows that cannot be used are refused one by one and reported; a malformed file, and with `strict` any refused
    row, raises LogFileError, and then nothing at all is written. `progress` is called with bytes done and bytes in
    all. CatalogueError where the mapping does not fit the catalogue; DuplicateError where the log has a decision of
    the same id with other content.
    """
    run = _Import(store, catalogue, mapping, Rejections(max(max_listed, 1)))
    path = Path(path)
    source = open_source(path, mapping.file.delimiter, progress)
    with store.transaction():
        try:
            report = run.all_rows(source, progress)
        except DuplicateError as fault:
            raise DuplicateError(f"{path}: nothing of it is imported: {fault}") from fault
        if report.n_rows == 0:
            raise LogFileError(f"{path}: has no rows; give a log with at least one decision")
        if strict and report.n_refused:
            first = report.refused[0]
            raise LogFileError(
                f"{path}: {report.n_refused:,} of {report.n_rows:,} rows are refused, the first at line "
                f"{first.line}: {first.reason}; mend them, or import the others without strict"
            )
    return report


def open_source(path: Path, delimiter: str = ",", progress: Progress | None = None) -> Source:
    """Return a file as a source of columns, by its content whatever its name; LogFileError where it is damaged."""
    try:
        with path.open("rb") as content:
            magic = content.read(4)
    except OSError as fault:
        raise LogFileError(f"{path}: cannot be read: {fault.strerror}; give the path of a log") from fault
    if magic == PARQUET:
        return ParquetSource(path)
    if is_dsjson(path):
        return DsjsonSource(path)
    return CsvSource(path, delimiter, progress)


class _Import:
    """The readers of one mapping, and the way of each chunk through them into the store."""

    def __init__(self, store: Store, catalogue: Catalogue, mapping: LogMapping, refusals: Rejections) -> None:
        self.store = store
        self.catalogue = catalogue
        self.mapping = mapping
        self.refusals = refusals
        self.identities = IdentityReader(mapping)
        self.times = TimeReader(mapping)
        self.contexts = ContextReader(catalogue, mapping)
        self.offers = OfferReader(catalogue, mapping)
        self.propensities = PropensityReader(catalogue, mapping)
        self.outcomes = OutcomeReader(mapping)
        self.eligibility = eligibility_reader(catalogue, mapping, self.contexts)
        self.standing = GroupReader(mapping)
        readers = (
            self.identities,
            self.times,
            self.contexts,
            self.offers,
            self.propensities,
            self.outcomes,
            self.eligibility,
            self.standing,
        )
        self.columns = list(dict.fromkeys(name for reader in readers for name in reader.columns))

    def all_rows(self, source: Source, progress: Progress | None) -> ImportReport:
        """Bring in every chunk; to be called within a transaction."""
        catalogue_id = self.store.catalogues.register(self.catalogue)
        policy_id = None if self.propensities.known else self.store.catalogues.unknown_policy(catalogue_id)
        before = self.store.decisions.last_seq()
        n_rows = n_imported = n_repeated = 0
        for chunk in source.chunks(self.columns, _CHUNK_ROWS, progress):
            n_rows += len(chunk) + len(chunk.misfits)
            seq = self._chunk(chunk, catalogue_id, policy_id, source.digest)
            n_imported += int((seq > before).sum())
            n_repeated += int((seq <= before).sum())
        refused = self.refusals
        return ImportReport(
            n_rows, n_imported, n_repeated, refused.n, tuple(refused.listed), dict(refused.by_reason.most_common())
        )

    def _chunk(self, chunk: Chunk, catalogue_id: int, policy_id: int | None, digest: str) -> IntArray:
        """Check the rows of a chunk, write those that can be used, and return their places in the log."""
        refused = self.refusals.of(chunk.lines)
        for line, n_fields in chunk.misfits:
            words = f"it has {n_fields} fields where the header has {chunk.n_fields}"
            refused.add(line, "wrong number of fields", words)
        customers, ids = self.identities.read(chunk, digest, refused)
        time = self.times.read(chunk, refused)
        json = self.contexts.read(chunk, refused)
        offer = self.offers.read(chunk, refused)
        propensity = self.propensities.read(chunk, offer, refused)
        if not self.propensities.known:
            propensity = np.full(len(chunk), PLACEHOLDER)
        outcomes = self.outcomes.read(chunk, refused)
        self.standing.refuse_long(chunk, refused)
        closed = self.standing.closed(chunk, refused)
        eligible = self.eligibility.read(chunk, offer, refused)
        self.identities.refuse_twice(ids, refused)
        ok = refused.close()
        kept = np.flatnonzero(ok)
        groups = self.standing.groups(chunk)
        ids, customers, json, groups = (list(compress(column, ok)) for column in (ids, customers, json, groups))
        seqs = []
        step = max(1, CELLS // self.catalogue.n_offers)
        for start in range(0, len(kept), step):
            rows = kept[start : start + step]
            part = slice(start, start + len(rows))
            seq = self.store.decision_writer.append(
                DecisionRows(
                    decision_ids=ids[part],
                    time=time[rows],
                    customers=customers[part],
                    catalogue_id=catalogue_id,
                    policy_id=policy_id,
                    policy_step=0,
                    contexts_json=json[part],
                    eligible=eligible.mask(rows),
                    offer=offer[rows],
                    propensity=propensity[rows],
                    group=groups[part],
                    removals=eligible.removals(rows),
                )
            )
            self._events(seq, rows, time, outcomes, closed[rows])
            seqs.append(seq)
        return np.concatenate(seqs) if seqs else np.empty(0, dtype=np.int64)

    def _events(
        self, seq: IntArray, rows: IntArray, time: IntArray, outcomes: Sequence[OutcomeColumns], closed: BoolArray
    ) -> None:
        for outcome in outcomes:
            happened = outcome.happened[rows]
            if happened.any():
                at = rows[happened]
                self.store.events.append(
                    EventRows(outcome.event, time[at], outcome.revenue[at], outcome.reward[at], seq=seq[happened])
                )
        if closed.any():
            none = np.full(int(closed.sum()), np.nan)
            self.store.events.append(EventRows(CLOSED, time[rows[closed]], none, none, seq=seq[closed]))


class TimeReader:
    """Reads the time of each row; without a column, rows are a second apart in the order of their lines."""

    def __init__(self, mapping: LogMapping) -> None:
        columns = mapping.file.columns
        self.file = columns
        self.columns = [columns.time] if columns.time is not None else []
        self.start = 0
        if columns.time_start is not None or columns.time is None:
            self.start = moment(columns.time_start or _LINE_ORDER)
            if self.start == BAD_TIME:
                raise CatalogueError(
                    f'{mapping.where}: [columns] time_start "{columns.time_start}" is no time; write 2026-01-31'
                )

    def read(self, chunk: Chunk, refused: RowRejections) -> IntArray:
        """Return microseconds; rows whose time cannot be read are refused."""
        if self.file.time is None:
            return self.start + chunk.lines * MICROSECONDS
        texts = chunk.columns[self.file.time]
        read = times(texts, self.file.time_format, self.file.time_unit, self.start)
        wanted = {"iso": "an ISO 8601 time", "unix": "a number"}.get(self.file.time_format, self.file.time_format)
        refused.refuse(read == BAD_TIME, "time cannot be read", lambda row: f'the time "{texts[row]}" is not {wanted}')
        return read

"""A log that lies outside the database, in a file or a frame: checked once, then read as often as wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bandit.clock import now
from bandit.domain import Progress
from bandit.errors import InputError, LogFileError
from bandit.logfiles.rejections import ImportReport, Rejections
from bandit.logfiles.row_reader import BatchReader

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import LoggedBatch
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.sources.source import Source

_CHUNK_ROWS = 65_536


class ColumnLog:
    """A `bandit.domain.Log` of a source of columns; made by `from_frame`, `from_parquet` and `open_log`.

    Batches come in the order of the rows, whatever their times: `evaluate` does not mind, and what runs through time
    (replay, learning) wants rows in order of time, which `bandit.analysis.time_order.TimeOrdered` brings them into. Every row
    is checked once, when the log is made; `report` says which were refused. Decisions that are still open, their
    window not over and not marked as closed, are left out: `still_open` counts them. Memory: a batch, and nine bytes
    a row of a source with ids.
    """

    def __init__(
        self,
        source: Source,
        catalogue: Catalogue,
        mapping: LogMapping,
        name: str,
        *,
        unchanged: Callable[[], None] | None = None,
        progress: Progress | None = None,
        max_listed: int = 1_000,
    ) -> None:
        """Check all rows: LogFileError where the source is malformed or no row can be used."""
        self._source, self._catalogue, self._mapping = source, catalogue, mapping
        self._unchanged = unchanged
        reader = BatchReader(catalogue, mapping)
        refusals = Rejections(max(max_listed, 1))
        settled_before = now() - catalogue.objective.window
        kept, n_rows = [], 0
        self._n = self._still_open = 0
        for chunk in source.chunks(reader.all_columns, _CHUNK_ROWS, progress):
            refused = refusals.of(chunk.lines)
            for line, n_fields in chunk.misfits:
                words = f"it has {n_fields} fields where the header has {chunk.n_fields}"
                refused.add(line, "wrong number of fields", words)
            batch, closed = reader.check(chunk, refused)
            settled = closed | (batch.time < settled_before)
            keep = refused.ok & settled
            n_rows += len(chunk) + len(chunk.misfits)
            self._n += int(keep.sum())
            self._still_open += int((refused.ok & ~settled).sum())
            kept.append(keep)
        self._kept = np.concatenate(kept) if kept else np.zeros(0, dtype=np.bool_)
        listed = tuple(refusals.listed)
        self._report = ImportReport(n_rows, n_rows - refusals.n, 0, refusals.n, listed, dict(refusals.by_reason))
        if n_rows == 0:
            raise LogFileError(f"{name}: has no rows; give a log with at least one decision")
        if refusals.n == n_rows:
            raise LogFileError(
                f"{name}: every row is refused, the first because {listed[0].reason}; mend the mapping or the log"
            )

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the offers are numbered by."""
        return self._catalogue

    @property
    def n(self) -> int:
        """The number of decisions that `batches` yields."""
        return self._n

    @property
    def propensities_known(self) -> bool:
        """Whether the log says how probable each offer was; where not, the batches' propensities are NaN."""
        return self._mapping.propensities_known

    @property
    def left_out(self) -> int:
        """The number of decisions whose offer the catalogue does not have: none, since such rows are refused."""
        return 0

    @property
    def still_open(self) -> int:
        """The number of decisions that are left out since something may still come of them."""
        return self._still_open

    @property
    def report(self) -> ImportReport:
        """What became of the rows: how many can be used, and which were refused and why."""
        return self._report

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in the order of their rows, at most `size` at a time, never an empty batch.

        Raises InputError for a size below 1, LogFileError where the file is another than the one that was checked.
        """
        if size < 1:
            raise InputError(f"a batch has at least one decision; seen size {size}")
        if self._unchanged is not None:
            self._unchanged()
        reader = BatchReader(self._catalogue, self._mapping)
        refusals = Rejections(1)
        start = 0
        for chunk in self._source.chunks(reader.columns, size, None):
            keep = self._kept[start : start + len(chunk)]
            start += len(chunk)
            if not keep.any():
                continue
            refused = refusals.of(chunk.lines)
            refused.ok = keep.copy()
            batch, _ = reader.read(chunk, refused)
            yield batch if keep.all() else batch.take(keep)

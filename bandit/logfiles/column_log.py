"""A log in a file or a frame, read without a database: checked once, then read any number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.catalogue import checked_catalogue
from bandit.clock import now
from bandit.domain import Progress
from bandit.errors import InputError, LogFileError
from bandit.logfiles.row_reader import RowReader

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import DecisionLabels, LoggedBatch
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ImportReport
    from bandit.logfiles.sources.source import Source

LOG_CHUNK_ROWS = 65_536
"""Rows of a source that are checked at a time when a log is made of it."""


class ColumnLog:
    """A `bandit.domain.Log` of a source of columns; made by `from_frame`, `from_parquet` and `open_log`.

    Batches come in the order of the rows, not of their times: `evaluate` accepts any order, and replay and learning,
    which need rows in order of time, sort them by `bandit.analysis.time_order.TimeOrdered`. Every row is checked once,
    when the log is made; `report` says which were rejected. Decisions that are still open, their window not over and
    not marked as closed, are left out: `still_open` counts them. Memory: a batch, and nine bytes a row of a source
    with ids.
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
        """Check all rows: LogFileError where the source is malformed or no row can be used.

        `name` is for messages; `unchanged` raises LogFileError where the source is another than it was.
        """
        checked_catalogue(catalogue)
        self._source, self._catalogue, self._mapping, self._name = source, catalogue, mapping, name
        self._unchanged = unchanged
        reader = RowReader(catalogue, mapping, name, max_listed=max_listed)
        settled_before = now() - catalogue.objective.window
        kept = []
        self._n = self._still_open = 0
        for rows in reader.read(source, LOG_CHUNK_ROWS, progress):
            settled = rows.closed | (rows.time < settled_before)
            keep = rows.ok & settled
            self._n += int(keep.sum())
            self._still_open += int((rows.ok & ~settled).sum())
            kept.append(keep)
        self._kept = np.concatenate(kept) if kept else np.zeros(0, dtype=np.bool_)
        self._report = report = reader.report()
        if report.n_refused == report.n_rows:
            raise LogFileError(
                f"{name}: every row is refused, the first because {report.refused[0].reason}; correct the mapping or "
                "the log"
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
        """Whether the log has the propensities; where not, the batches' propensities are NaN."""
        return self._mapping.propensities_known

    @property
    def left_out(self) -> int:
        """The number of decisions whose offer the catalogue does not have: 0, since such rows are rejected."""
        return 0

    @property
    def still_open(self) -> int:
        """The number of decisions that are left out since their outcome window is not over."""
        return self._still_open

    @property
    def report(self) -> ImportReport:
        """How many rows can be used, and which were rejected and why."""
        return self._report

    @property
    def times_known(self) -> bool:
        """Whether the mapping names a column of times; without one, rows are a second apart."""
        return self._mapping.file.columns.time is not None

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in the order of their rows, at most `size` at a time, never an empty batch.

        Raises InputError for a size below 1, LogFileError where the file is another than the one that was checked.
        """
        for batch, _ in self.labelled(size):
            yield batch

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:  # noqa: ARG002 - as the protocol has it
        """Yield nothing: a row whose offer the catalogue does not have is rejected."""
        return iter(())

    def labelled(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield the batches with the group of each decision; the policy is the same in all. Errors as `batches`."""
        if size < 1:
            raise InputError(f"a batch has at least one decision; seen size {size}")
        if self._unchanged is not None:
            self._unchanged()
        reader = RowReader(self._catalogue, self._mapping, self._name)
        yield from reader.read_labelled(self._source, size, self._kept)

"""A log in a file or a frame, read without a database: checked once, then read any number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.catalogue import checked_catalogue
from bandit.clock import now
from bandit.domain import Progress
from bandit.errors import InputError, LogFileError
from bandit.logfiles.columns.outcome_events import check_outcome_events
from bandit.logfiles.events.event_rows import decision_rows
from bandit.logfiles.row_reader import RowReader

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, DecisionLabels, LoggedBatch, OutsideReason
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
        source = decision_rows(source, catalogue, mapping)
        self._source, self._catalogue, self._mapping, self._name = source, catalogue, mapping, name
        self._unchanged = unchanged
        check_outcome_events(catalogue, mapping)
        reader = RowReader(catalogue, mapping, name, max_listed=max_listed, own_weights=source.has_weights)
        settled_before = now() - catalogue.objective.window
        kept, outside = [], []
        self._n = self._left_out = self._still_open = 0
        for rows in reader.read(source, LOG_CHUNK_ROWS, progress):
            settled = rows.closed | (rows.time < settled_before)
            apart = rows.outside >= 0
            keep, leave = rows.ok & settled & ~apart, rows.ok & settled & apart
            self._n += int(keep.sum())
            self._left_out += int(leave.sum())
            self._still_open += int((rows.ok & ~settled).sum())
            kept.append(keep)
            outside.append(leave if leave.any() else np.broadcast_to(np.False_, len(leave)))
        n_rows = sum(map(len, kept))
        self._kept = np.concatenate(kept) if self._n < n_rows else np.broadcast_to(np.True_, n_rows)
        self._outside = np.concatenate(outside) if self._left_out else np.zeros(0, dtype=np.bool_)
        self._report = report = reader.report()
        if report.n_refused == report.n_rows:
            raise LogFileError(
                f"{name}: every row is refused, the first because {report.refused[0].reason}; correct the mapping or "
                "the log"
            )
        reader.reject_findings(report)

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
        """The number of decisions whose offer no policy of the catalogue can choose; `outside` yields them."""
        return self._left_out

    @property
    def outside_reasons(self) -> tuple[OutsideReason, ...]:
        """Why no policy can choose the offers of some rows, with their numbers, those still open among them."""
        return self._report.outside

    @property
    def still_open(self) -> int:
        """The number of decisions that are left out since their outcome window is not over."""
        return self._still_open

    @property
    def notices(self) -> tuple[str, ...]:
        """How the rows that were rejected differ from the others, as sentences without a full stop."""
        return tuple(finding.text for finding in self._report.findings)

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

    def outside(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the `left_out` decisions, whose offer is -1: the catalogue does not have it, or a rule removes it."""
        for batch, _ in self.labelled_outside(size):
            yield batch

    def labelled_outside(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield what `outside` yields with the group of each decision."""
        if self._left_out:
            yield from self._read(size, self._outside)

    def labelled(self, size: int = 65_536) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield the batches with the group of each decision; the policy is the same in all. Errors as `batches`."""
        yield from self._read(size, self._kept)

    def _read(self, size: int, kept: BoolArray) -> Iterator[tuple[LoggedBatch, DecisionLabels]]:
        """Yield the rows marked in `kept`, all of which have offers that a policy can choose, or none."""
        if size < 1:
            raise InputError(f"a batch has at least one decision; seen size {size}")
        if self._unchanged is not None:
            self._unchanged()
        reader = RowReader(self._catalogue, self._mapping, self._name, own_weights=self._source.has_weights)
        yield from reader.read_labelled(self._source, size, kept)

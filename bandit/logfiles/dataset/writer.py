"""Writes the files of one run of an export: rows are collected, dealt to the partitions and written as row groups."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.logfiles.dataset.folders import HashingFile, folder_faults
from bandit.logfiles.dataset.manifest import DECISIONS, EVENTS, DatasetFile, DatasetRun

if TYPE_CHECKING:
    from bandit.domain import IntArray
    from bandit.logfiles.dataset.folders import DatasetFolder
    from bandit.logfiles.dataset.partition import Partitioner
    from bandit.logfiles.dataset.tables import DatasetRows, DatasetTables
    from bandit.store.tables.event_pages import EventPage

_ROWS_A_PARTITION = 4_096
_LEAST_ROWS, _MOST_ROWS = 65_536, 131_072

LATE = "late"
"""The stem of files with events on decisions of earlier runs."""


class PartitionFile:
    """One Parquet file of one partition, being written."""

    def __init__(self, folder: DatasetFolder, name: str, kind: str, partition: int, schema: Any) -> None:  # noqa: ANN401
        from pyarrow import parquet  # noqa: PLC0415 - an optional extra

        self._name, self._kind, self._partition = name, kind, partition
        self._file = HashingFile(folder.create(name))
        self._writer: Any = parquet.ParquetWriter(
            self._file,
            schema,
            compression="zstd",
            use_dictionary=[f.name for f in schema if f.name not in {"decision_id", "row", "event", "event_id"}],
            dictionary_pagesize_limit=16 << 20,
        )
        self._rows = self._latest = self._unknown = 0
        self._first = self._last = -1
        self._catalogues: set[int] = set()

    def write(self, table: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        """Write a table, in the order of the rows, as one row group."""
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self._rows += table.num_rows
        rows = table.column("row").to_numpy()
        self._first = int(rows[0]) if self._first < 0 else self._first
        self._last = int(rows[-1])
        if self._kind == DECISIONS:
            self._latest = max(self._latest, int(table.column("time").cast("int64").to_numpy().max()))
            self._catalogues |= set(np.unique(table.column("catalogue").to_numpy()).tolist())
            self._unknown += table.column("propensity").null_count

    def close(self) -> DatasetFile:
        """Finish the file and return its line of the manifest."""
        self._writer.close()
        self._file.close()
        return DatasetFile(
            self._name,
            self._kind,
            self._partition,
            self._rows,
            self._file.n_bytes,
            self._file.digest,
            self._first,
            self._last,
            self._latest,
            tuple(sorted(self._catalogues)),
            self._unknown,
        )

    def abandon(self) -> None:
        """Close the file of a run that failed; nothing refers to it."""
        self._writer.is_open = False  # or it would write the end of the file when it is collected
        with suppress(OSError):
            self._file.close()


@dataclass(slots=True, eq=False)
class RunWriter:
    """Writes what one export adds; memory does not grow with it.

    Rows come in the order of the log. About `_ROWS_A_PARTITION` rows a partition are collected, sorted by partition
    (stable) and written, a row group a partition; `cuts` are the last rows of these.
    """

    folder: DatasetFolder
    tables: DatasetTables
    partitioner: Partitioner
    started_at: int
    cuts: list[int] = field(default_factory=list)
    _files: dict[tuple[str, int], PartitionFile] = field(default_factory=dict)
    _done: list[DatasetFile] = field(default_factory=list)
    _decisions: list[Any] = field(default_factory=list)
    _events: list[Any] = field(default_factory=list)
    _of_decisions: list[IntArray] = field(default_factory=list)
    _of_events: list[IntArray] = field(default_factory=list)
    _waiting: int = 0
    _token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def _enough(self) -> int:
        return min(max(_ROWS_A_PARTITION * self.partitioner.partitions, _LEAST_ROWS), _MOST_ROWS)

    def add(self, rows: DatasetRows, events: EventPage) -> None:
        """Add decisions with those of their events that are there."""
        if not len(rows):
            return
        partitions = self.partitioner.of_all(rows.customer)
        self._decisions.append(self.tables.of_decisions(rows))
        self._of_decisions.append(partitions)
        if len(events):
            self._events.append(self.tables.of_events(events))
            self._of_events.append(partitions[np.searchsorted(rows.row, events.seq)])
        self._waiting += len(rows)
        if self._waiting >= self._enough:
            self._write_decisions()

    def add_late(self, events: EventPage) -> None:
        """Add events on decisions of earlier runs, in the order of these; after all decisions of this run."""
        if len(events):
            self._write_parts(LATE, [self.tables.of_events(events)], [self.partitioner.of_all(events.customer)])

    def finish(self) -> DatasetRun:
        """Write what is waiting, finish all files and return the run; nothing refers to its files yet."""
        if self._waiting:
            self._write_decisions()
        with folder_faults(self.folder, "written"):
            self._close_files()
            self.folder.sync()
        return DatasetRun(self.started_at, tuple(self.cuts), tuple(self._done))

    def abandon(self) -> None:
        """Close and remove all files: the run failed."""
        for file in self._files.values():
            file.abandon()
        names = [self._name(stem, partition) for stem, partition in self._files] + [file.name for file in self._done]
        self._files.clear()
        self._done.clear()
        with suppress(OSError):
            for name in names:
                self.folder.remove(name)

    def _write_decisions(self) -> None:
        self.cuts.append(int(self._decisions[-1].column("row")[-1].as_py()))
        self._write_parts(DECISIONS, self._decisions, self._of_decisions)
        if self._events:
            self._write_parts(EVENTS, self._events, self._of_events)
        self._decisions, self._of_decisions, self._events, self._of_events = [], [], [], []
        self._waiting = 0

    def _write_parts(self, stem: str, tables: list[Any], partitions: list[IntArray]) -> None:
        """Write a row group to each partition that has some of these rows."""
        table, numbers = self.tables.joined(tables), np.concatenate(partitions)
        order = np.argsort(numbers, kind="stable")
        table, numbers = table.take(order), numbers[order]
        ends = np.flatnonzero(np.diff(numbers)) + 1
        starts = np.concatenate([[0], ends])
        with folder_faults(self.folder, "written"):
            for start, end in zip(starts.tolist(), [*ends.tolist(), len(numbers)], strict=True):
                self._file(stem, int(numbers[start])).write(table.slice(start, end - start))

    def _file(self, stem: str, partition: int) -> PartitionFile:
        found = self._files.get((stem, partition))
        if found is None:
            kind = DECISIONS if stem == DECISIONS else EVENTS
            schema = self.tables.decisions if kind == DECISIONS else self.tables.events
            found = PartitionFile(self.folder, self._name(stem, partition), kind, partition, schema)
            self._files[stem, partition] = found
        return found

    def _name(self, stem: str, partition: int) -> str:
        return file_name(stem, partition, self.started_at, self._token)

    def _close_files(self) -> None:
        while self._files:
            place, file = next(iter(self._files.items()))
            self._done.append(file.close())
            del self._files[place]


def file_name(stem: str, partition: int, time: int, token: str) -> str:
    """Return the path of a file: a folder a partition, and the second and a random token, so that no name comes twice.

    >>> file_name("decisions", 7, 1_790_000_000_000_000, "0a1b2c3d")
    'partition=007/decisions-1790000000-0a1b2c3d.parquet'
    """
    return f"partition={partition:03d}/{stem}-{time // 1_000_000}-{token}.parquet"

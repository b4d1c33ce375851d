"""Reads the partitions of a dataset side by side, in the order of the log, in blocks of bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bandit.errors import LogFileError
from bandit.logfiles.columns.arrow import arrow
from bandit.logfiles.dataset.manifest import DECISIONS, EVENTS
from bandit.logfiles.dataset.outcomes import EventArrays
from bandit.logfiles.dataset.tables import ELIGIBLE, FACT

if TYPE_CHECKING:
    from bandit.domain import IntArray
    from bandit.logfiles.dataset.folders import DatasetFolder
    from bandit.logfiles.dataset.manifest import DatasetFile, DatasetManifest, DatasetRun

BLOCK_ROWS = 65_536
"""Decisions of a block, if row groups are not larger."""

_OPEN_FILES = 256
_EVENT_COLUMNS = ["event", "row", "name", "time", "revenue", "reward", "corrects"]


class OpenParquet:
    """One Parquet file of a dataset, open: its row groups and the least and largest decision of each, (g,)."""

    def __init__(self, folder: DatasetFolder, file: DatasetFile, codes: Sequence[str]) -> None:
        """Columns of texts named in `codes` are read as codes."""
        from pyarrow import parquet  # noqa: PLC0415 - an optional extra

        self._raw = folder.open(file.name)
        try:
            plain = parquet.ParquetFile(self._raw, pre_buffer=False)
            names = plain.schema_arrow.names
            self.columns = frozenset(names)
            coded = [name for name in codes if name in self.columns]
            self._file: Any = parquet.ParquetFile(
                self._raw, metadata=plain.metadata, read_dictionary=coded, pre_buffer=False
            )
        except BaseException:
            self._raw.close()
            raise
        place = names.index("row")
        groups = [plain.metadata.row_group(number).column(place) for number in range(plain.metadata.num_row_groups)]
        self.first = np.array([group.statistics.min for group in groups], dtype=np.int64)
        self.last = np.array([group.statistics.max for group in groups], dtype=np.int64)

    def read(self, groups: Sequence[int], columns: Sequence[str]) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Return the rows of some row groups."""
        return self._file.read_row_groups(list(groups), columns=list(columns), use_threads=False)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()


class BlockReader:
    """Reads decisions in blocks, each with a range of the log's numbers, and the events of a block."""

    def __init__(self, folder: DatasetFolder, manifest: DatasetManifest) -> None:
        """MissingExtraError without pyarrow."""
        self.pa: Any = arrow("reading a dataset")
        self._folder, self._manifest = folder, manifest
        facts = [FACT + name for name, kind in manifest.facts.items() if kind == "categorical"]
        self._codes = ["customer", "group", ELIGIBLE, "name", *facts]
        self._open: OrderedDict[str, OpenParquet] = OrderedDict()
        self._events = [file for run in manifest.runs for file in run.files if file.kind == EVENTS]

    def blocks(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield tables of decisions, each in the order of their numbers, and the one after the other.

        A column that a file does not have is missing in its rows.
        """
        with self._faults():
            for run in self._manifest.runs:
                yield from self._blocks_of(run, columns)

    def events(self, first: int, last: int) -> EventArrays:
        """Return the events of the decisions with numbers from `first` to `last`."""
        tables = []
        with self._faults():
            for file in self._events:
                if file.first <= last and file.last >= first:
                    opened = self._opened(file)
                    groups = np.flatnonzero((opened.first <= last) & (opened.last >= first))
                    if len(groups):
                        tables.append(opened.read(groups.tolist(), _EVENT_COLUMNS))
        return self._event_arrays(tables, first, last)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].close()

    def _blocks_of(self, run: DatasetRun, columns: Sequence[str]) -> Iterator[Any]:
        files = [file for file in run.files if file.kind == DECISIONS]
        with ExitStack() as stack:
            readers = [stack.enter_context(closing(OpenParquet(self._folder, file, self._codes))) for file in files]
            done = np.zeros(len(readers), dtype=np.int64)
            tables: list[Any] = []
            waiting = 0
            for cut in run.cuts:
                for place, reader in enumerate(readers):
                    end = int(np.searchsorted(reader.last, cut, side="right"))
                    if end > done[place]:
                        table = self._read(reader, range(int(done[place]), end), columns)
                        waiting += table.num_rows
                        tables.append(table)
                        done[place] = end
                if waiting >= BLOCK_ROWS:
                    yield self._sorted(tables)
                    tables, waiting = [], 0
            if tables:
                yield self._sorted(tables)

    def _read(self, reader: OpenParquet, groups: range, columns: Sequence[str]) -> Any:  # noqa: ANN401
        table = reader.read(groups, [name for name in columns if name in reader.columns])
        for name in columns:
            if name not in reader.columns:
                kind = self.pa.string() if name in self._codes else self.pa.float64()
                table = table.append_column(name, self.pa.nulls(table.num_rows, kind))
        return table.select(list(columns))

    def _sorted(self, tables: list[Any]) -> Any:  # noqa: ANN401
        """Return the rows of several partitions in the order of the log."""
        table = _joined(self.pa, tables)
        rows = table.column("row").to_numpy()
        return table if (np.diff(rows) > 0).all() else table.take(np.argsort(rows))

    def _event_arrays(self, tables: list[Any], first: int, last: int) -> EventArrays:
        if not tables:
            none, amounts = np.zeros(0, dtype=np.int64), np.zeros(0)
            return EventArrays(none, none, none, [], none, amounts, amounts, none)
        table = _joined(self.pa, tables)
        rows = table.column("row").to_numpy()
        if rows.min() < first or rows.max() > last:
            table = table.filter(self.pa.array((rows >= first) & (rows <= last)))
        name, names = codes_of(table.column("name"))
        return EventArrays(
            number=table.column("event").to_numpy(),
            row=table.column("row").to_numpy(),
            name=name,
            names=names,
            time=table.column("time").cast("int64").to_numpy(),
            revenue=numbers_of(table.column("revenue")),
            reward=numbers_of(table.column("reward")),
            corrects=table.column("corrects").fill_null(-1).to_numpy(),
        )

    def _opened(self, file: DatasetFile) -> OpenParquet:
        found = self._open.get(file.name)
        if found is None:
            found = self._open[file.name] = OpenParquet(self._folder, file, self._codes)
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        else:
            self._open.move_to_end(file.name)
        return found

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """LogFileError where a file of the manifest is not there any more, or damaged."""
        where = self._folder.address
        try:
            yield
        except FileNotFoundError as fault:
            raise LogFileError(
                f"{where}: a file of the dataset is not there ({fault.filename or fault}); it was written again since "
                "it was opened, or is not complete: open it again, or export the log anew"
            ) from fault
        except (self.pa.ArrowException, OSError, AttributeError) as fault:
            message = " ".join(str(fault).split())
            raise LogFileError(
                f"{where}: a file of the dataset cannot be read ({message}); export the log anew"
            ) from fault


def codes_of(column: Any) -> tuple[IntArray, list[Any]]:  # noqa: ANN401
    """Return a column of texts or bytes as codes (n,), -1 for null, and the distinct values."""
    chunk = column.combine_chunks()
    if hasattr(chunk, "chunks"):  # some versions return one chunk, some a column of one
        chunk = chunk.chunk(0)
    if not hasattr(chunk, "dictionary"):
        chunk = chunk.dictionary_encode()
    codes = chunk.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, chunk.dictionary.to_pylist()


def numbers_of(column: Any) -> Any:  # noqa: ANN401
    """Return a column of numbers as float64 (n,), NaN for null."""
    values = column.cast("float64")
    return values.to_numpy() if not values.null_count else values.fill_null(np.nan).to_numpy()


def _joined(pa: Any, tables: list[Any]) -> Any:  # noqa: ANN401
    """Return tables as one, with one dictionary a column."""
    if len(tables) == 1:
        return tables[0].combine_chunks()
    kinds = [
        next((t.schema.field(i).type for t in tables if pa.types.is_dictionary(t.schema.field(i).type)), None)
        for i in range(tables[0].num_columns)
    ]
    same = []
    for table in tables:
        for place, kind in enumerate(kinds):
            if kind is not None and table.schema.field(place).type != kind:  # a column that the file does not have
                field = pa.field(table.schema.field(place).name, kind)
                table = table.set_column(place, field, table.column(place).cast(kind))  # noqa: PLW2901
        same.append(table)
    return pa.concat_tables(same).unify_dictionaries().combine_chunks()

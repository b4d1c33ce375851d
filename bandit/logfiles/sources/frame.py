"""Dataframes as a source of columns: all with Arrow's C stream interface, and dicts of arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bandit.catalogue.plain_values import plain_value, text_of
from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.columns.arrow import arrow, column_texts
from bandit.logfiles.sources.source import SourceChunk, require_columns
from bandit.store.records import object_array

FRAME_NAME = Path("the frame")
"""The name of a frame in messages, where a file has its path."""

_NUMBERS = frozenset[type]({bool, int, float})
_READ_BY_ARROW = frozenset[type]({bool, int, float, str, type(None), datetime, date})

_KINDS = "a pandas or polars frame, a pyarrow table or reader, a DuckDB relation, or a dict of columns"


class FrameSource:
    """One frame, copied to an Arrow table: a stream can be read only once, and a log is read many times."""

    def __init__(self, frame: object) -> None:
        """Convert the frame: MissingExtraError without pyarrow, LogFileError for an object that is not a frame."""
        self._arrow: Any = arrow("reading a frame")
        self._table = self._as_table(frame)
        self.columns: Sequence[str] = self._table.column_names

    @property
    def digest(self) -> str:
        """A digest of the frame's schema, not of its values: 16 hex digits."""
        return hashlib.blake2b(repr(self._table.schema).encode(), digest_size=8).hexdigest()

    @property
    def has_weights(self) -> bool:
        """Whether the format says how many decisions each line stands for: it does not."""
        return False

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the rows in order, at most `size` at a time; lines are the numbers of the rows, from 1."""
        require_columns(FRAME_NAME, "it", self.columns, columns)
        wanted, n = self._table.select(list(columns)), self._table.num_rows
        try:
            for start in range(0, n, size):
                part = wanted.slice(start, size)
                texts = {
                    name: column_texts(_whole(part.column(name)), str(FRAME_NAME), name, start) for name in columns
                }
                lines = np.arange(start + 1, start + 1 + part.num_rows, dtype=np.int64)
                yield SourceChunk(lines, texts, (), len(self.columns))
                if progress:
                    progress(min(start + size, n), n)
        except (self._arrow.ArrowException, UnicodeDecodeError) as fault:
            raise LogFileError(f"{FRAME_NAME}: cannot be read ({_line(fault)}); make its columns plain") from fault

    def _as_table(self, frame: object) -> Any:  # noqa: ANN401 - pyarrow has no types
        pa = self._arrow
        try:
            if isinstance(frame, Mapping):
                return self._from_columns(frame)
            if isinstance(frame, pa.RecordBatchReader):
                return frame.read_all()
            if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__"):
                return pa.table(frame)
            if hasattr(frame, "to_pandas") or type(frame).__module__.partition(".")[0] == "pandas":
                return pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError) as fault:
            raise LogFileError(
                f"{FRAME_NAME}: cannot be taken over ({_line(fault)}); make its columns plain"
            ) from fault
        raise LogFileError(f"a frame is {_KINDS}; seen {type(frame).__name__}")

    def _from_columns(self, columns: Mapping[object, Any]) -> Any:  # noqa: ANN401
        pa = self._arrow
        arrays = {}
        for name, column in columns.items():
            if isinstance(column, (str, bytes)) or not hasattr(column, "__len__"):
                raise LogFileError(
                    f'{FRAME_NAME}: the column "{name}" is a {type(column).__name__}; give a list or an array'
                )
            if isinstance(column, np.ndarray) and column.ndim != 1:
                raise LogFileError(
                    f'{FRAME_NAME}: the column "{name}" has the shape {column.shape}; give one value a row'
                )
            try:
                # In numpy's columns NaN means missing.
                arrays[str(name)] = pa.array(_plain_column(column), from_pandas=isinstance(column, np.ndarray))
            except (pa.ArrowException, TypeError, ValueError) as fault:
                raise LogFileError(
                    f'{FRAME_NAME}: the column "{name}" cannot be read ({_line(fault)}); give values of one type'
                ) from fault
        lengths = {len(array) for array in arrays.values()}
        if len(lengths) > 1:
            raise LogFileError(f"{FRAME_NAME}: the columns must be of one length; seen {sorted(lengths)}")
        return pa.table(arrays)


def _plain_column(column: Any) -> Any:  # noqa: ANN401 - a column of any library
    """Return a list or an array of objects with the values that others stand for (`plain_values.ACCEPTED`) in place.

    Whole numbers and truth values beside texts are texts, as they are in a file.
    """
    objects = isinstance(column, np.ndarray) and column.dtype.kind == "O"
    if not objects and not isinstance(column, (list, tuple)):
        return column
    kinds = set(map(type, column))
    if not kinds <= _READ_BY_ARROW:
        column = [plain_value(value) for value in column]
        kinds = set(map(type, column))
    if str in kinds and kinds & _NUMBERS and kinds <= _NUMBERS | {str, type(None)}:
        column = [text_of(value) for value in column]
    return object_array(list(column)) if objects else column


def _whole(column: Any) -> Any:  # noqa: ANN401
    """Return a chunked column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _line(fault: Exception) -> str:
    return " ".join(str(fault).split())

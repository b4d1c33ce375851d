"""Parquet files as a source of columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.columns.arrow import arrow, column_texts
from bandit.logfiles.columns.coded_text import Utf8Texts
from bandit.logfiles.sources.csv import MAX_FILE_COLUMNS
from bandit.logfiles.sources.source import SourceChunk, require_columns

PARQUET_MAGIC = b"PAR1"

BATCH_BYTES = 64 << 20
"""Bytes of rows after which a batch ends, however few its rows."""

MAX_ROWS_A_BYTE, ROWS_FROM = 100, 1_000_000
"""The most rows that a file may claim for each of its bytes, checked from `ROWS_FROM` rows on."""


class ParquetSource:
    """One Parquet file; its values are read as the text that a CSV file would have, null as a blank."""

    def __init__(self, path: Path) -> None:
        """Open the file: MissingExtraError without pyarrow, LogFileError where it is damaged."""
        pa = arrow("reading Parquet")
        from pyarrow import parquet  # noqa: PLC0415 - an optional extra

        self.path = path
        self._arrow: Any = pa
        self.size = path.stat().st_size
        try:
            self._file: Any = parquet.ParquetFile(path, pre_buffer=False)
            # A text that is in many rows is kept once: repeated, it may take any amount of memory.
            self._coded = {field.name for field in self._file.schema_arrow if _is_text(pa, field.type)}
            self._file = parquet.ParquetFile(path, pre_buffer=False, read_dictionary=sorted(self._coded))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
            raise self._damaged(fault) from fault
        self._check_size()

    def _check_size(self) -> None:
        """LogFileError where the file has more columns or claims more rows than can be read in bounded memory."""
        metadata = self._file.metadata
        if metadata.num_columns > MAX_FILE_COLUMNS:
            raise LogFileError(
                f"{self.path}: has {metadata.num_columns:,} columns; at most {MAX_FILE_COLUMNS:,} are read"
            )
        # The metadata of single columns is not read: Arrow ends the process where it is damaged.
        if metadata.num_rows > max(ROWS_FROM, MAX_ROWS_A_BYTE * self.size):
            raise LogFileError(
                f"{self.path}: claims {metadata.num_rows:,} rows in {self.size:,} bytes, more than any log has; "
                "write it again"
            )

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns."""
        names: list[str] = self._file.schema_arrow.names
        return names

    @cached_property
    def digest(self) -> str:
        """A digest of the content: 16 hex digits."""
        with self.path.open("rb") as content:
            return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=8)).hexdigest()

    @property
    def has_weights(self) -> bool:
        """Whether the format says how many decisions each line stands for: it does not."""
        return False

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the rows in order, at most `size` at a time; lines are the numbers of the rows, from 1."""
        names = self.columns
        require_columns(self.path, "the schema", names, columns)
        n_rows, done = self._file.metadata.num_rows, 0
        diverse = self._coded & set(columns)
        try:
            batches = self._file.iter_batches(batch_size=size, columns=list(columns), use_threads=False)
            for batch in self._even(batches, size):
                if done + batch.num_rows > n_rows:
                    raise OSError(f"it has more rows than the {n_rows:,} that it claims")
                lines = np.arange(done + 1, done + 1 + batch.num_rows, dtype=np.int64)
                where = str(self.path)
                texts = {name: column_texts(batch.column(name), where, name, done) for name in columns}
                done += batch.num_rows
                diverse = {column for column in diverse if isinstance(texts[column], Utf8Texts)}
                yield SourceChunk(lines, texts, (), len(names))
                if progress:
                    progress(self.size * done // max(n_rows, 1), self.size)
            self._read_plainly(diverse)
            # Arrow keeps what it used for the columns of a row group, as much as a hundred megabytes.
            self._arrow.default_memory_pool().release_unused()
        except (self._arrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as fault:
            raise self._damaged(fault) from fault

    def _read_plainly(self, diverse: set[str]) -> None:
        """Read columns whose texts were seen to be short and mostly distinct without a dictionary from now on.

        To make one took ten times as long as the rest of reading them.
        """
        if diverse:
            from pyarrow import parquet  # noqa: PLC0415 - an optional extra

            self._coded -= diverse
            self._file = parquet.ParquetFile(self.path, pre_buffer=False, read_dictionary=sorted(self._coded))

    def _even(self, batches: Iterator[Any], size: int) -> Iterator[Any]:
        """Yield the rows in batches of at most `size` or about BATCH_BYTES; those of half as many rows as they are.

        With dictionaries Arrow ends a batch at each row group. Only small ones are joined, since that takes time.
        """
        waiting: list[Any] = []
        for batch in batches:
            if 2 * batch.num_rows >= size:
                if waiting:
                    yield self._joined(waiting)
                    waiting = []
                yield batch
                continue
            waiting.append(batch)
            while sum(each.num_rows for each in waiting) >= size or sum(each.nbytes for each in waiting) > BATCH_BYTES:
                whole = self._joined(waiting)
                yield whole.slice(0, size)
                waiting = [whole.slice(size)] if whole.num_rows > size else []
        if waiting:
            yield self._joined(waiting)

    def _joined(self, batches: list[Any]) -> Any:  # noqa: ANN401
        if len(batches) == 1:
            return batches[0]
        whole = self._arrow.Table.from_batches(batches).unify_dictionaries().combine_chunks()
        return whole.to_batches()[0]

    def _damaged(self, fault: Exception) -> LogFileError:
        message = " ".join(str(fault).split())
        return LogFileError(f"{self.path}: is a damaged Parquet file ({message}); write it again")


def _is_text(pa: Any, kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

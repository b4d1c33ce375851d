"""Parquet as a source of columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bandit.errors import LogFileError
from bandit.importing.arrow_columns import arrow, column_texts
from bandit.importing.source import Chunk, Progress, require_columns

PARQUET = b"PAR1"


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
        except (pa.ArrowException, OSError) as fault:
            raise self._damaged(fault) from fault

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns."""
        names: list[str] = self._file.schema_arrow.names
        return names

    @cached_property
    def digest(self) -> str:
        """A name for the content: 16 hex digits."""
        with self.path.open("rb") as content:
            return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=8)).hexdigest()

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[Chunk]:
        """Yield the rows in order, at most `size` at a time; lines are the numbers of the rows, from 1."""
        names = self.columns
        require_columns(self.path, "the schema", names, columns)
        n_rows, done = self._file.metadata.num_rows, 0
        try:
            for batch in self._file.iter_batches(batch_size=size, columns=list(columns), use_threads=False):
                lines = np.arange(done + 1, done + 1 + batch.num_rows, dtype=np.int64)
                where = str(self.path)
                texts = {name: column_texts(batch.column(name), where, name, done) for name in columns}
                done += batch.num_rows
                yield Chunk(lines, texts, (), len(names))
                if progress:
                    progress(self.size * done // max(n_rows, 1), self.size)
        except (self._arrow.ArrowException, OSError, UnicodeDecodeError) as fault:
            raise self._damaged(fault) from fault

    def _damaged(self, fault: Exception) -> LogFileError:
        said = " ".join(str(fault).split())
        return LogFileError(f"{self.path}: is a damaged Parquet file ({said}); write it again")

"""Parquet as a source of columns; the only import of pyarrow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bandit.errors import LogFileError, MissingExtraError
from bandit.importing.source import Chunk, Progress, require_columns

PARQUET = b"PAR1"


class ParquetSource:
    """One Parquet file; its values are read as the text that a CSV file would have, null as a blank."""

    def __init__(self, path: Path) -> None:
        """Open the file: MissingExtraError without pyarrow, LogFileError where it is damaged."""
        try:
            import pyarrow as pa  # noqa: PLC0415 - an optional extra
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError as fault:
            raise MissingExtraError("reading Parquet", "parquet") from fault
        self.path = path
        self._arrow: Any = pa
        with path.open("rb") as content:
            self.digest = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
        self.size = path.stat().st_size
        try:
            self._file: Any = parquet.ParquetFile(path)
        except (pa.ArrowException, OSError) as fault:
            raise self._damaged(fault) from fault

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[Chunk]:
        """Yield the rows in order, at most `size` at a time; lines are the numbers of the rows, from 1."""
        names = self._file.schema_arrow.names
        require_columns(self.path, "the schema", names, columns)
        n_rows, done = self._file.metadata.num_rows, 0
        try:
            for batch in self._file.iter_batches(batch_size=size, columns=list(columns), use_threads=False):
                lines = np.arange(done + 1, done + 1 + batch.num_rows, dtype=np.int64)
                texts = {name: self._texts(name, batch.column(name), done) for name in columns}
                done += batch.num_rows
                yield Chunk(lines, texts, (), len(names))
                if progress:
                    progress(self.size * done // max(n_rows, 1), self.size)
        except (self._arrow.ArrowException, OSError, UnicodeDecodeError) as fault:
            raise self._damaged(fault) from fault

    def _texts(self, name: str, column: Any, before: int) -> list[str]:  # noqa: ANN401 - pyarrow has no types
        arrow, kind = self._arrow, column.type
        if arrow.types.is_dictionary(kind):
            column = column.dictionary_decode()
            kind = column.type
        if arrow.types.is_nested(kind) or arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind):
            raise LogFileError(
                f'{self.path}: the column "{name}" is of the type {kind}; write numbers, texts, booleans or times'
            )
        if arrow.types.is_timestamp(kind):
            column = column.cast(arrow.timestamp("us"), safe=False)  # drops the zone: what is left is UTC
        texts: list[str] = column.cast(arrow.string()).fill_null("").to_pylist()
        if "\0" in "".join(texts):
            row = before + 1 + next(place for place, text in enumerate(texts) if "\0" in text)
            raise LogFileError(f'{self.path}: row {row} has a NUL in the column "{name}"; write plain text')
        return texts

    def _damaged(self, fault: Exception) -> LogFileError:
        said = " ".join(str(fault).split())
        return LogFileError(f"{self.path}: is a damaged Parquet file ({said}); write it again")

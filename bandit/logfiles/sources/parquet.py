"""Parquet files as a source of columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
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


_MANY_ROWS = 16_384
"""Rows of a row group from which on it is worth to read its ids plainly."""

_SHORT_BYTES = 1_024
"""Bytes of a text up to which it may be read plainly, a copy for each row."""


class _SeenTexts:
    """Follows which columns of texts are ids: in all of the `rows` so far short, and mostly distinct."""

    def __init__(self, columns: frozenset[str]) -> None:
        self._columns, self.rows = columns, 0

    @property
    def ids(self) -> frozenset[str]:
        """The columns of ids, empty before enough rows were seen."""
        return self._columns if self.rows >= _MANY_ROWS else frozenset()

    def add(self, texts: Mapping[str, Sequence[str]]) -> None:
        """Look at the next rows."""
        self.rows += len(next(iter(texts.values()), ()))
        self._columns = frozenset(name for name in self._columns if self._is_id(texts[name]))

    @staticmethod
    def _is_id(texts: Sequence[str]) -> bool:
        return isinstance(texts, Utf8Texts) and int(texts.sizes.max(initial=0)) <= _SHORT_BYTES


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
            self._coded = frozenset(field.name for field in self._file.schema_arrow if _is_text(pa, field.type))
            self._file = self._opened(self._coded)
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
        seen = _SeenTexts(self._coded & set(columns))
        self._release_memory()
        try:
            for batch in self._even(self._batches(list(columns), size, seen), size):
                if done + batch.num_rows > n_rows:
                    raise OSError(f"it has more rows than the {n_rows:,} that it claims")
                chunk = self._chunk(batch, columns, done)
                done += batch.num_rows
                del batch  # whoever reads the chunk may need the memory
                seen.add(chunk.columns)
                yield chunk
                del chunk
                if progress:
                    progress(self.size * done // max(n_rows, 1), self.size)
            if plain := seen.ids:
                self._coded -= plain
                self._file = self._opened(self._coded)
            self._release_memory()
        except (self._arrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as fault:
            raise self._damaged(fault) from fault

    def _chunk(self, batch: Any, columns: Sequence[str], before: int) -> SourceChunk:  # noqa: ANN401
        """Return rows of the file that `before` others stand before."""
        lines = np.arange(before + 1, before + 1 + batch.num_rows, dtype=np.int64)
        where = str(self.path)
        texts = {name: column_texts(batch.column(name), where, name, before) for name in columns}
        return SourceChunk(lines, texts, (), len(self.columns))

    def _release_memory(self) -> None:
        """Give back what Arrow and the system's allocator keep after a pass, as much as two hundred megabytes."""
        for pool in (self._arrow.default_memory_pool(), self._arrow.system_memory_pool()):
            pool.release_unused()

    def _opened(self, coded: frozenset[str]) -> Any:  # noqa: ANN401
        """Return the file with some columns of texts read as dictionaries, and the other ones plainly."""
        from pyarrow import parquet  # noqa: PLC0415 - an optional extra

        return parquet.ParquetFile(self.path, pre_buffer=False, read_dictionary=sorted(coded))

    def _batches(self, columns: list[str], size: int, seen: _SeenTexts) -> Iterator[Any]:
        """Yield the rows as Arrow reads them, one row group after the other while columns of ids may be among them.

        To make dictionaries of ids takes ten times as long as the rest of reading them, so those that were seen to be
        short and distinct in the row groups before are read plainly, unless the dictionary of the group says otherwise.
        """
        file, groups, coded = self._file, range(self._file.num_row_groups), self._coded
        for group in groups:
            before = seen.rows
            if (plain := self._short(group, seen.ids)) != self._coded - coded:
                coded = self._coded - plain
                file = self._opened(coded) if plain else self._file
            yield from file.iter_batches(batch_size=size, row_groups=[group], columns=columns, use_threads=False)
            if seen.rows - before < _MANY_ROWS or not seen.ids:
                rest = list(groups[group + 1 :])
                yield from self._file.iter_batches(batch_size=size, row_groups=rest, columns=columns, use_threads=False)
                return

    def _short(self, group: int, columns: frozenset[str]) -> frozenset[str]:
        """Return those of some columns of texts whose dictionary in a row group has short texts only."""
        if not columns:
            return columns
        first = self._file.iter_batches(batch_size=1, row_groups=[group], columns=sorted(columns), use_threads=False)
        one = next(iter(first), None)
        if one is None:
            return frozenset()
        sizes = {name: self._arrow.compute.binary_length(one.column(name).dictionary) for name in columns}
        return frozenset(
            name for name, each in sizes.items() if (self._arrow.compute.max(each).as_py() or 0) <= _SHORT_BYTES
        )

    def _even(self, batches: Iterator[Any], size: int) -> Iterator[Any]:
        """Yield the rows in batches of at most `size` or about BATCH_BYTES; those of half as many rows as they are.

        With dictionaries Arrow ends a batch at each row group. Only small ones are joined, since that takes time.
        """
        waiting: list[Any] = []
        for batch in batches:
            large = 2 * batch.num_rows >= size
            if waiting and (large or batch.schema != waiting[0].schema):
                yield self._joined(waiting)
                waiting = []
            if large:
                passed = [batch]
                del batch  # whoever works on it may let go of it
                yield passed.pop()
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

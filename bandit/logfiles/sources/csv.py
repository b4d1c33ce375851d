"""CSV and gzipped CSV as a source of columns: scanned once as a whole, then read in chunks by the csv module."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Self, TextIO, cast

import numpy as np

from bandit.domain import IntArray, Progress
from bandit.errors import LogFileError
from bandit.logfiles.sources.binary_file import check_inflation, file_faults, opened
from bandit.logfiles.sources.source import SourceChunk, require_columns
from bandit.logfiles.sources.split_numbers import rejoined
from bandit.printable import with_formulas

MAX_LINE = 4 << 20
"""Most bytes of a line of CSV."""

MAX_FILE_COLUMNS = 10_000
"""Most columns of a file."""

CHUNK_TEXT = 32 << 20
"""Characters of a file after which a chunk ends, however few its rows; in memory they may take twenty times as much."""

_BLOCK = 1 << 20
_NEWLINE, _RETURN = b"\n\r"
_LINE_END = re.compile(r"\r\n|\r|\n")


class CsvSource:
    """One CSV file, plain or gzipped."""

    def __init__(
        self, path: Path, delimiter: str, progress: Progress | None = None, *, escaped_formulas: bool = False
    ) -> None:
        """Scan the file: LogFileError for NUL bytes, text that is not UTF-8, a damaged gzip and what is too large."""
        self.path = path
        self.delimiter = delimiter
        self._progress = progress
        self._escaped = escaped_formulas
        with file_faults(path):
            self.size = path.stat().st_size
        self._longest_line = 0
        self._has_quotes = False
        self.digest = self._scan()

    @property
    def columns(self) -> Sequence[str]:
        """The names in its header."""
        with file_faults(self.path), opened(self.path) as (_, content):
            text = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            try:
                return self._header(csv.reader(_CountedLines(text), delimiter=self.delimiter, strict=True))
            except csv.Error as fault:
                raise LogFileError(f"{self.path}: line 1 is malformed ({fault}); correct its quotes") from fault

    @property
    def has_weights(self) -> bool:
        """Whether the format says how many decisions each line stands for: it does not."""
        return False

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the rows in order, at most `size` at a time; LogFileError for bad quoting and missing columns."""
        with file_faults(self.path), opened(self.path) as (raw, content):
            text = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            lines = _CountedLines(text) if self._has_quotes else None
            reader = csv.reader(lines or text, delimiter=self.delimiter, strict=True)
            at_most = min(size, max(1, CHUNK_TEXT // max(self._longest_line, 1)))
            try:
                header = self._header(reader)
                if not header:
                    raise LogFileError(f"{self.path}: has no header; its first line must name the columns")
                require_columns(self.path, "line 1", header, columns)
                places = {name: place for place, name in enumerate(header)}
                pick = {name: itemgetter(places[name]) for name in columns}
                while True:
                    before = reader.line_num
                    rows = _next_rows(reader, lines, at_most)
                    if not rows:
                        break
                    chunk = _chunk(rows, before, reader.line_num, (len(header), self.delimiter), pick)
                    yield _unescaped(chunk) if self._escaped else chunk
                    if progress:
                        progress(self.size + raw.tell(), 2 * self.size)
            except csv.Error as fault:
                line = self._faulty_line()
                raise LogFileError(
                    f"{self.path}: the row at line {line} is malformed ({fault}); correct its quotes"
                ) from fault

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        header = next(reader, [])
        if len(header) > MAX_FILE_COLUMNS:
            raise LogFileError(f"{self.path}: has {len(header):,} columns; at most {MAX_FILE_COLUMNS:,} are read")
        return list(with_formulas(header)) if self._escaped else header

    def _scan(self) -> str:
        """Check the bytes of the file, note its longest line, and return the digest of its content."""
        digest, line, length, n_bytes = hashlib.blake2b(digest_size=8), 1, 0, 0
        decode = codecs.getincrementaldecoder("utf-8")().decode
        with file_faults(self.path), opened(self.path) as (raw, content):
            while block := content.read(_BLOCK):
                digest.update(block)
                if (at := block.find(b"\0")) >= 0:
                    line += block.count(b"\n", 0, at)
                    raise LogFileError(
                        f"{self.path}: line {line} has a NUL byte; it is not a text file, or it is damaged"
                    )
                try:
                    decode(block)
                except UnicodeDecodeError as fault:
                    raise self._not_utf8(line, fault) from fault
                length = self._measure(block, length, line)
                line += block.count(b"\n")
                n_bytes += len(block)
                check_inflation(self.path, n_bytes, raw.tell())
                if self._progress:
                    self._progress(raw.tell(), 2 * self.size)
            try:
                decode(b"", final=True)
            except UnicodeDecodeError as fault:
                raise self._not_utf8(line, fault) from fault
        return digest.hexdigest()

    def _measure(self, block: bytes, length: int, line: int) -> int:
        """Note the longest line and whether there are quotes; return how long the unfinished line is."""
        self._has_quotes = self._has_quotes or b'"' in block
        characters = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero((characters == _NEWLINE) | (characters == _RETURN))
        if len(ends):
            length += int(ends[0])
            longest = max(length, int(np.diff(ends).max(initial=0)))
            length = len(block) - 1 - int(ends[-1])
        else:
            longest = length = length + len(block)
        self._longest_line = max(self._longest_line, longest, length)
        if self._longest_line > MAX_LINE:
            raise LogFileError(
                f"{self.path}: a line from line {line} on has more than {MAX_LINE:,} bytes; correct the file"
            )
        return length

    def _not_utf8(self, line: int, fault: UnicodeDecodeError) -> LogFileError:
        at = line + fault.object[: fault.start].count(b"\n")
        return LogFileError(f"{self.path}: line {at} is not UTF-8 text; save the file as UTF-8")

    def _faulty_line(self) -> int:
        """Return the line at which the first malformed row begins."""
        with opened(self.path) as (_, content):
            text: TextIO = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            lines = _CountedLines(text)
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            last = 0
            try:
                for _ in reader:
                    last, lines.complete = reader.line_num, lines.given
            except csv.Error:
                pass
            return last + 1


class _CountedLines:
    """The lines of a file, whose characters are counted; csv.Error where one row has more than a chunk may.

    `given` counts the characters handed out so far, `complete` those up to the end of the last whole row.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.given = self.complete = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.given += len(line)
        if self.given - self.complete > CHUNK_TEXT:
            raise csv.Error(f"it goes on for more than {CHUNK_TEXT:,} characters")
        return line


def _next_rows(reader: Iterator[list[str]], lines: _CountedLines | None, at_most: int) -> list[list[str]]:
    """Return the next rows, at most `at_most`; fewer where quoted fields, which may have many lines, are long."""
    if lines is None:
        return list(islice(reader, at_most))
    rows: list[list[str]] = []
    start = lines.complete = lines.given
    for row in reader:
        rows.append(row)
        lines.complete = lines.given
        if len(rows) == at_most or lines.given - start > CHUNK_TEXT:
            break
    return rows


def _chunk(
    rows: list[list[str]], before: int, after: int, shape: tuple[int, str], pick: dict[str, itemgetter[int]]
) -> SourceChunk:
    """Return rows as a chunk; `before` and `after` are the numbers of lines read before and after them.

    `shape` has the number of fields and the delimiter.
    """
    n_fields, delimiter = shape
    lines = before + 1 + np.arange(len(rows), dtype=np.int64) if after - before == len(rows) else _lines(rows, before)
    widths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    misfits: list[tuple[int, int]] = []
    split: list[list[str]] = []
    if (widths != n_fields).any():
        wrong = np.flatnonzero((widths != n_fields) & (widths > 0))  # an empty line is no row
        misfits = list(zip(lines[wrong].tolist(), widths[wrong].tolist(), strict=True))
        split = [whole for row in wrong.tolist() if (whole := rejoined(rows[row], n_fields, delimiter))]
        kept = np.flatnonzero(widths == n_fields).tolist()
        rows, lines = [rows[row] for row in kept], lines[kept]
    return SourceChunk(
        lines,
        {name: list(map(get, rows)) for name, get in pick.items()},
        misfits,
        n_fields,
        split={name: list(map(get, split)) for name, get in pick.items()} if split else {},
    )


def _unescaped(chunk: SourceChunk) -> SourceChunk:
    """Return a chunk whose texts are as they were before the export wrote an apostrophe before formulas."""
    return replace(
        chunk,
        columns={name: with_formulas(texts) for name, texts in chunk.columns.items()},
        split={name: with_formulas(texts) for name, texts in chunk.split.items()},
    )


def _lines(rows: list[list[str]], before: int) -> IntArray:
    """Return the line at which each row begins, (n,), where quoted fields have line ends in them."""
    extra = [sum(len(_LINE_END.findall(field)) for field in row if not field.isprintable()) for row in rows]
    ends = before + np.cumsum(np.array(extra, dtype=np.int64) + 1)
    return np.concatenate(([before], ends[:-1])) + 1

"""CSV and gzipped CSV as a source of columns: surveyed whole first, then read in chunks by the csv module."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Self, TextIO, cast

import numpy as np

from bandit.domain import IntArray, Progress
from bandit.errors import LogFileError
from bandit.logfiles.sources.source import SourceChunk, require_columns

GZIP_MAGIC = b"\x1f\x8b"

MAX_LINE = 4 << 20
"""Most bytes of a line of CSV."""

MAX_FILE_COLUMNS = 10_000
"""Most columns of a file."""

CHUNK_TEXT = 32 << 20
"""Characters of a file after which a chunk ends, however few its rows; in memory they may take twenty times as much."""

MAX_INFLATION, INFLATION_FROM = 200, 100_000_000
"""How many times as large as its gzip file a log may be, once it has so many bytes."""

_BLOCK = 1 << 20
_NEWLINE, _RETURN = b"\n\r"
_LINE_END = re.compile(r"\r\n|\r|\n")


class CsvSource:
    """One CSV file, plain or gzipped."""

    def __init__(self, path: Path, delimiter: str, progress: Progress | None = None) -> None:
        """Survey the file: LogFileError for NUL bytes, text that is not UTF-8, a damaged gzip and what is too large."""
        self.path = path
        self.delimiter = delimiter
        self._progress = progress
        with _faults(path):
            self.size = path.stat().st_size
        self._longest = 0
        self._quoted = False
        self.digest = self._survey()

    @property
    def columns(self) -> Sequence[str]:
        """The names in its header."""
        with _faults(self.path), self._opened() as (_, content):
            text = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            try:
                return self._header(csv.reader(_Feed(text), delimiter=self.delimiter, strict=True))
            except csv.Error as fault:
                raise LogFileError(f"{self.path}: line 1 is malformed ({fault}); mend its quotes") from fault

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[SourceChunk]:
        """Yield the rows in order, at most `size` at a time; LogFileError for bad quoting and missing columns."""
        with _faults(self.path), self._opened() as (raw, content):
            text = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            feed = _Feed(text) if self._quoted else None
            reader = csv.reader(feed or text, delimiter=self.delimiter, strict=True)
            at_most = min(size, max(1, CHUNK_TEXT // max(self._longest, 1)))
            try:
                header = self._header(reader)
                if not header:
                    raise LogFileError(f"{self.path}: has no header; its first line must name the columns")
                require_columns(self.path, "line 1", header, columns)
                pick = {name: itemgetter(header.index(name)) for name in columns}
                while True:
                    before = reader.line_num
                    rows = self._some(reader, feed, at_most)
                    if not rows:
                        break
                    yield _chunk(rows, before, reader.line_num, len(header), pick)
                    if progress:
                        progress(self.size + raw.tell(), 2 * self.size)
            except csv.Error as fault:
                line = self._faulty_line()
                raise LogFileError(
                    f"{self.path}: the row at line {line} is malformed ({fault}); mend its quotes"
                ) from fault

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        header = next(reader, [])
        if len(header) > MAX_FILE_COLUMNS:
            raise LogFileError(f"{self.path}: has {len(header):,} columns; at most {MAX_FILE_COLUMNS:,} are read")
        return header

    def _some(self, reader: Iterator[list[str]], feed: _Feed | None, at_most: int) -> list[list[str]]:
        """Return the next rows; where fields are quoted a row may go over many lines, and their text is counted."""
        if feed is None:
            return list(islice(reader, at_most))
        rows: list[list[str]] = []
        start = feed.complete = feed.given
        for row in reader:
            rows.append(row)
            feed.complete = feed.given
            if len(rows) == at_most or feed.given - start > CHUNK_TEXT:
                break
        return rows

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, io.BufferedIOBase]]:
        with self.path.open("rb") as raw:
            if raw.peek(2)[:2] == GZIP_MAGIC:
                with gzip.GzipFile(fileobj=raw) as content:
                    yield raw, content
            else:
                yield raw, raw

    def _survey(self) -> str:
        digest, line, begun, n_bytes = hashlib.blake2b(digest_size=8), 1, 0, 0
        decode = codecs.getincrementaldecoder("utf-8")().decode
        with _faults(self.path), self._opened() as (raw, content):
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
                begun = self._measure(block, begun, line)
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

    def _measure(self, block: bytes, begun: int, line: int) -> int:
        """Note the longest line and whether anything is quoted; return how long the line is that goes on."""
        self._quoted = self._quoted or b'"' in block
        characters = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero((characters == _NEWLINE) | (characters == _RETURN))
        if len(ends):
            begun += int(ends[0])
            longest = max(begun, int(np.diff(ends).max(initial=0)))
            begun = len(block) - 1 - int(ends[-1])
        else:
            longest = begun = begun + len(block)
        self._longest = max(self._longest, longest, begun)
        if self._longest > MAX_LINE:
            raise LogFileError(
                f"{self.path}: a line from line {line} on has more than {MAX_LINE:,} bytes; mend the file"
            )
        return begun

    def _not_utf8(self, line: int, fault: UnicodeDecodeError) -> LogFileError:
        at = line + fault.object[: fault.start].count(b"\n")
        return LogFileError(f"{self.path}: line {at} is not UTF-8 text; save the file as UTF-8")

    def _faulty_line(self) -> int:
        """Return the line at which the first malformed row begins."""
        with self._opened() as (_, content):
            text: TextIO = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            feed = _Feed(text)
            reader = csv.reader(feed, delimiter=self.delimiter, strict=True)
            last = 0
            try:
                for _ in reader:
                    last, feed.complete = reader.line_num, feed.given
            except csv.Error:
                pass
            return last + 1


class _Feed:
    """The lines of a file; csv.Error where one row takes more text than a chunk may."""

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


def check_inflation(path: Path, n_bytes: int, n_stored: int) -> None:
    """LogFileError where a zipped file turns out larger than any log does."""
    if n_bytes > INFLATION_FROM and n_bytes > MAX_INFLATION * n_stored:
        raise LogFileError(
            f"{path}: is more than {MAX_INFLATION} times as large as its gzip file; unpack it first if it is sound"
        )


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn what reading can raise into one sentence."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as fault:
        raise LogFileError(f"{path}: is a damaged or truncated gzip file ({fault}); copy it again") from fault
    except OSError as fault:
        raise LogFileError(f"{path}: cannot be read: {fault.strerror or fault}; give the path of a log") from fault


def _chunk(
    rows: list[list[str]], before: int, after: int, n_fields: int, pick: dict[str, itemgetter[int]]
) -> SourceChunk:
    lines = before + 1 + np.arange(len(rows), dtype=np.int64) if after - before == len(rows) else _lines(rows, before)
    widths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    misfits: list[tuple[int, int]] = []
    if (widths != n_fields).any():
        wrong = np.flatnonzero((widths != n_fields) & (widths > 0))  # an empty line is no row
        misfits = list(zip(lines[wrong].tolist(), widths[wrong].tolist(), strict=True))
        kept = np.flatnonzero(widths == n_fields).tolist()
        rows, lines = [rows[row] for row in kept], lines[kept]
    return SourceChunk(lines, {name: list(map(get, rows)) for name, get in pick.items()}, misfits, n_fields)


def _lines(rows: list[list[str]], before: int) -> IntArray:
    """Return where each row begins when quoted fields have line ends in them."""
    extra = [sum(len(_LINE_END.findall(field)) for field in row if not field.isprintable()) for row in rows]
    ends = before + np.cumsum(np.array(extra, dtype=np.int64) + 1)
    return np.concatenate(([before], ends[:-1])) + 1

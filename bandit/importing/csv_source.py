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
from typing import BinaryIO, TextIO, cast

import numpy as np

from bandit.domain import IntArray
from bandit.errors import LogFileError
from bandit.importing.source import Chunk, Progress, require_columns

GZIP = b"\x1f\x8b"

_BLOCK = 1 << 20
_LINE_END = re.compile(r"\r\n|\r|\n")


class CsvSource:
    """One CSV file, plain or gzipped."""

    def __init__(self, path: Path, delimiter: str, progress: Progress | None = None) -> None:
        """Survey the file: LogFileError for NUL bytes, text that is not UTF-8 and a damaged gzip."""
        self.path = path
        self.delimiter = delimiter
        self._progress = progress
        with _faults(path):
            self.size = path.stat().st_size
        self.digest = self._survey()

    @property
    def columns(self) -> Sequence[str]:
        """The names in its header."""
        with _faults(self.path), self._opened() as (_, content):
            text = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            try:
                return next(csv.reader(text, delimiter=self.delimiter, strict=True), [])
            except csv.Error as fault:
                raise LogFileError(f"{self.path}: line 1 is malformed ({fault}); mend its quotes") from fault

    def chunks(self, columns: Sequence[str], size: int, progress: Progress | None) -> Iterator[Chunk]:
        """Yield the rows in order, at most `size` at a time; LogFileError for bad quoting and missing columns."""
        with _faults(self.path), self._opened() as (raw, content):
            text = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            reader = csv.reader(text, delimiter=self.delimiter, strict=True)
            try:
                header = next(reader, [])
                if not header:
                    raise LogFileError(f"{self.path}: has no header; its first line must name the columns")
                require_columns(self.path, "line 1", header, columns)
                pick = {name: itemgetter(header.index(name)) for name in columns}
                while True:
                    before = reader.line_num
                    rows = list(islice(reader, size))
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

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, io.BufferedIOBase]]:
        with self.path.open("rb") as raw:
            if raw.peek(2)[:2] == GZIP:
                with gzip.GzipFile(fileobj=raw) as content:
                    yield raw, content
            else:
                yield raw, raw

    def _survey(self) -> str:
        digest, line = hashlib.blake2b(digest_size=8), 1
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
                line += block.count(b"\n")
                if self._progress:
                    self._progress(raw.tell(), 2 * self.size)
            try:
                decode(b"", final=True)
            except UnicodeDecodeError as fault:
                raise self._not_utf8(line, fault) from fault
        return digest.hexdigest()

    def _not_utf8(self, line: int, fault: UnicodeDecodeError) -> LogFileError:
        at = line + fault.object[: fault.start].count(b"\n")
        return LogFileError(f"{self.path}: line {at} is not UTF-8 text; save the file as UTF-8")

    def _faulty_line(self) -> int:
        """Return the line at which the first malformed row begins."""
        with self._opened() as (_, content):
            text: TextIO = io.TextIOWrapper(cast("BinaryIO", content), encoding="utf-8-sig", newline="")
            reader = csv.reader(text, delimiter=self.delimiter, strict=True)
            last = 0
            try:
                for _ in reader:
                    last = reader.line_num
            except csv.Error:
                pass
            return last + 1


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn what reading can raise into one sentence."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as fault:
        raise LogFileError(f"{path}: is a damaged or truncated gzip file ({fault}); copy it again") from fault
    except OSError as fault:
        raise LogFileError(f"{path}: cannot be read: {fault.strerror or fault}; give the path of a log") from fault


def _chunk(rows: list[list[str]], before: int, after: int, n_fields: int, pick: dict[str, itemgetter[int]]) -> Chunk:
    lines = before + 1 + np.arange(len(rows), dtype=np.int64) if after - before == len(rows) else _lines(rows, before)
    widths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    misfits: list[tuple[int, int]] = []
    if (widths != n_fields).any():
        wrong = np.flatnonzero((widths != n_fields) & (widths > 0))  # an empty line is no row
        misfits = list(zip(lines[wrong].tolist(), widths[wrong].tolist(), strict=True))
        kept = np.flatnonzero(widths == n_fields).tolist()
        rows, lines = [rows[row] for row in kept], lines[kept]
    return Chunk(lines, {name: list(map(get, rows)) for name, get in pick.items()}, misfits, n_fields)


def _lines(rows: list[list[str]], before: int) -> IntArray:
    """Return where each row begins when quoted fields have line ends in them."""
    extra = [sum(len(_LINE_END.findall(field)) for field in row if not field.isprintable()) for row in rows]
    ends = before + np.cumsum(np.array(extra, dtype=np.int64) + 1)
    return np.concatenate(([before], ends[:-1])) + 1

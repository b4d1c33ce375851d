"""Rows that are refused: counted, and listed by line and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, IntArray
from bandit.printable import plain


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused row: its line in the file (its row, in Parquet) and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the rows of a file: n_rows = n_imported + n_repeated + n_refused.

    `n_repeated` rows were in the log before, with the same content. `refused` lists the first refused rows by line,
    `by_reason` counts all of them by kind of fault.
    """

    n_rows: int
    n_imported: int
    n_repeated: int
    n_refused: int
    refused: tuple[Rejection, ...]
    by_reason: Mapping[str, int]


class Rejections:
    """All refused rows of a file; keeps the words of the first `max_listed` and the count of every kind."""

    def __init__(self, max_listed: int) -> None:
        self.max_listed = max_listed
        self.by_reason: Counter[str] = Counter()
        self.listed: list[Rejection] = []

    @property
    def n(self) -> int:
        """The number of rows refused so far."""
        return self.by_reason.total()

    def of(self, lines: IntArray) -> RowRejections:
        """Return the refusals of the next rows, which stand on these lines."""
        return RowRejections(self, lines)


class RowRejections:
    """The refusals of one chunk of rows; `ok` marks the rows that nothing has refused yet."""

    def __init__(self, whole: Rejections, lines: IntArray) -> None:
        self.whole = whole
        self.lines = lines
        self.ok: BoolArray = np.ones(len(lines), dtype=np.bool_)
        self._words: list[Rejection] = []

    def refuse(self, rows: BoolArray, kind: str, words: Callable[[int], str]) -> None:
        """Refuse the rows marked, unless something refused them before; `words` says why, for one row."""
        fresh = np.flatnonzero(rows & self.ok)
        if not len(fresh):
            return
        self.ok[fresh] = False
        self.whole.by_reason[kind] += len(fresh)
        room = self.whole.max_listed - len(self.whole.listed)
        self._words += [Rejection(int(self.lines[row]), plain(words(row))) for row in fresh[:room].tolist()]

    def add(self, line: int, kind: str, words: str) -> None:
        """Refuse a row that is not among the chunk's rows, such as one that does not have its columns."""
        self.whole.by_reason[kind] += 1
        if len(self._words) + len(self.whole.listed) < self.whole.max_listed:
            self._words.append(Rejection(line, words))

    def close(self) -> BoolArray:
        """List the chunk's refusals by line and return the rows that are left."""
        self._words.sort(key=lambda refusal: refusal.line)
        room = self.whole.max_listed - len(self.whole.listed)
        self.whole.listed += self._words[:room]
        return self.ok

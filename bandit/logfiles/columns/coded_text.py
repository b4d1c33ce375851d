"""Columns of text with their numbers, times or distinct texts known, so that nothing is parsed row by row.

Each is a sequence of texts like any other, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np

from bandit.domain import FloatArray, IntArray


class CodedTexts(Sequence[str]):
    """n texts of which few are distinct: `distinct` are these, and `codes` (n,) is which of them each row has."""

    def __init__(self, distinct: Sequence[str], codes: IntArray) -> None:
        self.distinct = distinct
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str]:
        return map(self.distinct.__getitem__, self.codes.tolist())

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            return CodedTexts(self.distinct, self.codes[row])
        return self.distinct[int(self.codes[row])]


def coded(texts: Sequence[str]) -> CodedTexts:
    """Return a column of texts with each distinct text once."""
    if isinstance(texts, CodedTexts):
        return texts
    distinct = list(dict.fromkeys(texts))
    places = dict(zip(distinct, range(len(distinct)), strict=True))
    return CodedTexts(distinct, np.fromiter(map(places.__getitem__, texts), dtype=np.int64, count=len(texts)))


class _LazyTexts(Sequence[str]):
    """A column whose texts are made when they are first asked for."""

    def __init__(self, write: Callable[[], list[str]], n: int) -> None:
        self._write = write
        self._n = n
        self._texts: list[str] | None = None

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        return self._all()[row]

    def _all(self) -> list[str]:
        if self._texts is None:
            self._texts = self._write()
        return self._texts


class NumberTexts(_LazyTexts):
    """n texts whose `numbers` (n,) are known: NaN for a blank, infinity for a number that is not finite."""

    def __init__(self, numbers: FloatArray, write: Callable[[], list[str]]) -> None:
        super().__init__(write, len(numbers))
        self.numbers = numbers


class TimeTexts(_LazyTexts):
    """n texts whose times are known as `microseconds` (n,); `values.INVALID_TIME` for a blank."""

    def __init__(self, microseconds: IntArray, write: Callable[[], list[str]]) -> None:
        super().__init__(write, len(microseconds))
        self.microseconds = microseconds


def take_texts(texts: Sequence[str], rows: IntArray) -> Sequence[str]:
    """Return the texts of some rows, with what is known of the column."""
    places = rows.tolist()
    if isinstance(texts, CodedTexts):
        return CodedTexts(texts.distinct, texts.codes[rows])
    if isinstance(texts, NumberTexts):
        return NumberTexts(texts.numbers[rows], lambda: list(map(texts.__getitem__, places)))
    if isinstance(texts, TimeTexts):
        return TimeTexts(texts.microseconds[rows], lambda: list(map(texts.__getitem__, places)))
    return list(map(texts.__getitem__, places))

"""Columns of text with their numbers, times or distinct texts known, so that nothing is parsed row by row.

Each is a sequence of texts like any other, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.domain.mixed_numbers import UnsignedArray
from bandit.domain.text_hashes import ByteArray, byte_hashes, text_hashes

_SPACE, _PLUS, _MINUS, _ASCII = ord(" "), ord("+"), ord("-"), 128


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


class Utf8Texts(_LazyTexts):
    """n texts of which most are distinct, as their bytes: text i is `data[offsets[i] : offsets[i + 1]]` in UTF-8."""

    def __init__(self, data: ByteArray, offsets: IntArray, write: Callable[[], list[str]]) -> None:
        super().__init__(write, len(offsets) - 1)
        self.data, self.offsets = data, offsets
        self.sizes: IntArray = np.diff(offsets)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...
    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice) or self._texts is not None or not 0 <= row < len(self):
            return super().__getitem__(row)
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()

    def odd(self) -> BoolArray:
        """Return which texts are empty, or begin or end with white space or a sign beyond ASCII, (n,)."""
        empty: BoolArray = self.sizes == 0
        if not len(self.data):
            return empty
        first = self.data[np.minimum(self.offsets[:-1], len(self.data) - 1)]
        last = self.data[self.offsets[1:] - 1]
        return np.asarray(empty | (first <= _SPACE) | (first >= _ASCII) | (last <= _SPACE) | (last >= _ASCII))

    def like_numbers(self, digits: int = 1) -> BoolArray:
        """Return which texts may be numbers, (n,): sign or digit first, then digits up to a place, a digit at the end.

        Texts of fewer than `digits` bytes are none.
        """
        found = self.sizes >= max(digits, 1)
        rows = np.flatnonzero(found)
        first, last = self.data[self.offsets[rows]], self.data[self.offsets[rows + 1] - 1]
        rows = rows[(_is_digit(first) | (first == _PLUS) | (first == _MINUS)) & _is_digit(last)]
        for place in range(1, digits):
            rows = rows[_is_digit(self.data[self.offsets[rows] + place])]
        found[:] = False
        found[rows] = True
        return found

    def hashes(self) -> UnsignedArray:
        """Return the hashes of `bandit.domain.text_hashes`, (n,)."""
        return byte_hashes(self.data, self.offsets)


def _is_digit(signs: ByteArray) -> BoolArray:
    return np.asarray((signs >= ord("0")) & (signs <= ord("9")))


def hashes_of(texts: Sequence[str]) -> UnsignedArray:
    """Return the hashes of a column of texts, (n,), as `bandit.domain.text_hashes` has them."""
    if isinstance(texts, Utf8Texts):
        return texts.hashes()
    if isinstance(texts, CodedTexts):
        return text_hashes(texts.distinct)[texts.codes]
    return text_hashes(texts)


def marked(texts: Sequence[str], unusual: Callable[[str], bool], odd: Callable[[Utf8Texts], BoolArray]) -> BoolArray:
    """Return for which of n texts a test holds, (n,); it is asked for each distinct text at most once.

    `odd` returns, for texts of which the bytes are known, those for which the test may hold: only these are asked.
    """
    if isinstance(texts, CodedTexts):
        return np.fromiter(map(unusual, texts.distinct), dtype=np.bool_, count=len(texts.distinct))[texts.codes]
    if isinstance(texts, Utf8Texts):
        found = odd(texts)
        rows = np.flatnonzero(found)
        found[rows] = [unusual(texts[row]) for row in rows.tolist()]
        return found
    holds = {text for text in set(texts) if unusual(text)}
    if not holds:
        return np.zeros(len(texts), dtype=np.bool_)
    return np.fromiter(map(holds.__contains__, texts), dtype=np.bool_, count=len(texts))


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

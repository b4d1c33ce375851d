"""Digests of the first rows of a log, by which a longer export of the same log is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.domain import IntArray
    from bandit.logfiles.sources.source import SourceChunk

_END_OF_TEXT = "\x1f"
_COUNTED_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class RowsDigest:
    """The digest of the first n rows, the last of which is at `line`: of what identifies them, and of all they say."""

    n: int
    line: int
    rows: str
    whole: str


class RowDigests:
    """Digests the rows of a log as they come, and keeps the digests at 1, 2, 4, ... rows and at the numbers asked for.

    `columns` identify a row, `outcomes` say what came of it, which may still change. The digest does not depend on how
    the rows are cut into chunks.
    """

    def __init__(self, columns: Sequence[str], outcomes: Sequence[str], at: Sequence[int] = ()) -> None:
        self.columns, self.outcomes = tuple(columns), tuple(dict.fromkeys(outcomes))
        self._asked = set(at)
        self._hashes = {name: blake2b(digest_size=16) for name in dict.fromkeys((*self.columns, *self.outcomes))}
        self._numbers: tuple[dict[tuple[str, ...], int], dict[tuple[str, ...], int]] = ({}, {})
        self._codes: tuple[list[int], list[int]] = ([], [])
        self._line = 0
        self.n = 0
        self.kept: dict[int, RowsDigest] = {}

    def add(self, chunk: SourceChunk) -> None:
        """Add the rows of a chunk."""
        self._count(chunk)
        start, n = 0, len(chunk)
        while start < n:
            stop = min(n, self._next_kept() - self.n + start)
            for name, content in self._hashes.items():
                content.update((_END_OF_TEXT.join(chunk.columns[name][start:stop]) + _END_OF_TEXT).encode())
            self.n += stop - start
            self._line = int(chunk.lines[stop - 1])
            start = stop
            if self.n in self._asked or not self.n & (self.n - 1):
                self.kept[self.n] = self._digest()

    def all(self) -> RowsDigest:
        """Return the digest of all rows so far."""
        return self._digest()

    def bits(self, n: int, *, whole: bool) -> float:
        """Return how improbable it is that the first n rows of another log are the same by chance, in bits.

        It is n times the entropy of a row, or of a row given the one before where few rows are distinct: rows in order
        of their offers, or with offers that alternate, say little.
        """
        codes = np.array(self._codes[1 if whole else 0], dtype=np.int64)
        if len(codes) < 2:
            return 0.0
        alone, distinct = _entropy(codes), int(codes.max()) + 1
        if 2 * distinct * distinct > len(codes):
            return alone * n
        pairs = codes[:-1] * distinct + codes[1:]
        return max(0.0, _entropy(pairs) - _entropy(codes[:-1])) * n

    def _next_kept(self) -> int:
        """Return the next number of rows whose digest is kept."""
        power = 1 << self.n.bit_length()
        return min([power, *(at for at in self._asked if at > self.n)])

    def _digest(self) -> RowsDigest:
        return RowsDigest(self.n, self._line, self._of(self.columns), self._of((*self.columns, *self.outcomes)))

    def _of(self, columns: Sequence[str]) -> str:
        joined = blake2b(digest_size=16)
        for name in columns:
            joined.update(self._hashes[name].digest())
        return joined.hexdigest()

    def _count(self, chunk: SourceChunk) -> None:
        """Number the distinct rows among the first ones."""
        room = min(_COUNTED_ROWS - self.n, len(chunk))
        if room <= 0:
            return
        for names, numbers, codes in zip(
            (self.columns, (*self.columns, *self.outcomes)), self._numbers, self._codes, strict=True
        ):
            rows = zip(*(chunk.columns[name][:room] for name in names), strict=True) if names else [()] * room
            codes += [numbers.setdefault(row, len(numbers)) for row in rows]


def _entropy(codes: IntArray) -> float:
    """Return the entropy of the frequencies of some codes, in bits."""
    _, counts = np.unique(codes, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def digest_of(entry: Sequence[object]) -> RowsDigest:
    """Return a digest from its JSON form."""
    n, line, rows, whole = entry
    return RowsDigest(int(str(n)), int(str(line)), str(rows), str(whole))


def digests_json(digests: RowDigests) -> list[list[object]]:
    """Return the digests that are kept and that of all rows, the shortest first, in JSON form."""
    kept: Mapping[int, RowsDigest] = digests.kept | {digests.n: digests.all()}
    return [[each.n, each.line, each.rows, each.whole] for _, each in sorted(kept.items())]

"""Cluster keys as integers, and a stable share in [0, 1) of each, by which clusters are dealt into parts.

The share depends on the key and the salt alone: not on the run, the order of rows or the size of batches.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray, ObjectArray

_SHIFT = np.uint64(11)
_UNIT = 2.0**-53


class _Numbers(dict[object, int]):
    """Key -> number in order of appearance; a new key is hashed once."""

    def __init__(self, salt: str) -> None:
        super().__init__()
        self.salt = hashlib.blake2b(salt.encode(), digest_size=16).digest()
        self.hashes = array("Q")

    def __missing__(self, key: object) -> int:
        number = len(self)
        self[key] = number
        digest = hashlib.blake2b(str(key).encode(), digest_size=8, key=self.salt).digest()
        self.hashes.append(int.from_bytes(digest, "big"))
        return number


class Keys:
    """Numbers the clusters of a log as they appear, batch after batch; memory grows with their number.

    A log without keys has as many clusters as rows: a row's key is then its place in the log, and nothing is kept.
    """

    def __init__(self, salt: str = "") -> None:
        self._numbers = _Numbers(salt)
        self._seed = np.uint64(int.from_bytes(self._numbers.salt[:8], "big"))
        self._rows = 0

    def read(self, keys: ObjectArray, n: int) -> tuple[IntArray | None, FloatArray]:
        """Return the numbers (None where `keys` is empty) and the shares of the log's next n rows."""
        if not len(keys):
            places = np.arange(self._rows, self._rows + n, dtype=np.uint64)
            self._rows += n
            return None, _share(_mix(places + self._seed))
        numbers = np.fromiter(map(self._numbers.__getitem__, keys), dtype=np.int64, count=n)
        return numbers, _share(np.array(self._numbers.hashes, dtype=np.uint64)[numbers])


def _share(hashes: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> FloatArray:
    return (hashes >> _SHIFT).astype(np.float64) * _UNIT


def _mix(x: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return well mixed 64-bit numbers: the finaliser of Steele, Lea and Flood 2014 (SplitMix)."""
    x = x * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

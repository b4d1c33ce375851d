"""Cluster keys as integer ids, and a stable hash of each key in [0, 1) by which clusters are assigned to folds.

The hash depends on the key and the salt only: not on the run, the order of rows or the size of batches.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain.mixed_numbers import mixed

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray, ObjectArray
    from bandit.domain.mixed_numbers import UnsignedArray

_SHIFT = np.uint64(11)
_UNIT = 2.0**-53


class _KeyIds(dict[object, int]):
    """Key -> id in order of first appearance; each key is hashed once, when it first appears."""

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


class ClusterIndex:
    """Assigns ids to the cluster keys of a log in order of first appearance, batch by batch.

    Memory grows with the number of distinct keys. In a log without keys each row is a cluster of its own, whose key is
    its position in the log; then nothing is stored.
    """

    def __init__(self, salt: str = "") -> None:
        self._ids = _KeyIds(salt)
        self._seed = np.uint64(int.from_bytes(self._ids.salt[:8], "big"))
        self._rows = 0

    def read(self, keys: ObjectArray, n: int) -> tuple[IntArray | None, FloatArray]:
        """Return the (n,) ids (None where `keys` is empty) and the (n,) hashes in [0, 1) of the log's next n rows."""
        if not len(keys):
            positions = np.arange(self._rows, self._rows + n, dtype=np.uint64)
            self._rows += n
            return None, _unit_interval(mixed(positions + self._seed))
        ids = np.fromiter(map(self._ids.__getitem__, keys), dtype=np.int64, count=n)
        return ids, _unit_interval(np.array(self._ids.hashes, dtype=np.uint64)[ids])

    @property
    def hashes(self) -> UnsignedArray:
        """The 64-bit hash of each key by its id, (ids,): the same in every log, whatever the order of its rows."""
        return np.array(self._ids.hashes, dtype=np.uint64)


def share_numbers(shares: FloatArray) -> IntArray:
    """Return a whole number below 2^53 for the share in [0, 1) of each customer, (n,): equal where the shares are."""
    return (shares / _UNIT).astype(np.int64)


def _unit_interval(hashes: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> FloatArray:
    return (hashes >> _SHIFT).astype(np.float64) * _UNIT

"""Cluster keys as integer ids, and a stable hash of each key in [0, 1) by which clusters are assigned to folds.

The hash depends on the key and the salt only: not on the run, the order of rows or the size of batches.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain.mixed_numbers import mixed
from bandit.domain.text_hashes import text_hashes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bandit.domain import Contexts, FloatArray, IntArray, ObjectArray
    from bandit.domain.mixed_numbers import UnsignedArray

_SHIFT = np.uint64(11)
_UNIT = 2.0**-53


class _KeyIds(dict[object, int]):
    """Key -> id in order of first appearance; each key is hashed once, when it first appears."""

    def __init__(self, salt: str) -> None:
        super().__init__()
        self.salt = hashlib.blake2b(salt.encode(), digest_size=16).digest()
        self.hashes = array("Q")
        self._hasher = hashlib.blake2b(digest_size=8, key=self.salt)

    def __missing__(self, key: object) -> int:
        number = len(self)
        self[key] = number
        self.add_hashes((key,))
        return number

    def add_hashes(self, keys: Iterable[object]) -> None:
        """Append the hashes of new keys under the salt."""
        digests = bytearray()
        for key in keys:
            hasher = self._hasher.copy()
            hasher.update(str(key).encode())
            digests += hasher.digest()
        self.hashes.frombytes(np.frombuffer(digests, dtype=">u8").astype(np.uint64).tobytes())


class _HashIds:
    """Hash of a key -> id in order of first appearance, in sorted arrays: some 24 bytes a key."""

    def __init__(self) -> None:
        self._hashes, self._ids = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)

    def read(self, hashes: UnsignedArray) -> tuple[IntArray, IntArray]:
        """Return the (n,) ids of hashes, and the first row of each that is new, in order of appearance."""
        order = np.argsort(hashes)
        rising = hashes[order]
        begins = np.ones(len(rising), dtype=np.bool_)
        begins[1:] = rising[1:] != rising[:-1]
        distinct, first = rising[begins], np.minimum.reduceat(order, np.flatnonzero(begins))
        place = np.searchsorted(self._hashes, distinct)
        known = place < len(self._hashes)
        known[known] = self._hashes[place[known]] == distinct[known]
        found = np.empty(len(distinct), dtype=np.int64)
        found[known] = self._ids[place[known]]
        new = np.flatnonzero(~known)
        appearance = np.argsort(first[new])
        found[new[appearance]] = np.arange(len(self._ids), len(self._ids) + len(new))
        if len(new):
            self._hashes = np.insert(self._hashes, place[new], distinct[new])
            self._ids = np.insert(self._ids, place[new], found[new])
        ids = np.empty(len(hashes), dtype=np.int64)
        ids[order] = np.repeat(found, np.diff(np.append(np.flatnonzero(begins), len(rising))))
        return ids, first[new[appearance]]


class ClusterIndex:
    """Assigns ids to the cluster keys of a log in order of first appearance, batch by batch.

    Memory grows with the number of distinct keys, which are kept where their hashes are not given. In a log without
    keys each row is a cluster of its own, whose key is its position in the log; then nothing is stored.
    """

    def __init__(self, salt: str = "") -> None:
        self._ids = _KeyIds(salt)
        self._by_hash: _HashIds | None = None
        self._seed = np.uint64(int.from_bytes(self._ids.salt[:8], "big"))
        self._rows = 0

    def read_batch(self, contexts: Contexts) -> tuple[IntArray | None, FloatArray]:
        """Return what `read` does of the customers of a batch."""
        return self.read(contexts.customers, len(contexts), contexts.customer_hashes)

    def read(
        self, keys: ObjectArray, n: int, hashes: UnsignedArray | None = None
    ) -> tuple[IntArray | None, FloatArray]:
        """Return the (n,) ids (None where `keys` is empty) and the (n,) hashes in [0, 1) of the log's next n rows.

        `hashes` (n,) may be given as `bandit.domain.text_hashes` makes them of the keys, which must be texts then; it
        saves looking each key up. Ids and hashes in [0, 1) are the same with them and without.
        """
        if not len(keys):
            positions = np.arange(self._rows, self._rows + n, dtype=np.uint64)
            self._rows += n
            return None, _unit_interval(mixed(positions + self._seed))
        known = hashes is not None and len(hashes) == n
        if self._by_hash is None and known and not len(self._ids.hashes):
            self._by_hash = _HashIds()
        if self._by_hash is None:
            ids = np.fromiter(map(self._ids.__getitem__, keys), dtype=np.int64, count=n)
        else:
            given = hashes if hashes is not None and known else text_hashes(list(map(str, keys)))
            ids, new = self._by_hash.read(given)
            self._ids.add_hashes(keys[new].tolist())
        return ids, _unit_interval(np.frombuffer(self._ids.hashes, dtype=np.uint64)[ids])

    @property
    def hashes(self) -> UnsignedArray:
        """The 64-bit hash of each key by its id, (ids,): the same in every log, whatever the order of its rows."""
        return np.array(self._ids.hashes, dtype=np.uint64)


def share_numbers(shares: FloatArray) -> IntArray:
    """Return a whole number below 2^53 for the share in [0, 1) of each customer, (n,): equal where the shares are."""
    return (shares / _UNIT).astype(np.int64)


def _unit_interval(hashes: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> FloatArray:
    return (hashes >> _SHIFT).astype(np.float64) * _UNIT

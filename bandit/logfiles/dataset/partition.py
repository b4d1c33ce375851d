"""The partition of each customer: a hash that depends on the customer's stored form only."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.domain import IntArray, ObjectArray

MOST_PARTITIONS = 256
"""Most partitions of a dataset; while it is written, each has an open file."""

DEFAULT_PARTITIONS = 64

_SALT = hashlib.blake2b(b"offer-bandit dataset partition", digest_size=16).digest()
_MOST_REMEMBERED = 1_000_000


class Partitioner:
    """Numbers customers by partition: blake2b-64 of the stored form under a fixed key, modulo the number of partitions.

    The key is another than those by which folds and splits are dealt, so that each of these has customers of all
    partitions (RFC 7693; the key makes the hashes independent).
    """

    def __init__(self, partitions: int) -> None:
        """InputError for a number of partitions that is not from 1 to MOST_PARTITIONS."""
        if not 1 <= partitions <= MOST_PARTITIONS:
            raise InputError(f"a dataset has 1 to {MOST_PARTITIONS} partitions; seen {partitions}")
        self.partitions = partitions
        self._known: dict[str, int] = {}

    def of(self, customer: str) -> int:
        """Return the partition of one customer, given in stored form."""
        digest = hashlib.blake2b(customer.encode(), digest_size=8, key=_SALT).digest()
        return int.from_bytes(digest, "big") % self.partitions

    def of_all(self, customers: ObjectArray) -> IntArray:
        """Return the partition of each of n customers, (n,); the newest are remembered."""
        known, of = self._known, self.of
        if len(known) > _MOST_REMEMBERED:
            known.clear()
        keys = customers.tolist()
        for key in set(keys) - known.keys():
            known[key] = of(key)
        return np.fromiter(map(known.__getitem__, keys), dtype=np.int64, count=len(keys))

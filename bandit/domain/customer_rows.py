"""Customers' effects as rows: what is learned of each customer, to be stored and read by the customer's key."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bandit.domain.arrays import IntArray

_NUMBERS = struct.Struct("<qq")

DIGEST_BITS = 128
"""Bits of the digest of a set of rows."""


@dataclass(frozen=True, slots=True, eq=False)
class CustomerRows:
    """What was learned of m customers, by their keys in stored form.

    `number` (m,) counts the customers in the order in which they were first learned. `version` (m,) is the policy's
    update that changed a row last, `epoch` (m,) how many steps of decay it has gone through. `factors` (m, 2, 1 + K)
    are the natural means and precisions of the likelihood of each customer's own history, float32.
    """

    customers: Sequence[str]
    number: IntArray
    version: IntArray
    epoch: IntArray
    factors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.customers)

    def digest(self) -> int:
        """Return the sum of the rows' hashes (`row_hash`), which no order of the rows changes."""
        size = self.factors.shape[1] * self.factors.shape[2] * 4 if len(self) else 0
        content = np.ascontiguousarray(self.factors).tobytes()
        found = 0
        rows = zip(self.customers, self.number.tolist(), self.epoch.tolist(), strict=True)
        for place, (customer, number, epoch) in enumerate(rows):
            found += row_hash(customer, number, epoch, content[place * size : (place + 1) * size])
        return found % (1 << DIGEST_BITS)


def row_hash(customer: str, number: int, epoch: int, factors: bytes) -> int:
    """Return the hash of one customer's row: blake2b-128 (RFC 7693) as a whole number."""
    hashed = hashlib.blake2b(_NUMBERS.pack(number, epoch) + factors, digest_size=DIGEST_BITS // 8)
    hashed.update(customer.encode())
    return int.from_bytes(hashed.digest(), "little")


class CustomerSource(Protocol):
    """The stored rows of one policy's customers, of the newest states that were written."""

    def read(self, customers: Sequence[str], version: int) -> CustomerRows:
        """Return the rows as they were after an update of the policy, without those of customers that had none then.

        StoreError where that update is too long ago.
        """
        ...

    def saved_version(self) -> int:
        """Return the update up to which all rows are stored, -1 before any are."""
        ...

    def all_rows(self, version: int) -> Iterator[CustomerRows]:
        """Yield all rows as they were after an update of the policy, in parts."""
        ...

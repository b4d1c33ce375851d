"""A number in [0, 1) for each customer, by a keyed hash: the same in every process and every language.

The number is the first 53 bits of BLAKE2b (RFC 7693) with an 8-byte digest, keyed with the salt, of the customer in
stored form. Numbers under different salts, or for different purposes (the hash's personalisation), are independent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from bandit.domain import FloatArray, ObjectArray

_LOW_BITS = 11
"""Bits of the 64-bit hash that are dropped, so that what is left is a double exactly."""

_UNIT = 2.0**-53


def customer_number(customer: str, salt: str, purpose: bytes = b"") -> float:
    """Return the number of one customer in stored form; `purpose` is at most 16 bytes.

    >>> round(customer_number("customer-1", "2026-spring"), 6)
    0.807295
    """
    return (int.from_bytes(_digest(customer, salt.encode(), purpose), "big") >> _LOW_BITS) * _UNIT


def customer_numbers(customers: Sequence[str] | ObjectArray, salt: str, purpose: bytes = b"") -> FloatArray:
    """Return the (n,) numbers of customers in stored form."""
    key = salt.encode()
    digests = b"".join(_digest(customer, key, purpose) for customer in customers)
    words = np.frombuffer(digests, dtype=">u8").astype(np.uint64)
    return np.asarray((words >> np.uint64(_LOW_BITS)).astype(np.float64) * _UNIT)


def _digest(customer: str, key: bytes, purpose: bytes) -> bytes:
    return hashlib.blake2b(customer.encode(), digest_size=8, key=key, person=purpose).digest()

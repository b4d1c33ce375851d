"""The stored form of customers: a hash under a key, or under several keys one after the other once it was rotated."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bandit.errors import StoreError
from bandit.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_BYTES, MOST_BYTES = 16, hashlib.blake2b.MAX_KEY_SIZE
"""Fewest bytes of a key for a new database, and most bytes of any key."""

LEAST_DIFFERENT = 6
"""Fewest different bytes in a key for a new database: of 16 random hex digits, the weakest key that passes, there are
fewer in 4 of 100,000."""

MAKE_KEY = 'python -c "import secrets; print(secrets.token_hex(32))"'
"""A command that prints a key of 256 random bits."""

IN_CLEAR = "none"
"""The check of a database whose customers are in the clear."""

_MARK = "offer-bandit customer key"


class CustomerHash:
    """Turns customers into their stored form: blake2b-128 with each key in turn, oldest first, in hex (RFC 7693).

    Without keys a customer stays as it is. A rotation hashes what is stored with one more key, so that the forms made
    with all keys are those in the database.
    """

    __slots__ = ("_keyed", "keys")

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self.keys = tuple(keys)
        # They have taken up their keys already, which is half of the work.
        self._keyed = tuple(hashlib.blake2b(digest_size=16, key=key) for key in keys)

    def of(self, customer: str) -> str:
        """Return a customer's stored form."""
        for keyed in self._keyed:
            taken = keyed.copy()
            taken.update(customer.encode())
            customer = taken.hexdigest()
        return customer

    @property
    def check(self) -> str:
        """What a database keeps to recognise the keys: the stored form of a fixed text."""
        return self.of(_MARK) if self.keys else IN_CLEAR

    def after(self, n_keys: int) -> CustomerHash:
        """Return what turns the forms made with the first keys into those made with all of them."""
        return CustomerHash(self.keys[n_keys:])


def possible_hashes(key: bytes | None) -> list[CustomerHash]:
    """Return the hashes that a given key can mean: of all its bytes, or of one key a line, of which the first n.

    Which of them is meant, the check in the database says. StoreError for a key of no or too many bytes.
    """
    if key is None:
        return [CustomerHash()]
    lines = _lines(key)
    found = [CustomerHash(lines[:n]) for n in range(len(lines), 0, -1)]
    if 1 <= len(key) <= MOST_BYTES and lines != [key]:
        found.append(CustomerHash([key]))
    if not found:
        longest = max(map(len, key.split(b"\n"))) if b"\n" in key else len(key)
        raise StoreError(
            f"the customer key must have 1 to {MOST_BYTES} bytes; seen {longest}; make one with `{MAKE_KEY}`"
        )
    return found


def hash_for_new(key: bytes | None) -> CustomerHash:
    """Return the hash for a new database; StoreError for a key that can be guessed.

    Several lines are several keys if each of them is strong, and else one key with line ends in it.
    """
    possible = possible_hashes(key)
    for candidate in (possible[0], possible[-1]):
        weak = [found for found in map(weakness, candidate.keys) if found is not None]
        if not weak:
            return candidate
    raise StoreError(
        f"the customer key {weak[0]}, so it can be guessed, and with it customers are found in the file; make a random "
        f"one with `{MAKE_KEY}`"
    )


def weakness(key: bytes) -> str | None:
    """Return in words what makes a key easy to guess, None where nothing does."""
    if len(key) < LEAST_BYTES:
        return f"has {counted(len(key), 'byte')}, and at least {LEAST_BYTES} are needed"
    different = len(set(key))
    if different < LEAST_DIFFERENT:
        return f"has {counted(different, 'different byte')}, and at least {LEAST_DIFFERENT} are needed"
    if key in (key + key)[1:-1]:
        return "is a shorter text repeated"
    return None


def _lines(key: bytes) -> list[bytes]:
    """Return the keys of several lines; none if a line cannot be a key."""
    lines = [line.removesuffix(b"\r") for line in key.split(b"\n")]
    return lines if all(1 <= len(line) <= MOST_BYTES for line in lines) else []

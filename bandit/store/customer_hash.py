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

CLEAR_CHECK = "none"
"""The check of a database whose customers are in the clear."""

_MARK = "offer-bandit customer key"


class CustomerHash:
    """Turns customers into their stored form: blake2b-128 with each key in turn, oldest first, in hex (RFC 7693).

    Without keys a customer stays as it is. A rotation hashes what is stored with one more key, so that the forms made
    with all keys are those in the database. `further` are keys that were given and are not used yet.
    """

    __slots__ = ("_keyed", "check", "further", "keys")

    def __init__(self, keys: Sequence[bytes] = (), further: Sequence[bytes] = ()) -> None:
        self.keys = tuple(keys)
        self.further = tuple(further)
        # They have taken up their keys already, which is half of the work.
        self._keyed = tuple(hashlib.blake2b(digest_size=16, key=key) for key in keys)
        # What a database keeps to recognise the keys: the stored form of a fixed text.
        self.check = self.of(_MARK) if keys else CLEAR_CHECK

    def of(self, customer: str) -> str:
        """Return a customer's stored form."""
        for keyed in self._keyed:
            taken = keyed.copy()
            taken.update(customer.encode())
            customer = taken.hexdigest()
        return customer

    def first(self, n_keys: int) -> CustomerHash:
        """Return the hash of the first keys, with the others as further ones."""
        every = (*self.keys, *self.further)
        return CustomerHash(every[:n_keys], every[n_keys:])

    def after(self, n_keys: int) -> CustomerHash:
        """Return what turns the forms made with the first keys into those made with all of them."""
        return CustomerHash(self.keys[n_keys:])

    def with_check(self, check: str) -> CustomerHash | None:
        """Return the hash of as many of the first keys as have a check, None if no number of them has it."""
        found = (self.first(n) for n in range(len(self.keys) + 1))
        return next((each for each in found if each.check == check), None)


def possible_hashes(key: bytes | None) -> list[CustomerHash]:
    """Return the hashes that a given key can mean, each with all its keys: one key a line, or one with line ends in it.

    Which of them is meant, and how many of its keys, the check in the database says. StoreError for a key of no or too
    many bytes.
    """
    if key is None:
        return [CustomerHash()]
    lines = [line.removesuffix(b"\r") for line in key.split(b"\n")]
    # The first key may be one of before several could be given, with line ends in it.
    whole = ([b"\n".join(key.split(b"\n")[:n]), *lines[n:]] for n in range(2, len(lines) + 1))
    several = [list(filter(None, lines)) or lines, *whole]
    found = [CustomerHash(keys) for keys in several if all(1 <= len(each) <= MOST_BYTES for each in keys)]
    if not found:
        raise StoreError(
            f"the customer key must have 1 to {MOST_BYTES} bytes; seen {max(map(len, lines))}; make one with "
            f"`{MAKE_KEY}`"
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

"""The stored form of facts that are declared `stored = "hashed"`: a hash of the value under the customer key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from bandit.catalogue.text_form import normal_text

HASH_DIGITS = 16
"""Hex digits of a stored value: 64 bits, so that a million different values share one with probability 3e-8."""

_PERSON = b"offer-bandit fct"
_MARK = "offer-bandit fact key"
_MOST_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class FactHash:
    """Turns values of facts into their stored form: blake2b-64 with each key in turn, oldest first, in hex (RFC 7693).

    The keys are those of the customers. Values are hashed in normal form, without the name of their fact, so that a
    fact can be renamed. A rotation of the key hashes what is stored with one more key.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    _kept: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    @staticmethod
    def of_lines(key: bytes) -> FactHash:
        r"""Return the hash for the text of a key: one key a line, oldest first.

        >>> FactHash.of_lines(b"an old key of ours\nand a new key of ours").n_keys
        2
        """
        lines = [line.removesuffix(b"\r") for line in key.split(b"\n")]
        return FactHash(tuple(filter(None, lines)))

    @property
    def n_keys(self) -> int:
        """The number of keys."""
        return len(self.keys)

    @property
    def check(self) -> str:
        """The stored form of a fixed text, by which the keys are recognised."""
        return self.of(_MARK)

    def of(self, value: str) -> str:
        """Return the stored form of a value."""
        found = self._kept.get(value)
        if found is None:
            found = self.after(0, normal_text(value))
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[value] = found
        return found

    def after(self, n_keys: int, form: str) -> str:
        """Return the form under all keys of a form under the first `n_keys` of them."""
        for key in self.keys[n_keys:]:
            form = hashlib.blake2b(form.encode(), digest_size=HASH_DIGITS // 2, key=key, person=_PERSON).hexdigest()
        return form

    def first(self, n_keys: int) -> FactHash:
        """Return the hash with the first keys alone."""
        return FactHash(self.keys[:n_keys])

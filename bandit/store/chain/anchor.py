"""The anchor of a chain: the number and the hash of a link, kept where the database's users cannot change them."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.errors import InputError

if TYPE_CHECKING:
    import sqlite3

_FORM = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
_HEAD = "SELECT id, link FROM chain ORDER BY id DESC LIMIT 1"
_PURPOSE = b"offer-bandit anchor "


@dataclass(frozen=True, slots=True)
class ChainAnchor:
    """A link of the chain, by its number and its hash; number 0 stands for an empty chain.

    >>> str(ChainAnchor(7, bytes(32)))[:12]
    '7:0000000000'
    """

    number: int
    link: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.link.hex() or bytes(32).hex()}"

    @staticmethod
    def parse(text: str) -> ChainAnchor:
        """Return the anchor that a text gives; InputError for another text."""
        match = _FORM.fullmatch(text.strip().lower())
        if match is None:
            raise InputError(
                f'"{text[:80]}" is not an anchor, which is a number, a colon and 64 hexadecimal digits; give what '
                "`offer-bandit anchor` printed"
            )
        return ChainAnchor(int(match[1]), bytes.fromhex(match[2]))

    def signature(self, key: bytes) -> str:
        """Return the code that only who has the key can make: HMAC-SHA-256 (RFC 2104) of the anchor, in hex."""
        return hmac.new(key, _PURPOSE + str(self).encode(), "sha256").hexdigest()


def head_of(raw: sqlite3.Connection) -> ChainAnchor:
    """Return the newest link of the chain."""
    row = raw.execute(_HEAD).fetchone()
    return ChainAnchor(0, b"") if row is None else ChainAnchor(int(row[0]), bytes(row[1]))

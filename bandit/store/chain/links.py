"""Appends links to the chain (table `chain`): a hash of each row that a transaction wrote, and of the link before.

A row is hashed with a random salt of its own (randomised hashing, NIST SP 800-106), which its deletion removes: the
hash of a deleted row stays in the chain, and nothing can be guessed from it.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from bandit.store.chain.kinds import ChainedKind, Row

SALT_BYTES = HASH_BYTES = 16
LINK_BYTES = 32

PLACES_PER_LINK = 256
"""Most rows that one link covers: a transaction of many rows makes several links."""

NO_LINK = bytes(LINK_BYTES)
"""What the first link has in place of the link before it."""

Part = tuple[int, int, int, int]
"""Rows of one kind with consecutive numbers: the code of the kind, the policy or 0, the first number, and how many."""

Entries = tuple[tuple[Part, ...], bytes, bytes]
"""What a link covers: its parts, and the salts and hashes of their rows one after the other."""

# Numbers are above 0; with that condition the plan is a search for the last row, and says so.
_HEAD = "SELECT id, link FROM chain WHERE id > 0 ORDER BY id DESC LIMIT 1"
_APPEND = "INSERT INTO chain (id, entries, link) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING"

_SALTS_AT_ONCE = 256
_OUTERMOST_SAVEPOINT = 2
_MOST_PENDING = 64
"""Entries that a transaction keeps in memory; an entry is what one writer wrote at once."""


def _plain(value: object) -> object:
    """Return a value of a subclass, such as those of numpy, as SQLite stores it."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"a value of {type(value)} cannot be stored")


encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
"""Encodes the values of a row, or the entries of a link, as the bytes that are hashed (MessagePack)."""

_decoder: msgspec.msgpack.Decoder[Entries] = msgspec.msgpack.Decoder(Entries)


_new_row_hash = hashlib.blake2b(digest_size=HASH_BYTES).copy
"""Makes a hash of a row: copying one costs less than giving its size each time."""


def row_hash(salt: bytes, content: bytes) -> bytes:
    """Return the hash of an encoded row: blake2b-128 (RFC 7693) of its salt and its bytes."""
    made = _new_row_hash()
    made.update(salt + content)
    return made.digest()


def next_link(previous: bytes | None, covered: bytes) -> bytes:
    """Return a link: blake2b-256 of the link before it and of the parts and hashes that it covers."""
    return hashlib.blake2b((previous or NO_LINK) + covered, digest_size=LINK_BYTES).digest()


def covered_bytes(parts: Sequence[Part], hashes: bytes) -> bytes:
    """Return what is hashed of a link's entries: all but the salts, which deletions remove."""
    return encode(parts) + hashes


def read_entries(blob: bytes) -> Entries:
    """Return the entries of a link; msgspec.DecodeError if they are damaged."""
    return _decoder.decode(blob)


def append_empty(raw: sqlite3.Connection) -> None:
    """Append a link that covers nothing: it ends what a migration found in the database."""
    Chain().append(raw, (), b"", b"")


class Chain:
    """What the open transaction has written; `write` appends its links. The connection's lock guards it.

    The link that it appended last is remembered. The next one is written under the number after it, so it follows only
    if no other connection has appended since: that one has the number then, and the last link is read anew. While
    others append between any two links, the last link is read before it is tried.
    """

    __slots__ = ("_head", "_marks", "_others_append", "_pending", "_salts")

    def __init__(self) -> None:
        self._pending: list[tuple[int, int, int, list[bytes]]] = []
        self._marks: list[int] = []
        self._salts: list[bytes] = []
        self._head: tuple[int, bytes] | None = None
        self._others_append = False

    def reset(self) -> None:
        """Forget everything: the connection is a new one, maybe in another process, which needs salts of its own."""
        self._pending, self._marks, self._salts, self._head = [], [], [], None

    def add_one(self, kind: ChainedKind, row: Row) -> None:
        """Add a row that was written: its owner, its number, and its values as SQLite stores them."""
        self._pending.append((kind.code, row[0], row[1], [encode(row)]))

    def add(self, kind: ChainedKind, rows: Sequence[Row]) -> None:
        """Add rows of one owner that were written, in order of their numbers."""
        if not rows:
            return
        (owner, first), last = rows[0][:2], rows[-1][1]
        if kind.several or last - first + 1 != len(rows):
            for row in rows:
                self.add_one(kind, row)
        else:
            self._pending.append((kind.code, owner, first, list(map(encode, rows))))

    def add_stored(
        self, raw: sqlite3.Connection, kind: ChainedKind, first: int, last: int | None = None, owner: int = 0
    ) -> None:
        """Add the rows with numbers from `first` to `last`, or that one, read back from the database."""
        self.add(kind, list(kind.read(raw, owner, first, first if last is None else last)))

    def mark(self, level: int) -> None:
        """Note where the savepoint of a level begins, 2 or more: the transaction is of level 1."""
        self._marks[level - 2 :] = [len(self._pending)]

    def release(self, raw: sqlite3.Connection, level: int) -> None:
        """Keep what a savepoint has added; of a large transaction the links so far are appended."""
        if level == _OUTERMOST_SAVEPOINT and len(self._pending) > _MOST_PENDING:
            self.write(raw)
        del self._marks[level - 2 :]

    def undo(self, level: int) -> None:
        """Forget what the savepoint of a level, or with level 1 the transaction, has added; safe to call again."""
        self._head = None  # it may be one of the links that are rolled back
        if level < _OUTERMOST_SAVEPOINT:
            self._pending, self._marks = [], []
        elif len(self._marks) > level - 2:
            del self._pending[self._marks[level - 2] :]
            del self._marks[level - 2 :]

    def write(self, raw: sqlite3.Connection) -> None:
        """Append the links of the transaction, inside it."""
        pending = self._pending
        if not pending:
            return
        if len(pending) == 1 and len(pending[0][3]) == 1:
            code, owner, number, (content,) = pending[0]
            salt = self._take_salts(1)[0]
            self.append(raw, ((code, owner, number, 1),), salt, row_hash(salt, content))
        else:
            for parts, contents in _blocks(pending):
                salts = self._take_salts(len(contents))
                self.append(raw, parts, b"".join(salts), b"".join(map(row_hash, salts, contents)))
        self._pending = []

    def append(self, raw: sqlite3.Connection, parts: Sequence[Part], salts: bytes, hashes: bytes) -> None:
        """Append one link, inside a transaction that has SQLite's write lock or can get it."""
        encoded = encode((parts, salts, hashes))
        covered = covered_bytes(parts, hashes)
        head = known = self._head
        if self._others_append:
            head = None
        while True:
            if head is None:
                head = raw.execute(_HEAD).fetchone() or (0, NO_LINK)
                self._others_append = known is not None and head[0] != known[0]
            number, link = head[0] + 1, next_link(head[1], covered)
            # With the number taken nothing is written, but the lock is held, so that the next try finds the last link.
            self._head = None  # unless the statement is known to have been executed
            if raw.execute(_APPEND, (number, encoded, link)).rowcount == 1:
                self._head = number, link
                return
            head = None

    def _take_salts(self, n: int) -> list[bytes]:
        if len(self._salts) < n:
            block = os.urandom(max(_SALTS_AT_ONCE, n) * SALT_BYTES)
            self._salts += [block[at : at + SALT_BYTES] for at in range(0, len(block), SALT_BYTES)]
        found = self._salts[-n:]
        del self._salts[-n:]
        return found


def _blocks(pending: list[tuple[int, int, int, list[bytes]]]) -> list[tuple[list[Part], list[bytes]]]:
    """Return the parts and encoded rows of each link, with at most `PLACES_PER_LINK` rows a link."""
    blocks: list[tuple[list[Part], list[bytes]]] = [([], [])]
    for code, owner, number, contents in pending:
        start = 0
        while start < len(contents):
            parts, rows = blocks[-1]
            if len(rows) == PLACES_PER_LINK:
                blocks.append(([], []))
                continue
            taken = contents[start : start + PLACES_PER_LINK - len(rows)]
            if parts and parts[-1][:2] == (code, owner) and sum(parts[-1][2:]) == number + start:
                parts[-1] = (code, owner, parts[-1][2], parts[-1][3] + len(taken))
            else:
                parts.append((code, owner, number + start, len(taken)))
            rows += taken
            start += len(taken)
    return blocks

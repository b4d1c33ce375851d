"""Reads the chain back: checks that each link follows from the one before, and lists the places of each kind."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.store.chain.kinds import KINDS, ChainedKind
from bandit.store.chain.links import HASH_BYTES, SALT_BYTES, covered_bytes, encode, next_link, read_entries

if TYPE_CHECKING:
    import sqlite3

    from bandit.domain import IntArray, Progress

MARK_BYTES = 8
"""Zero bytes that begin the salt of a deleted row; the number of the maintenance run that deleted it follows."""

OWNER_STEP = 1 << 44
"""A row's owner and number are compared as one integer: owner times this, plus number."""

_ALL = "SELECT id, entries, link FROM chain ORDER BY id"
_COUNT = "SELECT COUNT(*) FROM chain"
_LINKS_PER_REPORT = 50_000


@dataclass(slots=True)
class _Columns:
    """The places of one kind as they are read: keys, links, and bytes."""

    keys: array[int] = field(default_factory=lambda: array("q"))
    links: array[int] = field(default_factory=lambda: array("q"))
    salts: bytearray = field(default_factory=bytearray)
    hashes: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The m places of one kind, in the order of the chain: each row's key, its link, its salt and its hash.

    A key is the owner times `OWNER_STEP` plus the number. `salt` and `hash` are (m,) arrays of 16 bytes. `run` (m,) is
    the maintenance run that deleted the row, 0 where none has.
    """

    key: IntArray
    link: IntArray
    salt: np.ndarray[tuple[int], np.dtype[np.void]]
    hash: np.ndarray[tuple[int], np.dtype[np.void]]
    run: IntArray

    def __len__(self) -> int:
        return len(self.key)

    def take(self, rows: IntArray) -> Places:
        """Return some of the places."""
        return Places(self.key[rows], self.link[rows], self.salt[rows], self.hash[rows], self.run[rows])


@dataclass(slots=True)
class ChainContent:
    """The places of each kind, by code, the links by number, and the problems of the links themselves.

    `began_after` is the last link over rows that were there before the chain, 0 where there were none.
    """

    places: dict[int, Places]
    n_links: int
    head: bytes
    links: dict[int, bytes]
    problems: list[str]
    began_after: int = 0


def read_chain(raw: sqlite3.Connection, wanted: tuple[int, ...] = (), progress: Progress | None = None) -> ChainContent:
    """Read all links, inside a reading transaction; `links` has the numbers in `wanted`."""
    total = int(raw.execute(_COUNT).fetchone()[0])
    columns = {kind.code: _Columns() for kind in KINDS}
    problems: list[str] = []
    found: dict[int, bytes] = {}
    last, previous, began_after = 0, b"", 0
    for number, blob, link in raw.execute(_ALL):
        if number != last + 1:
            missing = f"link {last + 1}" if number == last + 2 else f"links {last + 1} to {number - 1}"
            problems.append(f"the chain lacks {missing}")
        try:
            parts, salts, hashes = read_entries(blob)
            n = sum(part[3] for part in parts)
            sound = len(salts) == n * SALT_BYTES and len(hashes) == n * HASH_BYTES
            sound = sound and all(part[0] in columns and part[3] > 0 for part in parts)
            sound = sound and encode((parts, salts, hashes)) == blob  # MessagePack has several forms of a number
        except (msgspec.DecodeError, OverflowError):
            sound = False
        if not sound:
            problems.append(f"link {number} of the chain cannot be read")
        else:
            # After a missing link, the one before is unknown, and what follows is checked from this one on.
            if number == last + 1 and next_link(previous, covered_bytes(parts, hashes)) != link:
                problems.append(f"link {number} of the chain does not follow from what it covers and the link before")
            if not parts and not began_after:
                began_after = last
            at = 0
            for code, owner, first, n in parts:
                column = columns[code]
                key = owner * OWNER_STEP + first
                column.keys.extend(range(key, key + n))
                column.links.extend(repeat(number, n))
                column.salts += salts[at * SALT_BYTES : (at + n) * SALT_BYTES]
                column.hashes += hashes[at * HASH_BYTES : (at + n) * HASH_BYTES]
                at += n
        if number in wanted:
            found[number] = link
        last, previous = number, link
        if progress is not None and number % _LINKS_PER_REPORT == 0:
            progress(number, total)
    places = {code: _places(column) for code, column in columns.items()}
    return ChainContent(places, last, previous, found, problems, began_after)


def _places(column: _Columns) -> Places:
    salts = np.frombuffer(bytes(column.salts), dtype=f"V{SALT_BYTES}")
    words = np.frombuffer(bytes(column.salts), dtype=">u8").reshape(-1, 2)
    run = np.where(words[:, 0] == 0, words[:, 1], 0).astype(np.int64)
    return Places(
        np.array(column.keys, dtype=np.int64),
        np.array(column.links, dtype=np.int64),
        salts,
        np.frombuffer(bytes(column.hashes), dtype=f"V{HASH_BYTES}"),
        run,
    )


def deletion_mark(run: int) -> bytes:
    """Return what replaces the salt of a row that a maintenance run deletes."""
    return bytes(MARK_BYTES) + run.to_bytes(SALT_BYTES - MARK_BYTES, "big")


def expected_places(places: Places, kind: ChainedKind) -> tuple[Places, Counter[int]]:
    """Return the places whose rows must be there, in order of key, and the keys that have several though none may.

    Of a kind whose rows the program changes, the last place of a row holds.
    """
    live = places.take(np.flatnonzero(places.run == 0))
    ordered = live.take(np.argsort(live.key, kind="stable"))
    if kind.several:
        return ordered, Counter()
    is_last = np.append(ordered.key[1:] != ordered.key[:-1], True) if len(ordered) else np.zeros(0, dtype=np.bool_)
    twice: Counter[int] = Counter() if kind.latest else Counter(ordered.key[~is_last].tolist())
    return ordered.take(np.flatnonzero(is_last)), twice

"""Marks the rows that a deletion removes: their hashes stay in the chain, and their salts go."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bandit.store.chain.check import places_digest
from bandit.store.chain.kinds import (
    DECISIONS,
    KINDS,
    POLICIES,
    REACH,
    STATES,
    STEPS,
    ChainedKind,
)
from bandit.store.chain.links import SALT_BYTES, Chain, encode, read_entries
from bandit.store.chain.places import MARK_BYTES, OWNER_STEP, deletion_mark

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from bandit.domain import IntArray

_ENTRIES = "SELECT entries FROM chain WHERE id = ?"
_ALL_ENTRIES = "SELECT id, entries FROM chain ORDER BY id"
_REPLACE = "UPDATE chain SET entries = ? WHERE id = ?"
_STEPS_OF = "SELECT policy_id, step FROM policy_steps WHERE policy_id = ?"


@dataclass(slots=True)
class DeletedPlaces:
    """The rows whose places a deletion marks, by kind, and which of them are written again with other content.

    `add` and `add_steps` are called before the rows are deleted or changed, `mark` afterwards, in the same transaction.
    """

    keys: dict[int, list[int]] = field(default_factory=lambda: {kind.code: [] for kind in KINDS})
    changed: dict[int, list[int]] = field(default_factory=lambda: {kind.code: [] for kind in KINDS})

    def add(self, kind: ChainedKind, numbers: Iterable[int], *, changed: bool = False) -> None:
        """Note rows by their numbers, without an owner."""
        numbers = list(numbers)
        self.keys[kind.code] += numbers
        if changed:
            self.changed[kind.code] += numbers

    def add_steps(self, kind: ChainedKind, rows: Iterable[tuple[int, int]], *, changed: bool) -> None:
        """Note steps by policy and number."""
        self.add(kind, (policy_id * OWNER_STEP + step for policy_id, step in rows), changed=changed)

    def add_policy(self, raw: sqlite3.Connection, policy_id: int, *, begins_anew: bool) -> None:
        """Note a policy whose states are replaced; one that begins anew loses its steps as well."""
        steps = raw.execute(_STEPS_OF, (policy_id,)).fetchall()
        self.add_steps(STATES, steps, changed=not begins_anew)
        self.add(POLICIES, [policy_id], changed=True)
        if begins_anew:
            self.add_steps(STEPS, steps, changed=False)
            self.add(REACH, [policy_id])

    def digest(self, raw: sqlite3.Connection) -> tuple[str, dict[int, set[int]]]:
        """Return the digest of the places that are marked, and the links that they are in, each with its codes."""
        wanted = {code: np.unique(np.array(keys, dtype=np.int64)) for code, keys in self.keys.items() if keys}
        bounds = {code: keys.tolist() for code, keys in wanted.items()}
        found: dict[int, list[tuple[int, int]]] = {kind.code: [] for kind in KINDS}
        links: dict[int, set[int]] = {}
        for link, blob in raw.execute(_ALL_ENTRIES):
            try:
                parts, salts, _ = read_entries(blob)
            except (msgspec.DecodeError, OverflowError):  # `verify --chain` says so
                continue
            at = 0
            for code, owner, first, n in parts:
                keys, key = bounds.get(code), owner * OWNER_STEP + first
                if keys is not None:
                    for each in keys[bisect_left(keys, key) : bisect_left(keys, key + n)]:
                        begin = (at + each - key) * SALT_BYTES
                        if any(salts[begin : begin + MARK_BYTES]):
                            found[code].append((each, link))
                            links.setdefault(link, set()).add(code)
                at += n
        chosen: list[tuple[int, IntArray, IntArray]] = []
        for code, rows in found.items():
            columns = np.array(rows, dtype=np.int64).reshape(-1, 2)
            chosen.append((code, columns[:, 0], columns[:, 1]))
        return (places_digest(chosen) if links else ""), links

    def mark(self, raw: sqlite3.Connection, links: dict[int, set[int]], run: int) -> None:
        """Overwrite the salts of the places with the number of the maintenance run."""
        mark = deletion_mark(run)
        keys = {code: set(numbers) for code, numbers in self.keys.items()}
        rows = []
        for link, codes in links.items():
            parts, salts, hashes = read_entries(raw.execute(_ENTRIES, (link,)).fetchone()[0])
            new, at = bytearray(salts), 0
            for code, owner, first, n in parts:
                if code in codes:
                    key = owner * OWNER_STEP + first
                    for place in range(n):
                        here = slice((at + place) * SALT_BYTES, (at + place + 1) * SALT_BYTES)
                        if key + place in keys[code] and any(salts[here][: SALT_BYTES // 2]):
                            new[here] = mark
                at += n
            rows.append((encode((parts, bytes(new), hashes)), link))
        raw.executemany(_REPLACE, rows)

    def add_again(self, raw: sqlite3.Connection, chain: Chain, without: tuple[ChainedKind, ...] = ()) -> None:
        """Add to the chain what the changed rows hold now; `without` are kinds that the caller adds."""
        for kind in (DECISIONS, POLICIES, STEPS, STATES):
            if kind in without:
                continue
            for key in sorted(set(self.changed[kind.code])):
                owner, number = divmod(key, OWNER_STEP)
                chain.add_stored(raw, kind, number, owner=owner)

"""The table of eligible sets: each distinct mask is stored once, and decisions refer to it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, EligibleSets, IntArray
from bandit.errors import StoreError
from bandit.store.chain.kinds import SETS
from bandit.store.tables.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.store.connection import Connection


SHORT_MASK_BYTES = 512
"""Longest packed mask, in bytes, that is a cache key itself; of a longer one its digest is."""

LARGE_MASK_OFFERS = 50_000
"""Of masks of more offers, only a few are cached."""


class EligibleSetTable:
    """The table `eligible_sets`; bits are packed eight offers a byte, the first offer in the highest bit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers: Cache[tuple[int, bytes], int] = Cache(4_096)
        self._masks: Cache[int, BoolArray] = Cache(1_024)
        self._large: Cache[int, BoolArray] = Cache(4)
        self._same: Cache[tuple[int, int], tuple[BoolArray, int]] = Cache(64)
        self._same_large: Cache[tuple[int, int], tuple[BoolArray, int]] = Cache(4)
        connection.on_rollback(self._same.clear)
        connection.on_rollback(self._same_large.clear)
        connection.on_rollback(self._numbers.clear)
        connection.on_rollback(self._masks.clear)

    def ids(self, catalogue_id: int, eligible: BoolArray, removals: Callable[[int], str] | None) -> list[int]:
        """Return the numbers of the rows' sets, inside the caller's transaction; new sets are inserted.

        One number for a (1, N) mask, else n of them. `removals(row)` is called only for new sets.
        """
        n_offers = eligible.shape[1]
        if len(eligible) == 1 and not eligible.flags.writeable:
            return [self._id_by_identity(catalogue_id, eligible, removals)]
        if len(eligible) == 1:
            return [self._id_by_bits(catalogue_id, np.packbits(eligible).tobytes(), n_offers, removals, 0)]
        sets = EligibleSets.of(eligible)
        packed = np.packbits(sets.masks, axis=1)
        _, first = np.unique(sets.which, return_index=True)
        numbers = np.empty(len(packed), dtype=np.int64)
        for place in np.argsort(first).tolist():  # new sets are numbered in the order of their first rows
            bits = packed[place].tobytes()
            numbers[place] = self._id_by_bits(catalogue_id, bits, n_offers, removals, int(first[place]))
        return numbers[sets.which].tolist()  # type: ignore[no-any-return]

    def mask(self, set_id: int) -> BoolArray:
        """Return the (N,) mask of a set, read-only; StoreError for an unknown number."""
        mask = self._masks.get(set_id)
        if mask is None:
            mask = self._large.get(set_id)
        if mask is None:
            with self._connection.reading() as raw:
                row = raw.execute(
                    "SELECT s.bits, c.n_offers FROM eligible_sets s JOIN catalogues c ON c.id = s.catalogue_id "
                    "WHERE s.id = ?",
                    (set_id,),
                ).fetchone()
            if row is None:
                raise StoreError(f"{self._connection.path}: has no eligible set {set_id}; `verify` says what is lost")
            mask = np.unpackbits(np.frombuffer(row[0], dtype=np.uint8), count=row[1]).astype(np.bool_)
            mask.flags.writeable = False
            (self._masks if len(mask) <= LARGE_MASK_OFFERS else self._large).put(set_id, mask)
        return mask

    def masks(self, set_ids: IntArray, n_offers: int) -> BoolArray:
        """Return the (n, N) masks of n sets, all of one catalogue."""
        if not len(set_ids):
            return np.zeros((0, n_offers), dtype=np.bool_)
        distinct, back = np.unique(set_ids, return_inverse=True)
        return np.stack([self.mask(number) for number in distinct.tolist()])[back]

    def sets(self, set_ids: IntArray) -> EligibleSets:
        """Return the sets of n > 0 decisions of one catalogue, each distinct one once."""
        distinct, which = np.unique(set_ids, return_inverse=True)
        masks = np.stack([self.mask(number) for number in distinct.tolist()])
        masks.flags.writeable = False
        return EligibleSets(masks, np.count_nonzero(masks, axis=1), which.astype(np.int64))

    def removals(self, set_id: int) -> str | None:
        """Return the JSON of what the rules removed, as of the set's first use; None if it was not recorded."""
        with self._connection.reading() as raw:
            row = raw.execute("SELECT removals FROM eligible_sets WHERE id = ?", (set_id,)).fetchone()
        return None if row is None else row[0]

    def _id_by_identity(self, catalogue_id: int, eligible: BoolArray, removals: Callable[[int], str] | None) -> int:
        """Return the number of a read-only mask without packing it, which takes long with millions of offers."""
        # The cache keeps the array alive, so no other array can have its id.
        same = self._same if eligible.shape[1] <= LARGE_MASK_OFFERS else self._same_large
        known = same.get((catalogue_id, id(eligible)))
        if known is not None:
            return known[1]
        number = self._id_by_bits(catalogue_id, np.packbits(eligible).tobytes(), eligible.shape[1], removals, 0)
        same.put((catalogue_id, id(eligible)), (eligible, number))
        return number

    def _id_by_bits(
        self, catalogue_id: int, bits: bytes, n_offers: int, removals: Callable[[int], str] | None, row: int
    ) -> int:
        key = catalogue_id, bits if len(bits) <= SHORT_MASK_BYTES else set_digest(bits)
        number = self._numbers.get(key)
        if number is None:
            number = self._find_or_insert(catalogue_id, bits, n_offers, removals, row)
            self._numbers.put(key, number)
        return number

    def _find_or_insert(
        self, catalogue_id: int, bits: bytes, n_offers: int, removals: Callable[[int], str] | None, row: int
    ) -> int:
        raw, digest = self._connection.raw, set_digest(bits)
        found = raw.execute(
            "SELECT id FROM eligible_sets WHERE catalogue_id = ? AND digest = ?", (catalogue_id, digest)
        ).fetchone()
        if found is not None:
            return int(found[0])
        declared = raw.execute("SELECT n_offers FROM catalogues WHERE id = ?", (catalogue_id,)).fetchone()
        if declared is None or declared[0] != n_offers:
            seen = "is not registered" if declared is None else f"has {declared[0]} offers"
            raise StoreError(
                f"the mask of eligible offers has {n_offers} columns and catalogue {catalogue_id} {seen}; "
                "register the catalogue that the decisions were made with"
            )
        text = None if removals is None else removals(row)
        inserted = raw.execute(
            "INSERT INTO eligible_sets (catalogue_id, digest, bits, removals) VALUES (?, ?, ?, ?) RETURNING id",
            (catalogue_id, digest, bits, text),
        ).fetchone()
        self._connection.chain.add_one(SETS, (0, inserted[0], catalogue_id, digest, bits, text))
        return int(inserted[0])


def set_digest(bits: bytes) -> bytes:
    """Return the digest of a packed mask: blake2b-128 (RFC 7693)."""
    return hashlib.blake2b(bits, digest_size=16).digest()

"""Sums over blocks of whole customers, in memory that does not grow with their number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.ope.sums import SUM_BLOCKS, RowSums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray, IntArray
    from bandit.domain.mixed_numbers import UnsignedArray
    from bandit.errors import InputError
from bandit.ope.sums import Summary

MOST_BLOCK_NUMBERS = 1 << 24
"""Numbers (blocks x columns) that a table of blocks holds at most, 128 MB, unless it has very many columns."""

FEWEST_BLOCKS = 256
"""With so many blocks a standard error is known to 4 %, and to 1 % with `SUM_BLOCKS`."""


class BlockSums:
    """Sums of `columns` numbers over blocks of customers; parts of other customers merge with `+`.

    Customers are independent, so blocks of whole customers are too, and errors by block are clustered by customer. Up
    to the number of blocks (8,192, fewer for more than 2,048 columns) each customer is a block of its own; of more
    customers, that with the key k belongs to block k modulo the number of blocks. With hashes of the customers as keys,
    neither the order of the rows nor their split into parts changes anything but the last digits.
    """

    def __init__(self, columns: int) -> None:
        self.blocks = int(np.clip(MOST_BLOCK_NUMBERS // columns, FEWEST_BLOCKS, SUM_BLOCKS))
        self.decisions = 0
        self.customers = 0
        self._merged = False
        self._keys: UnsignedArray | None = np.zeros(self.blocks, dtype=np.uint64)
        self._table = np.zeros((self.blocks, columns))

    def add(self, customer: IntArray, terms: FloatArray, start: int = 0, keys: UnsignedArray | None = None) -> None:
        """Add the (n, k) terms of n rows with the (n,) numbers of their customers, counted from 0, and their keys.

        The k columns begin at `start`; a table of several parts is filled part by part. A customer's key is by default
        its number. InputError for sums that were merged, in which the numbers of customers are lost.
        """
        if not len(customer):
            return
        if self._merged:
            raise InputError("these sums were merged; add the rows to others and merge the two")
        given = customer.astype(np.uint64) if keys is None else keys
        n_customers = max(self.customers, int(customer.max()) + 1)
        if n_customers > self.blocks and self._keys is not None:
            self._table, self._keys = self._shared(), None
        if self._keys is None:
            block = (given % np.uint64(self.blocks)).astype(np.int64)
        else:
            block = customer
            self._keys[customer] = given
        order = np.argsort(block, kind="stable")
        ids, starts = np.unique(block[order], return_index=True)
        self._table[ids, start : start + terms.shape[1]] += np.add.reduceat(terms[order], starts, axis=0)
        self.decisions += len(customer)
        self.customers = n_customers

    def __add__(self, other: BlockSums) -> BlockSums:
        """Return the sums of both, whose customers are different and have hashes as keys."""
        both = BlockSums(self._table.shape[1])
        both.decisions, both.customers = self.decisions + other.decisions, self.customers + other.customers
        both._merged = True
        if self._keys is None or other._keys is None or both.customers > both.blocks:
            both._table, both._keys = self._shared() + other._shared(), None
            return both
        keys, table = (
            np.concatenate([getattr(each, name)[: each.customers] for each in (self, other)])
            for name in ("_keys", "_table")
        )
        order, own = np.argsort(keys, kind="stable"), np.zeros(both.blocks, dtype=np.uint64)
        own[: len(keys)], both._table[: len(keys)] = keys[order], table[order]
        both._keys = own
        return both

    def _shared(self) -> FloatArray:
        """Return the table of customers that share the blocks."""
        if self._keys is None:
            return self._table
        found = np.zeros_like(self._table)
        place = (self._keys[: self.customers] % np.uint64(self.blocks)).astype(np.int64)
        np.add.at(found, place, self._table[: self.customers])
        return found

    def total(self, column: int) -> float:
        """Return the sum of one column."""
        return float(self._table[:, column].sum())

    def columns(self, chosen: Sequence[int]) -> FloatArray:
        """Return the (blocks in use, k) sums of k columns."""
        return self._table[: min(self.blocks, self.customers)][:, list(chosen)]


def summary_of(sides: Sequence[FloatArray], customers: int) -> Summary:
    """Return the moments of the columns of independent sides, each (blocks, k); a column is 0 in the other sides' rows.

    The customers of all sides together are the independent groups that degrees of freedom are counted by.
    """
    rows = RowSums(sum(side.shape[1] for side in sides))
    start = 0
    for side in sides:
        terms = np.zeros((rows.p, len(side)))
        terms[start : start + side.shape[1]] = side.T
        rows.add(terms)
        start += side.shape[1]
    return replace(rows.summary(), groups=customers)

"""Sums over blocks of whole customers, in memory that does not grow with their number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.ope.sums import SUM_BLOCKS, RowSums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray, IntArray
    from bandit.ope.sums import Summary

MOST_BLOCK_NUMBERS = 1 << 24
"""Numbers (blocks x columns) that a table of blocks holds at most, 128 MB, unless it has very many columns."""

FEWEST_BLOCKS = 256
"""With so many blocks a standard error is known to 4 %, and to 1 % with `SUM_BLOCKS`."""


class BlockSums:
    """Sums of `columns` numbers over blocks of customers; customer k belongs to block k modulo the number of blocks.

    Customers are independent, so blocks of whole customers are too, and errors by block are clustered by customer. Up
    to the number of blocks (8,192, fewer for more than 2,048 columns) each customer is a block of its own.
    """

    def __init__(self, columns: int) -> None:
        self.blocks = int(np.clip(MOST_BLOCK_NUMBERS // columns, FEWEST_BLOCKS, SUM_BLOCKS))
        self.decisions = 0
        self.customers = 0
        self._table = np.zeros((self.blocks, columns))

    def add(self, customer: IntArray, terms: FloatArray, start: int = 0) -> None:
        """Add the (n, k) terms of n rows with the (n,) numbers of their customers, counted from 0.

        The k columns begin at `start`; a table of several parts is filled part by part.
        """
        if not len(customer):
            return
        block = customer % self.blocks
        order = np.argsort(block, kind="stable")
        ids, starts = np.unique(block[order], return_index=True)
        self._table[ids, start : start + terms.shape[1]] += np.add.reduceat(terms[order], starts, axis=0)
        self.decisions += len(customer)
        self.customers = max(self.customers, int(customer.max()) + 1)

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

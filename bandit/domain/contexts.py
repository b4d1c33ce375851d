"""Contexts: a checked batch of the facts known at decision time, column by column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bandit.domain.arrays import BoolArray, FloatArray, IntArray, ObjectArray
    from bandit.domain.mixed_numbers import UnsignedArray


@dataclass(frozen=True, slots=True, eq=False)
class Contexts:
    """A checked batch of n contexts, column by column; built by `Catalogue.contexts` and nowhere else.

    `columns` has one array for each declared fact: categorical facts as int64 codes into the declared values
    (-1 missing, `len(values)` an undeclared value), numeric facts as float64 (NaN missing), boolean facts as float64
    (0, 1, NaN missing). `text` has the categorical facts as given (None where missing), for the log. `customers` has
    the n customer keys, or is empty where no customers are given. `customer_hashes` may have their hashes, as
    `bandit.domain.text_hashes` makes them, where whoever read the log knows them already; else it is empty.
    """

    n: int
    columns: Mapping[str, IntArray | FloatArray]
    text: Mapping[str, ObjectArray]
    customers: ObjectArray = field(default_factory=lambda: np.empty(0, dtype=object))
    customer_hashes: UnsignedArray = field(default_factory=lambda: np.empty(0, dtype=np.uint64))

    def __len__(self) -> int:
        return self.n

    def take(self, rows: IntArray | BoolArray | slice) -> Contexts:
        """Return the chosen rows as a batch of its own."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        text = {name: column[rows] for name, column in self.text.items()}
        first = next(iter(columns.values()), None)
        n = len(np.arange(self.n)[rows]) if first is None else len(first)
        customers = self.customers[rows] if len(self.customers) else self.customers
        hashes = self.customer_hashes[rows] if len(self.customer_hashes) else self.customer_hashes
        return Contexts(n, columns, text, customers, hashes)

    @staticmethod
    def concat(parts: Sequence[Contexts]) -> Contexts:
        """Return the rows of one or more batches of the same facts as one; customers are kept where all have them."""
        if len(parts) == 1:
            return parts[0]
        n = sum(map(len, parts))
        customers = np.concatenate([part.customers for part in parts])
        hashes = np.concatenate([part.customer_hashes for part in parts])
        return Contexts(
            n,
            {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
            {name: np.concatenate([part.text[name] for part in parts]) for name in parts[0].text},
            customers if len(customers) == n else customers[:0],
            hashes if len(hashes) == n == len(customers) else hashes[:0],
        )

    def without_text(self) -> Contexts:
        """Return the same rows without the texts of the categorical facts, which no model reads."""
        return Contexts(self.n, self.columns, {}, self.customers, self.customer_hashes)

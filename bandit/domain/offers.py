"""Offers in batches: their columns, which of them are eligible and why not, and sparse probabilities over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.domain.arrays import BoolArray, FloatArray, IntArray


DENSE_CELLS = 250_000
"""Most cells of factored columns that are also held as one array, since looking rows up is faster than adding them."""


@dataclass(frozen=True, slots=True, eq=False)
class FactoredColumns:
    """(N, K) columns of offers, stored as sums over their options: `columns[offer]` gives the (n, K) rows of n offers.

    `options` (N, dimensions) is the option of each offer, `by_option` the (options, K) contributions of a dimension's
    options, one array for each dimension.
    """

    options: IntArray
    by_option: tuple[FloatArray, ...]
    _dense: list[FloatArray] = field(default_factory=list, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        return len(self.options), self.by_option[0].shape[1]

    def __getitem__(self, offer: IntArray | BoolArray | slice) -> FloatArray:
        if self._dense:
            return self._dense[0][offer]
        if len(self.options) * self.by_option[0].shape[1] <= DENSE_CELLS:
            every = self._sums(slice(None))
            every.flags.writeable = False
            self._dense.append(every)
            return every[offer]
        return self._sums(offer)

    def _sums(self, offer: IntArray | BoolArray | slice) -> FloatArray:
        chosen = self.options[offer]
        columns = self.by_option[0][chosen[:, 0]]
        for place in range(1, len(self.by_option)):
            columns += self.by_option[place][chosen[:, place]]
        return columns

    def with_intercept(self) -> FactoredColumns:
        """Return the (N, 1 + K) columns with a 1 in front."""
        first, *others = (np.pad(added, ((0, 0), (1, 0))) for added in self.by_option)
        first[:, 0] = 1.0
        return FactoredColumns(self.options, (first, *others))


@dataclass(frozen=True, slots=True, eq=False)
class Removal:
    """One reason why offers are not eligible: the number of the rule, its reason, and the offers it removed.

    `mask` returns the removed offers as an (N,) mask; it is called only when needed, since there may be millions. A
    rule without a condition forbids combinations of options to everybody: they are no offers, so `offers` is empty and
    `combinations` is how many they are; 0 for a rule with a condition.
    """

    rule: int
    reason: str
    mask: Callable[[], BoolArray]
    combinations: int = 0

    def __reduce__(self) -> tuple[Callable[..., Removal], tuple[int, str, BoolArray, int]]:
        """Be pickled with the mask itself, since a function that computes it cannot be."""
        return _removal_of_mask, (self.rule, self.reason, self.mask(), self.combinations)

    @property
    def offers(self) -> tuple[int, ...]:
        """The numbers of the removed offers."""
        return tuple(np.flatnonzero(self.mask()).tolist())


def _removal_of_mask(rule: int, reason: str, mask: BoolArray, combinations: int) -> Removal:
    return Removal(rule, reason, lambda: mask, combinations)


@dataclass(frozen=True, slots=True, eq=False)
class EligibleSets:
    """The eligible sets of n rows, each distinct one once.

    `masks` (u, N) are the distinct sets, read-only, `counts` (u,) their numbers of offers, `which` (n,) the set of each
    row.
    """

    masks: BoolArray
    counts: IntArray
    which: IntArray

    @staticmethod
    def of(masks: BoolArray) -> EligibleSets:
        """Return the (n, N) masks with each distinct one kept once, in the order of their packed bits.

        >>> sets = EligibleSets.of(np.array([[True, False], [True, True], [True, False]]))
        >>> len(sets.masks), sets.n_eligible.tolist()
        (2, [1, 2, 1])
        """
        n = len(masks)
        if (n and masks.strides[0] == 0) or masks.shape[1] == 0:  # one mask, broadcast over all rows
            distinct, which = masks[:1].copy(), np.zeros(n, dtype=np.int64)
        else:
            packed = np.ascontiguousarray(np.packbits(masks, axis=1))
            keys = packed.view(f"V{packed.shape[1]}").ravel()
            _, first, back = np.unique(keys, return_index=True, return_inverse=True)
            distinct, which = masks[first], back.astype(np.int64).ravel()
        distinct.flags.writeable = False
        return EligibleSets(distinct, np.count_nonzero(distinct, axis=1), which)

    def __len__(self) -> int:
        return len(self.which)

    @property
    def n_eligible(self) -> IntArray:
        """The number of eligible offers of each row, (n,)."""
        return self.counts[self.which]

    def has(self, offer: IntArray) -> BoolArray:
        """Return which of (n, m) offers are eligible in their row; a negative number is not."""
        return np.asarray(self.masks[self.which[:, None], np.maximum(offer, 0)] & (offer >= 0))

    def dense(self) -> BoolArray:
        """Return the (n, N) masks; a read-only view where all rows share one set."""
        if len(self.masks) == 1:
            return np.broadcast_to(self.masks[0], (len(self.which), self.masks.shape[1]))
        return self.masks[self.which]


@dataclass(frozen=True, slots=True, eq=False)
class SparseProbabilities:
    """Probabilities of n rows over offers of which all but a few are equally probable.

    `offers` (n, m) are the listed offers, all eligible; one may be listed more than once, and an entry whose `share`
    (n, m) is 0 does not count. `floor` (n,) is spread evenly over the `n_eligible` (n,) offers of the row, so the
    shares and the floor of a row sum to 1.
    """

    offers: IntArray
    share: FloatArray
    floor: FloatArray
    n_eligible: IntArray

    def __len__(self) -> int:
        return len(self.offers)

    def of(self, offer: IntArray) -> FloatArray:
        """Return the probability of one eligible offer for each row, (n,)."""
        own = np.where(self.offers == offer[:, None], self.share, 0.0).sum(axis=1)
        return np.asarray(own + self.floor / self.n_eligible)

    def dense(self, eligible: BoolArray) -> FloatArray:
        """Return the (n, N) probabilities; `eligible` is (n, N)."""
        table: FloatArray = np.where(eligible, (self.floor / self.n_eligible)[:, None], 0.0)
        np.add.at(table, (np.arange(len(table))[:, None], self.offers), self.share)
        return table

"""Eligibility: which offers the catalogue's rules leave for each context, and the reason for each removal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bandit.catalogue.conditions import Condition
from bandit.catalogue.offer_grid import MAX_DENSE_OFFERS, OfferGrid, OptionMasks
from bandit.domain import BoolArray, Contexts, EligibleSets, IntArray, Removal

MASK_CACHE_BYTES = 64_000_000
"""Most memory for the cached masks of single contexts, one for each combination of rules that hold."""


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule of the catalogue: the options it forbids together, and the condition it applies under (None: always)."""

    number: int
    reason: str
    when: Condition | None
    options: OptionMasks
    grid: OfferGrid

    @property
    def forbids(self) -> BoolArray:
        """The (N,) mask of the offers it removes."""
        return self._cached_mask if self.grid.n_offers <= MAX_DENSE_OFFERS else self._mask()

    @property
    def combinations(self) -> int:
        """The number of combinations of options that it forbids, of all that the dimensions make."""
        named = zip(self.grid.sizes, self.options, strict=True)
        return math.prod(size if options is None else int(options.sum()) for size, options in named)

    @cached_property
    def _cached_mask(self) -> BoolArray:
        return self._mask()

    def _mask(self) -> BoolArray:
        return ~self.grid.allowed([self.options])


class Eligibility:
    """The R rules that have a condition, over N offers; masks that do not depend on the customer are cached."""

    def __init__(self, rules: Sequence[Rule], grid: OfferGrid) -> None:
        self._grid = grid
        self._rules = [(rule, rule.when) for rule in rules if rule.when is not None]
        self._masks: dict[bytes, tuple[BoolArray, IntArray]] = {}
        self._removals: dict[int, Removal] = {}

    def fired(self, contexts: Contexts) -> BoolArray:
        """Return (n, R): which rules hold for each context."""
        holds = np.empty((len(self._rules), contexts.n), dtype=np.bool_)  # contiguous per rule
        for place, (_, when) in enumerate(self._rules):
            holds[place] = when(contexts)
        return holds.T

    def masks(self, fired: BoolArray) -> BoolArray:
        """Return the (n, N) masks of the eligible offers; the mask of a single row is shared and read-only."""
        if len(fired) == 1:
            return self._cached(fired)[0]
        if self._grid.n_offers <= MAX_DENSE_OFFERS:
            return self._compute(fired)
        return self.sets(fired).dense()

    def sets(self, fired: BoolArray) -> EligibleSets:
        """Return the eligible sets of the rows, each distinct one once."""
        if len(fired) == 1:
            mask, count = self._cached(fired)
            return EligibleSets(mask, count, np.zeros(1, dtype=np.int64))
        if not fired.shape[1]:
            fired, which = fired[:1], np.zeros(len(fired), dtype=np.int64)
        else:
            fired, which = np.unique(fired, axis=0, return_inverse=True)
        found = [self._cached(row[None, :]) for row in fired]
        masks = [mask for mask, _ in found]
        counts = [count for _, count in found]
        if len(found) == 1:
            return EligibleSets(masks[0], counts[0], which.reshape(-1))
        return EligibleSets(np.concatenate(masks), np.concatenate(counts), which.reshape(-1))

    def removals(self, fired: BoolArray) -> tuple[Removal, ...]:
        """Return one removal for each rule that holds; `fired` is an (R,) mask."""
        return tuple(map(self._removal, np.flatnonzero(fired).tolist())) if len(fired) else ()

    def _cached(self, fired: BoolArray) -> tuple[BoolArray, IntArray]:
        """Return the (1, N) mask and the (1,) number of eligible offers for one row of `fired`."""
        pattern = fired.tobytes()
        found = self._masks.get(pattern)
        if found is None:
            if (len(self._masks) + 1) * self._grid.n_offers > MASK_CACHE_BYTES:
                self._masks.clear()
            mask = self._compute(fired)
            mask.flags.writeable = False
            found = self._masks[pattern] = mask, np.array([np.count_nonzero(mask)])
        return found

    def _compute(self, fired: BoolArray) -> BoolArray:
        if self._grid.n_offers > MAX_DENSE_OFFERS:  # a single row: masks of so many offers are made one set at a time
            return self._grid.allowed(self._rules[place][0].options for place in np.flatnonzero(fired[0]))[None, :]
        mask = np.ones((len(fired), self._grid.n_offers), dtype=np.bool_)
        for (rule, _), rows in zip(self._rules, fired.T, strict=True):
            if rows.all():
                mask &= ~rule.forbids
            elif rows.any():
                mask[rows] &= ~rule.forbids
        return mask

    def _removal(self, place: int) -> Removal:
        """Return the removal of one rule; the record is shared by all customers."""
        removal = self._removals.get(place)
        if removal is None:
            rule = self._rules[place][0]
            removal = self._removals[place] = Removal(rule.number, rule.reason, lambda: rule.forbids)
        return removal

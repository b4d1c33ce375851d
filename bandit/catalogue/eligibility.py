"""What the rules leave for whom: the grid of combinations, masks of offers, and the reasons for what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from bandit.catalogue.conditions import Condition
from bandit.domain import BoolArray, Contexts, EligibleSets, IntArray, Removal

MASK_BYTES = 64_000_000
"""Most memory that masks of single contexts are kept in, one for each set of rules that hold together."""

MANY_OFFERS = 100_000
"""Above this many offers columns are compact, and a rule's mask is made when it is asked for and not kept."""

Named: TypeAlias = tuple[BoolArray | None, ...]
"""What a rule names: a mask of options for each dimension, None for one that it does not look at."""


class Grid:
    """All combinations of options, the last dimension running fastest, and those of them that are legal offers."""

    def __init__(self, sizes: Sequence[int], forbidden: Iterable[Named]) -> None:
        """Take the number of options of each dimension, and what the stacking rules forbid."""
        self.sizes = tuple(sizes)
        self.n_combinations = math.prod(sizes)
        legal = self._free_of(forbidden)
        self._legal = None if legal.all() else legal
        self.n_offers = self.n_combinations if self._legal is None else int(np.count_nonzero(legal))

    def allowed(self, forbidden: Iterable[Named]) -> BoolArray:
        """Return the (N,) mask of the offers that none of these forbids."""
        free = self._free_of(forbidden)
        return free if self._legal is None else free[self._legal]

    def options(self) -> IntArray:
        """Return the (N, dimensions) option of each offer; a byte or two a number where there are many offers."""
        few = self.n_offers <= MANY_OFFERS
        small = np.uint8 if max(self.sizes) <= 256 else np.uint16
        columns = np.empty((len(self.sizes), self.n_offers), dtype=np.int64 if few else small)
        step = 1
        for place in reversed(range(len(self.sizes))):
            size = self.sizes[place]
            # In a grid an option's number stands `step` times, then the next, and all this again and again.
            whole = np.repeat(np.arange(size, dtype=columns.dtype), step)
            column = np.broadcast_to(whole, (self.n_combinations // len(whole), len(whole))).reshape(-1)
            columns[place] = column if self._legal is None else column[self._legal]
            step *= size
        # Consumers index with them: what numpy takes for an index is as good as an int64.
        return cast("IntArray", columns.T if not few else np.ascontiguousarray(columns.T))

    def find(self, options: IntArray) -> IntArray:
        """Return the numbers of offers given as (..., dimensions) options; -1 where one is below 0 or not legal."""
        place = np.zeros(options.shape[:-1], dtype=np.int64)
        for column, size in enumerate(self.sizes):
            place = place * size + options[..., column]
        known = (options >= 0).all(axis=-1)
        if self._legal is None:
            return np.where(known, place, -1)
        # Numbers of another type would have numpy turn all places into theirs.
        place = np.maximum(place, 0).astype(self._places.dtype)
        found = np.minimum(np.searchsorted(self._places, place), self.n_offers - 1)
        return np.where(known & (self._places[found] == place), found, -1)

    @cached_property
    def _places(self) -> NDArray[np.integer]:
        """Number of each legal offer among all combinations, ascending."""
        numbers = np.arange(self.n_combinations) if self._legal is None else np.flatnonzero(self._legal)
        return numbers if self.n_combinations <= MANY_OFFERS else numbers.astype(np.uint32)

    def _free_of(self, forbidden: Iterable[Named]) -> BoolArray:
        """Return the mask of the combinations that none of these forbids."""
        free = np.ones(self._wide, dtype=np.bool_)
        for named in forbidden:
            hit = np.ones((1,) * len(self._wide), dtype=np.bool_)
            axis = 0
            for size, options in zip(self.sizes, named, strict=True):
                if options is not None:
                    shape = [1] * len(self._wide)
                    if size > 1:
                        shape[axis] = size
                    hit = hit & options.reshape(shape)
                axis += size > 1
            free &= ~hit
        return free.reshape(-1)

    @property
    def _wide(self) -> tuple[int, ...]:
        """The sizes above 1; numpy's arrays have no more than some dozens of dimensions."""
        return tuple(size for size in self.sizes if size > 1)


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule of the catalogue: what it forbids, and for whom (for everyone where `when` is None)."""

    number: int
    reason: str
    when: Condition | None
    named: Named
    grid: Grid

    @property
    def forbids(self) -> BoolArray:
        """The (N,) mask of the offers it removes."""
        return self._kept if self.grid.n_offers <= MANY_OFFERS else self._made()

    @cached_property
    def _kept(self) -> BoolArray:
        return self._made()

    def _made(self) -> BoolArray:
        return ~self.grid.allowed([self.named])


class Eligibility:
    """The R rules that have a condition, over N offers; remembers what does not depend on the customer."""

    def __init__(self, rules: Sequence[Rule], grid: Grid) -> None:
        self._grid = grid
        self._rules = [(rule, rule.when) for rule in rules if rule.when is not None]
        self._masks: dict[bytes, tuple[BoolArray, IntArray]] = {}
        self._removals: dict[int, Removal] = {}

    def fired(self, contexts: Contexts) -> BoolArray:
        """Return (n, R): which rules hold for each context."""
        held = np.empty((len(self._rules), contexts.n), dtype=np.bool_)  # a rule's column lies in one piece
        for place, (_, when) in enumerate(self._rules):
            held[place] = when(contexts)
        return held.T

    def masks(self, fired: BoolArray) -> BoolArray:
        """Return the (n, N) offers that the rules leave; a mask of one row is shared and cannot be written to."""
        if len(fired) == 1:
            return self._remembered(fired)[0]
        if self._grid.n_offers <= MANY_OFFERS:
            return self._work_out(fired)
        return self.sets(fired).dense()

    def sets(self, fired: BoolArray) -> EligibleSets:
        """Return the same, each distinct set once."""
        if len(fired) == 1:
            mask, count = self._remembered(fired)
            return EligibleSets(mask, count, np.zeros(1, dtype=np.int64))
        if not fired.shape[1]:
            fired, which = fired[:1], np.zeros(len(fired), dtype=np.int64)
        else:
            fired, which = np.unique(fired, axis=0, return_inverse=True)
        found = [self._remembered(row[None, :]) for row in fired]
        masks = [mask for mask, _ in found]
        counts = [count for _, count in found]
        if len(found) == 1:
            return EligibleSets(masks[0], counts[0], which.reshape(-1))
        return EligibleSets(np.concatenate(masks), np.concatenate(counts), which.reshape(-1))

    def removals(self, fired: BoolArray) -> tuple[Removal, ...]:
        """Return what the rules that hold, as an (R,) mask, removed."""
        return tuple(map(self._removal, np.flatnonzero(fired).tolist())) if len(fired) else ()

    def _remembered(self, fired: BoolArray) -> tuple[BoolArray, IntArray]:
        """Return the (1, N) mask and the (1,) number of offers in it, for one row of rules that hold."""
        pattern = fired.tobytes()
        found = self._masks.get(pattern)
        if found is None:
            if (len(self._masks) + 1) * self._grid.n_offers > MASK_BYTES:
                self._masks.clear()
            mask = self._work_out(fired)
            mask.flags.writeable = False
            found = self._masks[pattern] = mask, np.array([np.count_nonzero(mask)])
        return found

    def _work_out(self, fired: BoolArray) -> BoolArray:
        if self._grid.n_offers > MANY_OFFERS:  # one row, since masks of many offers are made set by set
            return self._grid.allowed(self._rules[place][0].named for place in np.flatnonzero(fired[0]))[None, :]
        mask = np.ones((len(fired), self._grid.n_offers), dtype=np.bool_)
        for (rule, _), rows in zip(self._rules, fired.T, strict=True):
            if rows.all():
                mask &= ~rule.forbids
            elif rows.any():
                mask[rows] &= ~rule.forbids
        return mask

    def _removal(self, place: int) -> Removal:
        """Return what a rule removes; the record is the same for everyone."""
        removal = self._removals.get(place)
        if removal is None:
            rule = self._rules[place][0]
            removal = self._removals[place] = Removal(rule.number, rule.reason, lambda: rule.forbids)
        return removal

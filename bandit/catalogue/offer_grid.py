"""The grid of all combinations of options, and the numbering of those that are legal offers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from bandit.domain import BoolArray, IntArray

MAX_DENSE_OFFERS = 100_000
"""Most offers for which every array over the offers is dense; above, columns are compact and masks made on demand."""

OptionMasks: TypeAlias = tuple[BoolArray | None, ...]
"""The options that a rule names: a mask of options for each dimension, None for a dimension that the rule ignores."""


class OfferGrid:
    """All combinations of options in order, the last dimension running fastest, and which of them are legal offers."""

    def __init__(self, sizes: Sequence[int], forbidden: Iterable[OptionMasks]) -> None:
        """Take the number of options of each dimension and the options that each stacking rule forbids together."""
        self.sizes = tuple(sizes)
        self.n_combinations = math.prod(sizes)
        legal = self._combinations_without(forbidden)
        self._legal = None if legal.all() else legal
        self.n_offers = self.n_combinations if self._legal is None else int(np.count_nonzero(legal))

    def allowed(self, forbidden: Iterable[OptionMasks]) -> BoolArray:
        """Return the (N,) mask of the offers that no rule forbids."""
        free = self._combinations_without(forbidden)
        return free if self._legal is None else free[self._legal]

    def options(self) -> IntArray:
        """Return the (N, dimensions) option of each offer; a byte or two a number where there are many offers."""
        few = self.n_offers <= MAX_DENSE_OFFERS
        small = np.uint8 if max(self.sizes) <= 256 else np.uint16
        columns = np.empty((len(self.sizes), self.n_offers), dtype=np.int64 if few else small)
        step = 1
        for place in reversed(range(len(self.sizes))):
            size = self.sizes[place]
            # Each option's number is repeated `step` times, then the next one's, and the whole pattern is tiled.
            pattern = np.repeat(np.arange(size, dtype=columns.dtype), step)
            column = np.broadcast_to(pattern, (self.n_combinations // len(pattern), len(pattern))).reshape(-1)
            columns[place] = column if self._legal is None else column[self._legal]
            step *= size
        # Callers only index with these numbers, and numpy indexes with any integer type.
        return cast("IntArray", columns.T if not few else np.ascontiguousarray(columns.T))

    def find(self, options: IntArray) -> IntArray:
        """Return the numbers of offers given as (..., dimensions) options; -1 where one is below 0 or not legal."""
        place = np.zeros(options.shape[:-1], dtype=np.int64)
        for column, size in enumerate(self.sizes):
            place = place * size + options[..., column]
        known = (options >= 0).all(axis=-1)
        if self._legal is None:
            return np.where(known, place, -1)
        # A search key of another type would make numpy convert the whole table first.
        place = np.maximum(place, 0).astype(self._legal_places.dtype)
        found = np.minimum(np.searchsorted(self._legal_places, place), self.n_offers - 1)
        return np.where(known & (self._legal_places[found] == place), found, -1)

    @cached_property
    def _legal_places(self) -> NDArray[np.integer]:
        """Number of each legal offer among all combinations, ascending."""
        numbers = np.arange(self.n_combinations) if self._legal is None else np.flatnonzero(self._legal)
        return numbers if self.n_combinations <= MAX_DENSE_OFFERS else numbers.astype(np.uint32)

    def _combinations_without(self, forbidden: Iterable[OptionMasks]) -> BoolArray:
        """Return the mask over all combinations of those that no rule forbids."""
        free = np.ones(self._wide_sizes, dtype=np.bool_)
        for named in forbidden:
            hit = np.ones((1,) * len(self._wide_sizes), dtype=np.bool_)
            axis = 0
            for size, options in zip(self.sizes, named, strict=True):
                if options is not None:
                    shape = [1] * len(self._wide_sizes)
                    if size > 1:
                        shape[axis] = size
                    hit = hit & options.reshape(shape)
                axis += size > 1
            free &= ~hit
        return free.reshape(-1)

    @property
    def _wide_sizes(self) -> tuple[int, ...]:
        """The sizes above 1, since numpy arrays are limited to some dozens of dimensions."""
        return tuple(size for size in self.sizes if size > 1)

"""The distinct eligible sets of a log that is read batch by batch, each kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import EligibleSets

if TYPE_CHECKING:
    from bandit.domain import BoolArray, IntArray


class DistinctMasks:
    """Numbers the eligible sets of a log in order of appearance; memory grows with the number of distinct sets."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._masks: list[BoolArray] = []

    def number(self, eligible: BoolArray) -> IntArray:
        """Return the number of each row's set, (n,), from the (n, N) masks of a batch."""
        sets = EligibleSets.of(eligible)
        numbers = np.array([self._number_of(mask) for mask in sets.masks], dtype=np.int64)
        return numbers[sets.which]

    def stack(self) -> BoolArray:
        """Return the (u, N) masks of all sets numbered so far."""
        return np.stack(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def _number_of(self, mask: BoolArray) -> int:
        key = mask.tobytes()
        if key not in self._numbers:
            self._numbers[key] = len(self._masks)
            self._masks.append(np.array(mask))
        return self._numbers[key]

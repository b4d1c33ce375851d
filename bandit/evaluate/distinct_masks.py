"""The distinct eligible sets of a log that is read batch by batch, each kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import BoolArray, IntArray


class DistinctMasks:
    """Numbers the eligible sets of a log in order of appearance; memory grows with the number of distinct sets."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._masks: list[BoolArray] = []

    def number(self, eligible: BoolArray) -> IntArray:
        """Return the number of each row's set, (n,), from the (n, N) masks of a batch."""
        if not len(eligible):
            return np.empty(0, dtype=np.int64)
        if eligible.strides[0] == 0:  # all rows of the batch share one set
            return np.full(len(eligible), self._number_of(eligible[0]), dtype=np.int64)
        packed = np.ascontiguousarray(np.packbits(eligible, axis=1))
        rows = packed.view(f"V{packed.shape[1]}").ravel()
        first, back = np.unique(rows, return_index=True, return_inverse=True)[1:]
        return np.array([self._number_of(eligible[row]) for row in first.tolist()], dtype=np.int64)[back]

    def stack(self) -> BoolArray:
        """Return the (u, N) masks of all sets numbered so far."""
        return np.stack(self._masks)

    def _number_of(self, mask: BoolArray) -> int:
        key = np.packbits(mask).tobytes()
        if key not in self._numbers:
            self._numbers[key] = len(self._masks)
            self._masks.append(np.array(mask))
        return self._numbers[key]

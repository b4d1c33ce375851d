"""How much of a log tells two policies apart: Kish's effective number of rows on either side of their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray

_ALIKE = 0.01


class PolicyContrast:
    """The effective number of decisions in which two policies differ; parts merge with `+`.

    With the difference d of the two policies' weights it is `sum(|d|)^2 / sum(d^2)`, once over the rows that one policy
    prefers (d > 0) and once over those that the other prefers (d < 0); the smaller of the two counts. Where a side has
    few outcomes that matter, intervals are too narrow, since most logs of this size have none of them.
    """

    def __init__(self) -> None:
        self._sums, self._squares = np.zeros(2), np.zeros(2)

    def add(self, apart: FloatArray, stands_for: FloatArray | None = None) -> None:
        """Add the (n,) differences of two policies' weights; those below 0.01 count as 0.

        `stands_for` (n,) is how many decisions each row stands for, one by default.
        """
        apart = np.where(np.abs(apart) < _ALIKE, 0.0, apart)
        apart = apart if stands_for is None else apart * stands_for
        for side, part in enumerate((np.maximum(apart, 0.0), np.maximum(-apart, 0.0))):
            self._sums[side] += float(part.sum())
            self._squares[side] += float(part @ part)

    def __add__(self, other: PolicyContrast) -> PolicyContrast:
        both = PolicyContrast()
        both._sums, both._squares = self._sums + other._sums, self._squares + other._squares
        return both

    @property
    def size(self) -> float:
        """The smaller number; infinite where the policies never differ, 0 where one side has no rows."""
        if not self._squares.any():
            return float("inf")
        sides = zip(self._sums.tolist(), self._squares.tolist(), strict=True)
        return min(effective_number(total, squares) for total, squares in sides)


def effective_number(total: float, squares: float) -> float:
    """Return total^2 / squares, Kish's effective number of weights with this sum and sum of squares; 0 for none."""
    return float(total / squares * total) if squares > 0 else 0.0


def rarer_share(earning: float, n: float, *, binary: bool) -> float:
    """Return the share of the rarer kind of outcome among n decisions, of which `earning` earned something.

    Where outcomes are not binary, those that earned something are one kind, whatever they earned.
    """
    part = earning / (n or 1)
    return min(part, 1.0 - part) if binary else part

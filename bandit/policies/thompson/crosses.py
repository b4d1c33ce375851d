"""Crosses: columns (cell of facts) x (option column or base) that are found in what was learned, and get weights.

Whether a cell such as "loyal, gender f" moves the response to an option is judged by the evidence for its weight in a
sample of the outcomes, beside all that the belief knows already (`bandit.models.forward_selection`); it is admitted
where its log Bayes factor exceeds the logarithm of the number of columns of its length that were looked at, divided by
`EXPECTED_CROSSES`. The prior deviation of a weight falls with the number of checks and with the rarity of the cell, as
that of a rule in HorseRule (Nalenz & Villani 2018, "Tree ensembles with rule structured horseshoe regularization",
Annals of Applied Statistics 12, section 3.1). Rounds are at 200 outcomes, 250, 312 and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandit.domain import FloatArray, IntArray
from bandit.encoding.cells import MAX_CHECKS, CellColumns, Cells
from bandit.encoding.encoder import Encoder

FIRST_ROUND = 200
"""Outcomes after which crosses are looked for for the first time."""

ROUND_EVERY = 1.25
"""... and then each time their number has grown by this factor."""

MOST_A_ROUND = 25
"""Most crosses that one round admits."""

MOST_CROSSES = 96
"""Most crosses of a model."""

EXPECTED_CROSSES = 1.0
"""Crosses of each number of checks that are expected to matter, before any outcome is seen."""

CROSS_SHARES = (1.0, 1.0, 0.7)
"""Prior deviations of crosses of one, two and three checks, as shares of that of all crosses."""


@dataclass(frozen=True, slots=True, eq=False)
class Crosses:
    """C crosses: their cells, and the option columns they act on, (C,), the base being 0.

    `size` (C,) is what a cross's column is where its cell holds: below 1 for rare cells, whose weights are thereby
    shrunk harder.
    """

    cells: Cells
    target: IntArray
    size: FloatArray

    @staticmethod
    def none() -> Crosses:
        """Return no crosses."""
        return Crosses(Cells.none(), np.zeros(0, dtype=np.int64), np.zeros(0))

    def __len__(self) -> int:
        return len(self.target)

    def is_same(self, other: Crosses) -> bool:
        """Say whether these are the same crosses in the same order."""
        return self.cells.is_same(other.cells) and np.array_equal(self.target, other.target)

    def joined(self, other: Crosses) -> Crosses:
        """Return these crosses and then the others."""
        return Crosses(
            self.cells.joined(other.cells),
            np.concatenate([self.target, other.target]),
            np.concatenate([self.size, other.size]),
        )

    def take(self, places: IntArray) -> Crosses:
        """Return the chosen crosses."""
        return Crosses(self.cells.take(places), self.target[places], self.size[places])

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return arrays, enough for `restore`."""
        return {
            "column": self.cells.column,
            "threshold": self.cells.threshold,
            "above": self.cells.above,
            "signed": self.cells.signed,
            "target": self.target,
            "size": self.size,
        }

    @staticmethod
    def restore(arrays: Mapping[str, NDArray[np.generic]], n_context: int, n_columns: int) -> Crosses:
        """Return the crosses of a state; ValueError or KeyError where they do not fit."""
        column, target = np.array(arrays["column"], dtype=np.int64), np.array(arrays["target"], dtype=np.int64)
        threshold, above = np.array(arrays["threshold"], dtype=np.float64), np.array(arrays["above"], dtype=np.bool_)
        size, signed = np.array(arrays["size"], dtype=np.float64), np.array(arrays["signed"], dtype=np.bool_)
        shape = (len(target), MAX_CHECKS)
        if not (column.shape == threshold.shape == above.shape == shape and size.shape == signed.shape == target.shape):
            raise ValueError("its crosses have other shapes")
        if not (np.isfinite(threshold).all() and np.isfinite(size).all() and (size > 0.0).all()):
            raise ValueError("its crosses have numbers that are not finite")
        if len(target) and not (
            column.min() >= -1 and column.max() < n_context and target.min() >= 0 and target.max() < n_columns
        ):
            raise ValueError("its crosses are of another context or of other offers")
        return Crosses(Cells(column, threshold, above, signed), target, size)


class CrossColumns:
    """Evaluates crosses for encoded contexts: each cell once, however many option columns it acts on."""

    def __init__(self, crosses: Crosses, encoder: Encoder) -> None:
        """Prepare the crosses; their columns must be those of the encoder."""
        cells = crosses.cells
        key = np.concatenate([cells.column, cells.threshold, cells.above, cells.signed[:, None]], axis=1)
        _, first, self._of = np.unique(key, axis=0, return_index=True, return_inverse=True)
        self._of = self._of.ravel()
        self._cells = CellColumns(cells.take(first), encoder)
        self._size = crosses.size

    def columns(self, matrix: FloatArray) -> FloatArray:
        """Return the (n, C) columns of n encoded contexts (n, d)."""
        return np.asarray(self._cells.values(matrix).take(self._of, axis=1) * self._size)


def cell_size(share: FloatArray) -> FloatArray:
    """Return the size of the column of cells that hold for these shares of the customers: (4 s (1 - s))^(1/4)."""
    return np.asarray((4.0 * share * (1.0 - share)) ** 0.25)


def next_round(n_learned: int) -> int:
    """Return the number of outcomes at which crosses are looked for next, once `n_learned` have been learned.

    >>> next_round(0), next_round(200), next_round(249)
    (200, 250, 250)
    """
    mark = float(FIRST_ROUND)
    while int(mark) <= n_learned:
        mark *= ROUND_EVERY
    return int(mark)

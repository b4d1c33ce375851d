"""Cells of facts: the customers for whom up to three checks on encoded facts all hold, such as "loyal, gender f".

A check reads one context column of the encoder: a numeric fact's standardised value lies above or below a threshold, a
boolean is true or false, a categorical fact has one value, or a fact is missing. It never holds where the fact is
missing, unless it asks for that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.encoding.encoder import Encoder

MAX_CHECKS = 3
"""Most checks of a cell."""

THRESHOLD_QUANTILES = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8)
"""Quantiles of a numeric fact's values at which thresholds are proposed."""

MIN_CELL_SHARE = 0.02
"""Least share of the customers that a check must hold for, and not hold for, to be proposed."""

_NO_COLUMN = -1
_INDICATOR = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """C cells of up to MAX_CHECKS checks each.

    `column` (C, MAX_CHECKS) has the context column of each check, -1 where a cell has fewer; `threshold` and `above`
    of the same shape: a check holds where the column's value is above the threshold, or below it.
    """

    column: IntArray
    threshold: FloatArray
    above: BoolArray

    @staticmethod
    def none() -> Cells:
        """Return no cells."""
        shape = (0, MAX_CHECKS)
        return Cells(np.zeros(shape, dtype=np.int64), np.zeros(shape), np.zeros(shape, dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.column)

    @property
    def n_checks(self) -> IntArray:
        """The number of checks of each cell, (C,)."""
        return np.asarray((self.column != _NO_COLUMN).sum(axis=1))

    def take(self, places: IntArray) -> Cells:
        """Return the chosen cells."""
        return Cells(self.column[places], self.threshold[places], self.above[places])

    def joined(self, other: Cells) -> Cells:
        """Return these cells and then the others."""
        return Cells(
            np.concatenate([self.column, other.column]),
            np.concatenate([self.threshold, other.threshold]),
            np.concatenate([self.above, other.above]),
        )

    def crossed(self, other: Cells) -> Cells:
        """Return the C cells in which all checks of one and of the other (C) hold; ValueError where these are too many.

        >>> one = Cells(np.array([[3, -1, -1]]), np.zeros((1, 3)), np.ones((1, 3), dtype=bool))
        >>> one.crossed(Cells(np.array([[1, 2, -1]]), np.zeros((1, 3)), np.ones((1, 3), dtype=bool))).column
        array([[1, 2, 3]])
        """
        column, threshold, above = (
            np.concatenate([getattr(self, part), getattr(other, part)], axis=1)
            for part in ("column", "threshold", "above")
        )
        if ((column != _NO_COLUMN).sum(axis=1) > MAX_CHECKS).any():
            raise ValueError(f"a cell has at most {MAX_CHECKS} checks")
        # By column, empty places last: the same checks in another order are the same cell.
        order = np.argsort(np.where(column == _NO_COLUMN, np.iinfo(np.int64).max, column), axis=1, kind="stable")
        parts = (np.take_along_axis(part, order, axis=1)[:, :MAX_CHECKS] for part in (column, threshold, above))
        return Cells(*parts)


class CellColumns:
    """Evaluates cells for encoded contexts."""

    def __init__(self, cells: Cells, encoder: Encoder) -> None:
        """Prepare the C cells; their columns must be those of the encoder."""
        shape = cells.column.shape
        empty = cells.column == _NO_COLUMN
        column = np.where(empty, 0, cells.column).ravel()  # the intercept, which is 1
        sign = np.where(cells.above | empty, 1.0, -1.0).ravel()
        self._column, self._sign = column, sign
        self._bound = sign * np.where(empty, _INDICATOR, cells.threshold).ravel()
        missing = missing_columns(encoder)[column]
        # Where nothing can be missing, the intercept is compared with a number that it never reaches.
        self._missing = np.where(missing == _NO_COLUMN, 0, missing)
        self._missing_bound = np.where(missing == _NO_COLUMN, 2.0, _INDICATOR)
        self._shape = shape

    def holds(self, matrix: FloatArray) -> BoolArray:
        """Return which of the C cells each of n encoded contexts (n, d) is in, (n, C)."""
        met = matrix[:, self._column] * self._sign > self._bound
        met &= matrix[:, self._missing] < self._missing_bound
        return np.asarray(met.reshape(len(matrix), *self._shape).all(axis=2))


def missing_columns(encoder: Encoder) -> IntArray:
    """Return the column that says whether the fact of each context column is missing, (d,).

    -1 for columns of categorical facts, whose values are 0 where they are missing, and for these columns themselves.
    """
    found = np.full(encoder.n_context, _NO_COLUMN, dtype=np.int64)
    for place, fact in enumerate(encoder.catalogue.facts.values()):
        if fact.kind != "categorical":
            first = int(np.flatnonzero(encoder.context_fact == place)[0])
            found[first] = first + 1
    return found


def propose_cells(encoder: Encoder, matrix: FloatArray) -> tuple[Cells, IntArray]:
    """Return the cells of one check that n encoded contexts (n, d) suggest, and the fact of each.

    Numeric facts are cut at quantiles of their values, both sides of a cut; a boolean is true or false; a categorical
    fact has one of its values; each fact may be missing. What holds for too few or for nearly all is left out.
    """
    missing = missing_columns(encoder)
    facts = list(encoder.catalogue.facts.values())
    checks: list[tuple[int, float, bool]] = []
    owners: list[int] = []
    for place, fact in enumerate(facts):
        own = np.flatnonzero((encoder.context_fact == place) & (encoder.context_group == 1))
        if fact.kind == "categorical":
            found = [(int(column), _INDICATOR, True) for column in own]
        else:
            value = int(own[0])
            known = matrix[matrix[:, missing[value]] == 0.0, value]
            found = [(value + 1, _INDICATOR, True)]
            cuts = _cuts(known) if fact.kind == "numeric" else [0.0]
            found += [(value, cut, above) for cut in cuts for above in (True, False)]
        checks += found
        owners += [place] * len(found)
    n = len(checks)
    column = np.full((n, MAX_CHECKS), _NO_COLUMN, dtype=np.int64)
    threshold, above = np.zeros((n, MAX_CHECKS)), np.ones((n, MAX_CHECKS), dtype=np.bool_)
    if n:
        column[:, 0], threshold[:, 0], above[:, 0] = (np.array(part) for part in zip(*checks, strict=True))
    cells = Cells(column, threshold, above)
    share = CellColumns(cells, encoder).holds(matrix).mean(axis=0)
    kept = np.flatnonzero((share >= MIN_CELL_SHARE) & (share <= 1.0 - MIN_CELL_SHARE))
    return cells.take(kept), np.array(owners, dtype=np.int64)[kept]


def _cuts(values: FloatArray) -> list[float]:
    """Return thresholds half way between two values that occur, near the quantiles."""
    if not len(values):
        return []
    distinct = np.unique(values)
    places = np.searchsorted(distinct, np.quantile(values, THRESHOLD_QUANTILES))
    places = np.unique(np.clip(places, 1, len(distinct) - 1)) if len(distinct) > 1 else np.zeros(0, dtype=np.int64)
    return [float(0.5 * (distinct[place - 1] + distinct[place])) for place in places]

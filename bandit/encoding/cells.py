"""Cells of facts: the customers for whom up to three checks on encoded facts all hold, such as "loyal and gender f".

A cell counts 1 for the customers in it and 0 for the others; a signed one of two checks counts 1 where both hold or
neither does, and -1 where one holds only. A check reads one context column of the encoder: a numeric fact's
standardised value lies above or below a threshold, a boolean is true or false, a categorical fact has one value, or a
fact is missing. It never holds where the fact is missing, unless it asks for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.encoding.column_keys import Key, context_keys
from bandit.encoding.encoder import Encoder

MAX_CHECKS = 3
"""Most checks of a cell."""

CELL_QUANTILES = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8)
"""Quantiles of a numeric fact's values at which thresholds are proposed."""

MIN_CHECK_SHARE = 0.02
"""Least share of the customers that a check must hold for, and not hold for, to be proposed."""

NO_COLUMN = -1
"""The column of a check that a cell does not have."""

_INDICATOR = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """C cells of up to MAX_CHECKS checks each.

    `column` (C, MAX_CHECKS) has the context column of each check, -1 where a cell has fewer; `threshold` and `above`
    of the same shape: a check holds where the column's value is above the threshold, or below it. `signed` is (C,).
    """

    column: IntArray
    threshold: FloatArray
    above: BoolArray
    signed: BoolArray

    @staticmethod
    def none() -> Cells:
        """Return no cells."""
        shape = (0, MAX_CHECKS)
        return Cells(
            np.zeros(shape, dtype=np.int64),
            np.zeros(shape),
            np.zeros(shape, dtype=np.bool_),
            np.zeros(0, dtype=np.bool_),
        )

    @staticmethod
    def of_one_check(column: Sequence[int], threshold: Sequence[float], above: Sequence[bool]) -> Cells:
        """Return cells of one check each."""
        n = len(column)
        columns = np.full((n, MAX_CHECKS), NO_COLUMN, dtype=np.int64)
        thresholds, aboves = np.zeros((n, MAX_CHECKS)), np.ones((n, MAX_CHECKS), dtype=np.bool_)
        columns[:, 0], thresholds[:, 0], aboves[:, 0] = column, threshold, above
        return Cells(columns, thresholds, aboves, np.zeros(n, dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.column)

    @property
    def n_checks(self) -> IntArray:
        """The number of checks of each cell, (C,)."""
        return np.asarray((self.column != NO_COLUMN).sum(axis=1))

    def is_same(self, other: Cells) -> bool:
        """Say whether these are the same cells in the same order."""
        return all(
            np.array_equal(one, another)
            for one, another in (
                (self.column, other.column),
                (self.threshold, other.threshold),
                (self.above, other.above),
                (self.signed, other.signed),
            )
        )

    def take(self, places: IntArray) -> Cells:
        """Return the chosen cells."""
        return Cells(self.column[places], self.threshold[places], self.above[places], self.signed[places])

    def joined(self, other: Cells) -> Cells:
        """Return these cells and then the others."""
        return Cells(
            np.concatenate([self.column, other.column]),
            np.concatenate([self.threshold, other.threshold]),
            np.concatenate([self.above, other.above]),
            np.concatenate([self.signed, other.signed]),
        )

    def crossed(self, other: Cells, signed: bool = False) -> Cells:
        """Return the C cells with the checks of one and of the other (C); ValueError where these are too many.

        >>> one = Cells.of_one_check([3], [0.5], [True])
        >>> one.crossed(Cells.of_one_check([1], [0.0], [False])).column
        array([[ 1,  3, -1]])
        """
        column = np.concatenate([self.column, other.column], axis=1)
        threshold = np.concatenate([self.threshold, other.threshold], axis=1)
        above = np.concatenate([self.above, other.above], axis=1)
        if ((column != NO_COLUMN).sum(axis=1) > MAX_CHECKS).any():
            raise ValueError(f"a cell has at most {MAX_CHECKS} checks")
        return Cells(column, threshold, above, np.full(len(column), signed)).ordered()

    def ordered(self) -> Cells:
        """Return the cells with their checks by column: the same checks in another order are the same cell."""
        place = np.where(self.column == NO_COLUMN, np.iinfo(np.int64).max, self.column)
        order = np.argsort(place, axis=1, kind="stable")[:, :MAX_CHECKS]
        return Cells(
            np.take_along_axis(self.column, order, axis=1),
            np.take_along_axis(self.threshold, order, axis=1),
            np.take_along_axis(self.above, order, axis=1),
            self.signed,
        )


class CellColumns:
    """Evaluates cells for encoded contexts."""

    def __init__(self, cells: Cells, encoder: Encoder) -> None:
        """Prepare the C cells; their columns must be those of the encoder."""
        shape = cells.column.shape
        empty = cells.column == NO_COLUMN
        column = np.where(empty, 0, cells.column).ravel()  # the intercept, which is 1
        sign = np.where(cells.above | empty, 1.0, -1.0).ravel()
        self._column, self._sign = column, sign
        self._bound = sign * np.where(empty, _INDICATOR, cells.threshold).ravel()
        missing = missing_columns(encoder)[column]
        # Where nothing can be missing, the intercept is compared with a number that it never reaches.
        self._missing = np.where(missing == NO_COLUMN, 0, missing)
        self._missing_bound = np.where(missing == NO_COLUMN, 2.0, _INDICATOR)
        self._shape = shape
        signed = np.repeat(cells.signed, MAX_CHECKS) & ~empty.ravel()
        self._factor, self._offset = np.where(signed, 2.0, 1.0), np.where(signed, -1.0, 0.0)

    def values(self, matrix: FloatArray) -> FloatArray:
        """Return the C cells of n encoded contexts (n, d), (n, C): 0 or 1, for signed cells -1 or 1."""
        factors = self.factors(matrix)
        if len(matrix) == 1:
            return np.asarray(np.multiply.reduce(factors, axis=2))
        found = factors[:, :, 0] * factors[:, :, 1]  # a reduction over so few numbers takes several times as long
        for place in range(2, factors.shape[2]):
            found *= factors[:, :, place]
        return np.asarray(found)

    def factors(self, matrix: FloatArray) -> FloatArray:
        """Return what each check contributes to the product, (n, C, MAX_CHECKS): 1 for a check that a cell lacks.

        1 where the check holds; else 0, or -1 for signed cells. 0 where the fact is missing.
        """
        # One row is taken as a vector, which is several times faster.
        rows = matrix[0] if len(matrix) == 1 else matrix
        found = (rows.take(self._column, axis=-1) * self._sign > self._bound) * self._factor
        found += self._offset
        found *= rows.take(self._missing, axis=-1) < self._missing_bound
        return np.asarray(found.reshape(len(matrix), *self._shape))


def missing_columns(encoder: Encoder) -> IntArray:
    """Return the column that says whether the fact of each context column is missing, (d,).

    -1 for columns of categorical facts, whose values are 0 where they are missing, and for these columns themselves.
    """
    found = np.full(encoder.n_context, NO_COLUMN, dtype=np.int64)
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
    cells = Cells.of_one_check(*zip(*checks, strict=True)) if checks else Cells.none()
    share = CellColumns(cells, encoder).values(matrix).mean(axis=0)
    kept = np.flatnonzero((share >= MIN_CHECK_SHARE) & (share <= 1.0 - MIN_CHECK_SHARE))
    return cells.take(kept), np.array(owners, dtype=np.int64)[kept]


def _cuts(values: FloatArray) -> list[float]:
    """Return thresholds half way between two values that occur, near the quantiles."""
    if not len(values):
        return []
    distinct = np.unique(values)
    places = np.searchsorted(distinct, np.quantile(values, CELL_QUANTILES))
    places = np.unique(np.clip(places, 1, len(distinct) - 1)) if len(distinct) > 1 else np.zeros(0, dtype=np.int64)
    return [float(0.5 * (distinct[place - 1] + distinct[place])) for place in places]


def cell_words(cells: Cells, encoder: Encoder) -> tuple[str, ...]:
    """Return each cell in words, such as "loyal and days > 20.5", or "both or neither of loyal and gender f"."""
    keys = context_keys(encoder)
    found = []
    for column, threshold, above, signed in zip(
        *(part.tolist() for part in (cells.column, cells.threshold, cells.above, cells.signed)), strict=True
    ):
        checks = [
            _words(encoder, keys[place], threshold[number], above[number])
            for number, place in enumerate(column)
            if place != NO_COLUMN
        ]
        found.append(f"{'both or neither of ' if signed else ''}{' and '.join(checks)}")
    return tuple(found)


def _words(encoder: Encoder, key: Key, threshold: float, above: bool) -> str:
    """Return one check in words."""
    kind, fact, *value = key
    if kind == "value":
        return f"{fact} {value[0]}"
    if kind in {"other", "missing"}:
        return f"{fact} {kind}"
    if encoder.catalogue.facts[fact].kind == "boolean":
        return fact if above else f"not {fact}"
    scale = encoder.scales[fact]
    return f"{fact} {'>' if above else '<'} {scale.center + scale.scale * threshold:.4g}"

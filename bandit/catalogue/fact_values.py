"""Columns of fact values as callers give them, and tests on whole columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import methodcaller
from typing import TypeAlias

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray

MIN_SORTED = 256
"""Fewest rows of numpy's texts of fixed width that are looked up by binary search."""

MAX_SORTED = 256
"""Most declared values that are looked up by binary search; a dictionary is as fast beyond."""

MAX_WIDTH = 64
"""Longest text, in characters, of a column that is looked up by binary search."""


@dataclass(frozen=True, slots=True, eq=False)
class CodedColumn:
    """A dictionary-encoded column of n values: the distinct values, and the index of each row's value, `codes` (n,).

    Every distinct value is validated, even one that no row uses.
    """

    distinct: Sequence[object]
    codes: IntArray

    def __len__(self) -> int:
        return len(self.codes)


FactValues: TypeAlias = Sequence[object] | ObjectArray | CodedColumn
"""One fact's values as a caller gives them."""


def listed(given: Sequence[object] | ObjectArray) -> Sequence[object]:
    """Return the values as a list or tuple, numpy's as Python's own where it has them."""
    if isinstance(given, np.ndarray):
        return given.tolist()  # type: ignore[no-any-return]
    return given if isinstance(given, (list, tuple)) else list(given)


def are_nan(values: ObjectArray) -> BoolArray:
    """Return (n,): which of the values are floats and NaN."""
    nan = np.fromiter(map(isinstance, values, repeat(float)), dtype=np.bool_, count=len(values))
    nan[nan] = np.isnan(values[nan].astype(np.float64))
    return nan


def is_fixed_width(given: ObjectArray) -> bool:
    """Return whether a column is of numpy's texts of fixed width, of many rows and no long text."""
    longest = np.dtype(f"U{MAX_WIDTH}").itemsize
    return given.dtype.kind == "U" and given.ndim == 1 and len(given) >= MIN_SORTED and given.itemsize <= longest


def number_array(values: Sequence[object]) -> FloatArray | None:
    """Return plain numbers as floats, None where an integer is beyond what numpy's integers hold."""
    try:
        array = np.asarray(values)
    except OverflowError:  # beyond what a float holds, among floats
        return None
    return array.astype(np.float64) if array.dtype.kind in "biuf" else None


def all_texts(values: Sequence[object]) -> bool:
    """Return whether all values are texts."""
    return all(issubclass(kind, str) for kind in set(map(type, values)))


def columns_of(rows: Sequence[Mapping[str, object]], names: Sequence[str]) -> dict[str, FactValues]:
    """Return rows as columns, None where a row has nothing under a name."""
    if set(map(type, rows)) == {dict}:
        return {name: list(map(dict.get, rows, repeat(name))) for name in names}  # type: ignore[arg-type]
    return {name: list(map(methodcaller("get", name), rows)) for name in names}

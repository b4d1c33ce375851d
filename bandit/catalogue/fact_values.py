"""Columns of fact values as callers give them, and tests on whole columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import methodcaller
from typing import Any, TypeAlias

import numpy as np

from bandit.catalogue.plain_values import shown
from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
from bandit.errors import ContextError

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


def object_column(values: Sequence[object]) -> ObjectArray:
    """Return the values as a column of Python objects, also where some are sequences themselves."""
    return np.fromiter(values, dtype=object, count=len(values))


def without_nan(values: Sequence[object]) -> Sequence[object]:
    """Return the values of a numpy column, in which NaN means missing, with None in its place."""
    if not any(issubclass(kind, (float, np.floating)) for kind in set(map(type, values))):
        return values
    return [None if isinstance(value, (float, np.floating)) and math.isnan(value) else value for value in values]


def is_time_column(given: Sequence[object] | ObjectArray) -> bool:
    """Return whether a column is of numpy's dates or times."""
    return isinstance(given, np.ndarray) and given.dtype.kind in "Mm"


def column_of(name: str, given: Any) -> FactValues:  # noqa: ANN401 - a column of any library
    """Return a column of a caller as values that `Fact.parse` reads; ContextError for what is no column.

    Lists, tuples, numpy's arrays, and the columns of pandas, polars and pyarrow are columns. NaN is missing in those
    of numpy and pandas, null in the others.
    """
    if isinstance(given, CodedColumn) or type(given) is list or type(given) is tuple:
        return given
    if isinstance(given, np.ndarray):
        if given.ndim == 1:
            return given
        raise ContextError(f'the column "{name}" has {given.ndim} dimensions; give one value a row')
    if hasattr(given, "to_pylist"):  # pyarrow
        return given.to_pylist()  # type: ignore[no-any-return]
    library = type(given).__module__.partition(".")[0]
    if library == "pandas" and hasattr(given, "to_numpy"):
        return given.to_numpy()  # type: ignore[no-any-return]
    if isinstance(given, (str, bytes, Mapping)) or not (hasattr(given, "__len__") and hasattr(given, "__iter__")):
        raise ContextError(
            f'the column "{name}" is one value of the type {type(given).__name__}; give a list or an array with one '
            "value a row"
        )
    return list(given)


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


def is_frame(given: object) -> bool:
    """Return whether a batch is a table of pandas, polars or pyarrow."""
    library = type(given).__module__.partition(".")[0]
    return library in {"pandas", "polars", "pyarrow"} and hasattr(given, "columns") and hasattr(given, "shape")


def columns_given(given: Any) -> dict[str, FactValues]:  # noqa: ANN401 - a table of any library
    """Return the columns of a mapping or a table by their names; ContextError for what is no column."""
    if isinstance(given, Mapping):
        return {name: column_of(name, column) for name, column in given.items()}
    names = given.column_names if hasattr(given, "column_names") else given.columns
    return {str(name): column_of(str(name), given[name]) for name in names}


def row_of(given: object, place: int | None = None) -> Mapping[str, object]:
    """Return one context as a mapping; ContextError for anything but a mapping or a row of a pandas frame.

    `place` is the context's number in its batch, from 0, None where it is alone.
    """
    if isinstance(given, Mapping):
        return given
    if type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "to_dict") and hasattr(given, "keys"):
        row = given.to_dict()
        return dict(zip(row, without_nan(list(row.values())), strict=True))
    which = "a context" if place is None else f"context {place + 1}"
    cure = "; send {} where nothing is known" if given is None else ""
    raise ContextError(f'{which} is a mapping of facts to values, such as {{"age": 41}}; seen {shown(given)}{cure}')


def columns_of(rows: Sequence[Mapping[str, object]], names: Sequence[str]) -> dict[str, FactValues]:
    """Return rows as columns, None where a row has nothing under a name."""
    if set(map(type, rows)) == {dict}:
        return {name: list(map(dict.get, rows, repeat(name))) for name in names}  # type: ignore[arg-type]
    return {name: list(map(methodcaller("get", name), rows)) for name in names}

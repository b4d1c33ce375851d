"""Declared facts: their types, and the validation of a column of values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Literal

import numpy as np

from bandit.catalogue.fact_values import (
    MAX_SORTED,
    CodedColumn,
    FactValues,
    all_texts,
    are_nan,
    is_fixed_width,
    listed,
    number_array,
)
from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
from bandit.errors import ContextError

Kind = Literal["categorical", "numeric", "boolean"]

MISSING = -1
"""Code of a missing categorical fact."""

MAX_TEXT = 10_000
"""Longest text of a categorical fact in characters."""

_SHOWN = 80

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})

_BLANK: dict[object, float] = {None: math.nan, "": math.nan}
_COUNTED = frozenset[type]({int, float, type(None)})
_TEXTS = frozenset[type]({str, np.str_, int, type(None)})
_SCALARS = _COUNTED | _TEXTS | {np.float16, np.float32, np.float64}
_SCALARS |= {np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64}


@dataclass(frozen=True, slots=True)
class Fact:
    """One declared fact; `center` and `scale`, where declared, standardise a numeric fact.

    `aliases` are earlier names of the fact, `value_aliases` has the declared value of each other spelling.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    center: float | None = None
    scale: float | None = None
    aliases: tuple[str, ...] = ()
    value_aliases: Mapping[str, str] = field(default_factory=dict)
    _codes: dict[object, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes: dict[object, int] = dict(zip(self.values, range(len(self.values)), strict=True))
        codes |= {alias: codes[value] for alias, value in self.value_aliases.items()}
        codes[None] = codes[""] = MISSING
        object.__setattr__(self, "_codes", codes)

    def parse(self, given: FactValues) -> tuple[IntArray | FloatArray, ObjectArray | None]:
        """Return the canonical column and, for a categorical fact, the texts as given.

        Numeric and boolean facts may come as numbers, booleans or their usual texts; None and "" are missing, and
        so is NaN in a numpy column, where it is the custom. Raises ContextError for a value of the wrong type, for
        infinity, and for NaN in anything but a numpy column.
        """
        if isinstance(given, CodedColumn):
            column, text = self.parse(given.distinct)
            return column[given.codes], None if text is None else text[given.codes]
        if self.kind == "categorical":
            return self._categorical(given)
        numbers = self._numbers(given)
        if np.isinf(numbers).any():
            raise ContextError(f'fact "{self.name}" is infinite; send a finite number, or leave it out if not known')
        if self.kind == "boolean" and not ((numbers == 0) | (numbers == 1) | np.isnan(numbers)).all():
            raise ContextError(f'fact "{self.name}" is boolean; send true or false, not a number beside 0 and 1')
        return numbers, None

    def missing(self, n: int) -> tuple[IntArray | FloatArray, ObjectArray | None]:
        """Return what `parse` returns for n missing values."""
        if self.kind == "categorical":
            return np.full(n, MISSING, dtype=np.int64), np.full(n, None, dtype=object)
        return np.full(n, np.nan), None

    def number(self, value: object) -> float:
        """Return one value of a numeric or boolean fact, NaN where it is missing; ContextError as in `parse`."""
        if type(value) is bool and self.kind == "boolean":
            return float(value)
        return self._number(value) if self.kind == "numeric" else self._boolean(value)

    def code(self, value: object) -> tuple[int, str | None]:
        """Return the code and the text of one value of a categorical fact; ContextError as in `parse`."""
        if type(value) is str and len(value) <= MAX_TEXT:
            code = self._codes.get(value, len(self.values))
            return code, None if code == MISSING else value
        column, text = self._categorical([value])
        return int(column[0]), text[0]

    def _categorical(self, given: Sequence[object] | ObjectArray) -> tuple[IntArray, ObjectArray]:
        if isinstance(given, np.ndarray) and is_fixed_width(given) and len(self.values) <= MAX_SORTED:
            return self._sorted_lookup(given)
        values = listed(given)
        text = np.empty(len(values), dtype=object)
        text[:] = values
        unseen = len(self.values)
        try:
            column = np.fromiter(map(self._codes.get, values, repeat(unseen)), dtype=np.int64, count=len(values))
        except (TypeError, ValueError) as fault:  # an unhashable value
            raise self._no_text(text) from fault
        rows = np.flatnonzero(column == unseen)
        if len(rows):
            column[rows[self._check_unseen(text[rows], text)]] = MISSING
        text[column == MISSING] = None
        return column, text

    def _check_unseen(self, others: ObjectArray, text: ObjectArray) -> BoolArray:
        """Return which undeclared values are missing (NaN); ContextError for a wrong type or too long a text."""
        nan = np.zeros(len(others), dtype=np.bool_)
        if not all_texts(others.tolist()):
            nan = are_nan(others)  # dataframes mark a missing text with NaN
            others = others[~nan]
            if not all_texts(others.tolist()):
                raise self._no_text(text)
        if max(map(len, others.tolist()), default=0) > MAX_TEXT:
            raise ContextError(
                f'fact "{self.name}" has a text of more than {MAX_TEXT:,} characters; send a shorter one'
            )
        return nan

    def _no_text(self, text: ObjectArray) -> ContextError:
        """Return the error about the first value that is neither a text nor missing."""
        fits = np.fromiter(map(isinstance, text, repeat((str, type(None)))), dtype=np.bool_, count=len(text))
        others = text[~fits]
        seen = next(iter(others[~are_nan(others)].tolist() or text))
        return ContextError(f'fact "{self.name}" is categorical and must be text; seen {shown(seen)}')

    def _sorted_lookup(self, texts: ObjectArray) -> tuple[IntArray, ObjectArray]:
        """Look up numpy's texts of fixed width among the sorted values, so that no row needs a Python object."""
        width = texts.dtype.itemsize // np.dtype("U1").itemsize
        fitting = [value for value in self._codes if isinstance(value, str) and len(value) <= width]
        table = sorted(value for value in fitting if not value.endswith("\0"))  # numpy strips trailing zeros
        sorted_texts = np.array(table, dtype=texts.dtype)
        place = np.minimum(np.searchsorted(sorted_texts, texts), len(table) - 1)
        unseen = np.flatnonzero(sorted_texts[place] != texts)
        column = np.array([self._codes[value] for value in table], dtype=np.int64)[place]
        text = np.array([value or None for value in table], dtype=object)[place]
        column[unseen] = len(self.values)
        text[unseen] = texts[unseen]
        return column, text

    def _numbers(self, given: Sequence[object] | ObjectArray) -> FloatArray:
        """Convert a column of numbers or texts at once, or value by distinct value where some need special handling."""
        if isinstance(given, np.ndarray) and given.dtype.kind in ("iuf" if self.kind == "numeric" else "biuf"):
            return given.astype(np.float64)
        values = listed(given) if not isinstance(given, np.ndarray) or given.dtype.kind in "OUT" else list(given)
        types = set(map(type, values))
        if types <= {int, float} or (types == {bool} and self.kind == "boolean"):
            array = number_array(values)
            if array is not None:
                if np.isnan(array).any():
                    raise ContextError(
                        f'fact "{self.name}" is NaN; send a finite number, or leave it out if it is not known'
                    )
                return array
        numbers = self._floats(values, types)
        if numbers is not None:
            sound = np.isfinite(numbers) if self.kind == "numeric" else (numbers == 0) | (numbers == 1)
            if set(map(values.__getitem__, np.flatnonzero(~sound).tolist())) <= _BLANK.keys():
                return numbers
        return self._each_distinct(list(given))

    def _floats(self, values: Sequence[object], types: set[type]) -> FloatArray | None:
        """Return `float` of every value, NaN for a blank; None where a value is not a number."""
        try:
            if types <= (_COUNTED if self.kind == "numeric" else _COUNTED | {bool}):
                return np.array(values, dtype=np.float64)
            if self.kind == "numeric" and types <= _SCALARS:
                given: Any = map(_BLANK.get, values, values)
                return np.fromiter(map(float, given), dtype=np.float64, count=len(values))
        except (ValueError, OverflowError):  # not a number, or an integer beyond what a float holds
            pass
        return None

    def _each_distinct(self, values: Sequence[object]) -> FloatArray:
        """Convert each distinct value once; value by value where equal values may convert differently."""
        if not set(map(type, values)) <= (_TEXTS if self.kind == "numeric" else _TEXTS | {bool, np.bool_}):
            return np.fromiter(map(self.number, values), dtype=np.float64, count=len(values))
        distinct = dict.fromkeys(values)
        table = dict(zip(distinct, map(self.number, distinct), strict=True))
        return np.fromiter(map(table.__getitem__, values), dtype=np.float64, count=len(values))

    def _number(self, value: object) -> float:
        if type(value) is int or type(value) is float:
            number = _float(value)
            if math.isfinite(number):
                return number
        if value is None or (isinstance(value, str) and not value):
            return math.nan
        if isinstance(value, (str, int, float, np.integer, np.floating)) and not isinstance(value, bool):
            number = _float(value)
            if math.isinf(number):
                raise ContextError(
                    f'fact "{self.name}" is infinite; send a finite number, or leave it out if not known'
                )
            if not math.isnan(number):
                return number
            if not isinstance(value, str):
                raise ContextError(f'fact "{self.name}" is NaN; send a finite number, or leave it out if not known')
        raise ContextError(f'fact "{self.name}" is numeric; seen {shown(value)}; send a number, or nothing')

    def _boolean(self, value: object) -> float:
        if value is None or (isinstance(value, str) and not value):
            return math.nan
        if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, float)) and value in {0, 1}):
            return float(value)
        if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
            return float(value.lower() in _TRUE)
        raise ContextError(f'fact "{self.name}" is boolean; seen {shown(value)}; send true, false or nothing')


def _float(value: str | float | np.integer[Any] | np.floating[Any]) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan
    except OverflowError:  # an integer beyond what a float holds
        return math.inf


def shown(value: object) -> str:
    """Return the beginning of a value and its type, for a message."""
    kind = type(value).__name__
    try:
        return f"{repr(value[:_SHOWN] if isinstance(value, str) else value)[:_SHOWN]} ({kind})"
    except Exception:  # noqa: BLE001 - a stranger's value, or an integer of too many digits to be written
        return f"a value that cannot be shown ({kind})"

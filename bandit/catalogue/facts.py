"""Declared facts: their types, and the validation of a column of values."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Literal

import numpy as np

from bandit.catalogue.fact_hash import FactHash
from bandit.catalogue.fact_values import (
    MAX_SORTED,
    CodedColumn,
    FactValues,
    all_texts,
    are_nan,
    is_fixed_width,
    is_time_column,
    listed,
    number_array,
    object_column,
    without_nan,
)
from bandit.catalogue.plain_values import is_time, number_of, plain_value, shown, text_of, truth_of
from bandit.catalogue.text_form import MISSING_TEXTS, look_alike_key, normal_text
from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
from bandit.errors import ContextError

Kind = Literal["categorical", "numeric", "boolean"]

Stored = Literal["yes", "hashed", "bucketed", "no"]
"""What is kept of a fact: the value, a keyed hash of it, its bucket, or nothing."""

MISSING = -1
"""Code of a missing categorical fact."""

PLAUSIBLE_NUMBER = 1e30
"""Largest absolute value that a numeric fact without declared bounds can plausibly have; `doctor` names others."""

MAX_TEXT = 10_000
"""Longest text of a categorical fact in characters."""

_BLANK: dict[object, float] = {None: math.nan, "": math.nan}
_COUNTED = frozenset[type]({int, float, type(None)})
_TEXTS = frozenset[type]({str, np.str_, int, type(None)})
_SCALARS = _COUNTED | _TEXTS | {np.float16, np.float32, np.float64}
_SCALARS |= {np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64}


@dataclass(frozen=True, slots=True)
class Fact:
    """One declared fact; `center` and `scale`, where declared, standardise a numeric fact.

    `aliases` are earlier names of the fact, `value_aliases` has the declared value of each other spelling. `any_value`
    says that undeclared values of a categorical fact are expected, as one further value. `transform` says how a numeric
    fact is transformed before it is standardised, None where that is left to the policy. `outside` says what becomes of
    values of a numeric fact below `min` or above `max`. With `edges`, in increasing order, a value of a numeric fact is
    read as the lower edge of its bucket, and nothing else of it is kept. `stored` is what is kept: of a fact that is
    `hashed`, `values` and the keys and values of `value_aliases` are hashes, and `hash` is what makes them of given
    values, None without the customer key.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    center: float | None = None
    scale: float | None = None
    aliases: tuple[str, ...] = ()
    value_aliases: Mapping[str, str] = field(default_factory=dict)
    any_value: bool = False
    transform: Literal["none", "log", "rank", "auto"] | None = None
    min: float = -math.inf
    max: float = math.inf
    outside: Literal["clip", "missing", "refuse"] = "clip"
    edges: tuple[float, ...] = ()
    stored: Stored = "yes"
    hashed: bool = False
    hash: FactHash | None = field(default=None, repr=False, compare=False)
    _codes: dict[object, int] = field(init=False, repr=False, compare=False)
    _forms: dict[str, int] = field(init=False, repr=False, compare=False)
    _missing: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes: dict[object, int] = dict(zip(self.values, range(len(self.values)), strict=True))
        codes |= {alias: codes[value] for alias, value in self.value_aliases.items()}
        codes[None] = codes[""] = MISSING
        forms = {normal_text(alias): codes[value] for alias, value in self.value_aliases.items()}
        forms |= {normal_text(value): code for code, value in reversed(list(enumerate(self.values)))}
        object.__setattr__(self, "_codes", codes)
        object.__setattr__(self, "_forms", {**forms, "": MISSING})
        object.__setattr__(self, "_missing", MISSING_TEXTS - set(map(look_alike_key, self.values)))

    def parse(self, given: FactValues, *, exact: bool = False) -> tuple[IntArray | FloatArray, ObjectArray | None]:
        """Return the canonical column and, for a categorical fact, the texts for the log.

        `bandit.catalogue.plain_values.ACCEPTED` has the types that are taken and what they become. Texts of a
        categorical fact are compared in normal form (`normal_text`); the log has a declared value as the catalogue
        writes it, another one in normal form, and a word such as "NULL" (`text_form.MISSING_TEXTS`) that is not
        declared is missing. With `exact`, as stored decisions were read before, a categorical fact takes texts alone
        and compares them as they are. Raises ContextError for a value of the wrong type, for infinity, and for NaN
        in a number's place in anything but a column of numpy.
        """
        if isinstance(given, CodedColumn):
            column, text = self.parse(given.distinct, exact=exact)
            return column[given.codes], None if text is None else text[given.codes]
        if self.kind == "categorical":
            return self._categorical(given, exact=exact)
        numbers = self._numbers(given)
        if np.isinf(numbers).any():
            raise self._infinite()
        if self.outside == "refuse" and not exact:
            beyond = numbers[(numbers < self.min) | (numbers > self.max)]
            if len(beyond):
                raise self._outside(float(beyond[0]))
        if self.kind == "boolean" and not ((numbers == 0) | (numbers == 1) | np.isnan(numbers)).all():
            raise ContextError(f'fact "{self.name}" is boolean; send true or false, not a number beside 0 and 1')
        return self.bucketed(numbers), None

    def missing(self, n: int) -> tuple[IntArray | FloatArray, ObjectArray | None]:
        """Return what `parse` returns for n missing values."""
        if self.kind == "categorical":
            return np.full(n, MISSING, dtype=np.int64), np.full(n, None, dtype=object)
        return np.full(n, np.nan), None

    def number(self, value: object) -> float:
        """Return one value of a numeric or boolean fact, NaN where it is missing; ContextError as in `parse`."""
        if type(value) is bool and self.kind == "boolean":
            return float(value)
        if self.kind == "boolean":
            return self._boolean(value)
        number = self._number(value)
        if self.outside == "refuse" and (number < self.min or number > self.max):
            raise self._outside(number)
        return self.bucket(number)

    def bucketed(self, values: FloatArray) -> FloatArray:
        """Return the lower edges of the buckets of values (n,), NaN where missing; the values themselves without edges.

        The first bucket has also what is below the first edge. A lower edge is in its own bucket.
        """
        if not self.edges:
            return values
        edges = np.array(self.edges)
        place = np.maximum(np.searchsorted(edges, values, side="right") - 1, 0)
        return np.where(np.isnan(values), np.nan, edges[place])

    def bucket(self, value: float) -> float:
        """Return what `bucketed` does for one value."""
        if not self.edges or math.isnan(value):
            return value
        return self.edges[max(bisect_right(self.edges, value) - 1, 0)]

    @property
    def is_bounded(self) -> bool:
        """Whether a policy learns other values of this fact than the log has: those beyond its bounds."""
        return self.min != -math.inf or self.max != math.inf

    def learned(self, values: FloatArray) -> FloatArray:
        """Return values (n,) of a numeric fact as policies read them: within the bounds, or missing beyond them."""
        if not self.is_bounded:
            return values
        if self.outside == "missing":
            return np.where((values < self.min) | (values > self.max), np.nan, values)
        return np.clip(values, self.min, self.max)

    def learned_one(self, value: float) -> float:
        """Return what `learned` does for one value."""
        if self.outside == "missing" and (value < self.min or value > self.max):
            return math.nan
        return value if math.isnan(value) else min(max(value, self.min), self.max)

    def code(self, value: object) -> tuple[int, str | None]:
        """Return the code and the text for the log of one value of a categorical fact; ContextError as in `parse`."""
        if type(value) is str:
            code = self._codes.get(value)
            if code is None:
                return self._code_of_text(value)
            return code, None if code == MISSING else value
        return self._code_of_value(value)

    def stored_code(self, text: str | None) -> int | None:
        """Return the code of one text as `parse` does with `exact`; None for a text that is too long."""
        code = self._codes.get(text)
        if code is None and text is not None and len(text) <= MAX_TEXT:
            return len(self.values)
        return code

    def declared_code(self, text: str) -> int | None:
        """Return the code of a declared value as it stands, else of one with the same normal form; None without any."""
        code = self._codes.get(text) if text else None
        if code is None:
            code = self._forms.get(normal_text(text))
        if code is None and self.hashed and self.hash is not None:
            code = self._codes.get(self.hash.of(text))
        return None if code == MISSING else code

    def is_missing_word(self, text: str) -> bool:
        """Return whether a text, none of the declared values, is a word for a missing value, such as "NULL"."""
        form = normal_text(text)
        return bool(form) and form.casefold() in self._missing and self.declared_code(form) is None

    def _code_of_value(self, value: object) -> tuple[int, str | None]:
        try:
            text = text_of(plain_value(value))
        except TypeError as fault:
            raise self._no_text(value) from fault
        if text is None:
            return MISSING, None
        code = self._codes.get(text)
        return self._code_of_text(text) if code is None else (code, None if code == MISSING else text)

    def _code_of_text(self, text: str) -> tuple[int, str | None]:
        """Return the code and the text for the log of a text that is not a declared value as it stands."""
        form = normal_text(text)
        code = self._forms.get(form)
        if code is not None:
            return code, None if code == MISSING else self.values[code]
        if len(form) > MAX_TEXT:
            raise self._too_long()
        missing = form.casefold() in self._missing
        if self.hashed:
            if self.hash is None:
                raise ContextError(
                    f'fact "{self.name}" is stored hashed, and a value can be hashed with the customer key alone; give '
                    "the key, or the hash"
                )
            form = self.hash.of(form)
            code = self._codes.get(form)
            if code is not None:
                return code, self.values[code]
        return (MISSING, None) if missing else (len(self.values), form)

    def _categorical(self, given: Sequence[object] | ObjectArray, *, exact: bool) -> tuple[IntArray, ObjectArray]:
        if isinstance(given, np.ndarray) and is_fixed_width(given) and len(self.values) <= MAX_SORTED:
            column, text = self._sorted_lookup(given)
        else:
            values = list(given) if is_time_column(given) else listed(given)
            text = object_column(values)
            unseen = len(self.values)
            try:
                column = np.fromiter(map(self._codes.get, values, repeat(unseen)), dtype=np.int64, count=len(values))
            except (TypeError, ValueError):  # an unhashable value
                column = np.full(len(values), unseen, dtype=np.int64)
        rows = np.flatnonzero(column == len(self.values))
        if len(rows):
            if exact:
                column[rows[self._check_unseen(text[rows])]] = MISSING
            else:
                column[rows], text[rows] = self._resolved(text[rows].tolist())
        text[column == MISSING] = None
        return column, text

    def _resolved(self, others: list[object]) -> tuple[list[int], ObjectArray]:
        """Return codes and texts of values that are not declared ones as they stand, each distinct one once."""
        if all_texts(others) and set(map(type, others)) == {str}:
            table: dict[object, tuple[int, str | None]] = {
                text: self._code_of_text(text)  # type: ignore[arg-type]  # all are texts
                for text in dict.fromkeys(others)
            }
            found = list(map(table.__getitem__, others))
        else:
            found = list(map(self._code_of_value, others))
        return [code for code, _ in found], object_column([text for _, text in found])

    def _check_unseen(self, others: ObjectArray) -> BoolArray:
        """Return which undeclared values are missing (NaN); ContextError for a wrong type or too long a text."""
        nan = np.zeros(len(others), dtype=np.bool_)
        if not all_texts(others.tolist()):
            nan = are_nan(others)  # dataframes mark a missing text with NaN
            others = others[~nan]
            if not all_texts(others.tolist()):
                raise self._no_text(
                    next(value for value in others.tolist() if not isinstance(value, (str, type(None))))
                )
        if max(map(len, others.tolist()), default=0) > MAX_TEXT:
            raise self._too_long()
        return nan

    def _too_long(self) -> ContextError:
        return ContextError(f'fact "{self.name}" has a text of more than {MAX_TEXT:,} characters; send a shorter one')

    def _no_text(self, seen: object) -> ContextError:
        """Return the error about a value that is neither a text nor missing."""
        return ContextError(
            f'fact "{self.name}" is categorical and must be text; seen {self._shown(seen)}{_time_cure(seen)}'
        )

    def _shown(self, seen: object) -> str:
        """Return a value as a message shows it; the type alone where the value is not to be kept."""
        return f"a value of type {type(seen).__name__}" if self.stored in {"hashed", "no"} else shown(seen)

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
        if isinstance(given, np.ndarray) and given.dtype.kind == "O":
            values = without_nan(values)
        types = set(map(type, values))
        if types <= {int, float} or (types == {bool} and self.kind == "boolean"):
            array = number_array(values)
            if array is not None:
                if np.isnan(array).any():
                    raise self._nan()
                return array
        numbers = self._floats(values, types)
        if numbers is not None:
            sound = np.isfinite(numbers) if self.kind == "numeric" else (numbers == 0) | (numbers == 1)
            if set(map(values.__getitem__, np.flatnonzero(~sound).tolist())) <= _BLANK.keys():
                return numbers
        return self._each_distinct(values)

    def _floats(self, values: Sequence[object], types: set[type]) -> FloatArray | None:
        """Return `float` of every value, NaN for a blank; None where a value is not a number."""
        try:
            if types <= (_COUNTED if self.kind == "numeric" else _COUNTED | {bool}):
                return np.array(values, dtype=np.float64)
            if self.kind == "numeric" and types <= _SCALARS:
                if any("_" in value for value in values if isinstance(value, str)):
                    return None
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
        plain = plain_value(value)
        if plain is None:
            return math.nan
        if isinstance(plain, str):
            number = number_of(plain)
            if not math.isinf(number):
                return number
            if "_" not in plain and _is_infinite(plain):
                raise self._infinite()
        elif isinstance(plain, (int, float)) and not isinstance(plain, bool):
            number = _float(plain)
            if math.isinf(number):
                raise self._infinite()
            if math.isnan(number):
                raise self._nan()
            return number
        raise ContextError(
            f'fact "{self.name}" is numeric; seen {self._shown(value)}; send a number, or nothing{_time_cure(value)}'
        )

    def _boolean(self, value: object) -> float:
        plain = plain_value(value)
        if plain is None:
            return math.nan
        if isinstance(plain, (int, float)) and plain in {0, 1}:
            return float(plain)
        if isinstance(plain, str):
            truth = truth_of(plain)
            if not math.isinf(truth):
                return truth
        raise ContextError(
            f'fact "{self.name}" is boolean; seen {self._shown(value)}; send true, false or nothing{_time_cure(value)}'
        )

    def _outside(self, number: float) -> ContextError:
        seen = "a number" if self.stored == "no" else f"{number:g}"
        return ContextError(
            f'fact "{self.name}" is {seen}, beyond its declared bounds ({self.min:g} to {self.max:g}); send a '
            "value within them, or leave it out if it is not known"
        )

    def _infinite(self) -> ContextError:
        return ContextError(f'fact "{self.name}" is infinite; send a finite number, or leave it out if not known')

    def _nan(self) -> ContextError:
        return ContextError(f'fact "{self.name}" is NaN; send a finite number, or leave it out if it is not known')


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond what a float holds
        return math.inf


def _is_infinite(text: str) -> bool:
    try:
        return math.isinf(float(text))
    except ValueError:
        return False


def _time_cure(value: object) -> str:
    return "; a time is no fact: send a number, such as the days since" if is_time(value) else ""

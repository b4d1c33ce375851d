"""The declared context: what each fact is, and the only way from a caller's values to checked columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from bandit.domain import Contexts, FloatArray, IntArray, ObjectArray
from bandit.errors import ContextError

Kind = Literal["categorical", "numeric", "boolean"]

MISSING = -1
"""Code of a categorical fact that is not known."""

MAX_TEXT = 10_000
"""Longest text of a categorical fact in characters."""

_SHOWN = 80

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


class _Codes(dict[object, int]):
    """Value -> code; a value unseen gets the code after the last."""

    def __missing__(self, key: object) -> int:
        if not isinstance(key, str):
            raise KeyError(key)
        return len(self) - 1  # the entry for None is not a value


@dataclass(frozen=True, slots=True)
class Fact:
    """One declared fact; `center` and `scale` standardise a numeric one where they are declared."""

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    center: float | None = None
    scale: float | None = None

    def parse(self, given: Sequence[object] | ObjectArray) -> tuple[IntArray | FloatArray, ObjectArray | None]:
        """Return the canonical column and, for a categorical fact, the texts as given.

        Numeric and boolean facts may come as numbers, booleans or their usual texts; None and "" are missing, and
        so is NaN in a numpy column, where it is the custom. Raises ContextError for a value of the wrong type, for
        infinity, and for NaN in anything but a numpy column.
        """
        if self.kind == "categorical":
            return self._categorical(given)
        numbers = self._fast_numbers(given)
        if numbers is None:
            numbers = np.fromiter(map(self.number, given), dtype=np.float64, count=len(given))
        if np.isinf(numbers).any():
            raise ContextError(f'fact "{self.name}" is infinite; send a finite number, or leave it out if not known')
        if self.kind == "boolean" and not ((numbers == 0) | (numbers == 1) | np.isnan(numbers)).all():
            raise ContextError(f'fact "{self.name}" is boolean; send true or false, not a number beside 0 and 1')
        return numbers, None

    def number(self, value: object) -> float:
        """Return one value of a numeric or boolean fact, NaN where it is missing; ContextError as in `parse`."""
        if type(value) is bool and self.kind == "boolean":
            return float(value)
        return self._number(value) if self.kind == "numeric" else self._boolean(value)

    def code(self, value: object) -> tuple[int, str | None]:
        """Return the code and the text of one value of a categorical fact; ContextError as in `parse`."""
        codes, _ = _codes(self.values)
        if type(value) is str and len(value) <= MAX_TEXT:
            code = codes[value]
            return min(code, len(self.values)), None if code == MISSING else value
        column, text = self._categorical([value])
        return int(column[0]), text[0]

    def _categorical(self, given: Sequence[object] | ObjectArray) -> tuple[IntArray, ObjectArray]:
        values = given.tolist() if isinstance(given, np.ndarray) else given
        text = np.empty(len(values), dtype=object)
        text[:] = values
        codes, offset = _codes(self.values)
        try:
            column = np.fromiter(map(codes.__getitem__, values), dtype=np.int64, count=len(values))
        except (KeyError, TypeError) as fault:
            nan = np.fromiter((isinstance(value, float) and math.isnan(value) for value in text), dtype=np.bool_)
            if nan.any():  # dataframes mark a missing text so
                text[nan] = None
                return self._categorical(text)
            seen = next(value for value in text if not isinstance(value, str) and value is not None)
            raise ContextError(f'fact "{self.name}" is categorical and must be text; seen {shown(seen)}') from fault
        unseen = bool((column >= len(self.values)).any())
        if unseen and any(isinstance(value, str) and len(value) > MAX_TEXT for value in values):
            raise ContextError(
                f'fact "{self.name}" has a text of more than {MAX_TEXT:,} characters; send a shorter one'
            )
        column[column >= len(self.values)] -= offset
        text[column == MISSING] = None
        return column, text

    def _fast_numbers(self, given: Sequence[object] | ObjectArray) -> FloatArray | None:
        """Convert whole columns of numbers at once; None where a value needs a look of its own."""
        if isinstance(given, np.ndarray) and given.dtype.kind != "O":
            array = given
        else:
            plain = given.tolist() if isinstance(given, np.ndarray) else given
            types = set(map(type, plain))
            if not (types <= {int, float} or (types == {bool} and self.kind == "boolean")):
                return None
            try:
                array = np.asarray(plain)
            except OverflowError:  # an integer beyond what a float holds, among floats
                return None
        if array.dtype.kind not in "biuf":
            return None
        if array.dtype.kind == "b" and self.kind == "numeric":
            return None
        numbers = array.astype(np.float64)
        if array is not given and np.isnan(numbers).any():
            raise ContextError(f'fact "{self.name}" is NaN; send a finite number, or leave it out if it is not known')
        return numbers

    def _number(self, value: object) -> float:
        if type(value) is int or type(value) is float:
            number = _float(value)
            if math.isfinite(number):
                return number
        if value is None or value == "":
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
        if value is None or value == "":
            return math.nan
        if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, float)) and value in {0, 1}):
            return float(value)
        if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
            return float(value.lower() in _TRUE)
        raise ContextError(f'fact "{self.name}" is boolean; seen {shown(value)}; send true, false or nothing')


@cache
def _codes(values: tuple[str, ...]) -> tuple[_Codes, int]:
    """Return the codes of the values, and how far above its code a value unseen comes out."""
    codes = _Codes(zip(values, range(len(values)), strict=True))
    codes[None] = codes[""] = MISSING
    return codes, len(codes) - 1 - len(values)


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


def parse_contexts(
    facts: Mapping[str, Fact],
    undeclared: Literal["refuse", "drop"],
    given: Mapping[str, Sequence[object] | ObjectArray] | Sequence[Mapping[str, object]],
    customers: Sequence[str] | ObjectArray | None,
) -> Contexts:
    """Return the checked batch; a fact left out is missing, one that is not declared is refused or dropped."""
    if isinstance(given, Mapping):
        columns = dict(given)
        sizes = {len(column) for column in columns.values()}
        if len(sizes) > 1:
            raise ContextError(f"the columns of a batch must be of one length; seen {sorted(sizes)}")
        n = sizes.pop() if sizes else len(customers) if customers is not None else 1
        names: set[str] = set(columns)
    else:
        if len(given) == 1 and given[0].keys() <= facts.keys():
            return _parse_one(facts, given[0], customers)  # what a service asks for, one at a time
        n = len(given)
        names = set().union(*given) if n else set()
        columns = {name: [row.get(name) for row in given] for name in facts if name in names}
    unknown = names - facts.keys()
    if unknown and undeclared == "refuse":
        raise ContextError(
            f"the context has {_quoted(unknown)}, which the catalogue does not declare; "
            f"declared are {_quoted(facts) if facts else 'no facts'}; "
            'leave it out, declare it under [context], or set undeclared = "drop" there'
        )
    keys = _keys(n, customers)
    numbers: dict[str, IntArray | FloatArray] = {}
    text: dict[str, ObjectArray] = {}
    for name, fact in facts.items():
        column, texts = fact.parse(columns[name] if name in columns else [None] * n)
        numbers[name] = column
        if texts is not None:
            text[name] = texts
    return Contexts(n, numbers, text, keys)


def _parse_one(
    facts: Mapping[str, Fact], given: Mapping[str, object], customers: Sequence[str] | ObjectArray | None
) -> Contexts:
    """The same for one context without a fact that is not declared: each column is a part of one array."""
    codes: list[int] = []
    texts: list[str | None] = []
    values: list[float] = []
    for name, fact in facts.items():
        value = given.get(name)
        if fact.kind != "categorical":
            plain = type(value) is float and fact.kind == "numeric" and math.isfinite(value)
            values.append(value if plain else fact.number(value))  # type: ignore[arg-type]  # plain is a float
        else:
            code, text = fact.code(value)
            codes.append(code)
            texts.append(text)
    keys = _keys(1, customers)
    code_columns, value_columns = iter(np.array(codes, dtype=np.int64)[:, None]), iter(np.array(values)[:, None])
    text_columns = iter(np.array(texts, dtype=object)[:, None])
    columns: dict[str, IntArray | FloatArray] = {}
    text_of: dict[str, ObjectArray] = {}
    for name, fact in facts.items():
        if fact.kind == "categorical":
            columns[name], text_of[name] = next(code_columns), next(text_columns)
        else:
            columns[name] = next(value_columns)
    return Contexts(1, columns, text_of, keys)


def _keys(n: int, customers: Sequence[str] | ObjectArray | None) -> ObjectArray:
    if customers is None:
        return np.empty(0, dtype=object)
    if len(customers) != n:
        raise ContextError(f"there are {len(customers)} customers for {n} contexts; send one a context")
    keys = np.empty(n, dtype=object)
    keys[:] = customers.tolist() if isinstance(customers, np.ndarray) else list(customers)
    return keys


def _quoted(names: Mapping[str, object] | set[str]) -> str:
    return ", ".join(f'"{name}"' for name in sorted(map(str, names)))

"""The values that callers may give, and the plain Python value that each stands for: one table for every door.

`ACCEPTED` is the table. What reads a fact, an amount, a customer or an id converts it by `plain_value` first, so that
a numpy scalar, a `Decimal` or a member of an `Enum` is the same value wherever it comes in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np

TRUE_WORDS, FALSE_WORDS = frozenset({"true", "yes", "t", "y"}), frozenset({"false", "no", "f", "n"})
"""Texts that stand for true and for false, in any case."""

_PLAIN = frozenset[type]({type(None), bool, int, float, str})
_PANDAS_MISSING = frozenset({"NAType", "NaTType"})
_SHOWN = 80
_WHOLE = 1e15
"""Below it a float that is a whole number is written without decimals."""


@dataclass(frozen=True, slots=True)
class AcceptedType:
    """One row of the table of accepted types: what a value of the type becomes in each place, "refused" where not.

    `fact` columns are by the declared type; `amount` is a revenue or a reward, `key` a customer or an id.
    """

    given: str
    categorical: str
    numeric: str
    boolean: str
    amount: str
    key: str


ACCEPTED: tuple[AcceptedType, ...] = (
    AcceptedType("None, pd.NA, pd.NaT, np.datetime64('NaT')", "missing", "missing", "missing", "no amount", "refused"),
    AcceptedType("str", "the text", "its number", "its truth", "its number", "the text"),
    AcceptedType("str, only spaces or empty", "missing", "missing", "missing", "no amount", "refused"),
    AcceptedType("bool, np.bool_", '"true" or "false"', "refused", "the truth", "refused", "refused"),
    AcceptedType("int, np.integer", "its digits", "the number", "0 or 1", "the number", "its digits"),
    AcceptedType("float, np.floating, Decimal", "its digits", "the number", "0 or 1", "the number", "refused"),
    AcceptedType("NaN in a column of numpy or pandas", "missing", "missing", "missing", "refused", "refused"),
    AcceptedType("NaN elsewhere", "missing", "refused", "refused", "refused", "refused"),
    AcceptedType("Enum", "as its value", "as its value", "as its value", "as its value", "as its value"),
    AcceptedType("numpy array without dimensions, pyarrow scalar", *["as its value"] * 5),
    AcceptedType("uuid.UUID", "refused", "refused", "refused", "refused", "its text"),
    AcceptedType("datetime, date, np.datetime64", *["refused"] * 5),
    AcceptedType("bytes, list, tuple, dict, array, others", *["refused"] * 5),
)
"""What each type becomes, the same in `decide`, `decide_batch`, `contexts`, `record`, frames and files."""


def plain_value(value: object) -> object:
    """Return the None, bool, int, float or str that a value stands for; a value of another type is returned as it is.

    >>> from decimal import Decimal
    >>> plain_value(np.int64(3)), plain_value(Decimal("2.50")), plain_value(np.array("f"))
    (3, 2.5, 'f')
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Enum):
        return plain_value(value.value)
    if isinstance(value, np.ndarray):
        return plain_value(value[()]) if value.ndim == 0 else value
    if isinstance(value, np.generic):
        return _of_numpy(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (float, Decimal)):
        return _number(value)
    return _of_other_library(value, kind)


def is_time(value: object) -> bool:
    """Return whether a value is a date or a time, which is no value of a fact."""
    return hasattr(value, "isoformat") or (isinstance(value, np.generic) and value.dtype.kind in "Mm")


def text_of(value: object) -> str | None:
    """Return the text of a plain value, None for NaN and None; TypeError for infinity and for what is not plain.

    Whole numbers have no decimals, and truth values are "true" and "false", as in the files that `export` writes.

    >>> text_of(1.0), text_of(True), text_of(2.5)
    ('1', 'true', '2.5')
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        if isinstance(value, int):
            return str(value)
    except ValueError as fault:  # an integer of thousands of digits
        raise TypeError("the number is too long") from fault
    if isinstance(value, float) and not math.isinf(value):
        if math.isnan(value):
            return None
        return str(int(value)) if abs(value) < _WHOLE and value.is_integer() else repr(value)
    raise TypeError(type(value).__name__)


def key_of(value: object) -> object:
    """Return the text of a customer or an id given as text, whole number or UUID; anything else as it is."""
    if isinstance(value, UUID):
        return str(value)
    plain = plain_value(value)
    if isinstance(plain, int) and not isinstance(plain, bool):
        try:
            return str(plain)
        except ValueError:  # an integer of thousands of digits
            return value
    return plain if isinstance(plain, str) else value


def number_of(text: str) -> float:
    """Return the finite number of a text, NaN for a blank, and infinity for anything else.

    >>> number_of(" 3.5 "), number_of("1_000"), number_of("3 %")
    (3.5, inf, inf)
    """
    try:
        value = float(text)
    except ValueError:
        if "\N{MINUS SIGN}" in text:  # the minus sign of typesetting
            return number_of(text.replace("\N{MINUS SIGN}", "-", 1))
        return math.nan if not text or text.isspace() else math.inf
    return value if math.isfinite(value) and "_" not in text else math.inf


def truth_of(text: str) -> float:
    """Return 1 or 0, NaN for a blank, and infinity for anything that is neither true nor false.

    >>> truth_of("Yes"), truth_of("0.0"), truth_of("2")
    (1.0, 0.0, inf)
    """
    value = number_of(text)
    if value != math.inf:
        return value if math.isnan(value) or value in {0.0, 1.0} else math.inf
    word = text.strip().lower()
    return 1.0 if word in TRUE_WORDS else 0.0 if word in FALSE_WORDS else math.inf


def shown(value: object) -> str:
    """Return the beginning of a value and its type, for a message."""
    kind = type(value).__name__
    try:
        return f"{repr(value[:_SHOWN] if isinstance(value, str) else value)[:_SHOWN]} ({kind})"
    except Exception:  # noqa: BLE001 - a stranger's value, or an integer of too many digits to be written
        return f"a value that cannot be shown ({kind})"


def _number(value: float | Decimal) -> int | float:
    """Return the number as Python's own, a whole decimal as an integer so that no digit is lost."""
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value() and abs(value) < _WHOLE:
        return int(value)
    try:
        return float(value)
    except ValueError:  # a signalling NaN
        return math.nan


def _of_numpy(value: np.generic[Any]) -> object:
    if value.dtype.kind in "Mm":
        return None if np.isnat(value) else value
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, (np.integer, np.bool_, np.str_)):
        return plain_value(value.item())
    return value


def _of_other_library(value: object, kind: type) -> object:
    """Return pandas' missing value as None and a pyarrow scalar as its value, without importing either."""
    library = kind.__module__.partition(".")[0]
    if library == "pandas" and kind.__name__ in _PANDAS_MISSING:
        return None
    if library == "pyarrow" and hasattr(value, "as_py"):
        return plain_value(value.as_py())
    return value

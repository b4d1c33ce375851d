"""What a caller gives, looked at before anything is done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bandit.catalogue.facts import shown
from bandit.catalogue.schema import MAX_NAME
from bandit.clock import check_times, microseconds
from bandit.domain import FloatArray, IntArray
from bandit.errors import InputError, NumberError


def checked_text(what: str, value: object) -> str:
    """Return a text that can be stored; InputError for one that is empty, too long or no text."""
    if not isinstance(value, str) or not value:
        raise InputError(f"a {what} is a text that is not empty; seen {shown(value)}")
    if len(value) > MAX_NAME:
        raise InputError(f"a {what} has at most {MAX_NAME:,} characters; seen {len(value):,}, {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as fault:
        raise InputError(f"a {what} is a text of whole characters; seen {shown(value)}, half of one") from fault
    return value


def check_texts(what: str, values: Sequence[object]) -> None:
    """InputError where one of the values is not a text that can be stored; all are looked at together."""
    try:
        "".join(values).encode()  # type: ignore[arg-type]  # what is no text is found out here
        sound = all(values) and max(map(len, values), default=0) <= MAX_NAME  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        sound = False
    if not sound:
        for value in values:
            checked_text(what, value)


def checked_times(time: object, n: int, clock: Callable[[], int]) -> IntArray:
    """Return n times in microseconds, each as given or all one; InputError for what is none, and for a year no one has.

    An array given is returned whatever its length.
    """
    if not isinstance(time, np.ndarray):
        return np.full(n, microseconds(time, clock), dtype=np.int64)
    if time.dtype.kind not in "iu":
        raise InputError(f"times are whole microseconds since 1970 UTC; seen an array of {time.dtype}")
    check_times(time)
    return time.astype(np.int64)


def checked_amounts(name: str, given: FloatArray | Sequence[float] | None, n: int) -> FloatArray:
    """Return n amounts, NaN where none are given; InputError for another number of them, NumberError for no number."""
    if given is None:
        return np.full(n, np.nan)
    try:
        amounts = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as fault:
        raise NumberError(f"{name} must be a finite number; seen what is none or too large: send the amount") from fault
    if amounts.ndim != 1:
        raise InputError(f"the values of {name} are a column; seen an array of {amounts.ndim} dimensions")
    if len(amounts) != n:
        raise InputError(f"there are {len(amounts)} values of {name} for {n} events; send one each")
    if not np.isfinite(amounts).all():
        raise NumberError(f"{name} must be a finite number; seen {amounts[~np.isfinite(amounts)][0]}")
    return amounts

"""Keys of customers ("c000123" is row 123), converted in both directions by whole columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from bandit.domain import IntArray, ObjectArray
from bandit.errors import ContextError

Lookup: TypeAlias = Mapping[str, int] | Callable[[Sequence[str]], IntArray]
"""From keys as a log stores them (hashed, for example) to rows: a dict, or a function of a whole column."""

_DIGITS = 6


def width(n_customers: int) -> int:
    """Return the number of digits in the keys of a population."""
    return max(_DIGITS, len(str(max(n_customers - 1, 0))))


def names(rows: IntArray, digits: int) -> ObjectArray:
    """Return the keys of customers by row."""
    points = np.empty((len(rows), digits + 1), dtype=np.uint32)
    points[:, 0] = ord("c")
    points[:, 1:] = ord("0") + (rows[:, None] // 10 ** np.arange(digits - 1, -1, -1)) % 10
    return points.view(f"<U{digits + 1}").ravel().astype(object)


def rows(keys: Sequence[str] | ObjectArray, n_customers: int, lookup: Lookup | None = None) -> IntArray:
    """Return the (n,) rows of customers by key; ContextError for an unknown key."""
    if lookup is not None:
        found = _through(keys, lookup)
    else:
        text = np.asarray(keys, dtype=np.str_)
        digits = width(n_customers)
        if text.dtype.itemsize != 4 * (digits + 1) or not len(text):
            found = np.full(len(text), -1, dtype=np.int64)
        else:
            points = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), digits + 1)
            figures = points[:, 1:].astype(np.int64) - ord("0")
            right = (points[:, 0] == ord("c")) & ((figures >= 0) & (figures <= 9)).all(axis=1)
            found = np.where(right, figures @ 10 ** np.arange(digits - 1, -1, -1), -1)
    bad = (found < 0) | (found >= n_customers)
    if bad.any():
        seen = keys[int(np.flatnonzero(bad)[0])]
        raise ContextError(
            f'the customer "{seen}" is not one of the {n_customers:,} of this population; '
            "send its own keys, or a lookup from the keys in your log"
        )
    return found


def _through(keys: Sequence[str] | ObjectArray, lookup: Lookup) -> IntArray:
    if isinstance(lookup, Mapping):
        return np.fromiter((lookup.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))
    return np.asarray(lookup(list(keys)), dtype=np.int64)

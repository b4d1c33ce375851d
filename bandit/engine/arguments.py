"""Argument validation for the engine's public calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress, repeat
from operator import is_not

import numpy as np

from bandit.catalogue.facts import shown
from bandit.catalogue.schema import MAX_NAME
from bandit.clock import Time, check_plausible, plausible_time
from bandit.domain import FloatArray, IntArray
from bandit.errors import InputError, NumberError
from bandit.store import EventRows


def checked_text(what: str, value: object) -> str:
    """Return a text that can be stored; InputError if it is empty, too long, not valid Unicode or not a text."""
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
    """Raise InputError if one of the values is not a text that can be stored; checks all of them at once."""
    try:
        "".join(values).encode()  # type: ignore[arg-type]  # a value that is not a text raises TypeError
        valid = all(values) and max(map(len, values), default=0) <= MAX_NAME  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        valid = False
    if not valid:
        for value in values:
            checked_text(what, value)


def checked_times(time: object, n: int, clock: Callable[[], int]) -> IntArray:
    """Return times in microseconds: an array as given, whatever its length, or one moment n times.

    InputError for anything else, and for years out of reason (`bandit.clock.check_plausible`).
    """
    if not isinstance(time, np.ndarray):
        return np.full(n, plausible_time(time, clock), dtype=np.int64)
    if time.dtype.kind not in "iu":
        raise InputError(f"times are whole microseconds since 1970 UTC; seen an array of {time.dtype}")
    check_plausible(time, clock)
    return time.astype(np.int64)


def checked_amounts(name: str, values: FloatArray | Sequence[float] | None, n: int) -> FloatArray:
    """Return n amounts, NaN where no values are given.

    InputError for another number of values, NumberError for a value that is not a finite number.

    >>> checked_amounts("revenue", [52, 25.0], 2)
    array([52., 25.])
    """
    if values is None:
        return np.full(n, np.nan)
    try:
        amounts = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as fault:
        raise NumberError(f"{name} must be a finite number; seen what is none or too large: send the amount") from fault
    if amounts.ndim != 1:
        raise InputError(f"the values of {name} are a column; seen an array of {amounts.ndim} dimensions")
    if len(amounts) != n:
        raise InputError(f"there are {len(amounts)} values of {name} for {n} events; send one each")
    if not np.isfinite(amounts).all():
        raise NumberError(f"{name} must be a finite number; seen {amounts[~np.isfinite(amounts)][0]}")
    return amounts


def checked_events(
    decision_ids: Sequence[str],
    event: str | Sequence[str],
    revenue: FloatArray | None,
    reward: FloatArray | None,
    time: IntArray | Time,
    event_ids: Sequence[str | None] | None,
    clock: Callable[[], int],
    on_delays: Callable[[IntArray], None] | None = None,
) -> EventRows:
    """Return the arguments of `record_batch` as rows to be written, with the present as the time of recording."""
    n = len(decision_ids)
    check_texts("event", [event] if isinstance(event, str) else event)
    given_ids = () if event_ids is None else compress(event_ids, map(is_not, event_ids, repeat(None)))
    check_texts("decision or event id", [*decision_ids, *given_ids])
    return EventRows(
        event=event,
        time=checked_times(time, n, clock),
        revenue=checked_amounts("revenue", revenue, n),
        reward=checked_amounts("reward", reward, n),
        decision_ids=decision_ids,
        event_ids=event_ids,
        time_given=time is not None,
        recorded_at=clock(),
        on_delays=on_delays,
    )

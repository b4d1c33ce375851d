"""Argument validation for the engine's public calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from bandit.catalogue.objective import Objective
from bandit.catalogue.plain_values import key_of, number_of, plain_value, shown
from bandit.catalogue.schema import MAX_NAME
from bandit.clock import Time, check_plausible, plausible_time
from bandit.domain import FloatArray, IntArray
from bandit.errors import InputError, NumberError
from bandit.store import EventRows

_TEXTS = frozenset[type]({str, np.str_})


def checked_text(what: str, value: object) -> str:
    """Return a text that can be stored; InputError if it is empty, too long, not valid Unicode or not a text."""
    text = value if type(value) is str else plain_value(value)
    if not isinstance(text, str) or not text:
        raise InputError(f"a {what} is a text that is not empty; seen {_seen(what, value)}")
    if len(text) > MAX_NAME:
        raise InputError(f"a {what} has at most {MAX_NAME:,} characters; seen {len(text):,}, {_seen(what, text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"a {what} is a text of whole characters; seen {_seen(what, text)}, half of one") from None
    return text


def _seen(what: str, value: object) -> str:
    """Return a value as a message shows it; of customers the type alone, since messages are logged and passed on."""
    return (
        f"a value of type {type(value).__name__}"
        if what == "customer" and not (isinstance(value, str) and not value)
        else shown(value)
    )


def checked_key(what: str, value: object) -> str:
    """Return a customer or an id as `checked_text`; a whole number or a UUID is taken as its text."""
    return checked_text(what, value if type(value) is str else key_of(value))


def checked_texts(what: str, values: Sequence[object]) -> Sequence[str]:
    """Return texts that can be stored, the values themselves where they are; InputError as in `checked_text`."""
    return _checked_all(what, values, plain_value)


def checked_keys(what: str, values: Sequence[object]) -> Sequence[str]:
    """Return customers or ids as `checked_key` returns them, the values themselves where all are texts."""
    return _checked_all(what, values, key_of)


def _checked_all(what: str, values: Sequence[object], convert: Callable[[object], object]) -> Sequence[str]:
    """Return checked texts, all of them looked at at once."""
    if isinstance(values, (str, bytes)) or not (hasattr(values, "__len__") and hasattr(values, "__iter__")):
        raise InputError(f"give a list with one {what} each; seen {_seen(what, values)}")
    if not set(map(type, values)) <= _TEXTS:
        values = [convert(value) for value in values]
    try:
        "".join(values).encode()  # type: ignore[arg-type]  # a value that is not a text raises TypeError
        valid = all(values) and max(map(len, values), default=0) <= MAX_NAME  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        valid = False
    if not valid:
        for value in values:
            checked_text(what, value)
    return values  # type: ignore[return-value]  # all are texts


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


def checked_amounts(name: str, values: FloatArray | Sequence[float | None] | None, n: int) -> FloatArray:
    """Return n amounts, NaN where no values are given.

    InputError for another number of values, NumberError for a value that is not a finite number.

    >>> checked_amounts("revenue", [52, 25.0], 2)
    array([52., 25.])
    """
    if values is None:
        return np.full(n, np.nan)
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise InputError(f"the values of {name} are a column; seen an array of {values.ndim} dimensions")
    if isinstance(values, (str, bytes)) or not (hasattr(values, "__len__") and hasattr(values, "__iter__")):
        raise InputError(f"the values of {name} are a column; seen {shown(values)}")
    if len(values) != n:
        raise InputError(f"there are {len(values)} values of {name} for {n} events; send one each")
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        amounts = values.astype(np.float64)
        if not np.isfinite(amounts).all():
            raise NumberError(f"{name} must be a finite number; seen {amounts[~np.isfinite(amounts)][0]}")
        return amounts
    return np.array([_amount(name, value) for value in values], dtype=np.float64)


def _amount(name: str, value: object) -> float:
    """Return one amount, NaN for none; NumberError for what is no number by `plain_values.ACCEPTED`."""
    plain = plain_value(value)
    if plain is None:
        return math.nan
    if isinstance(plain, str):
        number = number_of(plain)
        if not math.isinf(number):
            return number
    elif isinstance(plain, (int, float)) and not isinstance(plain, bool):
        try:
            number = float(plain)
        except OverflowError:  # an integer beyond what a float holds
            number = math.inf
        if math.isfinite(number):
            return number
    raise NumberError(f"{name} must be a finite number; seen {shown(value)}; send the amount, or None for none")


def check_amounts(objective: Objective, rows: EventRows) -> None:
    """Raise NumberError for an amount beyond the objective's largest, where it is declared that such are refused."""
    if not objective.refuses_larger:
        return
    for name, amounts in (("revenue", rows.revenue), ("reward", rows.reward)):
        beyond = amounts[np.abs(amounts) > objective.largest_amount]
        if len(beyond):
            raise NumberError(
                f"{name} is {beyond[0]:g}, beyond the largest_amount that the catalogue declares, "
                f"{objective.largest_amount:g}; check the amount and its currency"
            )


def checked_events(
    decision_ids: Sequence[str],
    event: str | Sequence[str],
    revenue: FloatArray | Sequence[float | None] | None,
    reward: FloatArray | Sequence[float | None] | None,
    time: IntArray | Time,
    event_ids: Sequence[str | None] | None,
    clock: Callable[[], int],
    on_delays: Callable[[IntArray], None] | None = None,
) -> EventRows:
    """Return the arguments of `record_batch` as rows to be written, with the present as the time of recording."""
    decision_ids = checked_keys("decision id", decision_ids)
    n = len(decision_ids)
    single = isinstance(event, str) or not hasattr(event, "__len__")
    event = checked_text("event", event) if single else checked_texts("event", event)
    if event_ids is not None:
        event_ids = _checked_event_ids(event_ids)
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


def checked_event(
    decision_id: str,
    event: str,
    revenue: float | None,
    reward: float | None,
    time: Time,
    event_id: str | None,
    clock: Callable[[], int],
    on_delays: Callable[[IntArray], None] | None = None,
) -> EventRows:
    """Return what `checked_events` returns for one event."""
    decision_id = checked_key("decision id", decision_id)
    event = checked_text("event", event)
    when = plausible_time(time, clock)
    if event_id is not None:
        event_id = checked_key("event id", event_id)
    return EventRows(
        event=event,
        time=np.array([when], dtype=np.int64),
        revenue=np.array([math.nan if revenue is None else _amount("revenue", revenue)]),
        reward=np.array([math.nan if reward is None else _amount("reward", reward)]),
        decision_ids=(decision_id,),
        event_ids=None if event_id is None else (event_id,),
        time_given=time is not None,
        recorded_at=when if time is None else clock(),
        on_delays=on_delays,
    )


def _checked_event_ids(event_ids: Sequence[object]) -> Sequence[str | None]:
    """Return event ids, None where an event is known by its name; InputError as in `checked_key`."""
    if isinstance(event_ids, (str, bytes)) or not hasattr(event_ids, "__len__"):
        raise InputError(f"give a list with one event id each; seen {shown(event_ids)}")
    plain = [None if value is None else key_of(value) for value in event_ids]
    checked_texts("event id", [value for value in plain if value is not None])
    return plain  # type: ignore[return-value]  # all are texts or None

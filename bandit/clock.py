"""Times in microseconds since 1970 UTC, and decision ids that sort by time."""

from __future__ import annotations

import os
import time as clock_module
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from bandit.domain import MICROSECONDS, BoolArray, IntArray
from bandit.errors import InputError

Time = int | datetime | None
"""A time as a caller gives it: microseconds since 1970 UTC, a datetime with a time zone, or None for now."""


EARLIEST, LATEST = -62_135_596_800 * MICROSECONDS, 253_402_300_800 * MICROSECONDS
"""The first microsecond of year 1 and the first after year 9999, UTC: the range of datetime, SQLite and Arrow."""


PLAUSIBLE_FROM = 315_532_800 * MICROSECONDS
"""The start of 1980 UTC: no decision is made before it. Seconds and milliseconds of any year up to 9999, taken for
microseconds, are moments of the years 1970 to 1978, and so are always told apart."""

PLAUSIBLE_AHEAD = 366 * 86_400 * MICROSECONDS
"""How long after the present a time may lie. Nanoseconds, and units of 100 ns, taken for microseconds are centuries
ahead."""

_UNITS = {
    "seconds": (MICROSECONDS, 1),
    "milliseconds": (1_000, 1),
    "nanoseconds": (1, 1_000),
    "days": (86_400 * MICROSECONDS, 1),
}
"""Units, other than microseconds, in which programs count from 1970: microseconds a unit, as a fraction."""

_CURES = {
    "seconds": "seconds x 1,000,000",
    "milliseconds": "milliseconds x 1,000",
    "nanoseconds": "nanoseconds // 1,000",
    "days": "days x 86,400,000,000",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_CLOCK_ENDS = 7_258_118_400 * MICROSECONDS
"""The first microsecond of 2200: a clock may be ahead, as in a simulation, but not by the factor of a unit."""


def now() -> int:
    """Return the clock in microseconds since 1970 UTC."""
    return clock_module.time_ns() // 1_000


def microseconds(time: object, clock: Callable[[], int] = now) -> int:
    """Return a time in microseconds since 1970 UTC; InputError without a time zone or outside the years 1 to 9999.

    >>> microseconds(datetime(2026, 11, 26, tzinfo=UTC))
    1795651200000000
    """
    if time is None:
        return clock()
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise InputError(f"the time {time.isoformat()} has no time zone; add one, as in datetime.now(timezone.utc)")
        try:
            return round(time.astimezone(UTC).timestamp() * MICROSECONDS)
        except (OverflowError, ValueError) as fault:
            raise InputError(
                f"the time {time.isoformat()} is outside the years 1 to 9999 in UTC; send another"
            ) from fault
    if isinstance(time, (int, np.integer)) and not isinstance(time, bool):
        if not EARLIEST <= time < LATEST:
            raise InputError("a time is outside the years 1 to 9999; send microseconds since 1970 UTC")
        return int(time)
    raise InputError(f"a time is a datetime or whole microseconds since 1970 UTC; seen {time!r}")


def plausible_time(time: object, clock: Callable[[], int] = now) -> int:
    """Return a time in microseconds as `microseconds` does; InputError also for a year out of reason.

    >>> plausible_time(1_764_000_000)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    bandit.errors.InputError: the time 1,764,000,000 is 1970-01-01 in microseconds; in seconds it would be 2025-11-24...
    """
    if time is None:
        return clock()
    if isinstance(time, (float, np.floating)):
        raise InputError(f"a time is a datetime or whole microseconds since 1970 UTC; seen {time!r}{_float_cure(time)}")
    if isinstance(time, (int, np.integer)) and not isinstance(time, bool):
        value = int(time)
        if not EARLIEST <= value < LATEST:
            raise InputError(_unlikely(value, _ahead(clock)))
    else:
        value = microseconds(time, clock)
    if value < PLAUSIBLE_FROM or value > now() + PLAUSIBLE_AHEAD:
        latest = _ahead(clock)
        if value < PLAUSIBLE_FROM or value > latest:
            raise InputError(_unlikely(value, latest))
    return value


def check_plausible(times: IntArray, clock: Callable[[], int] = now) -> None:
    """InputError for the first of these microseconds whose year is out of reason, with the unit that it is likely in.

    Plausible are the years from 1980 on, up to a year after the present (of `clock`, where that is later).
    """
    if len(times):
        latest = _ahead(clock)
        wrong = (times < PLAUSIBLE_FROM) | (times > latest)
        if wrong.any():
            n = int(wrong.sum())
            several = f" ({n:,} of {len(times):,} times are out of reason)" if n > 1 else ""
            raise InputError(_unlikely(int(times[int(np.argmax(wrong))]), latest) + several)


def implausible(times: IntArray) -> BoolArray:
    """Return which of these microseconds have a year out of reason, (n,)."""
    return (times < PLAUSIBLE_FROM) | (times > _ahead(now))


def check_clock(clock: Callable[[], int]) -> None:
    """InputError for a clock that does not give whole microseconds of a plausible year (before 1980, after 2199)."""
    time = clock()
    if isinstance(time, bool) or not isinstance(time, (int, np.integer)):
        raise InputError(f"clock returns whole microseconds since 1970 UTC; it returned {time!r}{_float_cure(time)}")
    if not PLAUSIBLE_FROM <= time < _CLOCK_ENDS:
        raise InputError(f"clock returns microseconds since 1970 UTC; {_unlikely(int(time), _CLOCK_ENDS)}")


def likely_unit(value: int, latest: int | None = None) -> tuple[str, str] | None:
    """Return the unit (no microsecond) in which a number of 1970 is a plausible time, and that day; None without one.

    >>> likely_unit(1_764_000_000_000)
    ('milliseconds', '2025-11-24')
    """
    until = _ahead(now) if latest is None else latest
    for name, (up, down) in _UNITS.items():
        if PLAUSIBLE_FROM <= value * up // down <= until:
            return name, day(value * up // down)
    return None


def _ahead(clock: Callable[[], int]) -> int:
    """Return the last plausible time: a year after the present, or after the time of a clock that is ahead."""
    return max(now(), 0 if clock is now else clock()) + PLAUSIBLE_AHEAD


def _unlikely(value: int, latest: int) -> str:
    """Return why a time in microseconds is out of reason, and what to pass."""
    if value < EARLIEST:
        seen = "is before the year 1 in microseconds"
    elif value >= LATEST:
        seen = "is beyond the year 9999 in microseconds"
    else:
        seen = f"is {day(value)} in microseconds"
    found = likely_unit(value, latest)
    if found is None:
        return (
            f"the time {value:,} {seen}; times from 1980-01-01 to {day(latest)} are taken: pass whole microseconds "
            "since 1970 UTC or a datetime with a time zone"
        )
    unit, when = found
    return (
        f"the time {value:,} {seen}; in {unit} it would be {when}: pass whole microseconds since 1970 UTC "
        f"({_CURES[unit]}) or a datetime with a time zone"
    )


def _float_cure(time: object) -> str:
    """Return what to pass in place of a float, as the end of a sentence."""
    if not isinstance(time, (float, np.floating)) or not abs(float(time)) < float(LATEST):
        return ""
    found = likely_unit(int(time)) if float(time) != 0.0 else None
    if found is None:
        return ": pass an int"
    if found[0] == "seconds":
        return f", which in seconds would be {found[1]}: pass int(seconds * 1_000_000)"
    return f", which in {found[0]} would be {found[1]}: pass whole microseconds"


def day(time: int) -> str:
    """Return the day of a time in microseconds, UTC, as 2026-01-31."""
    return (_EPOCH + timedelta(microseconds=time)).date().isoformat()


def new_id() -> str:
    """Return a new decision id: 48 bits of milliseconds and 80 random bits, so that ids sort by time."""
    return (clock_module.time_ns() // 1_000_000).to_bytes(6, "big").hex() + os.urandom(10).hex()


def new_ids(n: int) -> tuple[str, ...]:
    """Return n new decision ids with the same time; their random bits are drawn in one call."""
    moment = (clock_module.time_ns() // 1_000_000).to_bytes(6, "big").hex()
    random = os.urandom(10 * n).hex()
    return tuple([moment + random[start : start + 20] for start in range(0, 20 * n, 20)])

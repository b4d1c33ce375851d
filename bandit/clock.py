"""Times in microseconds since 1970 UTC, and decision ids that sort by time."""

from __future__ import annotations

import os
import time as clock_module
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from bandit.domain import MICROSECONDS, IntArray
from bandit.errors import InputError

Time = int | datetime | None
"""A time as a caller gives it: microseconds since 1970 UTC, a datetime with a time zone, or None for now."""


EARLIEST, LATEST = -62_135_596_800 * MICROSECONDS, 253_402_300_800 * MICROSECONDS
"""The first microsecond of year 1 and the first after year 9999, UTC: the range of datetime, SQLite and Arrow."""


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


def check_times(times: IntArray) -> None:
    """InputError where one of these microseconds is outside the years 1 to 9999."""
    if len(times) and not (times.min() >= EARLIEST and times.max() < LATEST):
        raise InputError("a time is outside the years 1 to 9999; send microseconds since 1970 UTC")


def new_id() -> str:
    """Return a new decision id: 48 bits of milliseconds and 80 random bits, so that ids sort by time."""
    return (clock_module.time_ns() // 1_000_000).to_bytes(6, "big").hex() + os.urandom(10).hex()


def new_ids(n: int) -> tuple[str, ...]:
    """Return n new decision ids with the same time; their random bits are drawn in one call."""
    moment = (clock_module.time_ns() // 1_000_000).to_bytes(6, "big").hex()
    random = os.urandom(10 * n).hex()
    return tuple([moment + random[start : start + 20] for start in range(0, 20 * n, 20)])

"""Moments in microseconds since 1970 UTC, and ids that sort by them."""

from __future__ import annotations

import os
import time as clock_module
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from bandit.domain import MICROSECONDS
from bandit.errors import InputError

Time = int | datetime | None
"""A moment as a caller may give it: microseconds since 1970 UTC, a datetime with its zone, or None for now."""


def now() -> int:
    """Return the clock in microseconds since 1970 UTC."""
    return clock_module.time_ns() // 1_000


def microseconds(time: object, clock: Callable[[], int] = now) -> int:
    """Return a moment in microseconds since 1970 UTC; InputError for a datetime without a time zone."""
    if time is None:
        return clock()
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise InputError(f"the time {time.isoformat()} has no time zone; add one, as in datetime.now(timezone.utc)")
        return round(time.astimezone(UTC).timestamp() * MICROSECONDS)
    if isinstance(time, (int, np.integer)) and not isinstance(time, bool):
        return int(time)
    raise InputError(f"a time is a datetime or whole microseconds since 1970 UTC; seen {time!r}")


def new_id() -> str:
    """Return a new decision id: 48 bits of milliseconds and 80 random bits, so that ids sort by time."""
    return (clock_module.time_ns() // 1_000_000).to_bytes(6, "big").hex() + os.urandom(10).hex()


def new_ids(n: int) -> tuple[str, ...]:
    """Return n new decision ids of one moment; the random bits of all are asked for at once."""
    moment = (clock_module.time_ns() // 1_000_000).to_bytes(6, "big").hex()
    random = os.urandom(10 * n).hex()
    return tuple([moment + random[start : start + 20] for start in range(0, 20 * n, 20)])

"""Times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_minute(time: int | None) -> str:
    """Return a time (microseconds since 1970 UTC) to the minute, "-" for none.

    >>> iso_minute(1795651200000000)
    '2026-11-26 00:00'
    """
    return "-" if time is None else (_EPOCH + timedelta(microseconds=time)).strftime("%Y-%m-%d %H:%M")


def iso_second(time: int) -> str:
    """Return a time (microseconds since 1970 UTC) in ISO 8601 to the second.

    >>> iso_second(1795651200000000)
    '2026-11-26T00:00:00+00:00'
    """
    return (_EPOCH + timedelta(microseconds=time)).isoformat(timespec="seconds")

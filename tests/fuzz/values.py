"""Hostile values made of bytes: each byte chooses, the bytes after it fill in."""

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np

NAMES = (
    "a", "", "\0", "a\0b", "\ud800", "x\udc80", "\U0001f600", "'; DROP TABLE decisions; --", '"', "a'b", "`", "%s",
    "?1",
    ":name", "\x1b[2J", "\u202egnp", "../../etc/passwd", "/etc/passwd", "C:\\con", "\r\n", "N" * 1_000, "N" * 1_001,
    "L" * 1_000_000, "NULL", "-1", " ", "\ufeff", "closed", "purchase", "f", "m", "{}", "[red]x[/red]",
    "a" + "\u0301" * 50,
)  # fmt: skip

NUMBERS = (
    0, 1, -1, 2**31, 2**62, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**400, 10**10_000, 1.5, -0.0, 5e-324, 1.7e308,
    math.inf, -math.inf, math.nan, True, False, np.float64("nan"), np.int64(3), np.float32(1e38), np.float64(1e308),
)  # fmt: skip

ODD = (
    None, [], {}, [1], {"a": 1}, b"bytes", object(), (1, 2), 1j, np.array([1.0]), np.array(["x"]), {1, 2},
    datetime(2026, 1, 1, tzinfo=UTC), timedelta(1), type, np.datetime64("NaT"),
)  # fmt: skip

TIMES = (
    None, 0, -1, 2**63, -(2**63), 10**30, 253_402_300_800_000_000, -62_135_596_800_000_000,
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), datetime(9999, 12, 31, 23,
    tzinfo=timezone(-timedelta(hours=12))),
    datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1), "2026-01-01", 1.5, math.nan, True,  # noqa: DTZ001
)  # fmt: skip


class Given:
    """Values made of bytes, one after the other; zeros where the bytes are used up."""

    def __init__(self, data):
        self._data = data
        self._place = 0

    def byte(self):
        self._place += 1
        return self._data[self._place - 1] if self._place <= len(self._data) else 0

    def one_of(self, choices):
        return choices[self.byte() % len(choices)]

    def rest(self):
        """The bytes that are left, as a text with half characters where they are no UTF-8."""
        left, self._place = self._data[self._place :], len(self._data)
        return left.decode("utf-8", "surrogateescape")

    def name(self):
        kind = self.byte()
        return self.rest() if kind >= 200 else self.one_of(NAMES)

    def value(self):
        match self.byte() % 4:
            case 0:
                return self.name()
            case 1:
                return self.one_of(NUMBERS)
            case 2:
                return self.one_of(ODD)
        return self.one_of(("f", "m", 1.5, 3, True, None, "1e400", "nan", "12", "yes", "1_0", "\u0661"))

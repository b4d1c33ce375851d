"""Which `time_format` reads the times of a column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from bandit.logfiles.columns.values import INVALID, INVALID_TIME, number, times

_DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y")
_NAMED = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y")
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", ", %H:%M:%S", ", %H:%M", "T%H:%M:%S")

TIME_FORMATS = tuple(day + clock for day in (*_DAYS, *_NAMED) for clock in _CLOCKS)
"""Formats of strptime that are tried beside ISO 8601 and plain numbers."""

_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1995, 2100))
_COMPACT = len("20260131")
_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6}


@dataclass(frozen=True, slots=True)
class TimeStyle:
    """A `time_format` and `time_unit`; `others` are formats that read the same texts as other times."""

    time_format: str
    unit: str = "s"
    others: tuple[str, ...] = ()


def guess_time_style(texts: Iterable[str]) -> TimeStyle | None:
    """Return the style in which all these texts are times of the years 1995 to 2099, None where there is none.

    >>> guess_time_style(["31.12.2026"]).time_format
    '%d.%m.%Y'
    >>> guess_time_style(["03/04/2026"]).others
    ('%m/%d/%Y',)
    """
    distinct = [text for text in dict.fromkeys(map(str.strip, texts)) if text]
    if not distinct:
        return None
    if (unit := _unix_unit(distinct)) is not None:
        return TimeStyle("unix", unit)
    first = distinct[0]
    written = any(sign in first for sign in "-/. :") and any(map(str.isdigit, first))
    if not written and not (len(first) == _COMPACT and first.isdigit()):
        return None
    fitting = [style for style in ("iso", *TIME_FORMATS) if _reads(style, distinct)]
    return TimeStyle(fitting[0], others=tuple(fitting[1:])) if fitting else None


def _unix_unit(distinct: Sequence[str]) -> str | None:
    """Return the unit in which all texts are seconds since 1970 of plausible years, None where there is none."""
    numbers = np.array([number(text) for text in distinct])
    if not np.isfinite(numbers).all() or (numbers == INVALID).any():
        return None
    for unit, factor in _UNITS.items():
        if ((numbers >= _EARLIEST * factor) & (numbers < _LATEST * factor)).all():
            return unit
    return None


def _reads(style: str, distinct: Sequence[str]) -> bool:
    if times(distinct[:1], style, "s", 0)[0] == INVALID_TIME:
        return False
    read = times(distinct, style, "s", 0)
    return bool(((read >= _EARLIEST * 1e6) & (read < _LATEST * 1e6)).all())


def time_cure(text: str) -> str:
    """Return what to put into the mapping so that a text becomes a time, as the end of a sentence; empty if unknown.

    >>> time_cure("31.12.2026")
    '; put time_format = "%d.%m.%Y" under [columns] in the mapping'
    """
    found = guess_time_style([text])
    if found is None:
        return ""
    unit = f' and time_unit = "{found.unit}"' if found.unit != "s" else ""
    others = "".join(f' (or "{each}")' for each in found.others[:1])
    return f'; put time_format = "{found.time_format}"{others}{unit} under [columns] in the mapping'

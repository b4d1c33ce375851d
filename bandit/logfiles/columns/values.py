"""Conversion of columns of text to numbers, truth values and times, each distinct text once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import TypeVar

import numpy as np

from bandit.catalogue.plain_values import number_of, truth_of
from bandit.clock import EARLIEST, LATEST
from bandit.domain import MICROSECONDS, FloatArray, IntArray
from bandit.logfiles.columns.coded_text import CodedTexts, NumberTexts, TimeTexts

_T = TypeVar("_T")

INVALID = math.inf
"""Stands for a text that is not a finite number; a text of infinity is invalid, too."""

INVALID_TIME = np.iinfo(np.int64).min
"""Stands for a text that is not a time."""

UNITS = {"us": 1, "ms": 1_000, "s": MICROSECONDS, "min": 60 * MICROSECONDS}
UNITS |= {"h": 60 * UNITS["min"], "d": 24 * 60 * UNITS["min"]}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_TIME = 2**62
_SHARE = re.compile(r"\s*(\d{1,18})\s*/\s*(\d{1,18})\s*")


def by_value(texts: Sequence[str], convert: Callable[[str], _T]) -> list[_T]:
    """Return the converted column; `convert` is called once for each distinct text."""
    if isinstance(texts, CodedTexts):
        values = list(map(convert, texts.distinct))
        return list(map(values.__getitem__, texts.codes.tolist()))
    table = {text: convert(text) for text in set(texts)}
    return list(map(table.__getitem__, texts))


def is_blank(text: str) -> bool:
    """Return whether a text has nothing in it but white space."""
    return not text or text.isspace()


def number(text: str) -> float:
    """Return the finite number of a text, NaN for a blank, and INVALID for anything else."""
    return number_of(text)


def truth(text: str) -> float:
    """Return 1 or 0, NaN for a blank, and INVALID for anything that is neither true nor false."""
    return truth_of(text)


def share(text: str) -> float:
    """Return a number or a fraction such as "1/3", NaN for a blank, and INVALID for anything else."""
    found = _SHARE.fullmatch(text)
    if found:
        return float(Fraction(int(found[1]), int(found[2]))) if int(found[2]) else INVALID
    return number(text)


def floats(texts: Sequence[str], convert: Callable[[str], float] = number) -> FloatArray:
    """Return a column of text as numbers."""
    if isinstance(texts, NumberTexts):
        return texts.numbers if convert is not truth else _truths(texts.numbers)
    if isinstance(texts, CodedTexts):
        return np.array(list(map(convert, texts.distinct)), dtype=np.float64)[texts.codes]
    table = {text: convert(text) for text in set(texts)}
    return np.fromiter(map(table.__getitem__, texts), dtype=np.float64, count=len(texts))


def _truths(numbers: FloatArray) -> FloatArray:
    return np.where(np.isnan(numbers) | (numbers == 0.0) | (numbers == 1.0), numbers, INVALID)


def moment(text: str) -> int:
    """Return an ISO 8601 time in microseconds (UTC where it has no zone), or INVALID_TIME."""
    try:
        return _microseconds(datetime.fromisoformat(text.strip()))
    except ValueError:
        return INVALID_TIME


def times(texts: Sequence[str], style: str, unit: str, start: int) -> IntArray:
    """Return a column of text as microseconds, INVALID_TIME where a text is not a time.

    `style` is "iso", "unix" (numbers of `unit`s since `start`) or a format of strptime.
    """
    if style == "unix":
        numbers = floats(texts) * UNITS[unit]
        bad = ~(np.abs(numbers) < _LARGEST_TIME)  # NaN compares false
        whole = np.where(bad, 0.0, np.rint(np.where(bad, 0.0, numbers))).astype(np.int64)
        return _in_calendar(np.where(bad, INVALID_TIME, whole + start))
    if style == "iso" and isinstance(texts, TimeTexts):
        return _in_calendar(texts.microseconds)
    if style == "iso" and (fast := _iso(texts)) is not None:
        return fast
    convert = moment if style == "iso" else _strptime(style)
    table = {text: convert(text) for text in set(texts)}
    return np.fromiter(map(table.__getitem__, texts), dtype=np.int64, count=len(texts))


def _in_calendar(times: IntArray) -> IntArray:
    """Return the times, with INVALID_TIME in place of those outside the years 1 to 9999."""
    return np.where((times >= EARLIEST) & (times < LATEST), times, INVALID_TIME)


def _iso(texts: Sequence[str]) -> IntArray | None:
    """Return a column of plain dates and times as microseconds; None where the texts must be parsed one by one."""
    lengths = set(map(len, texts))
    joined = "".join(texts)
    plain = joined.count("-") == 2 * len(texts) and _PLAIN.fullmatch(joined)
    if not lengths or min(lengths) < 10 or max(lengths) > _LONGEST_TIME or not plain:
        return None
    try:
        return _in_calendar(np.array(texts, dtype="datetime64[us]").astype(np.int64))
    except ValueError:
        return None


_PLAIN = re.compile(r"[-0-9T:. ]*")
_LONGEST_TIME = len("2026-01-31T18:00:00.000000000")


def _strptime(style: str) -> Callable[[str], int]:
    """Return the function that parses a text by a format of strptime."""

    def convert(text: str) -> int:
        try:
            return _microseconds(datetime.strptime(text.strip(), style))  # noqa: DTZ007 - the zone is given below
        except ValueError:
            return INVALID_TIME

    return convert


def _microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - _EPOCH
    return (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds

"""Formatting of numbers for people: estimates by their standard error, and counts with their noun."""

from __future__ import annotations

from bandit.ope.numbers import UNKNOWN_NUMBER, NumberFormat
from bandit.printable import count, counted

__all__ = ["UNKNOWN_NUMBER", "NumberFormat", "count", "counted"]

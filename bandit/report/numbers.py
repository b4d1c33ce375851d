"""Formatting of numbers for people: estimates by their standard error, and counts with their noun."""

from __future__ import annotations

from bandit.ope.numbers import UNKNOWN_NUMBER, NumberFormat

__all__ = ["UNKNOWN_NUMBER", "NumberFormat", "count", "counted"]


def count(number: int) -> str:
    """Return a count with thousands separators."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless it is 1.

    >>> counted(1, "decision"), counted(2_000, "decision")
    ('1 decision', '2,000 decisions')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"

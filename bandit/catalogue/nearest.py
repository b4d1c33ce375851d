"""The question for a misspelt name that a catalogue declares."""

from __future__ import annotations

from collections.abc import Iterable

from bandit import printable

CLOSE_NAME = 0.7
"""Least similarity, 0 to 1, of a name that is asked for and one that is meant."""


def nearest(name: str, known: Iterable[str], least: float = CLOSE_NAME) -> str | None:
    """Return the declared name that a misspelt one probably means; None where none is near."""
    return printable.nearest(name, known, least)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question for the nearest known name, with a space before it; empty where none is near.

    >>> did_you_mean("purchse", ["purchase"])
    ' (did you mean "purchase"?)'
    """
    found = nearest(name, known)
    return "" if found is None else f' (did you mean "{found}"?)'

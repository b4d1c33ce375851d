"""Finds the declared name that a misspelt one probably means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CLOSE = 0.7
"""Least similarity, 0 to 1, of a name that is asked for and one that is meant (`difflib.SequenceMatcher.ratio`)."""


def nearest(name: str, known: Iterable[str], least: float = _CLOSE) -> str | None:
    """Return the known name that is most like this one, whatever its case; None where none is near.

    >>> nearest("Purchse", ["return", "purchase"])
    'purchase'
    """
    folded: dict[str, str] = {}
    for each in known:
        folded.setdefault(" ".join(each.casefold().split()), each)
    found = difflib.get_close_matches(" ".join(name.casefold().split()), list(folded), n=1, cutoff=least)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question for the nearest known name, with a space before it; empty where none is near.

    >>> did_you_mean("purchse", ["purchase"])
    ' (did you mean "purchase"?)'
    """
    found = nearest(name, known)
    return "" if found is None else f' (did you mean "{found}"?)'

"""Misspelt names: which declared name a text that is none of them was probably meant to be."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PARTS = re.compile(r"\d+|[^\W\d_]+")

_SHORT, _LONG = 4, 8
"""Words of fewer letters than the first are compared letter by letter; from the second on, two letters may differ."""


def near_name(text: str, names: Iterable[str]) -> str | None:
    """Return the name of which `text` is another spelling or a misspelling, None where there is none.

    Another spelling differs in case, spaces, accents' encoding, hyphens, underscores or a sign such as "%"; a
    misspelling in one letter of a word (two of a long one). Numbers, and words of up to three letters, must be the
    same: "v2" is no misspelling of "v1", nor "group b" of "group a".

    >>> near_name("emial", ["email", "sms"]), near_name("E-Mail", ["email", "sms"]), near_name("10 %", ["10", "20"])
    ('email', 'email', '10')
    >>> near_name("v2", ["v0", "v1"]), near_name("20", ["10", "30"]), near_name("post", ["push", "email"])
    (None, None, None)
    """
    listed = list(names)
    seen = _folded(text)
    same = next((name for name in listed if _folded(name) == seen), None)
    if same is not None:
        return same
    parts = _PARTS.findall(_normal(text))
    if all(part.isdigit() for part in parts):
        return next((name for name in listed if _is_same_number(text, name)), None)
    return next((name for name in listed if _are_near(parts, _PARTS.findall(_normal(name)))), None)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _folded(text: str) -> str:
    """Return the letters and digits of a text; where it has none, the text."""
    folded = "".join(_PARTS.findall(_normal(text)))
    return folded or text.strip()


def _is_same_number(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _are_near(one: list[str], other: list[str]) -> bool:
    """Return whether two texts of as many parts differ in misspelt words only."""
    if len(one) != len(other) or not one:
        return False
    return all(a == b or _misspelt(a, b) for a, b in zip(one, other, strict=True))


def _misspelt(one: str, other: str) -> bool:
    shorter = min(len(one), len(other))
    # The last letter may tell names apart: "variantb" is no misspelling of "varianta".
    if shorter < _SHORT or one.isdigit() or other.isdigit() or one[:-1] == other[:-1]:
        return False
    distance = _distance(one, other)
    if shorter < _LONG and len(one) == len(other):
        # In a short word another letter makes another word (gold, bold); two letters in the wrong order do not.
        return distance == 1 and sorted(one) == sorted(other)
    return distance <= (2 if shorter >= _LONG else 1)


def _distance(one: str, other: str) -> int:
    """Return how many letters are inserted, left out, replaced or swapped with the next (Damerau 1964)."""
    before, previous = list[int](), list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        current = [i]
        for j, b in enumerate(other, start=1):
            cost = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]

"""Comparison of texts: their normal form, texts that look alike, words for a missing value, and the nearest name."""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Iterable, Sequence

from bandit.catalogue.plain_values import FALSE_WORDS, TRUE_WORDS, number_of

MISSING_TEXTS = frozenset(
    {"null", "(null)", "nan", "nat", "none", "n/a", "na", "#n/a", "<na>", "nil", "undefined", "\\n", "-", "--", "?"}
)
"""Texts, in any case, that programs write for a missing value; one that is a declared value is that value."""

_INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060"
_CLOSE = 0.6
"""Least similarity, 0 to 1 (`difflib.SequenceMatcher.ratio`), of a name that is suggested."""

_MOST_COMPARED = 2_000
"""Most names that a text is compared with letter by letter."""

_LONGEST_COMPARED = 100


def normal_text(text: str) -> str:
    r"""Return a text in Unicode's normal form C, without white space and invisible marks around it.

    >>> normal_text(" f\u00a0"), normal_text("Ko\u0308ln") == "K\u00f6ln"
    ('f', True)
    """
    if text.isascii():
        return text.strip()
    text = unicodedata.normalize("NFC", text)
    bare = text.strip().strip(_INVISIBLE).strip()
    return unicodedata.normalize("NFC", bare) if bare != text else text


def look_alike_key(text: str) -> str:
    r"""Return what two texts have in common that look alike: Unicode's form KC without case, spaces run together.

    >>> look_alike_key("Tote  Bag ") == look_alike_key("tote\u00a0bag")
    True
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    visible = "".join(character for character in folded if unicodedata.category(character) != "Cf")
    return " ".join(visible.split())


def is_missing_text(text: str) -> bool:
    """Return whether a text in normal form is a word that programs write for a missing value."""
    return text.casefold() in MISSING_TEXTS


def first_alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two different names that look alike, None where there are none."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(look_alike_key(name), name)
        if other != name:
            return other, name
    return None


def nearest(text: str, names: Sequence[str]) -> str | None:
    """Return the name that a text was probably meant to be, None where none is near.

    First a name that looks alike, then one of the same number ("1.0" for "1") or truth ("True" for "yes"), then the
    name of the most letters in common.

    >>> nearest("F", ["f", "m"]), nearest("1.0", ["1", "2"]), nearest("emial", ["email", "sms"])
    ('f', '1', 'email')
    """
    key = look_alike_key(text[:_LONGEST_COMPARED])
    keys = {look_alike_key(name): name for name in reversed(names)}
    if key in keys:
        return keys[key]
    number = number_of(key)
    if math.isfinite(number):
        return next((name for name in names if number_of(name) == number), None)
    for words in (TRUE_WORDS | {"1"}, FALSE_WORDS | {"0"}):
        if key in words:
            same = [name for name in names if look_alike_key(name) in words]
            if same:
                return same[0]
    found = difflib.get_close_matches(key, list(keys)[-_MOST_COMPARED:], n=1, cutoff=_CLOSE)
    return keys[found[0]] if found else None

"""Text that a spreadsheet would run as a formula, written so that it does not, and read back as it was (CWE-1236)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")


def escaped(text: str) -> str:
    """Return a text with an apostrophe before it where a spreadsheet would run it, or where it looks escaped already.

    >>> [escaped(text) for text in ("=1+1", "plain", "'=1+1", "'quoted'")]
    ["'=1+1", 'plain', "''=1+1", "'quoted'"]
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(text: str) -> str:
    """Return a text as it was before `escaped`.

    >>> unescaped("'=1+1"), unescaped("'quoted'")
    ('=1+1', "'quoted'")
    """
    return text[1:] if _ESCAPED.match(text) else text


def escaped_all(texts: Sequence[str]) -> Sequence[str]:
    """Return texts, each `escaped`; the same sequence where none needs it."""
    return [escaped(text) for text in texts] if _anywhere(_FORMULA, texts) else texts


def unescaped_all(texts: Sequence[str]) -> Sequence[str]:
    """Return texts, each `unescaped`; the same sequence where none needs it."""
    return [unescaped(text) for text in texts] if _anywhere(_ESCAPED, texts) else texts


_STARTS = {"'", "=", "+", "-", "@", "\t", "\r"}


def _anywhere(pattern: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Return whether a pattern begins any of the texts; those that begin with an ordinary character cost little."""
    if _STARTS.isdisjoint({text[:1] for text in texts}):
        return False
    return any(map(pattern.match, texts))

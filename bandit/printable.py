"""Text that is safe where it is shown: on a terminal, and in a spreadsheet."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

MAX_MESSAGE = 1_000
"""Longest message in characters; the middle of a longer one is left out."""

_CUT = " [...] "

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED_FORMULA = re.compile(r"'+[=+\-@\t\r]")
_FORMULA_STARTS = {"'", "=", "+", "-", "@", "\t", "\r"}

_LIKENESS = 0.6
"""The least likeness of two words, from 0 to 1, at which one is taken for a misspelling of the other."""


def plain(text: str, most: int = MAX_MESSAGE) -> str:
    r"""Return a text of at most `most` characters on one line, with unprintable characters escaped.

    >>> plain("red\x1b[31m\nalert")
    'red\\x1b[31m alert'
    """
    text = _short(text, most)
    if text.isprintable():
        return text
    return _short("".join(map(_shown, text)), most)


def visible(text: str) -> str:
    r"""Return a text with unprintable characters escaped, its line ends and its length left as they are.

    >>> visible("red\x1b[31m\nalert")
    'red\\x1b[31m\nalert'
    """
    if text.isprintable():
        return text
    return "\n".join("".join(map(_shown, line)) for line in text.split("\n"))


def from_here(text: str) -> str:
    """Return a text with paths as seen from the working directory: a store knows its file by the whole path."""
    try:
        return text.replace(f"{Path.cwd()}{os.sep}", "")
    except OSError:  # the directory was removed
        return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the known word most like another one, empty where none is like it.

    >>> did_you_mean("emial", ["email", "sms"])
    '; did you mean "email"?'
    """
    found = nearest(word, known)
    return "" if found is None else f'; did you mean "{plain(found)}"?'


def nearest(word: str, known: Iterable[str], least: float = _LIKENESS) -> str | None:
    """Return the known word that is most like another one, whatever its case; None where none is near.

    `least` is the least similarity, 0 to 1 (`difflib.SequenceMatcher.ratio`).

    >>> nearest("Purchse", ["return", "purchase"])
    'purchase'
    """
    folded: dict[str, str] = {}
    for each in known:
        folded.setdefault(" ".join(each.casefold().split()), each)
    found = get_close_matches(" ".join(word.casefold().split()), list(folded), n=1, cutoff=least)
    return folded[found[0]] if found else None


def count(number: int) -> str:
    """Return a count with thousands separators."""
    return f"{number:,}"


def counted(number: int, noun: str, verbs: tuple[str, str] | None = None) -> str:
    """Return a count with its noun, in the plural unless it is 1, and with the verb for one or for several.

    >>> counted(1, "decision"), counted(2_000, "decision", ("was", "were"))
    ('1 decision', '2,000 decisions were')
    """
    one = number == 1
    verb = "" if verbs is None else f" {verbs[0] if one else verbs[1]}"
    return f"{number:,} {noun}{'' if one else 's'}{verb}"


def as_sentence(text: str) -> str:
    """Return a text as a sentence: with a capital letter and a full stop, on one line.

    >>> as_sentence("two rows are refused")
    'Two rows are refused.'
    """
    return plain(f"{text[:1].upper()}{text[1:]}.", 2 * MAX_MESSAGE)


def _short(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    room = most - len(_CUT)
    tail = room // 3
    return f"{text[: room - tail]}{_CUT}{text[len(text) - tail :]}"


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    # Also lone surrogates and marks that change the direction of writing.
    return " " if character in "\t\n\r" else character.encode("unicode_escape").decode()


def decisions_that_count(n: int, stands_for: float) -> str:
    """Return n decisions in words, and how many they stand for where these are not as many.

    >>> decisions_that_count(1_829, 4_012.2), decisions_that_count(1, 1.0)
    ('1,829 decisions that stand for 4,012', '1 decision')
    """
    words, verb = counted(n, "decision"), "stands" if n == 1 else "stand"
    return words if stands_for == n else f"{words} that {verb} for {stands_for:,.0f}"


def without_formula(text: str) -> str:
    """Return a text with an apostrophe before it where spreadsheets run it (CWE-1236), or where it has one already.

    >>> [without_formula(text) for text in ("=1+1", "plain", "'=1+1", "'quoted'")]
    ["'=1+1", 'plain', "''=1+1", "'quoted'"]
    """
    return f"'{text}" if _FORMULA.match(text) else text


def with_formula(text: str) -> str:
    """Return a text as it was before `without_formula`.

    >>> with_formula("'=1+1"), with_formula("'quoted'")
    ('=1+1', "'quoted'")
    """
    return text[1:] if _ESCAPED_FORMULA.match(text) else text


def without_formulas(texts: Sequence[str]) -> Sequence[str]:
    """Return texts, each `without_formula`; the same sequence where none needs it."""
    return [without_formula(text) for text in texts] if _anywhere(_FORMULA, texts) else texts


def with_formulas(texts: Sequence[str]) -> Sequence[str]:
    """Return texts, each `with_formula`; the same sequence where none needs it."""
    return [with_formula(text) for text in texts] if _anywhere(_ESCAPED_FORMULA, texts) else texts


def _anywhere(pattern: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Return whether a pattern begins any of the texts; those that begin with an ordinary character cost little."""
    if _FORMULA_STARTS.isdisjoint({text[:1] for text in texts}):
        return False
    return any(map(pattern.match, texts))

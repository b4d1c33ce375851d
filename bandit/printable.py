"""What a message may show of what was seen: not more than a few lines, and nothing that steers a terminal."""

from __future__ import annotations

MAX_MESSAGE = 1_000
"""Longest message in characters; of a longer one the middle is left out."""

_CUT = " [...] "


def plain(text: str, most: int = MAX_MESSAGE) -> str:
    """Return a text of at most `most` characters on one line, what is not printable written as an escape."""
    text = _short(text, most)
    if text.isprintable():
        return text
    return _short("".join(map(_shown, text)), most)


def _short(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    room = most - len(_CUT)
    tail = room // 3
    return f"{text[: room - tail]}{_CUT}{text[len(text) - tail :]}"


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    # Also half characters and what turns the direction of writing round.
    return " " if character in "\t\n\r" else character.encode("unicode_escape").decode()

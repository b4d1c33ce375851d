"""TOML with comments: lines of keys and values, each with a comment behind it or above it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import tomli_w

from bandit.printable import plain

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_COMMENT_AT = 40
_LONGEST = 100


def toml_key(name: str) -> str:
    """Return a key, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else toml_value(name)


def toml_value(value: object) -> str:
    """Return a value on one line: a text, number, boolean, or a list or table of such.

    >>> toml_value({"column": "sent at", "map": {"ja": True}})
    '{ column = "sent at", map = { ja = true } }'
    """
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_key(str(name))} = {toml_value(each)}" for name, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, str) and '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    return tomli_w.dumps({"v": value}, multiline_strings=False).removeprefix("v = ").rstrip("\n")


def entry(key: str, value: object, comment: str = "", *, off: bool = False) -> str:
    """Return a line `key = value  # comment`; with `off` the whole line is a comment."""
    line = f"{'# ' if off else ''}{toml_key(key)} = {toml_value(value)}"
    return f"{line.ljust(_COMMENT_AT)}  # {plain(comment)}" if comment else line


def comment_line(text: str) -> str:
    """Return a line of comment."""
    return f"# {plain(text)}"


def listing(key: str, values: Sequence[object], comment: str = "") -> list[str]:
    """Return the lines of a list, one a value where they do not fit on one line."""
    line = entry(key, values, comment)
    if len(line) <= _LONGEST:
        return [line]
    above = [comment_line(comment)] if comment else []
    return [*above, f"{toml_key(key)} = [", *(f"  {toml_value(each)}," for each in values), "]"]

"""Rows that have too many fields since a number has the delimiter in it without quotes, such as 1,144.60."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEAD = re.compile(r"[^\d]{0,4}\d{1,3}")
_TAIL = re.compile(r"\d{3}(?:\.\d+)?[^\d]{0,4}|\d{2}[^\d]{0,4}")


def rejoined(row: Sequence[str], n_fields: int, delimiter: str) -> list[str] | None:
    """Return the row with numbers put together until it has `n_fields`, None where that is not possible.

    The last pair of fields that looks like the parts of one number is put together first.

    >>> rejoined(["mail", "1", "1", "144.60"], 3, ",")
    ['mail', '1', '1,144.60']
    >>> rejoined(["mail", "for you, dear", "x", "1"], 3, ",") is None
    True
    """
    cells = list(row)
    while len(cells) > n_fields:
        pairs = range(len(cells) - 1, 0, -1)
        place = next((at for at in pairs if _TAIL.fullmatch(cells[at]) and _HEAD.fullmatch(cells[at - 1])), None)
        if place is None:
            return None
        cells[place - 1 : place + 1] = [f"{cells[place - 1]}{delimiter}{cells[place]}"]
    return cells if len(cells) == n_fields else None

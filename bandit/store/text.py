"""Rejects texts with zero characters: SQLite's own functions end a text at the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

ZERO = "\0"


def reject_zero_characters(what: str, texts: str | Iterable[str | None] | None) -> None:
    """InputError where one of the texts has a zero character; None stands for no text."""
    if texts is None:
        return
    if isinstance(texts, str):
        found: str | None = texts if ZERO in texts else None
    else:
        present = list(filter(None, texts))
        found = next(text for text in present if ZERO in text) if ZERO in "".join(present) else None
    if found is not None:
        shown = what if what == "customer" else f"{what} {found[:80]!r}"  # a customer is named in no message
        raise InputError(f"the {shown} has a zero character, which cannot be stored; take it out")

"""Values that a catalogue does not declare, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue.undeclared import UndeclaredValues


def undeclared_lines(found: Sequence[UndeclaredValues]) -> list[str]:
    """Return what is said about values that are not declared, fact by fact; nothing where they are expected."""
    return [line for each in found for line in each.sentences]

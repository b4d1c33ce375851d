"""Free keys of options that look like a misspelt cost or a setting that options do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.catalogue.nearest import nearest
from bandit.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bandit.catalogue.file_tables import CatalogueFile, OptionFile

_MISSPELT = 0.85
"""Least similarity of a misspelt cost and the cost that it means."""

_COSTS = ("rate", "contact_cost", "redemption_cost")
_LIMITS = ("cap", "budget", "limit", "quota", "stock", "inventory", "max", "maximum", "min", "minimum", "capacity")
_CHANCES = ("share", "weight", "probability", "propensity", "prior", "chance")
_MONEY = ("cost", "costs", "price", "fee", "expense")
_OFF = ("discount", "percent", "percentage", "off", "rebate", "reduction")
_SWITCHES = ("active", "enabled", "disabled", "paused", "off", "stop", "until", "from", "start", "end")


def check_attributes(file: CatalogueFile, where: str) -> None:
    """Raise CatalogueError for a free key that is a misspelt cost; `where` names the catalogue."""
    for dimension in file.dimensions:
        for option in dimension.options:
            for name in option.attributes:
                meant = nearest(name.replace("-", "_"), _COSTS, least=_MISSPELT)
                if meant is not None:
                    raise CatalogueError(
                        f'{where}: option "{option.name}" of "{dimension.name}": "{name}" is no key of an option '
                        f'(did you mean "{meant}"?); correct it, or name the number that describes the option otherwise'
                    )


def attribute_notes(file: CatalogueFile) -> tuple[str, ...]:
    """Return a sentence for each free key of options that looks like a setting, which it is not.

    An attribute of which [dimensions.attributes] says something is meant as one.
    """
    notes = []
    for dimension in file.dimensions:
        names = dict.fromkeys(name for option in dimension.options for name in option.attributes)
        for name in names:
            if name in dimension.attributes:
                continue
            having = [option for option in dimension.options if name in option.attributes]
            for cure in _cures(name.casefold(), having):
                values = ", ".join(f"{name} = {option.attributes[name]:g}" for option in having[:3])
                notes.append(
                    f'"{name}" in "{dimension.name}" ({values}) is no cost and no limit: it is taken for a number that '
                    f"describes the option. {cure}"
                )
    return tuple(notes)


def _cures(name: str, having: list[OptionFile]) -> Iterator[str]:
    """Yield what to write instead, if the name sounds like a setting."""
    words = set(name.replace("-", "_").split("_"))
    if words & set(_LIMITS):
        yield "How often an option is sent cannot be limited here; who may get it is said under [[rules]]"
    elif words & set(_CHANCES):
        yield "How often an option is chosen is up to the policy; rename it if it describes the option"
    elif words & set(_MONEY) and not any(option.contact_cost or option.redemption_cost for option in having):
        yield "Write contact_cost for what sending costs, or redemption_cost for what a conversion costs"
    elif words & set(_OFF) and not any(option.rate for option in having):
        yield "Write rate = 0.10 for 10 % of the revenue given away"
    elif words & set(_SWITCHES):
        yield "To stop an option for some or all customers, forbid it under [[rules]]"

"""Options that are stopped: rules that hold for every customer keep policies from choosing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.conditions import Condition
from bandit.catalogue.eligibility import Rule
from bandit.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue.catalogue import Catalogue
    from bandit.catalogue.dimensions import Dimension
    from bandit.catalogue.offer_grid import OfferGrid
    from bandit.domain import BoolArray, Contexts


def stopping_rules(dimensions: Sequence[Dimension], n_rules: int, grid: OfferGrid) -> tuple[Rule, ...]:
    """Return one rule for each dimension with stopped options, numbered after the `n_rules` declared ones.

    They are eligibility rules whose condition holds for every customer, not stacking rules: the offers with stopped
    options keep their numbers and their costs, so that logs can have them.
    """
    found: list[Rule] = []
    for place, dimension in enumerate(dimensions):
        named = np.array([option.stopped for option in dimension.options])
        if named.any():
            masks = tuple(named if place == other else None for other in range(len(dimensions)))
            names = " and ".join(option.name for option in dimension.options if option.stopped)
            number = n_rules + len(found) + 1
            reason = f"{names} of {dimension.name} {'is' if named.sum() == 1 else 'are'} stopped"
            found.append(Rule(number, reason, Condition("true", _always), masks, grid))
    return tuple(found)


def check_stopped(catalogue: Catalogue, fallback: int | None, where: str) -> None:
    """Raise CatalogueError where the fallback is stopped, and where no offer goes on."""
    if not catalogue.stopped.any():
        return
    if fallback is not None and catalogue.stopped[fallback]:
        raise CatalogueError(
            f"{where}: [fallback] is the offer {catalogue.label(fallback)}, which has a stopped option; name one that "
            "goes on"
        )
    if catalogue.stopped.all():
        raise CatalogueError(
            f"{where}: every legal offer has a stopped option; let one go on, or take a stacking rule away"
        )


def _always(contexts: Contexts) -> BoolArray:
    return np.ones(contexts.n, dtype=np.bool_)

"""Checks of how much of the revenue an offer gives away: more than all of it, or more than the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import CatalogueError
from bandit.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue.catalogue import Catalogue
    from bandit.catalogue.dimensions import Option

_ROUNDING = 1e-9


def check_rates(catalogue: Catalogue, where: str) -> None:
    """Raise CatalogueError where an offer gives away more than the whole revenue: its rates add up above 1."""
    if _most(catalogue.levers) <= 1.0 + _ROUNDING or catalogue.file.objective.stacking == "product":
        return
    rate = np.where(catalogue.stopped, 0.0, catalogue.money.rate)
    above = int((rate > 1.0 + _ROUNDING).sum())
    if above:
        worst = int(rate.argmax())
        raise CatalogueError(
            f"{where}: {counted(above, 'offer')} {'gives' if above == 1 else 'give'} away more than the whole revenue, "
            f"as {catalogue.label(worst)} does: the rates of its options add up to {rate[worst]:g}. Write "
            'stacking = "product" under [objective] if each is taken from what the others leave, forbid the '
            "combination by a rule, or correct the rates"
        )


def losing_offers(catalogue: Catalogue) -> str | None:
    """Return a sentence on the offers that give away more than the margin, so that each sale is a loss; None without.

    Only for profit: other objectives do not count what an offer costs.
    """
    objective = catalogue.objective
    if objective.kind != "profit" or _most(catalogue.levers) <= objective.margin + _ROUNDING:
        return None
    rate = np.where(catalogue.stopped, 0.0, catalogue.money.rate)
    n = int((rate > objective.margin + _ROUNDING).sum())
    if not n:
        return None
    worst = int(rate.argmax())
    return (
        f"{n:,} of {counted(catalogue.n_offers, 'offer')} {'gives' if n == 1 else 'give'} away more than the margin of "
        f"{objective.margin:g}, so that every sale is a loss: {catalogue.label(worst)} gives away {rate[worst]:g}; "
        "correct the rates or the margin, or forbid such offers by a rule, unless that is meant"
    )


def _most(levers: Sequence[Sequence[Option]]) -> float:
    """Return the most that the rates of one offer can add up to."""
    return sum(max(option.rate for option in lever) for lever in levers)

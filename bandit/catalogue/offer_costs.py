"""The costs of offers from those of their options: the one place where the rates of several options are combined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from bandit.catalogue.objective import Money

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bandit.catalogue.dimensions import Option
    from bandit.domain import FloatArray, IntArray

RateStacking = Literal["sum", "product"]
"""How the rates of an offer's options combine: added up, or each taken from what the others leave."""


def costs_of(levers: Sequence[Sequence[Option]], options: IntArray, stacking: RateStacking) -> Money:
    """Return the costs of n offers, (n,) each, from their `options` (n, dimensions); -1 stands for an unknown option.

    `levers` has the options of each dimension. Costs in money add up. Rates add up as well where `stacking` is "sum";
    with "product" an offer's rate is 1 - prod(1 - rate), which does not depend on the order of the dimensions. An
    unknown option costs nothing.

    >>> from bandit.catalogue.dimensions import Option
    >>> levers = [[Option("10", rate=0.1)], [Option("member", rate=0.5, contact_cost=0.2)]]
    >>> offer = np.array([[0, 0]])
    >>> float(costs_of(levers, offer, "sum").rate[0]), float(costs_of(levers, offer, "product").rate[0])
    (0.6, 0.55)
    """
    rate = _total(levers, options, lambda option: option.rate) if stacking == "sum" else _compounded(levers, options)
    return Money(
        rate=rate,
        contact_cost=_total(levers, options, lambda option: option.contact_cost),
        redemption_cost=_total(levers, options, lambda option: option.redemption_cost),
    )


def joined_costs(parts: Sequence[Money]) -> Money:
    """Return the costs of the offers of several parts, one part after the other; of no offer without any."""
    none = np.zeros(0)
    return Money(
        rate=np.concatenate([none, *(part.rate for part in parts)]),
        contact_cost=np.concatenate([none, *(part.contact_cost for part in parts)]),
        redemption_cost=np.concatenate([none, *(part.redemption_cost for part in parts)]),
    )


def _total(levers: Sequence[Sequence[Option]], options: IntArray, cost: Callable[[Option], float]) -> FloatArray:
    sums = np.zeros(len(options))
    for place, lever in enumerate(levers):
        values = np.array([*map(cost, lever), 0.0])  # the last one is that of the number -1
        if values.any():
            sums += values[options[:, place]]
    return sums


def _compounded(levers: Sequence[Sequence[Option]], options: IntArray) -> FloatArray:
    left = np.ones(len(options))
    for place, lever in enumerate(levers):
        kept = np.array([*(1.0 - option.rate for option in lever), 1.0])
        if (kept != 1.0).any():
            left *= kept[options[:, place]]
    return 1.0 - left

"""Discounts as options of a dimension."""

from __future__ import annotations

from simulator.market.spec import OptionSpec


def discounts(*percents: int, unit: str = "") -> tuple[OptionSpec, ...]:
    """Return an option for each discount in percent, named by the number and `unit`, without tastes.

    What a discount does to customers is the scenario's `Sensitivity`.
    """
    return tuple(
        OptionSpec(name=f"{percent}{unit}", rate=percent / 100, attributes={"depth": percent}, tastes=False)
        for percent in percents
    )

"""The retail customers in a market where no offer changes anything: a policy found to be better was found by chance."""

from __future__ import annotations

from dataclasses import replace

from simulator.market.spec import DimensionSpec, Scenario, Sensitivity
from simulator.scenarios.retail import RETAIL


def _without_effect(dimension: DimensionSpec) -> DimensionSpec:
    """Return a dimension whose options change nothing and cost the same."""
    options = tuple(
        replace(option, rate=0.0, contact_cost=0.0, redemption_cost=0.0, effect=0.0, basket=0.0, returned=0.0)
        for option in dimension.options
    )
    return replace(dimension, options=options, explained=0.0, hidden=0.0, basket_explained=0.0)


NULL: Scenario = replace(
    RETAIL,
    name="null",
    describes="The customers of retail where no offer changes anything: every policy is worth the same.",
    dimensions=tuple(_without_effect(dimension) for dimension in RETAIL.dimensions),
    sensitivity=Sensitivity(),
    pair_share=0.0,
    pair_effect=0.0,
)

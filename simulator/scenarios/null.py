"""Nothing can be gained: whoever finds something here has found noise."""

from __future__ import annotations

from dataclasses import replace

from simulator.market.spec import Scenario, Sensitivity
from simulator.scenarios.retail import RETAIL


def _nothing_works(scenario: Scenario) -> Scenario:
    """Return the same customers where no option changes anything, and every option costs the same."""
    dimensions = tuple(
        replace(
            dimension,
            explained=0.0,
            hidden=0.0,
            basket_explained=0.0,
            options=tuple(
                replace(option, rate=0.0, contact_cost=0.0, redemption_cost=0.0, effect=0.0, basket=0.0, returned=0.0)
                for option in dimension.options
            ),
        )
        for dimension in scenario.dimensions
    )
    return replace(
        scenario,
        name="null",
        describes="The customers of retail where no offer changes anything: every policy is worth the same.",
        dimensions=dimensions,
        sensitivity=Sensitivity(),
        pair_share=0.0,
        pair_effect=0.0,
    )


NULL = _nothing_works(RETAIL)

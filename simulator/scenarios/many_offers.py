"""Five dimensions at once: 1,152 offers, far more than can be tried one by one in 20,000 visits.

The customers and most dimensions are those of the retail scenario; message and the larger choice of channels and gifts
are chosen, weak dimensions beside strong ones.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, Scenario, Sensitivity
from simulator.scenarios.retail import CATEGORY, CHANNEL, DISCOUNT, GIFT, RETAIL

MANY_OFFERS_SCENARIO: Scenario = replace(
    RETAIL,
    name="many-offers",
    describes="A shop that combines five levers: 1,152 offers, some levers strong and some weak.",
    dimensions=(
        DISCOUNT,
        CATEGORY,
        replace(CHANNEL, options=(*CHANNEL.options, OptionSpec(name="letter", contact_cost=0.70, effect=0.30))),
        replace(GIFT, options=(*GIFT.options, OptionSpec(name="shipping", redemption_cost=3.90, effect=0.25))),
        DimensionSpec(
            name="message",
            options=(
                OptionSpec(name="plain", tastes=False),
                OptionSpec(name="urgent", effect=0.05),
                OptionSpec(name="personal", effect=0.05),
                OptionSpec(name="story", effect=-0.05),
            ),
            explained=0.20,
            hidden=0.15,
        ),
    ),
    sensitivity=Sensitivity(mean=0.80, explained=0.45, hidden=0.30, curve=0.8),
    season=Season(yearly=0.20, weekly=0.08),
    base_rate=0.05,
    basket_median=50.0,
    pair_share=0.10,
    pair_effect=0.20,
    fallback={**RETAIL.fallback, "message": "plain"},
)

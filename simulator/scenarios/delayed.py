"""Late outcomes: purchases days after the offer, returns after that, and a window of three weeks.

All numbers are chosen. Half of the purchases come within four days and the last after a fortnight; one parcel of
fashion in four goes back, as shops commonly report, within a week. The window is 21 days in a campaign of twelve weeks:
a learner that counts an open decision as a failure sees a market that gets worse by the day.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.season import Season
from simulator.market.spec import Scenario, Sensitivity
from simulator.scenarios.retail import CATEGORY, CHANNEL, DISCOUNT, GIFT, RETAIL

_RETURNED = {"fashion": 0.25, "home": 0.08, "sport": 0.15, "beauty": 0.04}

DELAYED: Scenario = replace(
    RETAIL,
    name="delayed",
    describes="Purchases come up to a fortnight late, some go back: 144 offers, outcomes heard of in their time.",
    dimensions=(
        DISCOUNT,
        replace(
            CATEGORY,
            options=tuple(replace(option, returned=_RETURNED[option.name]) for option in CATEGORY.options),
        ),
        CHANNEL,
        GIFT,
    ),
    sensitivity=Sensitivity(mean=0.80, explained=0.45, hidden=0.30, curve=0.75),
    season=Season(yearly=0.15, weekly=0.08),
    base_rate=0.06,
    basket_base_correlation=-0.1,
    pair_share=0.10,
    pair_effect=0.20,
    delay_days=7.0,
    purchase_within_days=14.0,
    return_delay_days=4.0,
    return_within_days=7.0,
    objective={**RETAIL.objective, "window": "21d"},
    days=84.0,
    delayed=True,
)

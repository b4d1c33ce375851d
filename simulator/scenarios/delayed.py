"""Answers that come late: purchases days after the offer, returns after that, and silence that is none for three weeks.

All numbers are chosen. Half of the purchases come within four days and the last after a fortnight; one parcel of
fashion in four goes back, as shops commonly report, within a week. The window is 21 days in a campaign of twelve weeks:
whoever takes an open decision for a failure sees a market that gets worse by the day.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.season import Season
from simulator.market.spec import Scenario, Sensitivity
from simulator.scenarios.retail import CATEGORY, CHANNEL, DISCOUNT, FACTS, GIFT, RETAIL

_RETURNED = {"fashion": 0.25, "home": 0.08, "sport": 0.15, "beauty": 0.04}

DELAYED = Scenario(
    name="delayed",
    describes="Purchases come up to a fortnight late, some go back: 144 offers, outcomes heard of in their time.",
    facts=FACTS,
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
    base_hidden=0.40,
    basket_median=55.0,
    basket_hidden=0.20,
    basket_base_correlation=-0.1,
    basket_spread=0.50,
    pair_share=0.10,
    pair_effect=0.20,
    visits_hidden=0.5,
    delay_days=7.0,
    purchase_within_days=14.0,
    return_delay_days=4.0,
    return_within_days=7.0,
    objective={"kind": "profit", "event": "purchase", "margin": 0.38, "window": "21d"},
    fallback=RETAIL.fallback,
    segments=RETAIL.segments,
    practice=RETAIL.practice,
    practice_otherwise=RETAIL.practice_otherwise,
    days=84.0,
    delayed=True,
)

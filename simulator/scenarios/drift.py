"""Tastes that change within the campaign: what facts say about them at its end is unrelated to the beginning.

All numbers are chosen. The change takes the twelve weeks of the campaign: slow enough for a learner that forgets within
weeks, too fast for one that never forgets. Customers' own, hidden tastes stay.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.drift import Drift
from simulator.market.season import Season
from simulator.market.spec import Scenario, Sensitivity
from simulator.scenarios.retail import CATEGORY, CHANNEL, DISCOUNT, GIFT, RETAIL

DRIFT: Scenario = replace(
    RETAIL,
    name="drift",
    describes="Tastes turn within a campaign of twelve weeks: 144 offers, what was best at first is not at the end.",
    dimensions=(
        DISCOUNT,
        replace(CATEGORY, explained=0.55, hidden=0.25),
        replace(CHANNEL, explained=0.40, hidden=0.15),
        replace(GIFT, explained=0.35, hidden=0.15),
    ),
    sensitivity=Sensitivity(mean=0.75, explained=0.45, hidden=0.25, curve=0.75),
    # The means of the options change as well, by as much as they differ in the retail scenario.
    drift=Drift(quarter_days=84.0, effect=0.25),
    season=Season(yearly=0.15, weekly=0.08),
    base_rate=0.06,
    basket_median=50.0,
    basket_base_correlation=-0.1,
    pair_share=0.10,
    pair_effect=0.20,
    delay_days=1.0,
    purchase_within_days=5.0,
    objective={**RETAIL.objective, "window": "5d"},
    days=84.0,
)

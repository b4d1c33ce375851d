"""A season in which fashions turn: what facts tell about tastes at its end has nothing to do with its beginning.

All numbers are chosen. The turn takes the twelve weeks of the campaign, slow enough for a learner that forgets in
weeks and too fast for one that never does. Customers' own, hidden tastes stay.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.drift import Drift
from simulator.market.season import Season
from simulator.market.spec import Scenario, Sensitivity
from simulator.scenarios.retail import CATEGORY, CHANNEL, DISCOUNT, FACTS, GIFT, RETAIL

DRIFT = Scenario(
    name="drift",
    describes="Tastes turn within a campaign of twelve weeks: 144 offers, what was best at first is not at the end.",
    facts=FACTS,
    dimensions=(
        DISCOUNT,
        replace(CATEGORY, explained=0.55, hidden=0.25),
        replace(CHANNEL, explained=0.40, hidden=0.15),
        replace(GIFT, explained=0.35, hidden=0.15),
    ),
    sensitivity=Sensitivity(mean=0.75, explained=0.45, hidden=0.25, curve=0.75),
    # The means of the options turn, too, by as much as they differ in the retail world.
    drift=Drift(quarter_days=84.0, effect=0.25),
    season=Season(yearly=0.15, weekly=0.08),
    base_rate=0.06,
    base_hidden=0.40,
    basket_median=50.0,
    basket_hidden=0.20,
    basket_base_correlation=-0.1,
    basket_spread=0.50,
    pair_share=0.10,
    pair_effect=0.20,
    visits_hidden=0.5,
    delay_days=1.0,
    purchase_within_days=5.0,
    objective={"kind": "profit", "event": "purchase", "margin": 0.38, "window": "5d"},
    fallback=RETAIL.fallback,
    segments=RETAIL.segments,
    practice=RETAIL.practice,
    practice_otherwise=RETAIL.practice_otherwise,
    days=84.0,
)

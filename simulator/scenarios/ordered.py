"""Two ordered dimensions, twelve depths of discount and four amounts of points: how much, rather than whether.

All numbers are chosen. Response rises smoothly and ever less with the depth, by a customer's own slope, and the margin
is high enough that the best depth lies in the middle for many and differs between them. Both attributes are declared in
the catalogue; a policy that treats the options as unordered has several times as much to learn.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario, Sensitivity
from simulator.scenarios.discounts import discounts
from simulator.scenarios.retail import CHANNEL, RETAIL

_POINTS = (0, 100, 200, 400)
_POINT_COST = 0.008
"""Cost of one point in the currency: 0.8 cents, since most points are used."""

ORDERED: Scenario = replace(
    RETAIL,
    name="ordered",
    describes="Twelve depths of discount and four sums of points: 144 offers, the best depth differs by customer.",
    dimensions=(
        DimensionSpec(name="discount", options=discounts(*range(0, 36, 3))),
        DimensionSpec(
            name="points",
            options=tuple(
                OptionSpec(
                    name=str(points),
                    redemption_cost=points * _POINT_COST,
                    attributes={"points": points},
                    # 0.10, 0.14 and 0.20 logits: with the root of the amount.
                    effect=0.01 * points**0.5,
                    tastes=False,
                )
                for points in _POINTS
            ),
        ),
        replace(CHANNEL, explained=0.30, hidden=0.20),
    ),
    # At 33 % off the odds are three to four times those without; the slope differs a good deal between customers.
    sensitivity=Sensitivity(mean=1.30, explained=0.65, hidden=0.35, curve=0.65),
    season=Season(yearly=0.15, weekly=0.08),
    base_rate=0.06,
    basket_median=48.0,
    basket_spread=0.45,
    pair_share=0.0,
    pair_effect=0.0,
    objective={**RETAIL.objective, "margin": 0.50},
    fallback={"discount": "0", "points": "0", "channel": "email"},
    practice=(
        PracticeRule(name="loyal", when="loyal", fixed={"discount": "6", "points": "200"}),
        PracticeRule(name="lapsed", when="recency > 60", fixed={"discount": "30"}),
    ),
    practice_otherwise={"discount": "12", "points": "0"},
)

"""The app of a busy shop: one visit in seven ends in a purchase without any incentive; effects of facts are linear.

All numbers are chosen. Conversion is what shops report of members in their own app with a coupon at hand, well above
that of mailings; the dimensions differ from the retail scenario in number, cost and strength, so that settings that fit
only that scenario show here.
"""

from __future__ import annotations

from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario, Sensitivity
from simulator.scenarios.discounts import discounts

BUSY = Scenario(
    name="busy",
    describes="The app of a busy shop: 144 offers, one visit in seven buys anyway, tastes are linear in facts.",
    facts=(
        Numeric(name="age", center=38, spread=13, low=18, high=80, engagement=0.1, taste=1.0, basket=0.05),
        Categorical(name="gender", values=("f", "m", "x"), shares=(0.52, 0.45, 0.03), taste=0.8, base=0.05),
        # Where people live moves what they want a little.
        Categorical(
            name="region",
            values=("coast", "city", "valley", "hills", "border"),
            shares=(0.20, 0.35, 0.20, 0.15, 0.10),
            taste=0.5,
            base=0.08,
            basket=0.05,
        ),
        Boolean(name="loyal", share=0.45, engagement=0.6, taste=0.8, base=0.25, visits=0.25),
        Numeric(
            name="recency",
            center=14,
            spread=0.9,
            log=True,
            low=0,
            high=120,
            engagement=-0.6,
            taste=0.6,
            base=-0.20,
            visits=-0.20,
        ),
        Numeric(name="basket_average", center=3.5, spread=0.5, low=1.5, high=6.0, decimals=2, taste=0.7, basket=0.20),
        Numeric(
            name="visits_90d", center=5, spread=0.7, log=True, low=0, high=60, engagement=0.6, taste=0.5, base=0.15
        ),
        Boolean(name="children", share=0.35, taste=1.0, basket=0.08),
    ),
    dimensions=(
        DimensionSpec(
            name="discount",
            options=discounts(0, 5, 10, 15, unit="%"),
        ),
        DimensionSpec(
            name="department",
            options=(
                OptionSpec(name="grocery", effect=0.15, basket=-0.10),
                OptionSpec(name="garden", effect=-0.10, basket=0.15),
                OptionSpec(name="toys", effect=0.0, basket=0.0),
            ),
            explained=0.45,
            hidden=0.30,
            basket_explained=0.05,
        ),
        DimensionSpec(
            name="channel",
            options=(
                OptionSpec(name="push", contact_cost=0.002),
                OptionSpec(name="email", contact_cost=0.005, effect=-0.05),
                # Letters are expensive and are read.
                OptionSpec(name="letter", contact_cost=0.60, effect=0.30),
            ),
            explained=0.30,
            hidden=0.20,
        ),
        DimensionSpec(
            name="extra",
            options=(
                OptionSpec(name="none", tastes=False),
                OptionSpec(name="points", redemption_cost=0.50, effect=0.08, attributes={"points": 100.0}),
                OptionSpec(name="delivery", redemption_cost=2.20, effect=0.25),
                OptionSpec(name="sample", redemption_cost=0.80, effect=0.10),
            ),
            explained=0.30,
            hidden=0.20,
        ),
    ),
    # Half as much again at 15 % off for the average customer; a margin of 30 % pays for it with few.
    sensitivity=Sensitivity(mean=0.45, explained=0.40, hidden=0.25, curve=0.9),
    season=Season(yearly=0.15, weekly=0.15),
    base_rate=0.085,
    base_hidden=0.40,
    basket_median=36.0,
    basket_hidden=0.25,
    basket_base_correlation=0.1,
    basket_spread=0.45,
    visits_hidden=0.5,
    delay_days=0.5,
    purchase_within_days=3.0,
    objective={"kind": "profit", "event": "purchase", "margin": 0.30, "window": "3d"},
    fallback={"discount": "0%", "department": "grocery", "channel": "push", "extra": "none"},
    segments=(("gender", ()), ("age", (30.0, 50.0)), ("loyal", ()), ("children", ())),
    practice=(
        PracticeRule(name="loyal families", when="loyal and children", fixed={"discount": "5%"}),
        PracticeRule(name="loyal", when="loyal", fixed={"discount": "0%"}),
        PracticeRule(name="lapsed", when="recency > 40", fixed={"discount": "15%", "channel": "email"}),
    ),
    practice_otherwise={"discount": "5%", "channel": "push"},
)

"""A shop for electronics, from cables to kitchens, that maximises revenue: a few purchases make most of it.

All numbers are chosen. Purchases are lognormal with a deviation of 1.1 in the log, and three in a hundred, those of
small firms, are eight times as large: the deviation of a purchase is more than twice its mean. What is shown first
moves the basket as much as the response, and in the other direction.
"""

from __future__ import annotations

from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario

HEAVY_TAIL = Scenario(
    name="heavy-tail",
    describes="A shop for electronics: 144 offers, revenue counts, and a few purchases make most of it.",
    facts=(
        Numeric(name="age", center=42, spread=14, low=18, high=85, taste=1.0, basket=0.08),
        Categorical(name="gender", values=("f", "m"), shares=(0.42, 0.58), taste=0.8, base=0.05, basket=0.05),
        Categorical(
            name="device", values=("phone", "tablet", "desk"), shares=(0.6, 0.1, 0.3), taste=0.7, base=0.10, basket=0.10
        ),
        Boolean(name="loyal", share=0.25, engagement=0.6, taste=0.8, base=0.30, visits=0.25),
        Boolean(name="owner", share=0.5, taste=0.9, basket=0.20),
        Numeric(
            name="recency", center=90, spread=0.8, log=True, low=0, high=720, engagement=-0.6, taste=0.5, base=-0.2
        ),
        Numeric(
            name="spend_history", center=5.5, spread=1.1, low=2.0, high=10.0, decimals=2, engagement=0.6, basket=0.25
        ),
    ),
    dimensions=(
        DimensionSpec(
            name="lead",
            options=(
                OptionSpec(name="entry", effect=0.25, basket=-0.30),
                OptionSpec(name="middle"),
                OptionSpec(name="premium", effect=-0.35, basket=0.40),
            ),
            explained=0.35,
            hidden=0.25,
            basket_explained=0.15,
        ),
        DimensionSpec(
            name="category",
            options=(
                OptionSpec(name="audio", effect=0.15, basket=-0.20),
                OptionSpec(name="phones", effect=0.05, basket=0.10),
                OptionSpec(name="kitchen", effect=-0.15, basket=0.30),
                OptionSpec(name="games", effect=0.05, basket=-0.15),
            ),
            explained=0.45,
            hidden=0.30,
            basket_explained=0.15,
        ),
        DimensionSpec(
            name="channel",
            options=(
                OptionSpec(name="email"),
                OptionSpec(name="push", effect=0.05, basket=-0.05),
                OptionSpec(name="sms", effect=0.10, basket=-0.05),
            ),
            explained=0.30,
            hidden=0.20,
        ),
        DimensionSpec(
            name="service",
            options=(
                OptionSpec(name="none", tastes=False),
                OptionSpec(name="delivery", effect=0.10, basket=0.05),
                OptionSpec(name="setup", effect=0.0, basket=0.15),
                OptionSpec(name="warranty", effect=0.05, basket=0.05),
            ),
            explained=0.25,
            hidden=0.15,
            basket_explained=0.08,
        ),
    ),
    season=Season(yearly=0.25, weekly=0.08),
    base_rate=0.07,
    base_hidden=0.40,
    basket_median=60.0,
    basket_hidden=0.35,
    basket_base_correlation=-0.3,
    basket_spread=1.1,
    bulk_share=0.03,
    bulk_factor=8.0,
    pair_share=0.10,
    pair_effect=0.20,
    visits_hidden=0.4,
    delay_days=1.5,
    purchase_within_days=7.0,
    objective={"kind": "revenue", "event": "purchase", "window": "7d"},
    fallback={"lead": "middle", "category": "audio", "channel": "email", "service": "none"},
    segments=(("gender", ()), ("age", (35.0, 55.0)), ("owner", ())),
    practice=(
        PracticeRule(name="owners", when="owner", fixed={"lead": "premium", "category": "kitchen"}),
        PracticeRule(name="young", when="age < 30", fixed={"lead": "entry"}),
    ),
    practice_otherwise={"lead": "middle", "service": "none"},
)

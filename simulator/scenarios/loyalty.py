"""A loyalty programme of few members who come often: their tastes show in their history more than in their facts.

All numbers are chosen. Hidden tastes are about one and a half times as strong as what facts explain, so that the best
policy that sees facts only is far from the best there is; 50 visits a member are about one a week in a year.
"""

from __future__ import annotations

from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario, Sensitivity
from simulator.scenarios.discounts import discounts

LOYALTY = Scenario(
    name="loyalty",
    describes="A programme of 400 members with 50 visits each: 144 offers, most tastes show in history only.",
    facts=(
        Numeric(name="age", center=47, spread=14, low=18, high=85, taste=1.0, basket=0.05),
        Categorical(name="gender", values=("f", "m"), shares=(0.6, 0.4), taste=1.0, base=0.05),
        Categorical(
            name="tier", values=("basic", "silver", "gold"), shares=(0.6, 0.3, 0.1), engagement=0.6, taste=0.6, base=0.1
        ),
        Numeric(name="tenure", center=3.0, spread=0.7, log=True, low=0.1, high=25, decimals=1, taste=0.5, base=0.05),
        Numeric(name="recency", center=6, spread=0.7, log=True, low=0, high=60, engagement=-0.5, taste=0.4, base=-0.1),
        Boolean(name="app", share=0.6, engagement=0.3, taste=0.6, base=0.1),
    ),
    dimensions=(
        DimensionSpec(
            name="discount",
            options=discounts(0, 5, 10, 20),
        ),
        DimensionSpec(
            name="category",
            options=(
                OptionSpec(name="coffee", effect=0.10, basket=-0.10),
                OptionSpec(name="bakery", effect=0.05, basket=-0.15),
                OptionSpec(name="produce"),
                OptionSpec(name="wine", effect=-0.10, basket=0.25),
                OptionSpec(name="care", effect=-0.05, basket=0.05),
                OptionSpec(name="pets", effect=-0.10, basket=0.05),
            ),
            explained=0.45,
            hidden=0.75,
            basket_explained=0.05,
        ),
        DimensionSpec(
            name="channel",
            options=(
                OptionSpec(name="app", contact_cost=0.002),
                OptionSpec(name="email", contact_cost=0.005),
                OptionSpec(name="till", contact_cost=0.01, effect=0.05),
            ),
            explained=0.25,
            hidden=0.40,
        ),
        DimensionSpec(
            name="points",
            options=(
                OptionSpec(name="none", tastes=False),
                OptionSpec(name="double", redemption_cost=0.40, effect=0.15),
            ),
            explained=0.20,
            hidden=0.35,
        ),
    ),
    sensitivity=Sensitivity(mean=0.60, explained=0.35, hidden=0.50, curve=0.8),
    season=Season(yearly=0.10, weekly=0.10),
    base_rate=0.12,
    base_hidden=0.45,
    basket_median=28.0,
    basket_hidden=0.30,
    basket_base_correlation=0.1,
    basket_spread=0.45,
    # About 50 visits each: a few members come 25 times, a few 100 times.
    visits_hidden=0.35,
    delay_days=0.3,
    purchase_within_days=2.0,
    objective={"kind": "profit", "event": "purchase", "margin": 0.32, "window": "2d"},
    fallback={"discount": "0", "category": "coffee", "channel": "app", "points": "none"},
    segments=(("gender", ()), ("age", (45.0,)), ("tier", ())),
    practice=(
        PracticeRule(name="gold", when='tier == "gold"', fixed={"discount": "10", "points": "double"}),
        PracticeRule(name="silver", when='tier == "silver"', fixed={"discount": "5"}),
    ),
    practice_otherwise={"discount": "5", "points": "none"},
    customers=400,
    visits=20_000,
    days=364.0,
)

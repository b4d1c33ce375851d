"""A weekly box that two thirds order anyway, so that incentives mostly lose money.

All numbers are chosen. A discount moves response by a few points in a hundred and costs a share of every order, so that
it loses money with nearly all. Customers who skip weeks, or are new, are less certain to order, which facts tell in
part.
"""

from __future__ import annotations

from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario, Sensitivity
from simulator.scenarios.discounts import discounts

SURE_THINGS = Scenario(
    name="sure-things",
    describes="A weekly box that most order anyway: 120 offers, discounts burn money with nearly everybody.",
    facts=(
        Numeric(name="age", center=41, spread=12, low=18, high=80, taste=1.0),
        Categorical(
            name="household", values=("single", "couple", "family"), shares=(0.3, 0.3, 0.4), base=0.15, basket=0.15
        ),
        Numeric(name="weeks", center=20, spread=0.9, log=True, low=1, high=300, engagement=0.6, taste=0.8, base=0.40),
        Numeric(
            name="skipped", center=1.5, spread=0.8, log=True, low=0, high=12, engagement=-0.6, taste=0.7, base=-0.5
        ),
        Boolean(name="vegetarian", share=0.3, taste=1.0),
        Boolean(name="app", share=0.55, engagement=0.3, taste=0.5, base=0.10),
    ),
    dimensions=(
        DimensionSpec(
            name="discount",
            options=discounts(0, 5, 10, 15, 20),
        ),
        DimensionSpec(
            name="menu",
            options=(
                OptionSpec(name="classic", effect=0.05),
                OptionSpec(name="light", effect=-0.05, basket=-0.05),
                OptionSpec(name="quick"),
                OptionSpec(name="world", effect=-0.05, basket=0.05),
            ),
            explained=0.35,
            hidden=0.25,
            basket_explained=0.03,
        ),
        DimensionSpec(
            name="channel",
            options=(
                OptionSpec(name="app", contact_cost=0.002),
                OptionSpec(name="email", contact_cost=0.004),
                OptionSpec(name="call", contact_cost=1.20, effect=0.25),
            ),
            explained=0.20,
            hidden=0.15,
        ),
        DimensionSpec(
            name="gift",
            options=(
                OptionSpec(name="none", tastes=False),
                OptionSpec(name="dessert", redemption_cost=1.60, effect=0.12),
            ),
            explained=0.25,
            hidden=0.15,
        ),
    ),
    sensitivity=Sensitivity(mean=0.25, explained=0.80, hidden=0.30, curve=0.6),
    season=Season(yearly=0.15),
    base_rate=0.68,
    base_hidden=0.60,
    basket_median=52.0,
    basket_hidden=0.15,
    basket_base_correlation=0.2,
    basket_spread=0.20,
    visits_hidden=0.2,
    delay_days=0.5,
    purchase_within_days=3.0,
    objective={"kind": "profit", "event": "order", "margin": 0.40, "window": "3d"},
    fallback={"discount": "0", "menu": "classic", "channel": "app", "gift": "none"},
    segments=(("household", ()), ("skipped", (2.0,)), ("vegetarian", ())),
    practice=(
        PracticeRule(name="new", when="weeks < 8", fixed={"discount": "20"}),
        PracticeRule(name="skipping", when="skipped >= 3", fixed={"discount": "15", "channel": "email"}),
    ),
    practice_otherwise={"discount": "5", "channel": "app"},
)

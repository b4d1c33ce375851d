"""The smallest scenario, for examples and fast tests."""

from __future__ import annotations

from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario, Sensitivity

TINY = Scenario(
    name="tiny",
    describes="Six offers and three facts, for examples and fast tests; strong tastes, so that little data will do.",
    facts=(
        Categorical(name="gender", values=("f", "m"), shares=(0.5, 0.5), base=0.1),
        Numeric(name="age", center=44, spread=15, low=18, high=85),
        Boolean(name="loyal", share=0.4, base=0.3, visits=0.3),
    ),
    dimensions=(
        DimensionSpec(
            name="discount",
            options=(
                OptionSpec(name="0", tastes=False),
                OptionSpec(name="10", rate=0.10, attributes={"depth": 10.0}, tastes=False),
                OptionSpec(name="20", rate=0.20, attributes={"depth": 20.0}, tastes=False),
            ),
        ),
        DimensionSpec(
            name="channel",
            options=(
                OptionSpec(name="email", contact_cost=0.01),
                OptionSpec(name="sms", contact_cost=0.10, effect=0.1),
            ),
            explained=0.6,
            hidden=0.4,
        ),
    ),
    sensitivity=Sensitivity(mean=0.8, explained=0.8, hidden=0.4, curve=0.8),
    season=Season(yearly=0.2),
    base_rate=0.20,
    base_hidden=0.3,
    basket_median=40.0,
    basket_hidden=0.2,
    basket_base_correlation=0.3,
    basket_spread=0.3,
    delay_days=0.5,
    purchase_within_days=3.0,
    objective={"kind": "profit", "event": "purchase", "margin": 0.40, "window": "3d"},
    fallback={"discount": "0", "channel": "email"},
    segments=(("gender", ()), ("loyal", ())),
    practice=(PracticeRule(name="loyal", when="loyal", fixed={"discount": "0"}),),
    practice_otherwise={"discount": "10"},
)

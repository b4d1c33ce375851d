"""Nothing is linear: 80 threshold rules such as "age < 30 and region north and not loyal: channel sms +0.8".

All numbers are chosen. Rules of one to three checks decide all that facts explain of tastes; a quarter of them act only
where two options come together, and pairs of options reinforce or spoil each other for everybody. No model family is
right: trees come near, linear ones see the slope that remains when steps are averaged.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import PracticeRule, Scenario, Sensitivity
from simulator.market.thresholds import Thresholds
from simulator.scenarios.retail import CATEGORY, CHANNEL, DISCOUNT, GIFT, RETAIL

RUGGED = Scenario(
    name="rugged",
    describes="A shop where tastes follow 80 threshold rules over eight facts: 144 offers, no model family is right.",
    facts=(
        Numeric(name="age", center=44, spread=15, low=18, high=85, engagement=0.1, taste=1.0),
        Categorical(name="gender", values=("f", "m"), shares=(0.55, 0.45), taste=0.9, base=0.05),
        Categorical(
            name="region",
            values=("north", "east", "south", "west"),
            shares=(0.30, 0.20, 0.25, 0.25),
            taste=0.8,
            base=0.05,
            basket=0.04,
        ),
        Boolean(name="loyal", share=0.35, engagement=0.6, taste=0.9, base=0.25, basket=0.05, visits=0.25),
        Numeric(
            name="recency",
            center=30,
            spread=0.8,
            log=True,
            low=0,
            high=180,
            engagement=-0.6,
            taste=0.6,
            base=-0.15,
            visits=-0.15,
        ),
        Numeric(
            name="spend_history",
            center=4.8,
            spread=0.9,
            low=2.0,
            high=8.0,
            decimals=2,
            engagement=0.6,
            taste=0.6,
            basket=0.15,
        ),
        Boolean(name="newsletter", share=0.45, engagement=0.3, taste=0.5, base=0.10, visits=0.10),
        Numeric(name="tenure", center=2.5, spread=0.8, log=True, low=0.0, high=20.0, decimals=1, taste=0.5),
    ),
    dimensions=(
        DISCOUNT,
        replace(CATEGORY, explained=0.0, hidden=0.25, basket_explained=0.0),
        replace(CHANNEL, explained=0.0, hidden=0.20),
        replace(GIFT, explained=0.0, hidden=0.15),
    ),
    sensitivity=Sensitivity(mean=0.80, explained=0.0, hidden=0.25, curve=0.75),
    # About nine rules a column, each for half to an eighth of the customers, make a deviation of about half a logit
    # between customers, as the busiest levers have elsewhere.
    thresholds=Thresholds(count=80, depths=(0.35, 0.40, 0.25), effect=0.40, paired=0.25, basket=0.05),
    season=Season(yearly=0.20, weekly=0.08),
    base_rate=0.06,
    base_hidden=0.35,
    basket_median=55.0,
    basket_hidden=0.20,
    basket_base_correlation=-0.1,
    basket_spread=0.50,
    pair_share=0.15,
    pair_effect=0.25,
    visits_hidden=0.5,
    delay_days=1.5,
    purchase_within_days=7.0,
    objective=RETAIL.objective,
    fallback=RETAIL.fallback,
    segments=(("gender", ()), ("age", (35.0, 55.0)), ("loyal", ()), ("region", ())),
    practice=(
        PracticeRule(name="young in the north", when='age < 30 and region == "north"', fixed={"discount": "10"}),
        PracticeRule(name="loyal", when="loyal", fixed={"discount": "5"}),
        PracticeRule(name="lapsed", when="recency > 60", fixed={"discount": "20", "gift": "none"}),
    ),
    practice_otherwise={"discount": "10", "gift": "none"},
)

"""Nothing is linear: 80 threshold rules such as "age < 30 and region north and not loyal: channel sms +0.8".

All numbers are chosen. Rules of one to three checks decide all that facts explain of tastes; a quarter of them act only
where two options come together, and pairs of options reinforce or spoil each other for everybody. No model family is
right: trees come near, linear ones see the slope that remains when steps are averaged.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.market.demographics import Numeric
from simulator.market.season import Season
from simulator.market.spec import PracticeRule, Scenario, Sensitivity
from simulator.market.thresholds import Thresholds
from simulator.scenarios.retail import (
    AGE,
    CATEGORY,
    CHANNEL,
    DISCOUNT,
    GENDER,
    GIFT,
    LOYAL,
    NEWSLETTER,
    RECENCY,
    REGION,
    RETAIL,
    SPEND_HISTORY,
)

RUGGED: Scenario = replace(
    RETAIL,
    name="rugged",
    describes="A shop where tastes follow 80 threshold rules over eight facts: 144 offers, no model family is right.",
    facts=(
        replace(AGE, engagement=0.1, basket=0.0),
        replace(GENDER, shares=(0.55, 0.45), taste=0.9, basket=0.0),
        replace(REGION, taste=0.8),
        replace(LOYAL, share=0.35, taste=0.9, base=0.25, visits=0.25),
        replace(RECENCY, base=-0.15),
        replace(SPEND_HISTORY, base=0.0),
        NEWSLETTER,
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
    # between customers, as the busiest dimensions have elsewhere.
    thresholds=Thresholds(count=80, depths=(0.35, 0.40, 0.25), effect=0.40, paired=0.25, basket=0.05),
    season=Season(yearly=0.20, weekly=0.08),
    base_rate=0.06,
    base_hidden=0.35,
    basket_base_correlation=-0.1,
    segments=(*RETAIL.segments, ("region", ())),
    practice=(
        PracticeRule(name="young in the north", when='age < 30 and region == "north"', fixed={"discount": "10"}),
        PracticeRule(name="loyal", when="loyal", fixed={"discount": "5"}),
        PracticeRule(name="lapsed", when="recency > 60", fixed={"discount": "20", "gift": "none"}),
    ),
)

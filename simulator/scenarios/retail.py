"""The scenario of the demo: a shop that mails its customers."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario, Sensitivity
from simulator.scenarios.discounts import discounts

# Adults; tastes for categories and channels go with age more than with most else.
AGE = Numeric(name="age", center=44, spread=15, low=18, high=85, engagement=0.15, taste=1.0, basket=0.05)

# Shares of a shop that sells fashion and home first.
GENDER = Categorical(name="gender", values=("f", "m"), shares=(0.58, 0.42), taste=1.0, base=0.05, basket=0.04)

# Where people live says little about what they want.
REGION = Categorical(
    name="region",
    values=("north", "east", "south", "west"),
    shares=(0.30, 0.20, 0.25, 0.25),
    taste=0.4,
    base=0.05,
    basket=0.04,
)

# Members of the programme: a third; they come more often and buy more often.
LOYAL = Boolean(name="loyal", share=0.33, engagement=0.6, taste=0.8, base=0.30, basket=0.05, visits=0.30)

# Days since the last purchase: median a month; response falls with it (the R of recency-frequency-money).
RECENCY = Numeric(
    name="recency",
    center=30,
    spread=0.8,
    log=True,
    low=0,
    high=180,
    engagement=-0.6,
    taste=0.6,
    base=-0.20,
    visits=-0.15,
)

# Natural log of last year's spend: median 120; spread so that the top tenth spends about three times that.
SPEND_HISTORY = Numeric(
    name="spend_history",
    center=4.8,
    spread=0.9,
    low=2.0,
    high=8.0,
    decimals=2,
    engagement=0.6,
    taste=0.6,
    base=0.10,
    basket=0.15,
)

NEWSLETTER = Boolean(name="newsletter", share=0.45, engagement=0.3, taste=0.5, base=0.10, visits=0.10)

DISCOUNT = DimensionSpec(
    name="discount",
    options=discounts(0, 5, 10, 15, 20, 25),
)

CATEGORY = DimensionSpec(
    name="category",
    options=(
        OptionSpec(name="fashion", effect=0.10, basket=0.05),
        OptionSpec(name="home", effect=0.0, basket=0.15),
        OptionSpec(name="sport", effect=-0.05, basket=0.0),
        OptionSpec(name="beauty", effect=0.05, basket=-0.20),
    ),
    # The dimension in which customers differ most; about as much again stays hidden from any fact.
    explained=0.45,
    hidden=0.35,
    basket_explained=0.08,
)

CHANNEL = DimensionSpec(
    name="channel",
    options=(
        # Texts are read more and cost more: about 8 cents against well below one for an e-mail.
        OptionSpec(name="email", contact_cost=0.01),
        OptionSpec(name="sms", contact_cost=0.08, effect=0.10),
        OptionSpec(name="push", contact_cost=0.005, effect=-0.05),
    ),
    explained=0.30,
    hidden=0.25,
)

GIFT = DimensionSpec(
    name="gift",
    options=(
        OptionSpec(name="none", tastes=False),
        # A tote bag costs about 1.50 with its handling and moves response about as much as a discount of 5 %.
        OptionSpec(name="tote", redemption_cost=1.50, effect=0.15),
    ),
    explained=0.30,
    hidden=0.20,
)

RETAIL = Scenario(
    name="retail",
    describes="A shop for fashion, home, sport and beauty mails its customers: 144 offers, profit counts.",
    facts=(AGE, GENDER, REGION, LOYAL, RECENCY, SPEND_HISTORY, NEWSLETTER),
    dimensions=(DISCOUNT, CATEGORY, CHANNEL, GIFT),
    # At 25 % off, response about doubles for the average customer (+0.85 in logits) while the margin falls to a
    # third: on average discounts lose money, for the deal-prone fifth they pay.
    sensitivity=Sensitivity(mean=0.85, explained=0.50, hidden=0.35, curve=0.75),
    # Up a quarter in the weeks before Christmas, down a quarter in early summer; weekends a little better.
    season=Season(yearly=0.25, weekly=0.08),
    # Purchases in the week after the contact, by customers who would in part have bought anyway: well above the
    # one in a hundred of a cold mailing, as for customers of a shop who are met on a visit.
    base_rate=0.04,
    base_hidden=0.40,
    basket_median=55.0,
    basket_hidden=0.20,
    basket_base_correlation=-0.2,
    basket_spread=0.50,
    pair_share=0.15,
    pair_effect=0.25,
    visits_hidden=0.5,
    delay_days=1.5,
    purchase_within_days=7.0,
    objective={"kind": "profit", "event": "purchase", "margin": 0.38, "window": "7d"},
    fallback={"discount": "0", "category": "fashion", "channel": "email", "gift": "none"},
    segments=(("gender", ()), ("age", (35.0, 55.0)), ("loyal", ())),
    practice=(
        PracticeRule(name="loyal women", when='loyal and gender == "f"', fixed={"discount": "5"}),
        PracticeRule(name="loyal men", when="loyal", fixed={"discount": "5"}),
        PracticeRule(name="lapsed", when="recency > 60", fixed={"discount": "20", "gift": "none"}),
        PracticeRule(name="other women", when='gender == "f"', fixed={"discount": "10", "gift": "none"}),
    ),
    practice_otherwise={"discount": "10", "gift": "none"},
)

RETAIL_RULES: tuple[Mapping[str, object], ...] = (
    {"forbid": {"discount": ["20", "25"], "gift": ["tote"]}, "reason": "margin floor"},
    {"when": "not newsletter", "forbid": {"channel": ["push"]}, "reason": "no app without the newsletter"},
)

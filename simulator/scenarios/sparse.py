"""A mailing to people who hardly know the shop: about one contact in a hundred leads to a purchase.

The order of the conversion, one in a hundred, is what is commonly reported of cold e-mail; all other numbers are
chosen. 20,000 contacts bring some 200 purchases, so that most of what is learned early is learned from costs and from
what purchases have in common.
"""

from __future__ import annotations

from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario, Sensitivity, Stage
from simulator.scenarios.discounts import discounts

SPARSE = Scenario(
    name="sparse",
    describes="A mailing to strangers: 144 offers, one contact in a hundred buys.",
    facts=(
        Numeric(name="age", center=45, spread=15, low=18, high=85, taste=1.0, basket=0.05),
        Categorical(name="gender", values=("f", "m"), shares=(0.5, 0.5), taste=1.0, base=0.1),
        Categorical(
            name="source",
            values=("search", "social", "friend", "fair"),
            shares=(0.40, 0.35, 0.15, 0.10),
            taste=0.7,
            base=0.25,
        ),
        Boolean(name="clicked", share=0.12, taste=0.6, base=0.45),
        Numeric(name="days_known", center=60, spread=0.9, log=True, low=1, high=720, taste=0.5, base=-0.20),
        Boolean(name="urban", share=0.6, taste=0.6, base=0.05, basket=0.05),
    ),
    dimensions=(
        DimensionSpec(
            name="discount",
            options=discounts(0, 10, 15, 20),
        ),
        DimensionSpec(
            name="theme",
            options=(
                OptionSpec(name="new", effect=0.10),
                OptionSpec(name="classic", basket=0.10),
                OptionSpec(name="outlet", effect=0.20, basket=-0.25),
                OptionSpec(name="green", effect=-0.10),
            ),
            explained=0.50,
            hidden=0.25,
            basket_explained=0.05,
        ),
        DimensionSpec(
            name="channel",
            options=(
                OptionSpec(name="email", contact_cost=0.004),
                OptionSpec(name="social", contact_cost=0.03, effect=0.10),
                # A contact brings some 30 cents of margin: a text must bring a quarter more to be worth it.
                OptionSpec(name="sms", contact_cost=0.08, effect=0.25),
            ),
            explained=0.35,
            hidden=0.20,
        ),
        DimensionSpec(
            name="welcome",
            options=(
                OptionSpec(name="none", tastes=False),
                OptionSpec(name="shipping", redemption_cost=4.50, effect=0.30),
                OptionSpec(name="voucher", redemption_cost=5.00, effect=0.25),
            ),
            explained=0.30,
            hidden=0.15,
        ),
    ),
    sensitivity=Sensitivity(mean=0.70, explained=0.40, hidden=0.20, curve=0.8),
    season=Season(yearly=0.15, weekly=0.05),
    base_rate=0.0026,
    base_hidden=0.40,
    basket_median=65.0,
    basket_hidden=0.20,
    basket_spread=0.50,
    pair_share=0.10,
    pair_effect=0.20,
    delay_days=1.5,
    purchase_within_days=7.0,
    # Of a hundred contacts some thirteen click and four fill a cart: ratios as commonly reported of mailings.
    stages=(
        Stage(name="click", rate=0.12, slope=0.5, effect=0.25, explained=0.20),
        Stage(name="cart", rate=0.25, slope=0.5, effect=0.20, explained=0.15),
    ),
    objective={"kind": "profit", "event": "purchase", "margin": 0.45, "window": "7d"},
    fallback={"discount": "0", "theme": "new", "channel": "email", "welcome": "none"},
    segments=(("gender", ()), ("age", (35.0, 55.0)), ("clicked", ())),
    practice=(
        PracticeRule(name="clicked", when="clicked", fixed={"discount": "10", "welcome": "shipping"}),
        PracticeRule(name="young", when="age < 30", fixed={"discount": "20", "channel": "social"}),
    ),
    practice_otherwise={"discount": "10", "channel": "email"},
)

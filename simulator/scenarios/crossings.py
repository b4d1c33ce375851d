"""Crossings of facts: what one fact says of tastes turns with another fact, as that of "children" does with "member".

All numbers are chosen. In the pure scenario two booleans decide between two offers by their exclusive or: a model that
is linear in the facts chooses by chance. (With more offers it need not: it gives each corner an offer of its own.) In
the mixed one two crossings act beside the tastes that single facts explain, in the third a threshold of a numeric fact
is crossed with a category. Conversions count, offers cost nothing and are liked equally on average: only who gets which
one matters. The response is that of an app with a coupon at hand and effects are strong, so that a crossing shows to a
learner that looks for it within some thousands of decisions. Nearly every visit is that of another customer, so that
no crossing is learned as customers' own tastes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

from simulator.market.crossings import Crossings
from simulator.market.demographics import Boolean, Categorical, Numeric
from simulator.market.season import Season
from simulator.market.spec import DimensionSpec, OptionSpec, PracticeRule, Scenario

_BOOLEANS = ("member", "app", "children", "newsletter")
_NUMBERS = ("age", "days", "basket")

# No fact is related to another, for a product of related facts would show in the facts themselves.
_FACTS = (
    Categorical(name="gender", values=("f", "m"), shares=(0.5, 0.5)),
    Categorical(
        name="region", values=("north", "east", "south", "west"), shares=(0.25, 0.25, 0.25, 0.25), taste=0.8, base=0.05
    ),
    Boolean(name="member", share=0.5, base=0.10),
    Boolean(name="app", share=0.5),
    Boolean(name="children", share=0.5),
    Boolean(name="newsletter", share=0.5),
    Numeric(name="age", center=44, spread=15, low=18, high=85),
    Numeric(name="days", center=20, spread=0.9, log=True, low=0, high=365, taste=0.6, base=-0.10),
    Numeric(name="basket", center=50, spread=15, low=5, high=150, taste=0.6),
)


def _dimensions(explained: float, crossed: float) -> tuple[DimensionSpec, ...]:
    """Return four dimensions of two options each, with the same deviations of tastes: 16 offers."""
    pairs = (("theme", "fashion", "home"), ("channel", "email", "push"), ("picture", "product", "people"))
    return tuple(
        DimensionSpec(
            name=name,
            options=(OptionSpec(name=first), OptionSpec(name=second)),
            explained=explained,
            crossed=crossed,
        )
        for name, first, second in (*pairs, ("extra", "none", "sample"))
    )


CROSSINGS_MIXED = Scenario(
    name="crossings-mixed",
    describes="Two crossings of facts decide as much of tastes as the facts themselves: 16 offers.",
    facts=_FACTS,
    dimensions=_dimensions(explained=0.5, crossed=0.8),
    crossings=Crossings(count=2, pairs=tuple(combinations(_BOOLEANS, 2))),
    season=Season(yearly=0.15, weekly=0.08),
    base_rate=0.25,
    base_hidden=0.30,
    basket_median=50.0,
    objective={"kind": "conversion", "event": "purchase", "window": "7d"},
    fallback={"theme": "fashion", "channel": "email", "picture": "product", "extra": "none"},
    segments=(("gender", ()), ("age", (35.0, 55.0)), ("member", ())),
    practice=(PracticeRule(name="members", when="member", fixed={"channel": "push"}),),
    practice_otherwise={"channel": "email"},
    customers=20_000,
)

CROSSINGS_PURE: Scenario = replace(
    CROSSINGS_MIXED,
    name="crossings-pure",
    describes="The exclusive or of two facts decides which of two offers converts more: no fact alone tells anything.",
    dimensions=(
        DimensionSpec(
            name="theme",
            options=(OptionSpec(name="fashion", tastes=False), OptionSpec(name="home")),
            crossed=1.0,
        ),
    ),
    crossings=Crossings(count=1, pairs=tuple(combinations(_BOOLEANS, 2)), even=True),
    fallback={"theme": "fashion"},
    practice=(PracticeRule(name="members", when="member", fixed={"theme": "home"}),),
    practice_otherwise={"theme": "fashion"},
)

CROSSINGS_THRESHOLD: Scenario = replace(
    CROSSINGS_MIXED,
    name="crossings-threshold",
    describes="Tastes turn at a threshold of a number, by category in another way: 16 offers.",
    dimensions=_dimensions(explained=0.2, crossed=1.0),
    crossings=Crossings(count=1, pairs=tuple(product(_NUMBERS, ("region",)))),
)

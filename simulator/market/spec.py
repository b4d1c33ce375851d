"""The specification of a scenario: the numbers from which a market is drawn. `simulator.scenarios` has the values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simulator.market.crossings import Crossings
from simulator.market.demographics import FactSpec
from simulator.market.drift import Drift
from simulator.market.season import Season
from simulator.market.thresholds import Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    """One option of a dimension: its costs, as in a catalogue, and its effects on customers.

    `effect` is added to the logit of the response of the average customer, `basket` to the log of the basket;
    `returned` is the share of purchases under this option that are sent back. Tastes for the option differ
    between customers only where `tastes` is true (there are no tastes for "none" and "0").
    """

    name: str
    rate: float = 0.0
    contact_cost: float = 0.0
    redemption_cost: float = 0.0
    attributes: Mapping[str, float] = field(default_factory=dict)
    effect: float = 0.0
    basket: float = 0.0
    returned: float = 0.0
    tastes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionSpec:
    """One dimension of offers, and how much tastes for its options differ between customers.

    Standard deviations over customers, in logits: `explained` of the part of an option's effect that observed
    facts explain, `crossed` of the part that crossings of two facts explain, `hidden` of the part that only history
    shows; `basket_explained` is the deviation, in log basket, of what facts explain of the basket under an option.
    """

    name: str
    options: tuple[OptionSpec, ...]
    explained: float = 0.0
    hidden: float = 0.0
    basket_explained: float = 0.0
    crossed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The effect of discounts: the logit gained at the deepest one, by customer.

    A discount of rate r gains `(r / deepest)^curve` of it. The gain of a customer is normal around `mean`, with
    the deviation `explained` by facts and the deviation `hidden` beyond them.
    """

    mean: float = 0.0
    explained: float = 0.0
    hidden: float = 0.0
    curve: float = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage before the purchase, as a click: who buys has passed it, and some who do not buy.

    Of the customers that passed the stage before and will not buy, the average one passes this one under the average
    offer with probability `rate`. The logarithm of the probability moves by `slope` for each logit by which purchases
    differ from those under the average offer, and by effects of its own: of options with the deviation `effect`, of
    tastes for options with `explained`. Of the options for which tastes differ, each is bait with the chance
    `bait_share`, at least one: it adds `bait`, so that many pass this stage who do not buy.
    """

    name: str
    rate: float
    slope: float = 0.5
    effect: float = 0.0
    explained: float = 0.0
    bait_share: float = 0.0
    bait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeRule:
    """One segment of today's rules: its condition, and the options that the shop fixed.

    Dimensions that are left out get the option that converts most in the segment at the fixed ones: what a team finds
    that tests one dimension at a time by response.
    """

    name: str
    when: str
    fixed: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The numbers of one simulated world, from which a `Market` is drawn.

    `base_rate` is the response of the average customer to the plainest offer (all effects 0); `base_hidden` the
    deviation of a customer's own base rate in logits, beyond facts. `basket_median` is the basket of the average
    customer, in the currency; `basket_hidden` the deviation of a customer's own log basket, whose correlation
    with the customer's own base rate is `basket_base_correlation`; `basket_spread` the deviation of one purchase, of
    which the share `bulk_share` is `bulk_factor` times as large.
    Of all pairs of options of two dimensions, `pair_share` reinforce or spoil each other, with a deviation of
    `pair_effect` logits. Purchases come with an exponential delay of mean `delay_days` cut at
    `purchase_within_days`, returns likewise afterwards; both must fit into the objective's window. The `stages` of a
    visit come before its purchase, all within `stage_delay_days`, in the mean after a third of that.
    `segments` are the facts, numeric ones with points to cut at, whose combinations are the segments of the best
    segment rules. The last four are the recommended size: `visits` of `customers` over `days`, and whether outcomes are
    observed after their delay (`delayed`) instead of at once.
    """

    name: str
    describes: str
    facts: tuple[FactSpec, ...]
    dimensions: tuple[DimensionSpec, ...]
    sensitivity: Sensitivity = field(default_factory=Sensitivity)
    season: Season = field(default_factory=Season)
    thresholds: Thresholds = field(default_factory=Thresholds)
    crossings: Crossings = field(default_factory=Crossings)
    drift: Drift = field(default_factory=Drift)
    base_rate: float
    base_hidden: float = 0.0
    basket_median: float
    basket_hidden: float = 0.0
    basket_base_correlation: float = 0.0
    basket_spread: float = 0.5
    bulk_share: float = 0.0
    bulk_factor: float = 1.0
    pair_share: float = 0.0
    pair_effect: float = 0.0
    visits_hidden: float = 0.0
    delay_days: float = 1.0
    purchase_within_days: float = 7.0
    return_delay_days: float = 7.0
    return_within_days: float = 0.0
    stages: tuple[Stage, ...] = field(default=(), repr=False)
    stage_delay_days: float = field(default=0.02, repr=False)
    objective: Mapping[str, object]
    currency: str = "EUR"
    rules: tuple[Mapping[str, object], ...] = ()
    fallback: Mapping[str, str]
    segments: tuple[tuple[str, tuple[float, ...]], ...]
    practice: tuple[PracticeRule, ...]
    practice_otherwise: Mapping[str, str]
    customers: int = 4_000
    visits: int = 20_000
    days: float = 28.0
    delayed: bool = False

    @property
    def log_mean_purchase(self) -> float:
        """The log of the mean of one purchase less the mean of its log basket, bulk purchases not counted there."""
        return self.basket_spread**2 / 2 + float(np.log1p(self.bulk_share * (self.bulk_factor - 1.0)))

    def catalogue(self) -> dict[str, object]:
        """Return the catalogue of this world as the mapping that `bandit.Catalogue.from_dict` reads."""
        context: dict[str, object] = {fact.name: dict(fact.declaration()) for fact in self.facts}
        if self.season.observed:
            for name in SEASON_FACTS:
                context[name] = {"type": "numeric", "center": 0.0, "scale": 1.0}
        return {
            "name": self.name,
            "currency": self.currency,
            "objective": {**self.objective, "stages": [stage.name for stage in self.stages]},
            "context": context,
            "dimensions": [
                {
                    "name": dimension.name,
                    "options": [
                        {
                            "name": option.name,
                            "rate": option.rate,
                            "contact_cost": option.contact_cost,
                            "redemption_cost": option.redemption_cost,
                            **option.attributes,
                        }
                        for option in dimension.options
                    ],
                }
                for dimension in self.dimensions
            ],
            "rules": [dict(rule) for rule in self.rules],
            "fallback": dict(self.fallback),
        }


SEASON_FACTS = ("season", "weekend")
"""The names under which a scenario with an observed season declares the yearly and the weekly cosine."""

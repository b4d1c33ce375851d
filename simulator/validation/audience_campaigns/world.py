"""Small campaigns of known truth: two campaigns and none, rules by gender, and customers who answer as planned.

The probability that a customer of gender g and age a buys when offered option o is rate[g, o] x factor(a) x mood, where
the mood of a customer is a gamma variate of mean 1, the same at all its decisions, and the factor's mean over all ages
is 1. So the share of women among those who buy when everybody is offered o is rate[f, o] / (rate[f, o] + rate[m, o]),
half of the customers being women, and a segment that mood and age say nothing about has the same share as among all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import LogDefaults, LoggedBatch
from bandit.policies import SegmentRules

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIENCE_CATALOGUE = Catalogue.from_dict(
    {
        "name": "two campaigns",
        "currency": "EUR",
        "objective": {"kind": "profit", "event": "purchase", "margin": 0.5, "window": "14d"},
        "context": {
            "gender": {"type": "categorical", "values": ["f", "m"]},
            "age": {"type": "numeric"},
            "region": {"type": "categorical", "values": ["north", "east", "south", "west"]},
            "member": {"type": "boolean"},
        },
        "dimensions": [
            {
                "name": "campaign",
                "options": [
                    {"name": "none"},
                    {"name": "mens", "contact_cost": 0.2},
                    {"name": "womens", "contact_cost": 0.2},
                ],
            }
        ],
    }
)

_BY_GENDER = {
    "name": "today",
    "segments": [{"when": 'gender == "m"', "offer": {"campaign": "mens"}}],
    "otherwise": {"campaign": "womens"},
}
_MENS_TO_ALL = {"name": "today", "segments": [], "otherwise": {"campaign": "mens"}}

_BASKET, _SHAPE, _MARGIN, _COST = 60.0, 4.0, 0.5, 0.2
_YOUNG, _OLD = 18, 78


@dataclass(frozen=True, slots=True)
class AudienceWorld:
    """One kind of campaign: `rates` [[none, mens, womens] of women, of men], whether age matters, and the rules.

    `planted` says that giving the mens campaign to women earns more than what the rules give them.
    """

    name: str
    rates: tuple[tuple[float, float, float], tuple[float, float, float]]
    planted: bool = False
    by_age: bool = True
    mens_to_all: bool = False

    def rules(self) -> SegmentRules:
        """Return today's rules: mens to men and womens to women, or mens to everybody."""
        return SegmentRules.from_dict(AUDIENCE_CATALOGUE, _MENS_TO_ALL if self.mens_to_all else _BY_GENDER)

    def share(self, option: int, segment: str) -> float | None:
        """Return the true share of a segment among those who buy when everybody is offered the option.

        None for a segment of ages, which has no share of its own here.
        """
        share = 1.0
        for part in segment.split(", "):
            fact, _, value = part.partition(" ")
            if fact == "age":
                return None
            if fact == "gender":
                own = [rates[option] for rates in self.rates]
                share *= own["fm".index(value)] / sum(own) if value in ("f", "m") else 0.0
            else:
                share *= 0.25 if fact == "region" else 0.5
        return share

    def gain(self, option: int, segment: str) -> float | None:
        """Return the true gain of giving the option to a segment, per decision of it; None as for `share`."""
        genders = [0, 1]
        for part in segment.split(", "):
            fact, _, value = part.partition(" ")
            if fact == "age":
                return None
            if fact == "gender":
                genders = ["fm".index(value)]
        today = (1, 1) if self.mens_to_all else (2, 1)
        gains = [self.worth(gender, option) - self.worth(gender, today[gender]) for gender in genders]
        return float(np.mean(gains))

    def worth(self, gender: int, option: int) -> float:
        """Return the expected profit of an option, per decision of a gender."""
        return self.rates[gender][option] * _BASKET * _MARGIN - (_COST if option else 0.0)


PLANTED = AudienceWorld("mens campaign bought by women", ((0.03, 0.243, 0.1665), (0.03, 0.057, 0.0555)), planted=True)
"""Women are 81 % of those who buy when offered mens, men a quarter of those who buy when offered womens; giving women
mens earns a third more than the rules do."""

NULL_WORLDS = (
    AudienceWorld("rules are right", ((0.03, 0.08, 0.20), (0.03, 0.20, 0.08))),
    AudienceWorld("nobody differs", ((0.12, 0.12, 0.12), (0.12, 0.12, 0.12)), by_age=False),
    AudienceWorld("age matters, gender does not", ((0.03, 0.12, 0.12), (0.03, 0.12, 0.12))),
    AudienceWorld("women buy more of everything", ((0.06, 0.20, 0.20), (0.03, 0.10, 0.10))),
    AudienceWorld("mens to all, rightly", ((0.03, 0.20, 0.12), (0.03, 0.10, 0.06)), mens_to_all=True),
)
"""Worlds in which neither campaign earns more for anybody than what the rules give, so that nothing must be announced.

Where nobody differs "none" saves the cost of a contact, but the rules give it to nobody, so it has no assumed audience.
"""


class AudienceLog(LogDefaults):
    """The decisions of a campaign in memory."""

    def __init__(self, whole: LoggedBatch) -> None:
        self.whole = whole

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of the two campaigns."""
        return AUDIENCE_CATALOGUE

    @property
    def n(self) -> int:
        """The number of decisions."""
        return len(self.whole)

    def batches(self, size: int = 65_536) -> Iterator[LoggedBatch]:
        """Yield the decisions in order, at most `size` at a time."""
        for start in range(0, self.n, size):
            yield self.whole.take(slice(start, start + size))


def draw_log(world: AudienceWorld, decisions: int, explored: float, rng: np.random.Generator) -> AudienceLog:
    """Draw customers, four decisions each on average, served by the rules and a share `explored` by a random option."""
    customers = max(decisions // 4, 1)
    gender, age = rng.integers(0, 2, customers), rng.uniform(_YOUNG, _OLD, customers)
    region, member = rng.integers(0, 4, customers), rng.integers(0, 2, customers)
    mood = rng.gamma(4.0, 0.25, customers)
    who = rng.integers(0, customers, decisions)
    contexts = AUDIENCE_CATALOGUE.contexts(
        {
            "gender": np.array(["f", "m"], dtype=object)[gender[who]],
            "age": age[who].astype(object),
            "region": np.array(["north", "east", "south", "west"], dtype=object)[region[who]],
            "member": member[who].astype(object),
        },
        np.array([f"c{number}" for number in range(customers)], dtype=object)[who],
    )
    eligible = AUDIENCE_CATALOGUE.eligible(contexts)
    table = (1.0 - explored) * world.rules().probabilities(contexts, eligible, rng) + explored / 3.0
    offer = np.minimum((table.cumsum(axis=1) < rng.random(decisions)[:, None]).sum(axis=1), 2)
    rows = np.arange(decisions)
    factor = 0.5 + (age[who] - _YOUNG) / (_OLD - _YOUNG) if world.by_age else np.ones(decisions)
    probability = np.array(world.rates)[gender[who], offer] * factor * mood[who]
    converted = rng.random(decisions) < np.minimum(probability, 1.0)
    revenue = np.where(converted, rng.gamma(_SHAPE, _BASKET / _SHAPE, decisions), 0.0)
    reward = revenue * _MARGIN - np.where(offer > 0, _COST, 0.0)
    return AudienceLog(LoggedBatch(contexts, offer, eligible, table[rows, offer], converted, revenue, reward, rows))

"""A small campaign with names that want to break out of a page, whose best offer is known."""

import numpy as np

from bandit import Catalogue
from bandit.domain import MICROSECONDS, LogDefaults, LoggedBatch
from bandit.policies import ConstantOffer
from bandit.report.html import ReportOptions, ReportSource

SCRIPT = "<script>alert(1)</script>"
QUOTES = "\"'><img src=x onerror=alert(2)>"
PIPE = "a|b & 20 % \N{PARTY POPPER} $x_1^2$"
NOW = 1_795_651_200 * MICROSECONDS
WEEKS = 4

HOSTILE = Catalogue.from_dict(
    {
        "name": f"spring {SCRIPT}",
        "currency": "EUR",
        "objective": {"kind": "profit", "event": "purchase", "margin": 0.5, "window": "7d"},
        "context": {
            "gender": {"type": "categorical", "values": [SCRIPT, "m"]},
            "age": {"type": "numeric"},
        },
        "dimensions": [
            {
                "name": "depth",
                "options": [{"name": "none"}, {"name": PIPE, "rate": 0.1}, {"name": QUOTES, "rate": 0.3}],
            },
        ],
    }
)

CHANCE = np.array([[0.05, 0.35, 0.15], [0.05, 0.10, 0.20]])
"""P(buys) of each gender with each option: the second option for the first gender."""


class MemoryCampaign(LogDefaults):
    """Decisions in memory."""

    def __init__(self, whole):
        self.whole = whole

    catalogue = HOSTILE

    @property
    def n(self):
        return len(self.whole)

    def batches(self, size=65_536):
        for start in range(0, self.n, size):
            yield self.whole.take(slice(start, start + size))


def draw(n=2_000, seed=1):
    """Options at random, a third each, over four weeks; a basket is about 60 EUR."""
    rng = np.random.default_rng(seed)
    gender, age, offer = rng.integers(0, 2, n), rng.uniform(18, 78, n), rng.integers(0, 3, n)
    customers = np.array([f"c{number}" for number in rng.integers(0, n // 2, n)], dtype=object)
    facts = {"gender": np.array([SCRIPT, "m"], dtype=object)[gender], "age": age.astype(object)}
    contexts = HOSTILE.contexts(facts, customers)
    converted = rng.random(n) < CHANCE[gender, offer]
    revenue = np.where(converted, rng.gamma(4.0, 15.0, n), 0.0)
    reward = HOSTILE.objective.reward(HOSTILE.money, offer, converted, revenue, revenue)
    time = NOW - (60 * 86_400 - np.arange(n) * WEEKS * 7 * 86_400 // n) * MICROSECONDS
    eligible = HOSTILE.eligible(contexts)
    return MemoryCampaign(LoggedBatch(contexts, offer, eligible, np.full(n, 1 / 3), converted, revenue, reward, time))


def source(log=None):
    return ReportSource(f"log {SCRIPT}.csv", log or draw(), HOSTILE)


def options(**changed):
    """Everyone gets the second option, against everyone getting none; both have hostile names."""
    best, none = ConstantOffer(HOSTILE, 1), ConstantOffer(HOSTILE, 0)
    given = {"now": NOW, "policies": {f"best {SCRIPT}": best, f"none {QUOTES}": none}, "baseline": f"none {QUOTES}"}
    return ReportOptions(**given | {"title": f"Report {SCRIPT}", "command": f"offer-bandit report {SCRIPT}"} | changed)

"""What the tests share: small catalogues, and where real campaigns lie if they are there."""

import copy
import gc
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import bandit
from bandit.domain import LogDefaults, LoggedBatch, Outcomes

settings.register_profile("quiet", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quiet")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Half a million objects of what is collected stay to the end: no collection of garbage looks at them again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure():
    """What is left at the end is collected as it would be, before the modules that it needs are taken down."""
    gc.unfreeze()


DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

SPRING = {
    "name": "spring",
    "currency": "EUR",
    "objective": {"kind": "profit", "event": "purchase", "margin": 0.35, "window": "7d"},
    "context": {
        "gender": {"type": "categorical", "values": ["f", "m"]},
        "recency": {"type": "numeric"},
        "loyal": {"type": "boolean"},
    },
    "dimensions": [
        {
            "name": "discount",
            "options": [
                {"name": "0"},
                {"name": "10", "rate": 0.10, "depth": 10},
                {"name": "20", "rate": 0.20, "depth": 20},
            ],
        },
        {
            "name": "channel",
            "options": [{"name": "email", "contact_cost": 0.01}, {"name": "sms", "contact_cost": 0.10}],
        },
        {"name": "gift", "options": [{"name": "none"}, {"name": "tote", "redemption_cost": 1.20}]},
    ],
    "rules": [
        {"forbid": {"discount": ["20"], "gift": ["tote"]}, "reason": "margin floor"},
        {"when": "not loyal", "forbid": {"gift": ["tote"]}, "reason": "for the loyal"},
    ],
    "fallback": {"discount": "0", "channel": "email", "gift": "none"},
}


@pytest.fixture
def spring():
    """A mapping with everything a catalogue can have; the test's own copy."""
    return copy.deepcopy(SPRING)


@pytest.fixture
def catalogue():
    """10 legal offers: 3 x 2 x 2 less the two that combine 20 % with a tote."""
    return bandit.Catalogue.from_dict(SPRING)


def draw_contexts(catalogue, n, rng, *, missing=0.1):
    """n random contexts of SPRING, some facts missing."""

    def holes(values):
        column = np.asarray(values, dtype=object)
        column[rng.random(n) < missing] = None
        return column.tolist()

    columns = {
        "gender": holes(rng.choice(["f", "m", "x"], n)),
        "recency": holes(rng.exponential(30.0, n).tolist()),
        "loyal": holes((rng.random(n) < 0.4).tolist()),
    }
    return catalogue.contexts(columns, [f"customer-{row}" for row in range(n)])


def draw_outcomes(catalogue, n, rng):
    """n decisions under uniform exploration with a response that rises with the discount."""
    contexts = draw_contexts(catalogue, n, rng)
    eligible = catalogue.eligible(contexts)
    chance = eligible / eligible.sum(axis=1, keepdims=True)
    offer = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    converted = rng.random(n) < 0.1 + 0.1 * catalogue.options[offer, 0]
    revenue = np.where(converted, rng.lognormal(4.0, 0.5, n), 0.0)
    reward = catalogue.objective.reward(catalogue.money, offer, converted, revenue, revenue)
    return Outcomes.new(contexts, offer, eligible, chance[np.arange(n), offer], converted, revenue, reward)


@dataclass(frozen=True)
class WholeLog(LogDefaults):
    """A log of one batch of decisions."""

    whole: LoggedBatch

    @property
    def n(self):
        return len(self.whole)

    def batches(self, size=65_536):
        for start in range(0, self.n, size):
            yield self.whole.take(slice(start, start + size))


def amended(outcomes, **changes):
    """Outcomes with other columns: those of the batch by name, those learned before as previous_..., or weight."""
    previous = {
        name.removeprefix("previous_"): changes.pop(name)
        for name in tuple(changes)
        if name.startswith("previous_") or name == "is_update"
    }
    weight = changes.pop("weight", outcomes.weight)
    return Outcomes(replace(outcomes.batch, **changes), replace(outcomes.previous, **previous), weight)

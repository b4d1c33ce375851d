"""One outcome is learned in numbers, without arrays of one: the state has the bits that arrays give it."""

from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.policies.thompson.reward_belief import RewardBelief
from tests.conftest import amended, draw_outcomes
from tests.policies.tools import DAY, catalogue_for

N = 230
"""Outcomes learned one by one after 100 at once: past searches for crosses and estimates of the prior."""


def learned(catalogue, methods):
    """The state after 100 outcomes at once and then 230 one by one, of 40 customers over 60 days.

    Some count in part, and some of the amounts are absurd.
    """
    rng = np.random.default_rng(3)
    drawn = draw_outcomes(catalogue, 100 + N, rng)
    time = np.sort(rng.integers(0, 60 * DAY, len(drawn)))
    weight = np.where(~drawn.converted & (rng.random(len(drawn)) < 0.3), 0.4, 1.0)
    customers = np.array([f"c{each}" for each in rng.integers(40, size=len(drawn))], dtype=object)
    contexts = replace(drawn.contexts, customers=customers)
    revenue = np.where(drawn.converted & (rng.random(len(drawn)) < 0.1), 1e6, drawn.revenue)
    outcomes = amended(drawn, contexts=contexts, revenue=revenue, time=time, weight=weight)
    policy = bandit.ThompsonSampling(catalogue, methods=methods)
    policy.update(outcomes.take(slice(0, 100)))
    for row in range(100, len(outcomes)):
        policy.update(outcomes.take(slice(row, row + 1)))
    return policy.dumps()


@pytest.mark.parametrize("methods", [None, []], ids=["all methods", "no methods"])
@pytest.mark.parametrize("kind", ["profit", "conversion", "reward"])
def test_one_outcome_gives_the_bits_of_an_array_of_one(monkeypatch, kind, methods):
    """The state after 230 single outcomes is the same, byte for byte, when each is learned as an array."""
    catalogue = catalogue_for(kind)
    single = learned(catalogue, methods)
    monkeypatch.setattr(RewardBelief, "_is_plain", lambda *_: False)
    assert learned(catalogue, methods) == single

"""One outcome is learned in numbers, without arrays of one: the state has the bits that arrays give it."""

from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.models.predictive_customers import PredictiveCustomerEffects
from bandit.policies.thompson.reward_belief import RewardBelief
from tests.conftest import amended, draw_outcomes
from tests.policies.tools import DAY, catalogue_for

N = 230
"""Outcomes learned one by one after 100 at once: past searches for crosses and estimates of the prior."""


def learned(catalogue, methods):
    """The state after 100 outcomes at once and then 230 one by one, of 40 customers over 60 days.

    Some count in part, some of the amounts are absurd, and every seventh single outcome is of no known customer.
    Before every third one the policy is asked about its customer, so that beliefs about customers are kept.
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
        one = outcomes.take(slice(row, row + 1))
        if row % 3 == 0:
            policy.probabilities(one.contexts, one.eligible, rng)
        if row % 7 == 0:
            one = amended(one, contexts=replace(one.contexts, customers=np.empty(0, dtype=object)))
        policy.update(one)
    return policy.dumps()


METHODS = {"all methods": None, "no methods": [], "joint": ["joint"], "joint and predictive": ["joint", "predictive"]}


@pytest.mark.parametrize("methods", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("kind", ["profit", "conversion", "reward"])
def test_one_outcome_gives_the_bits_of_an_array_of_one(monkeypatch, kind, methods):
    """The state after 230 single outcomes is the same, byte for byte, when each is learned as an array."""
    catalogue = catalogue_for(kind)
    single = learned(catalogue, methods)
    monkeypatch.setattr(RewardBelief, "_is_plain", lambda *_: False)
    assert learned(catalogue, methods) == single


def test_a_kept_belief_is_never_an_old_one():
    """Asked twice about a customer, the second answer is kept; one outcome, one correction and one estimate of the
    variances each change it to what effects that were not asked before say. What was answered cannot be written to."""
    columns, customer = np.array([1.0, 1.0, 0.0]), np.array(["c"], dtype=object)
    asked, fresh = (PredictiveCustomerEffects(np.array([0, 1, 1]), np.array([0.5, 0.5])) for _ in range(2))
    steps = [
        lambda effects: effects.one("c", columns).learn(0.4, 0.2),
        lambda effects: effects.restate(customer, columns[None], np.array([-0.3])),
        lambda effects: (effects.one("c", columns).judge(2.0, 0.2), effects.estimate()),
        lambda effects: effects.decay(0.5),
    ]
    seen = []
    for step in steps:
        step(asked)
        seen.append(asked.means(asked.places(customer)))
        assert asked.means(asked.places(customer)).base is seen[-1].base
    for step in steps:
        step(fresh)
    np.testing.assert_array_equal(seen[-1], fresh.means_and_variances(fresh.places(customer))[0])
    assert len({each.tobytes() for each in seen}) == len(steps)
    with pytest.raises(ValueError, match="read-only"):
        seen[-1] += 1.0

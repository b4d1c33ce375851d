"""Decisions that stand for several: a policy learns an outcome of weight s as s outcomes."""

from dataclasses import replace

import numpy as np
import pytest

import bandit
from bandit.models import BayesianLinear
from bandit.policies.thompson.methods import DEFAULT_METHODS
from bandit.policies.warmup import WARMUP_OUTCOMES
from tests.conftest import draw_contexts, draw_outcomes
from tests.policies.tools import OBJECTIVES, catalogue_for, conversion, outcomes_of, world


def weighted(outcomes, weight):
    return replace(outcomes, batch=replace(outcomes.batch, weight=np.asarray(weight, dtype=float)))


class WeightedLog:
    """A batch as a log."""

    def __init__(self, batch):
        self.batch, self.n = batch, len(batch)

    def batches(self, size=65_536):
        for start in range(0, self.n, size):
            yield self.batch.take(slice(start, start + size))


def timed(outcomes):
    return replace(outcomes, batch=replace(outcomes.batch, time=np.arange(len(outcomes))))


def test_a_linear_model_learns_and_takes_back_an_observation_of_weight_three_as_three():
    """Exact: precision, natural mean, shape and rate depend on sums over observations only."""
    rng = np.random.default_rng(1)
    rows, y, times = rng.normal(size=(40, 3)), rng.normal(size=40), rng.integers(1, 5, 40)
    again = np.repeat(np.arange(40), times)
    one, many = (BayesianLinear(np.zeros(3), np.ones(3)) for _ in range(2))
    one.update(rows, y, times.astype(float))
    many.update(rows[again], y[again])
    for a, b in ((one, many),):
        np.testing.assert_allclose(a.weights.mean, b.weights.mean, atol=1e-10)
        np.testing.assert_allclose(a.weights.covariance, b.weights.covariance, atol=1e-12)
        assert (a.shape, a.rate) == (pytest.approx(b.shape), pytest.approx(b.rate))
    one.retract(rows, y, times.astype(float))
    fresh = BayesianLinear(np.zeros(3), np.ones(3))
    np.testing.assert_allclose(one.weights.mean, fresh.weights.mean, atol=1e-8)
    np.testing.assert_allclose(one.weights.covariance, fresh.weights.covariance, atol=1e-8)
    assert (one.shape, one.rate) == (pytest.approx(fresh.shape), pytest.approx(fresh.rate, abs=1e-8))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_weights_of_one_leave_the_same_bytes(objective):
    catalogue = catalogue_for(objective)
    outcomes = draw_outcomes(catalogue, WARMUP_OUTCOMES + 100, np.random.default_rng(2))
    states = []
    for each in (outcomes, weighted(outcomes, np.ones(len(outcomes)))):
        for size in (len(outcomes), 130):
            policy = bandit.ThompsonSampling(catalogue)
            for start in range(0, len(outcomes), size):
                policy.update(each.take(slice(start, start + size)))
            states.append(policy.dumps())
    assert states[0] == states[2]
    assert states[1] == states[3]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_outcome_of_weight_two_is_learned_as_two(objective):
    """On 400 outcomes, each twice or of weight 2: the same belief, but for the blocks in which a logistic model learns.

    Scales and the prior's variances are estimated after fixed numbers of outcomes, so the beliefs differ a little;
    learned once, the predictions are ten times as far away. Crosses are left out: a row is evidence for them once,
    however many it stands for.
    """
    methods = [name for name in DEFAULT_METHODS.names if name != "crosses"]
    catalogue = catalogue_for(objective)
    outcomes = timed(draw_outcomes(catalogue, 2_000, np.random.default_rng(3)))
    twice = outcomes.take(np.repeat(np.arange(2_000), 2))
    contexts = draw_contexts(catalogue, 50, np.random.default_rng(4))
    found = []
    for each in (weighted(outcomes, np.full(2_000, 2.0)), twice, outcomes):
        policy = bandit.ThompsonSampling(catalogue, personal=False, methods=methods)
        policy.fit(WeightedLog(each.batch))
        found.append(policy.predict(contexts))
    apart = np.abs(found[0] - found[1]).max()
    assert apart < 0.2 * np.abs(found[2] - found[1]).max()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_restated_outcome_of_weight_three_leaves_the_belief_of_the_right_one(objective):
    """Five of 900 purchases of weight 3 are returned: most of what was off is gone, as with weights of 1.

    Crosses are left out: which of them were admitted before the returns is not undone by these, only their weights are.
    """
    methods = [name for name in DEFAULT_METHODS.names if name != "crosses"]
    catalogue = catalogue_for(objective)
    wrong = draw_outcomes(catalogue, 900, np.random.default_rng(14))
    returned = np.flatnonzero(wrong.converted)[:5]
    converted, revenue = wrong.converted.copy(), wrong.revenue.copy()
    converted[returned], revenue[returned] = False, 0.0
    reward = catalogue.objective.reward(catalogue.money, wrong.offer, converted, revenue, revenue)
    right = replace(wrong, batch=replace(wrong.batch, converted=converted, revenue=revenue, reward=reward))
    weight = np.where(np.arange(900) % 2 == 0, 3.0, 1.0)
    weight[returned] = 3.0
    wrong, right = weighted(wrong, weight), weighted(right, weight)
    again = right.take(returned)
    before = wrong.take(returned)
    previous = replace(
        again.previous,
        is_update=np.ones(5, dtype=bool),
        converted=before.converted,
        revenue=before.revenue,
        reward=before.reward,
    )
    contexts = draw_contexts(catalogue, 200, np.random.default_rng(15))
    predicted = []
    for first, later in ((wrong, None), (wrong, replace(again, previous=previous)), (right, None)):
        policy = bandit.ThompsonSampling(catalogue, methods=methods)
        policy.update(first)
        if later is not None:
            policy.update(later)
        predicted.append(policy.predict(contexts))
    off, mended, exact = predicted
    assert np.abs(mended - exact).mean() < 0.3 * np.abs(off - exact).mean()


def test_a_state_in_the_warm_up_keeps_the_weights():
    catalogue = catalogue_for("profit")
    outcomes = draw_outcomes(catalogue, 120, np.random.default_rng(5))
    outcomes = weighted(outcomes, np.random.default_rng(6).uniform(0.5, 9.0, 120))
    policy, other = bandit.ThompsonSampling(catalogue), bandit.ThompsonSampling(catalogue)
    policy.update(outcomes)
    other.loads(policy.dumps())
    assert other.dumps() == policy.dumps()
    more = draw_outcomes(catalogue, 300, np.random.default_rng(7))
    for each in (policy, other):
        each.update(more)
    assert other.dumps() == policy.dumps()


@pytest.mark.parametrize("methods", [None, ["joint"]], ids=["default", "joint"])
@pytest.mark.parametrize("kind", ["online", "fit"])
def test_a_thinned_log_teaches_the_rates_of_the_whole_one(kind, methods):
    """Nine in ten outcomes without a purchase are dropped; the kept ones have weight 10. Rates are about .2.

    With the weights predictions are within .05 of those learned from the whole log, without them off by .2 and more.
    """
    catalogue = conversion()
    rng = np.random.default_rng(8)
    whole = timed(outcomes_of(catalogue, lambda *at: 0.5 * world(*at), 6_000, rng))
    kept = np.flatnonzero(whole.converted | (rng.random(6_000) < 0.1))
    part = whole.take(kept)
    ten = weighted(part, np.where(part.converted, 1.0, 10.0))
    contexts = draw_contexts(catalogue, 100, np.random.default_rng(9))
    means = []
    for each in (whole, ten, part):
        policy = bandit.ThompsonSampling(catalogue, methods=methods)
        if kind == "fit":
            policy.fit(WeightedLog(each.batch))
        else:
            policy.update(each)
        means.append(float(policy.predict(contexts).mean()))
    assert abs(means[1] - means[0]) < 0.05
    assert means[2] - means[0] > 0.2


def test_vw_learns_an_outcome_as_often_as_it_stands_for():
    """Whole weights give the very model of the repeated outcomes; of .5 each, half of them are learned."""
    pytest.importorskip("vowpalwabbit")
    catalogue = conversion()
    outcomes = timed(outcomes_of(catalogue, world, 60, np.random.default_rng(10)))
    times = np.random.default_rng(11).integers(1, 4, 60)
    states = []
    for each in (weighted(outcomes, times), outcomes.take(np.repeat(np.arange(60), times))):
        policy = bandit.VowpalWabbit(catalogue, warm_up=5)
        policy.update(each)
        states.append(policy.dumps())
    assert states[0] == states[1]
    policy = bandit.VowpalWabbit(catalogue, warm_up=1_000)
    policy.update(weighted(outcomes, np.full(60, 0.5)))
    assert 1_000 - policy._warmup.room == pytest.approx(30, abs=1)

"""Transforms of numeric facts in Thompson sampling: when they are chosen, what they are worth, where they are kept."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

import bandit
from bandit.catalogue.aliases import NameMap
from bandit.domain import Outcomes
from bandit.encoding.shapes import SAMPLE_VALUES, LogShape, RankShape
from bandit.policies.warmup import WARMUP_OUTCOMES
from tests.conftest import SPRING, draw_outcomes
from tests.policies.thompson.test_carried import carried, learned
from tests.policies.tools import OutcomesLog

LARGEST = float(np.finfo(np.float64).max)
PLAIN = {
    "objective": {"kind": "conversion"},
    "context": {"spend": {"type": "numeric"}, "age": {"type": "numeric"}},
    "dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}],
}


def shop(**spend):
    plain = copy.deepcopy(PLAIN)
    plain["context"]["spend"] |= spend
    return bandit.Catalogue.from_dict(plain)


def outcomes_of(catalogue, n, rng, spend=None, age=None):
    """Spend of a median of 120, lognormal with deviation 1.5 in the log; sms is for those who spend much: logit +-1 for
    each deviation of the log."""
    normal = rng.normal(size=n)
    spend = 120.0 * np.exp(1.5 * normal) if spend is None else spend
    offer = rng.integers(2, size=n)
    converted = rng.random(n) < expit(-0.5 + np.where(offer == 1, 1.0, -1.0) * normal)
    contexts = catalogue.contexts({"spend": spend, "age": 40.0 + 10.0 * rng.normal(size=n) if age is None else age})
    eligible, none = np.ones((n, 2), dtype=bool), np.zeros(n)
    return Outcomes.new(contexts, offer, eligible, np.full(n, 0.5), converted, none, converted.astype(float))


def trained(catalogue, n=2_000, methods=("shapes",), **columns):
    policy = bandit.ThompsonSampling(catalogue, methods=list(methods))
    policy.update(outcomes_of(catalogue, n, np.random.default_rng(1), **columns))
    return policy


def shapes(policy):
    return policy.online.fact_scales.shapes


def error(policy):
    """Root mean squared error, in logits, of what sms is better than e-mail: the truth is 2 at each deviation."""
    normal = np.random.default_rng(2).normal(size=400)
    contexts = policy.catalogue.contexts({"spend": 120.0 * np.exp(1.5 * normal), "age": np.full(400, 40.0)})
    scores = policy.posterior(contexts).scores(np.arange(2))
    return float(np.sqrt(np.mean((scores[:, 1] - scores[:, 0] - 2.0 * normal) ** 2)))


def test_a_skewed_fact_is_transformed_and_the_tastes_that_follow_its_logarithm_are_learned():
    """Raw, the line misses most of what spend says; with the logarithm less than half of the error is left."""
    policy, plain = trained(shop()), trained(shop(), methods=())
    assert set(shapes(policy)) == {"spend"}
    assert isinstance(shapes(policy)["spend"], LogShape)
    assert not shapes(plain)
    assert error(policy) < 0.5 * error(plain)


def test_the_transform_is_fixed_by_the_first_500_outcomes_and_kept_in_the_state():
    catalogue = shop()
    policy = trained(catalogue, WARMUP_OUTCOMES)
    fixed = shapes(policy)["spend"]
    again = bandit.ThompsonSampling(catalogue, methods=["shapes"])
    again.loads(policy.dumps())
    more = outcomes_of(catalogue, 300, np.random.default_rng(3), spend=np.linspace(1e6, 2e6, 300))
    for each in (policy, again):
        each.update(more)
        assert shapes(each)["spend"] == fixed
    assert again.dumps() == policy.dumps()


def test_a_log_that_is_learned_at_once_chooses_the_same_transforms():
    catalogue = shop()
    outcomes = outcomes_of(catalogue, 2_000, np.random.default_rng(1))
    policy = bandit.ThompsonSampling(catalogue, methods=["shapes"])
    policy.fit(OutcomesLog(outcomes))
    assert set(shapes(policy)) == {"spend"}
    assert error(policy) < 0.5 * error(trained(catalogue, methods=()))


@pytest.mark.parametrize(("transform", "kind"), [("log", LogShape), ("rank", RankShape), ("auto", LogShape)])
def test_a_declared_transform_holds_with_and_without_the_method(transform, kind):
    for methods in (["shapes"], []):
        assert isinstance(shapes(trained(shop(transform=transform), methods=methods))["spend"], kind)


def test_a_fact_declared_as_it_is_or_with_its_scale_stays_so():
    """The control: with both, the declared transform wins."""
    assert "spend" not in shapes(trained(shop(transform="none")))
    assert "spend" not in shapes(trained(shop(center=300.0, scale=500.0)))
    assert "spend" in shapes(trained(shop(center=300.0, scale=500.0, transform="auto")))


@pytest.mark.parametrize("transform", ["none", "log", "rank", "auto"])
@pytest.mark.parametrize("odd", [1e155, -LARGEST])
def test_extreme_values_of_a_fact_leave_every_prediction_finite(transform, odd):
    """One customer in ten has a number that cannot be meant, such as the largest one for a missing value."""
    catalogue = shop(transform=transform)
    rng = np.random.default_rng(4)
    spend = 50.0 + 10.0 * rng.normal(size=700)
    spend[::10] = odd
    policy = trained(catalogue, 700, spend=spend)
    predicted = policy.predict(catalogue.contexts({"spend": np.array([50.0, odd, -odd, 0.0]), "age": np.full(4, 40.0)}))
    assert np.isfinite(predicted).all()
    assert ((predicted > 0.0) & (predicted < 1.0)).all()


def test_a_fact_that_comes_later_gets_its_transform_from_its_first_100_values():
    """Until then it counts as nothing, also in a state that was read again; then its logarithm is standardised."""
    plain = copy.deepcopy(SPRING)
    plain["context"]["spend"] = {"type": "numeric"}
    catalogue = bandit.Catalogue.from_dict(plain)
    before = learned(bandit.Catalogue.from_dict(SPRING), 600, methods=["shapes"])
    target, _ = carried(before, catalogue, methods=["shapes"])
    low, high = (catalogue.contexts([{"spend": spend, "recency": 3.0}]) for spend in (10.0, 1_000.0))
    rng = np.random.default_rng(5)
    for start in range(0, SAMPLE_VALUES + 10, 10):
        assert np.array_equal(target.predict(low), target.predict(high)) is (start < SAMPLE_VALUES)
        again = bandit.ThompsonSampling(catalogue, methods=["shapes"])
        again.loads(target.dumps())
        outcomes = draw_outcomes(catalogue, 10, rng)
        columns = {**outcomes.contexts.columns, "spend": 100.0 * np.exp(rng.normal(size=10))}
        outcomes = replace(
            outcomes, batch=replace(outcomes.batch, contexts=replace(outcomes.contexts, columns=columns))
        )
        for each in (target, again):
            each.update(outcomes)
        assert again.dumps() == target.dumps()
    scales = target.online.fact_scales
    assert not scales.sampled
    assert isinstance(scales.shapes["spend"], LogShape)
    median = scales.shapes["spend"].value(100.0)
    assert (median - scales.scales["spend"].center) / scales.scales["spend"].scale == pytest.approx(0.0, abs=0.3)


def test_a_renamed_fact_keeps_its_transform():
    catalogue = shop()
    plain = copy.deepcopy(PLAIN)
    plain["context"] = {"money": {"type": "numeric", "aliases": ["spend"]}, "age": {"type": "numeric"}}
    after = bandit.Catalogue.from_dict(plain)
    policy = trained(catalogue)
    scales = policy.online.fact_scales.translated(NameMap(catalogue, after), "auto")
    assert scales.shapes == {"money": shapes(policy)["spend"]}

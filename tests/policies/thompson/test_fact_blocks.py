"""A policy whose model has more weights than a whole covariance is held for."""

import copy

import numpy as np
import pytest

import bandit
from bandit.domain import Outcomes
from bandit.encoding.encoder import Encoder
from bandit.models.block_gaussian import BlockGaussian
from bandit.models.gaussian import Gaussian
from bandit.policies.thompson import fact_blocks, offer_scores
from bandit.policies.thompson.carried import carry_belief
from bandit.policies.thompson.fact_blocks import context_blocks
from tests.conftest import SPRING, draw_contexts, draw_outcomes
from tests.policies.thompson.test_carried import source
from tests.policies.tools import OutcomesLog

METHODS = ("blocks", "crosses", "joint", "memories", "moving_draws", "robust", "shapes")


@pytest.fixture
def always(monkeypatch):
    """Blocks from the first column of a fact on."""
    monkeypatch.setattr(offer_scores, "FULL_WEIGHTS", 20)


def learned(catalogue, n=1_000, methods=METHODS, **settings):
    policy = bandit.ThompsonSampling(catalogue, methods=methods, **settings)
    rng = np.random.default_rng(3)
    for _ in range(n // 250):
        policy.update(draw_outcomes(catalogue, 250, rng))
    return policy


def beliefs(policy):
    return [model.model.weights for model in policy.online.belief.models().values()]


def many_facts(n_facts):
    """A catalogue of 144 offers and numeric facts."""
    dimensions = [
        {"name": f"lever{place}", "options": [{"name": f"o{number}"} for number in range(options)]}
        for place, options in enumerate((6, 4, 3, 2))
    ]
    facts = {f"fact{place}": {"type": "numeric", "center": 0.0, "scale": 1.0} for place in range(n_facts)}
    objective = {"kind": "conversion"}
    return bandit.Catalogue.from_dict({"dimensions": dimensions, "context": facts, "objective": objective})


def drawn(catalogue, contexts, rng):
    """Random offers to these contexts, one in five of which converts."""
    n = contexts.n
    eligible = np.ones((n, catalogue.n_offers), dtype=np.bool_)
    offer, converted = rng.integers(0, catalogue.n_offers, n), rng.random(n) < 0.2
    propensity, revenue = np.full(n, 1.0 / catalogue.n_offers), np.zeros(n)
    return Outcomes.new(contexts, offer, eligible, propensity, converted, revenue, converted.astype(np.float64))


def test_200_facts_and_144_offers_have_a_small_state_and_go_on_after_it_is_loaded():
    """16 option columns x 201 context columns + 80 pairs; whole, the covariance would have 87 MB."""
    catalogue = many_facts(200)
    rng = np.random.default_rng(1)
    contexts = catalogue.contexts({name: rng.normal(size=80) for name in catalogue.facts})
    policy = bandit.ThompsonSampling(catalogue, methods=["blocks"])
    outcomes = drawn(catalogue, contexts, rng)
    policy.update(outcomes.take(slice(0, 60)))
    (weights,) = beliefs(policy)
    assert isinstance(weights, BlockGaussian)
    assert weights.size > 16 * 201
    assert len(policy.dumps()) < 2_000_000
    other = bandit.ThompsonSampling(catalogue, methods=["blocks"])
    other.loads(policy.dumps())
    for each in (policy, other):
        each.update(outcomes.take(slice(60, 80)))
    assert policy.dumps() == other.dumps()
    eligible = np.ones((80, 144), dtype=np.bool_)
    shares = policy.probabilities(contexts, eligible, np.random.default_rng(2))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)


def test_without_the_method_or_below_its_size_the_covariance_is_held_whole():
    """A model of few weights, and one of many without `blocks`."""
    few, many = bandit.Catalogue.from_dict(SPRING), many_facts(80)
    assert all(isinstance(each, Gaussian) for each in beliefs(learned(few, 250)))
    contexts = many.contexts({name: np.ones(2) for name in many.facts})
    policy = bandit.ThompsonSampling(many, methods=[])
    policy.update(drawn(many, contexts, np.random.default_rng(1)))
    (weights,) = beliefs(policy)
    assert weights.size > fact_blocks.FULL_WEIGHTS
    assert isinstance(weights, Gaussian)


def test_a_fact_has_blocks_of_its_own_and_only_a_wide_one_has_several(monkeypatch):
    """With at most five option columns a block of 10 weights holds two columns: a fact of five has three blocks."""
    catalogue = bandit.Catalogue.from_dict(SPRING)
    encoder = Encoder(catalogue)
    whole = context_blocks(encoder)
    np.testing.assert_array_equal(whole, encoder.context_fact + 1)
    wide = 2 * (1 + len(encoder.offers.main_names))
    monkeypatch.setattr(fact_blocks, "BLOCK_WEIGHTS", wide)
    found = context_blocks(encoder)
    assert np.unique(found, return_counts=True)[1].max() == 2
    for block in range(1, found.max() + 1):
        assert len(set(encoder.context_fact[found == block])) == 1


@pytest.mark.usefixtures("always")
def test_all_methods_work_with_blocks_and_a_loaded_policy_goes_on_with_the_same_bits():
    """Every kind of change of a belief: outcomes, corrections, passing time, estimates of priors, a half-life."""
    catalogue = bandit.Catalogue.from_dict(SPRING)
    for settings in ({}, {"half_life": "3d"}):
        policy, other = (learned(catalogue, **settings) for _ in range(2))
        assert all(isinstance(each, BlockGaussian) for each in beliefs(policy))
        loaded = bandit.ThompsonSampling(catalogue, methods=METHODS, **settings)
        loaded.loads(other.dumps())
        more = draw_outcomes(catalogue, 250, np.random.default_rng(8))
        for each in (policy, loaded):
            each.update(more)
        assert policy.dumps() == loaded.dumps()


@pytest.mark.usefixtures("always")
def test_the_posterior_is_that_of_the_blocks():
    """Score variances against row C row' with C written out; 4,000 joint draws within 6 standard errors of it."""
    catalogue = bandit.Catalogue.from_dict(SPRING)
    policy = learned(catalogue, methods=["blocks"], personal=False)
    contexts = draw_contexts(catalogue, 1, np.random.default_rng(5), missing=0.0)
    posterior, main = policy.posterior(contexts), policy.online.belief.main
    offers = np.arange(min(5, catalogue.n_offers))
    rows = main.design.rows(np.repeat(main.columns(posterior.encoded.matrix), len(offers), axis=0), offers)
    exact = rows @ main.model.weights.covariance @ rows.T
    np.testing.assert_allclose(posterior.spread(offers).scale[0] ** 2, np.diag(exact), rtol=1e-9)
    drawn = posterior.draw(offers, 4_000, np.random.default_rng(6))[0][0]
    spread = np.diag(exact)
    allowed = 6.0 * np.sqrt((np.multiply.outer(spread, spread) + exact**2) / 4_000)
    assert (np.abs(np.cov(drawn.T) - exact) < allowed).all()


@pytest.mark.usefixtures("always")
def test_what_blocks_learned_is_carried_to_a_catalogue_with_another_option():
    """Each block is carried by itself: kept weights have the mean and the block of the covariance that they had."""
    catalogue = bandit.Catalogue.from_dict(SPRING)
    policy = learned(catalogue, methods=["blocks"], personal=False)
    mapping = copy.deepcopy(SPRING)
    options = mapping["dimensions"][0]["options"]
    options.append({**options[-1], "name": "another"})
    new = bandit.Catalogue.from_dict(mapping)
    target = bandit.ThompsonSampling(new, methods=["blocks"], personal=False)
    carry = source(policy, new)
    report = carry_belief(target, [carry], new.contexts([]))
    assert report.n_learned == policy.online.belief.main.n_learned
    before, after = policy.online.belief.main, target.online.belief.main
    assert isinstance(after.model.weights, BlockGaussian)
    contexts = draw_contexts(catalogue, 20, np.random.default_rng(7), missing=0.0)
    same = new.contexts({name: contexts.text.get(name, column) for name, column in contexts.columns.items()})
    shared = [new.offer_index(catalogue.offer(number)) for number in range(catalogue.n_offers)]
    expected, found = policy.predict(contexts), target.predict(same)[:, shared]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    offer = np.zeros(20, dtype=np.int64)
    np.testing.assert_allclose(
        after.score_variances(target.online.belief.encode(same).matrix, np.full(20, shared[0])),
        before.score_variances(policy.online.belief.encode(contexts).matrix, offer),
        rtol=1e-6,
    )


def test_a_model_that_outgrows_a_whole_covariance_goes_on_in_blocks(monkeypatch):
    """First one fact is there, then the others: the belief learned so far keeps its mean and its variances."""
    catalogue = many_facts(12)
    monkeypatch.setattr(offer_scores, "FULL_WEIGHTS", 150)
    rng = np.random.default_rng(4)
    values = {name: rng.normal(size=200) if name == "fact0" else np.zeros(200) for name in catalogue.facts}
    policy = bandit.ThompsonSampling(catalogue, methods=["blocks", "moving_draws"], personal=False)
    policy.update(drawn(catalogue, catalogue.contexts(values), rng))
    model = policy.online.belief.main
    before = model.model.weights
    assert isinstance(before, Gaussian)
    mean, variance, draws = before.mean.copy(), before.diagonal.copy(), before.draws.values.copy()
    places = np.arange(0, len(model.active))
    model.activate(np.ones((1, model.encoder.n_context)))
    after = model.model.weights
    assert isinstance(after, BlockGaussian)
    kept = (np.arange(model.design.columns.shape[1])[:, None] * len(model.active) + places).ravel()
    count = len(kept)
    np.testing.assert_array_equal(after.mean[kept], mean[:count])
    np.testing.assert_array_equal(after.diagonal[kept], variance[:count])
    np.testing.assert_array_equal(after.draws.values[:, kept], draws[:, :count])


@pytest.mark.usefixtures("always")
def test_a_fit_in_blocks_predicts_as_the_whole_fit():
    """1,500 outcomes: the fits' expected rewards differ by less than 15 % of what they vary."""
    catalogue = bandit.Catalogue.from_dict(SPRING)
    outcomes = draw_outcomes(catalogue, 1_500, np.random.default_rng(2))
    whole, blocks = (bandit.ThompsonSampling(catalogue, methods=methods) for methods in ([], ["blocks"]))
    for policy in (whole, blocks):
        policy.fit(OutcomesLog(outcomes))
    found, expected = blocks.predict(outcomes.contexts), whole.predict(outcomes.contexts)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.15 * expected.std()


def test_one_outcome_of_a_belief_in_blocks_is_a_small_step_however_many_weights_it_has():
    """Of 100 facts 1,696 weights, held in blocks with 56,000 covariances; whole (the control), in 2.9 million."""
    catalogue = many_facts(100)
    rng = np.random.default_rng(1)
    contexts = catalogue.contexts({name: rng.normal(size=61) for name in catalogue.facts})
    outcomes = drawn(catalogue, contexts, rng)
    found = []
    for methods in (["blocks", "crosses"], []):
        policy = bandit.ThompsonSampling(catalogue, methods=methods)
        policy.update(outcomes.take(slice(0, 60)))
        (weights,) = beliefs(policy)
        found.append((policy.is_quick(outcomes.take(slice(60, 61))), weights.size, weights.held))
    assert found == [(True, 1_696, 100 * 16**2 + 96**2), (False, 1_696, 1_696**2)]

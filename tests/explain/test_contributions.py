"""Contributions of facts: they sum to the differences of scores and of expected rewards, whatever the model."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bandit
from bandit.domain import Outcomes
from bandit.explain.contributions import ORDER_CONSTRAINT, OWN_HISTORY, contributions
from tests.conftest import SPRING, draw_contexts, draw_outcomes
from tests.policies.tools import OBJECTIVES, catalogue_for

RETURNING = [f"customer-{row % 30}" for row in range(600)]


def random_policy(catalogue, rng, n=600, size=1.0):
    """Thompson sampling with weights drawn at random: nothing that learning would make small."""
    policy = bandit.ThompsonSampling(catalogue)
    outcomes = draw_outcomes(catalogue, n, rng)
    outcomes.contexts.customers[:] = RETURNING[:n]
    policy.update(outcomes)
    for model in policy._learning.belief.models().values():
        model.model.weights.mean = rng.normal(0.0, size, model.design.size)
    return policy


def monotone(kind):
    mapping = copy.deepcopy(SPRING)
    mapping["dimensions"][0]["attributes"] = {"depth": {"monotone": "increasing"}}
    return catalogue_for(kind, mapping)


def explained(policy, rng, offers=None):
    catalogue = policy.catalogue
    context = draw_contexts(catalogue, 1, rng)
    context.customers[:] = ["customer-3"]
    reference = policy.posterior(draw_contexts(catalogue, 50, rng)).encoded.matrix.mean(axis=0)
    chosen = np.arange(catalogue.n_offers) if offers is None else offers
    return context, contributions(policy.posterior(context), reference, chosen)


@settings(max_examples=12)
@given(st.sampled_from(OBJECTIVES), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.3, 2.0]), st.booleans())
def test_they_sum_to_the_differences_of_scores_and_of_rewards(kind, seed, size, ordered):
    """For every pair of offers: difference of base + sum of contributions = difference of the scores (and rewards)."""
    rng = np.random.default_rng(seed)
    catalogue = monotone(kind) if ordered else catalogue_for(kind)
    policy = random_policy(catalogue, rng, 200, size)
    context, found = explained(policy, rng)
    posterior, every = policy.posterior(context), np.arange(catalogue.n_offers)
    scores, amounts = posterior.scores(every)[0], posterior.log_revenue(every)
    assert np.allclose(found.base_response + found.response.sum(axis=(0, 1)), scores, rtol=0, atol=1e-9)
    if amounts is not None:
        assert np.allclose(found.base_revenue + found.revenue.sum(axis=(0, 1)), amounts[0], rtol=0, atol=1e-9)
    total = found.base + found.by_response.sum(axis=(0, 1)) + found.by_revenue.sum(axis=(0, 1))
    reward = policy.predict(context)[0]
    assert np.allclose(total, reward, rtol=1e-9, atol=1e-9)
    lead, summed = reward[:, None] - reward, total[:, None] - total
    assert np.allclose(summed, lead, rtol=0, atol=1e-9 * max(1.0, np.abs(reward).max()))


def test_scores_that_hardly_differ_from_those_of_average_facts_are_divided_exactly_too():
    """Two facts that move the log-odds by +1 and -1 up to 1e-13: each has what a slope of p(1 - p) gives it."""
    catalogue = catalogue_for("conversion")
    rng = np.random.default_rng(5)
    policy = random_policy(catalogue, rng)
    context, found = explained(policy, rng)
    posterior = policy.posterior(context)
    encoder = posterior.belief.encoder
    main = posterior.belief.main
    weights = np.zeros(main.design.size)
    names = [encoder.context_names[place] for place in main.active]
    context = catalogue.contexts([{"gender": "f", "loyal": True, "recency": 1.0}])
    weights[names.index("gender=f")], weights[names.index("loyal")] = 1.0, -1.0 + 1e-13
    main.model.weights.mean = weights
    nobody = np.zeros(encoder.n_context)
    nobody[0] = 1.0
    found = contributions(policy.posterior(context), nobody, np.array([0]))
    assert found.by_response[:, 0, 0] == pytest.approx([0.25, 0.0, -0.25, 0.0, 0.0], abs=1e-9)


def test_a_fact_at_its_average_contributes_nothing_and_the_others_do():
    catalogue = catalogue_for("profit")
    rng = np.random.default_rng(7)
    policy = random_policy(catalogue, rng)
    context = catalogue.contexts([{"gender": "f", "loyal": True, "recency": 20.0}], ["customer-3"])
    other = catalogue.contexts([{"gender": "f", "loyal": False, "recency": 35.0}])
    reference = policy.posterior(other).encoded.matrix.mean(axis=0)
    found = contributions(policy.posterior(context), reference, np.arange(4))
    worth = np.abs(found.by_response + found.by_revenue).sum(axis=(1, 2))
    named = dict(zip(found.sources, worth, strict=True))
    assert named["gender"] == named[ORDER_CONSTRAINT] == 0.0
    assert min(named["recency"], named["loyal"], named[OWN_HISTORY]) > 0.0


def test_a_redundant_way_to_write_the_model_changes_no_contribution():
    """A constant moved from the intercept into all values of a fact: the scores and the contributions stay."""
    catalogue = catalogue_for("conversion")
    rng = np.random.default_rng(9)
    policy = random_policy(catalogue, rng)
    main = policy.posterior(catalogue.contexts([{}])).belief.main
    names = [main.encoder.context_names[place] for place in main.active]
    known = [{"gender": gender, "loyal": True, "recency": 3.0} for gender in ("f", "m", "m")]
    reference = policy.posterior(catalogue.contexts(known)).encoded.matrix.mean(axis=0)
    context = catalogue.contexts(known[:1])
    before = contributions(policy.posterior(context), reference, np.arange(3))
    weights = main.model.weights.mean.copy()
    for value in ("gender=f", "gender=m"):
        weights[names.index(value)] += 3.0
    weights[names.index("intercept")] -= 3.0
    main.model.weights.mean = weights
    after = contributions(policy.posterior(context), reference, np.arange(3))
    assert np.allclose(after.by_response, before.by_response, rtol=0, atol=1e-12)


def test_the_division_of_a_product_is_the_shapley_value_by_hand():
    """P from .2 to .3 and worth from 10 to 20: the response gets .1 x 15 and the revenue 10 x .25, together 4."""
    catalogue = bandit.Catalogue.from_dict(
        {
            "objective": {"kind": "revenue"},
            "context": {"a": {"type": "boolean"}, "b": {"type": "boolean"}},
            "dimensions": [{"name": "gift", "options": [{"name": "none"}]}],
        }
    )
    policy = bandit.ThompsonSampling(catalogue, personal=False)
    yes = catalogue.contexts([{"a": True, "b": True}])
    policy.update(
        Outcomes.new(
            catalogue.contexts([{"a": True, "b": True}, {"a": False, "b": False}]),
            np.zeros(2, dtype=np.int64),
            np.ones((2, 1), dtype=bool),
            np.ones(2),
            np.array([True, True]),
            np.array([10.0, 20.0]),
            np.array([10.0, 20.0]),
        )
    )
    belief = policy.posterior(yes).belief
    amount, scale = belief.amount, belief.amount.amount_scale
    logs = [(np.log(each) - 0.5 * amount.noise - scale.center) / scale.scale for each in (10.0, 20.0)]
    odds = [np.log(each / (1.0 - each)) for each in (0.2, 0.3)]
    for model, (low, high), fact in ((belief.main, odds, "a"), (amount, logs, "b")):
        names = [model.encoder.context_names[place] for place in model.active]
        weights = np.zeros(model.design.size)
        weights[names.index("intercept")], weights[names.index(fact)] = (low + high) / 2, (high - low) / 2
        model.model.weights.mean = weights
    reference = policy.posterior(catalogue.contexts([{"a": False, "b": False}])).encoded.matrix[0]
    found = contributions(policy.posterior(yes), reference, np.array([0]))
    assert (found.base[0], found.reward[0]) == (pytest.approx(2.0), pytest.approx(6.0))
    assert found.by_response[0].sum() == pytest.approx(1.5)
    assert found.by_revenue[1].sum() == pytest.approx(2.5)

"""Predictions with credible intervals: against many draws from the posterior, and as the policy ranks offers."""

import copy

import numpy as np
import pytest
from scipy.special import expit

import bandit
from bandit.errors import InputError
from tests.conftest import SPRING, draw_contexts, draw_outcomes
from tests.policies.tools import OBJECTIVES, catalogue_for

DRAWS = 20_000


def learned(kind, n=3_000, mapping=SPRING, seed=1):
    catalogue = catalogue_for(kind, mapping)
    policy = bandit.ThompsonSampling(catalogue)
    outcomes = draw_outcomes(catalogue, n, np.random.default_rng(seed))
    outcomes.contexts.customers[:] = [f"customer-{row % 100}" for row in range(n)]
    policy.update(outcomes)
    return policy


def weight_draws(policy, contexts, rng):
    """The oracle: whole weight vectors and customers' effects, drawn and multiplied out, (M, N) for one context."""
    belief = policy._learning.belief
    encoded = belief.encode(contexts)

    def of(model):
        rows = model.rows(np.repeat(encoded.matrix, policy.catalogue.n_offers, axis=0), np.arange(10))
        weights = model.model.weights
        root = np.linalg.cholesky(weights.covariance)
        scale = np.ones(DRAWS)
        if model.kind != "response":
            scale = np.sqrt(model.model.rate / rng.gamma(model.model.shape, size=DRAWS))
        drawn = weights.mean + scale[:, None] * (rng.standard_normal((DRAWS, len(root))) @ root.T)
        scores = drawn @ rows.T
        return scores if model.kind == "response" else scores * model.amount_scale.scale + model.amount_scale.center

    main = of(belief.main)
    effects = belief.customer_effects
    if effects is not None and len(contexts.customers):
        mean, variance = effects.means_and_variances(effects.places(contexts.customers))
        own = mean[0] + np.sqrt(variance[0]) * rng.standard_normal((DRAWS, mean.shape[1]))
        main = main + own @ belief.main.design.columns[:].T
    return main, None if belief.amount is None else of(belief.amount) + 0.5 * belief.amount.noise


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_intervals_hold_the_posterior_at_their_level(kind):
    """Of 20,000 draws 2.5 % lie below and above; within 5 standard errors, .0055, and .002 for the point set."""
    policy = learned(kind)
    rng = np.random.default_rng(3)
    every = np.arange(10)
    for row in range(2):
        contexts = draw_contexts(policy.catalogue, 3, np.random.default_rng(4)).take(slice(row, row + 1))
        predicted = policy.predict_response(contexts)
        scores, amounts = weight_draws(policy, contexts, rng)
        rewards = policy.posterior(contexts).rewards(every, scores, amounts)
        columns = {"p_convert": expit(scores), "reward": rewards} if kind != "reward" else {"reward": scores}
        if amounts is not None:
            columns["revenue"] = np.exp(amounts)
        assert set(columns) == set(predicted.columns())
        for name, drawn in columns.items():
            column = predicted.columns()[name]
            for beyond in ((drawn < column.low[0]).mean(axis=0), (drawn > column.high[0]).mean(axis=0)):
                assert np.abs(beyond - 0.025).max() < 0.0075, name


def test_intervals_of_another_width_would_be_found_out():
    """The negative control: the policy's own draws (half the deviation) leave the intervals almost never."""
    policy = learned("conversion")
    contexts = draw_contexts(policy.catalogue, 1, np.random.default_rng(4))
    contexts = type(contexts)(1, contexts.columns, contexts.text)
    predicted = policy.predict_response(contexts)
    belief = policy._learning.belief
    drawn = belief.draw(4_000, policy.width, np.random.default_rng(5))
    narrow = expit(belief.main.draw_scores(drawn, belief.encode(contexts).matrix)[0])
    assert (narrow < predicted.p_convert.low[0]).mean() < 0.001


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("ordered", [False, True])
def test_the_numbers_are_those_by_which_the_policy_ranks(kind, ordered):
    mapping = copy.deepcopy(SPRING)
    if ordered:
        mapping["dimensions"][0]["attributes"] = {"depth": {"monotone": "increasing"}}
    policy = learned(kind, 400, mapping)
    contexts = draw_contexts(policy.catalogue, 20, np.random.default_rng(6))
    predicted = policy.predict_response(contexts)
    assert np.allclose(predicted.reward.value, policy.predict(contexts), rtol=1e-12, atol=1e-12)
    some = policy.predict_response(contexts, [7, 2])
    assert np.array_equal(some.reward.value, predicted.reward.value[:, [7, 2]])
    assert (predicted.reward.low <= predicted.reward.high).all()


def test_with_an_ordered_attribute_no_draw_breaks_the_order_and_the_intervals_follow_it():
    """P(convert) must not fall with the depth: neither may the ends of its intervals."""
    mapping = copy.deepcopy(SPRING)
    mapping["rules"] = []
    mapping["dimensions"][0]["attributes"] = {"depth": {"monotone": "increasing"}}
    policy = learned("conversion", 400, mapping)
    catalogue = policy.catalogue
    contexts = draw_contexts(catalogue, 5, np.random.default_rng(6))
    scores, _ = policy.posterior(contexts).draw(np.arange(12), 200, np.random.default_rng(7))
    depth = np.argsort(catalogue.options[:, 0], kind="stable").reshape(3, 4)
    assert (np.diff(scores[:, :, depth], axis=2) >= -1e-9).all()
    predicted = policy.predict_response(contexts)
    for end in (predicted.p_convert.low, predicted.p_convert.high):
        assert (np.diff(end[:, depth], axis=1) >= -1e-9).all()


def test_a_policy_that_searches_predicts_the_same_as_one_that_scores(monkeypatch):
    mapping = copy.deepcopy(SPRING)
    mapping["dimensions"][0]["attributes"] = {"depth": {"monotone": "increasing"}}
    catalogue = bandit.Catalogue.from_dict(mapping)
    scoring = bandit.ThompsonSampling(catalogue, pairs=False)
    monkeypatch.setattr("bandit.policies.thompson.policy.SEARCH_ABOVE", 1)
    monkeypatch.setattr("bandit.encoding.offer_columns.MAX_PAIR_COLUMNS", 0)
    searching = bandit.ThompsonSampling(catalogue, pairs=False)
    for policy in (scoring, searching):
        policy.update(draw_outcomes(catalogue, 500, np.random.default_rng(8)))
    assert searching.sparse
    assert not scoring.sparse
    contexts = draw_contexts(catalogue, 4, np.random.default_rng(9))
    free = catalogue.options[:, 2] == 0  # without the rule that couples discount and gift, both orders are the same
    one, other = (policy.predict_response(contexts).reward.value[:, free] for policy in (scoring, searching))
    assert np.allclose(one, other, rtol=1e-9)
    best = searching.best_at_mean(contexts, catalogue.fired(contexts))
    eligible = catalogue.eligible(contexts)
    rewards = np.where(eligible, searching.predict_response(contexts).reward.value, -np.inf)
    assert np.allclose(rewards[np.arange(4), best], rewards.max(axis=1), rtol=1e-5)


def test_a_customer_without_history_is_less_certain_than_everybody_together():
    policy = learned("conversion")
    named = draw_contexts(policy.catalogue, 1, np.random.default_rng(4))
    stranger = type(named)(1, named.columns, named.text, np.array(["somebody new"], dtype=object))
    nobody = type(named)(1, named.columns, named.text)
    new, every = policy.predict_response(stranger).p_convert, policy.predict_response(nobody).p_convert
    assert np.allclose(new.value, every.value)
    assert (new.high - new.low > every.high - every.low).all()


def test_what_cannot_be_predicted_is_said():
    policy = learned("profit", 100)
    contexts = policy.catalogue.contexts([{}])
    with pytest.raises(InputError, match="there is no offer 10; offers have the numbers 0 to 9"):
        policy.predict_response(contexts, [0, 10])
    with pytest.raises(InputError, match=r"lies between 0 and 1; seen 1\.5"):
        policy.predict_response(contexts, level=1.5)


def test_the_record_has_rows_and_plain_values():
    policy = learned("profit", 100)
    predicted = policy.predict_response(policy.catalogue.contexts([{}, {"loyal": True}]), [3, 1], level=0.8)
    rows = predicted.to_rows()
    assert [(row["context"], row["offer"]) for row in rows] == [
        (context, policy.catalogue.label(offer)) for context in (0, 1) for offer in (3, 1)
    ]
    assert rows[2]["p_convert_low"] == predicted.p_convert.low[1, 0]
    assert predicted.to_dict()["level"] == 0.8
    assert predicted.to_dict()["revenue"]["high"] == predicted.revenue.high.tolist()

"""Exact contributions of facts to an offer's scores and to its expected reward, against a customer of average facts.

Both scores of an offer (the log-odds of a conversion, the log of its revenue) are linear in the context's columns, so a
fact adds effect x (its columns - their averages), a rule that the model has found in combinations of facts adds its
effect where it holds for the customer and not for average facts, or the reverse, and these contributions sum to the
difference of the score from that of average facts (for a linear model these are the Shapley values of the facts:
Strumbelj & Kononenko 2014, "Explaining prediction models and individual predictions with feature contributions",
section 3).

Where the stages of a conversion are learned, the log-odds are those of the product of their chances, and not linear: a
contribution to the score of a stage counts by the slope of the secant (`funnel.chance_weights`), so that the sum stays
exact.

The expected reward is P(convert) x worth - cost, a product of one function of each score. Its difference is divided
in two steps that are exact and additive: between the two scores by the Shapley value of a game of two players (Shapley
1953, "A value for n-person games"), which for a product is (change of one) x (mean of the other); and within a score in
proportion to the contributions to it, the Aumann-Shapley value of a function of a sum (Aumann & Shapley 1974, "Values
of Non-Atomic Games"; along the straight line, the integrated gradients of Sundararajan et al. 2017, equation 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, exprel

from bandit.domain import FloatArray, IntArray
from bandit.encoding.offer_columns import column_dimensions
from bandit.explain.cross_effects import cross_effects, cross_words, rules_that_hold
from bandit.models.search_bounds import MAX_LOG_REVENUE
from bandit.policies.thompson.funnel import chance_weights
from bandit.policies.thompson.offer_model import OfferModel
from bandit.policies.thompson.posterior import OfferPosterior
from bandit.policies.thompson.reward_belief import EncodedContexts

OWN_HISTORY, ORDER_CONSTRAINT = "the customer's own history", "the declared order of options"
"""Sources of contributions beside the facts: the customer's own effects, and monotone constraints."""

ANY_OFFER = "any offer"
"""The part of a fact's effect that is not of an option: it moves all offers alike, though not equally in money."""

_CLOSE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class OfferContributions:
    """Contributions to the scores and the expected rewards of m offers for one context.

    `sources` are the S facts, the rules that the model has found in combinations of facts, then the customer's own
    history and the monotone constraints; `parts` are "any offer" and
    the G - 1 dimensions. `response` (S, G, m) is in log-odds (for kind "reward": in rewards), `revenue` (S, G, m) in
    the log of revenue, `by_response` and `by_revenue` (S, G, m) what either is worth in expected reward. `base` (m,) is
    the expected reward of average facts, and base + by_response + by_revenue, summed over S and G, is `reward` (m,).
    `rules_hold` says which of the rules hold for the customer.
    """

    sources: tuple[str, ...]
    parts: tuple[str, ...]
    response: FloatArray
    revenue: FloatArray
    by_response: FloatArray
    by_revenue: FloatArray
    base: FloatArray
    reward: FloatArray
    base_response: FloatArray
    base_revenue: FloatArray
    rules_hold: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RewardSlopes:
    """What a unit of either score's contribution is worth in expected reward, (..., m) each."""

    response: FloatArray
    revenue: FloatArray


def fact_effects(model: OfferModel, matrix: FloatArray, reference: FloatArray, fact_of_column: IntArray) -> FloatArray:
    """Return (F, n, 1 + K): what each fact adds to the effect of each option column, for n contexts.

    `matrix` (n, d) and `reference` (d,) are encoded contexts; `fact_of_column` (d,) has the place of each column's
    fact, and -1 for the intercept, which is the same in both.
    """
    k, active = model.design.columns.shape[1], model.active
    weights = model.model.weights.mean[: k * len(active)].reshape(k, len(active))
    away = matrix[:, active] - reference[active]
    n_facts = int(fact_of_column.max(initial=-1)) + 1
    found = np.zeros((n_facts, len(matrix), k))
    for fact in range(n_facts):
        own = fact_of_column[active] == fact
        if own.any():
            found[fact] = away[:, own] @ weights[:, own].T
    return found if model.kind == "response" else found * model.amount_scale.scale


def reward_slopes(
    posterior: OfferPosterior,
    offers: IntArray,
    start: tuple[FloatArray, FloatArray | None],
    end: tuple[FloatArray, FloatArray | None],
) -> RewardSlopes:
    """Return the slopes that turn contributions to the scores into exact contributions to the expected reward.

    `start` and `end` are (main scores, log revenues), (..., m) each, between which the contributions lead.
    """
    if posterior.is_raw_reward:
        return RewardSlopes(np.ones_like(end[0]), np.zeros_like(end[0]))
    slope = _expit_slope(start[0], end[0])
    if start[1] is None or end[1] is None:
        return RewardSlopes(slope, np.zeros_like(slope))
    objective, money = posterior.catalogue.objective, posterior.catalogue.money_of(offers)
    worths = [objective.worth(money, np.exp(np.minimum(each, MAX_LOG_REVENUE)))[0] for each in (start[1], end[1])]
    kept = objective.margin - money.rate if objective.kind == "profit" else np.ones(len(offers))
    chance = 0.5 * (expit(start[0]) + expit(end[0]))
    return RewardSlopes(slope * 0.5 * (worths[0] + worths[1]), _revenue_slope(start[1], end[1]) * kept * chance)


def contributions(posterior: OfferPosterior, reference: FloatArray, offers: IntArray) -> OfferContributions:
    """Return the contributions for m offers and the one context of a posterior; `reference` (d,) has average facts."""
    belief, catalogue = posterior.belief, posterior.catalogue
    encoder = belief.encoder
    groups = np.concatenate([[0], column_dimensions(catalogue) + 1])
    parts = (ANY_OFFER, *catalogue.dimension_names)
    rules = cross_words(belief.main)
    n_facts, m = len(catalogue.facts), len(offers)
    n_sources = n_facts + len(rules)
    average = EncodedContexts(reference[None, :], None)
    response = np.zeros((n_sources + 2, len(parts), m))
    revenue = np.zeros_like(response)
    columns = belief.main.design.columns[offers]
    worth = chance_weights(posterior.stage_scores(average, offers), posterior.stage_scores(posterior.encoded, offers))
    for model, weight in zip(posterior.models, worth, strict=True):
        chosen = model.design.columns[offers]
        effects = fact_effects(model, posterior.encoded.matrix, reference, encoder.context_fact)
        response[:n_facts] += _by_part(effects, chosen, groups, n_facts) * weight[0]
        own = cross_words(model)
        if own:
            effects = cross_effects(model, posterior.encoded.matrix, reference)
            places = [n_facts + rules.index(words) for words in own]
            response[places] += _by_part(effects, chosen, groups, len(own)) * weight[0]
    if posterior.encoded.customer_effects is not None:
        response[n_sources] = _by_part(posterior.encoded.customer_effects[None], columns, groups, 1)[0] * worth[0][0]
    scores = [posterior.scores_of(each, offers)[0] for each in (average, posterior.encoded)]
    if posterior.constrained:
        free = [posterior.scores_of(each, offers, constrained=False)[0] for each in (average, posterior.encoded)]
        response[n_sources + 1, 0] = (scores[1] - free[1]) - (scores[0] - free[0])
    amounts = [posterior.log_revenue_of(each, offers) for each in (average, posterior.encoded)]
    ends = [(score, None if amount is None else amount[0]) for score, amount in zip(scores, amounts, strict=True)]
    if belief.amount is not None:
        effects = fact_effects(belief.amount, posterior.encoded.matrix, reference, encoder.context_fact)
        revenue[:n_facts] = _by_part(effects, belief.amount.design.columns[offers], groups, n_facts)
    slopes = reward_slopes(posterior, offers, ends[0], ends[1])
    base, reward = (posterior.rewards(offers, *each) for each in ends)
    none = np.zeros(m)
    return OfferContributions(
        (*catalogue.facts, *rules, OWN_HISTORY, ORDER_CONSTRAINT),
        parts,
        response,
        revenue,
        response * slopes.response,
        revenue * slopes.revenue,
        base,
        reward,
        ends[0][0],
        none if ends[0][1] is None else ends[0][1],
        rules_that_hold(belief.main, posterior.encoded.matrix),
    )


def _by_part(effects: FloatArray, columns: FloatArray, groups: IntArray, n_facts: int) -> FloatArray:
    """Return (F, G, m): effects (F, 1, 1 + K) of one context times the offers' columns (m, 1 + K), summed by part."""
    found = np.zeros((n_facts, int(groups.max()) + 1, len(columns)))
    for part in range(found.shape[1]):
        own = groups == part
        found[: len(effects), part] = effects[:, 0, own] @ columns[:, own].T
    return found


def _expit_slope(start: FloatArray, end: FloatArray) -> FloatArray:
    """Return (expit(end) - expit(start)) / (end - start), and the derivative where both are close."""
    gap = end - start
    close = np.abs(gap) < _CLOSE
    middle = expit(0.5 * (start + end))
    tangent = middle * (1.0 - middle)
    # The secant is the tangent plus its second derivative x gap^2 / 24; the next term is of the fourth order.
    bent = tangent * (1.0 - 6.0 * tangent)
    near = tangent + bent * gap**2 / 24.0
    return np.where(close, near, (expit(end) - expit(start)) / np.where(close, 1.0, gap))


def _revenue_slope(start: FloatArray, end: FloatArray) -> FloatArray:
    """Return (exp(end) - exp(start)) / (end - start), with revenues bounded as everywhere."""
    bounded = np.maximum(start, end) > MAX_LOG_REVENUE
    gap = np.where(bounded, 1.0, end - start)
    free = np.exp(np.minimum(start, MAX_LOG_REVENUE)) * exprel(np.where(bounded, 0.0, gap))
    low, high = (np.exp(np.minimum(each, MAX_LOG_REVENUE)) for each in (start, end))
    return np.where(bounded, (high - low) / np.where(end == start, 1.0, end - start), free)

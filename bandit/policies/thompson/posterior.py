"""The posterior of offers' scores for given contexts: means, deviations, joint draws, and the rewards they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from scipy.special import expit

from bandit.domain import Contexts, FloatArray, IntArray
from bandit.models import BayesianLinear
from bandit.models.search_bounds import MAX_LOG_REVENUE
from bandit.policies.thompson.funnel import chance_weights, joint_logit
from bandit.policies.thompson.offer_model import OfferModel
from bandit.policies.thompson.offer_search import OfferSearch
from bandit.policies.thompson.reward_belief import EncodedContexts, RewardBelief

_Effects: TypeAlias = tuple[FloatArray, FloatArray]
"""Effects of the option columns (..., 1 + K), and weights of the pairs (M or 1, P)."""

VARIANCE_CELLS = 4_000_000
"""Most numbers of a design matrix that are held at once while variances are computed."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSpread:
    """The posterior of scores as location and scale: normal, or Student's t with `freedom` degrees of freedom.

    `scale` is (n, m), in the unit of the score. `freedom` is infinite for a normal posterior.
    """

    scale: FloatArray
    freedom: float


class OfferPosterior:
    """The belief about every offer's scores for n contexts.

    The main score is the log-odds of a conversion, or the raw reward for kind "reward"; where money counts the second
    score is the logarithm of the expected revenue given conversion: the mean of log revenue plus half its noise.
    Both are linear in the weights, so their posteriors are those of linear functions of a Gaussian (the amount's, whose
    noise is unknown, of a Student's t: Murphy, "Machine Learning: A Probabilistic Perspective" (2012), 7.6.3). A
    customer's own effects add their mean and, independently, their variance; without customers they count as 0. Where
    the catalogue declares a monotone attribute, its constraint is applied to the main scores at their mean, and to each
    draw. Where stages are learned, the main score is the log-odds of the product of their chances, and not linear.
    """

    def __init__(self, belief: RewardBelief, contexts: Contexts, search: OfferSearch | None = None) -> None:
        """Encode the contexts; `search` is that of a policy that does not score all offers."""
        self.belief = belief
        self.catalogue = belief.catalogue
        self.encoded = belief.encode(contexts)
        self._search = search
        effects, customers = belief.customer_effects, contexts.customers
        self._own_variance: FloatArray | None = None
        if effects is not None and len(customers):
            self._own_variance = effects.means_and_variances(effects.places(customers))[1]

    @property
    def n(self) -> int:
        """The number of contexts."""
        return len(self.encoded.matrix)

    @property
    def n_learned(self) -> int:
        """The number of outcomes that the main score was learned from."""
        return self.belief.main.n_learned

    @property
    def is_raw_reward(self) -> bool:
        """Whether the main score is the raw reward itself."""
        return self.belief.main.kind == "amount"

    @property
    def constrained(self) -> bool:
        """Whether a monotone attribute is declared, so that scores are not linear."""
        return bool(self.belief.constraints) or (self._search is not None and self._search.constrained)

    @property
    def linear(self) -> bool:
        """Whether the main scores are linear in the weights, so that their posterior is known exactly."""
        return not (self.constrained or self.belief.later)

    # -- at the mean -----------------------------------------------------------------------------------------------

    def scores(self, offers: IntArray) -> FloatArray:
        """Return the (n, m) main scores of offers at the mean."""
        return self.scores_of(self.encoded, offers)

    def scores_of(self, encoded: EncodedContexts, offers: IntArray, *, constrained: bool = True) -> FloatArray:
        """Return the (n, m) main scores of other encoded contexts, with or without the monotone constraints."""
        return self._main_scores(self._at_mean(encoded), offers, constrained)

    def stage_scores(self, encoded: EncodedContexts, offers: IntArray) -> list[FloatArray]:
        """Return the (n, m) scores of each stage at the mean, before any constraint: of one where none are learned."""
        parts = zip(self.models, self._at_mean(encoded), strict=True)
        return [_model_scores(model, effects, pairs, offers) for model, (effects, pairs) in parts]

    @property
    def models(self) -> tuple[OfferModel, ...]:
        """The models of the main score: of each stage, where stages are learned."""
        return (self.belief.main, *self.belief.later)

    def _at_mean(self, encoded: EncodedContexts) -> list[_Effects]:
        found: list[_Effects] = []
        for model in self.models:
            mean = model.model.weights.mean
            effects = model.design.effects(mean, model.columns(encoded.matrix))
            if not found and encoded.customer_effects is not None:
                effects = effects + encoded.customer_effects
            found.append((effects, model.design.pair_weights(mean[None])))
        return found

    def log_revenue(self, offers: IntArray) -> FloatArray | None:
        """Return the (n, m) logarithms of the expected revenue given conversion; None where money does not count."""
        return self.log_revenue_of(self.encoded, offers)

    def log_revenue_of(self, encoded: EncodedContexts, offers: IntArray) -> FloatArray | None:
        """Return the (n, m) logarithms of the expected revenue for other encoded contexts."""
        amount = self.belief.amount
        if amount is None:
            return None
        effects = amount.design.effects(amount.model.weights.mean, amount.columns(encoded.matrix))
        scores = effects @ amount.design.columns[offers].T
        return np.asarray(scores * amount.amount_scale.scale + amount.amount_scale.center + 0.5 * amount.noise)

    def rewards(self, offers: IntArray, scores: FloatArray, log_revenue: FloatArray | None) -> FloatArray:
        """Return the expected rewards that scores (..., m) of offers mean."""
        if self.is_raw_reward:
            return scores
        revenue = np.zeros(1) if log_revenue is None else np.exp(np.minimum(log_revenue, MAX_LOG_REVENUE))
        return self.catalogue.objective.expected(self.catalogue.money_of(offers), expit(scores), revenue)

    # -- uncertainty -----------------------------------------------------------------------------------------------

    def spread(self, offers: IntArray) -> ScoreSpread:
        """Return the posterior's scale of the main scores, before any monotone constraint.

        Where stages are learned it is the first-order one: from each stage's by the slope of the joint log-odds.
        """
        main = self.belief.main
        columns = main.design.columns[offers]
        variance = self._variance(main, offers)
        if self._own_variance is not None:
            variance = variance + self._own_variance @ (columns**2).T
        if self.belief.later:
            scores = self.stage_scores(self.encoded, offers)
            slopes = chance_weights(scores, scores)
            variance = variance * slopes[0] ** 2
            for model, slope in zip(self.belief.later, slopes[1:], strict=True):
                variance = variance + self._variance(model, offers) * slope**2
        return ScoreSpread(np.sqrt(variance), _freedom(main))

    def revenue_spread(self, offers: IntArray) -> ScoreSpread | None:
        """Return the posterior's scale of the logarithms of the expected revenue; None where money does not count.

        The noise of log revenue counts at its mean.
        """
        amount = self.belief.amount
        return None if amount is None else ScoreSpread(np.sqrt(self._variance(amount, offers)), _freedom(amount))

    def _variance(self, model: OfferModel, offers: IntArray) -> FloatArray:
        """Return the (n, m) squared scales of a model's scores."""
        contexts = model.columns(self.encoded.matrix)
        n, m = len(contexts), len(offers)
        weights, unit = model.model.weights, _unit(model)
        at_once = max(1, VARIANCE_CELLS // (max(m, 1) * model.design.size))
        variance = np.empty((n, m))
        for start in range(0, n, at_once):
            part = contexts[start : start + at_once]
            rows = model.design.rows(np.repeat(part, m, axis=0), np.tile(offers, len(part)))
            variance[start : start + at_once] = (weights.gain(rows) * rows).sum(axis=1).reshape(len(part), m)
        return np.maximum(variance, 0.0) * unit

    def draw(self, offers: IntArray, draws: int, rng: Generator) -> tuple[FloatArray, FloatArray | None]:
        """Return joint posterior draws of the offers' main scores and log revenues, (n, M, m) each."""
        main = self._draw_constrained(offers, draws, rng) if self.constrained else self._draw_linear(offers, draws, rng)
        amount = self.belief.amount
        if amount is None:
            return main, None
        revenue = self._project(amount, offers, draws, rng)
        scale = amount.amount_scale
        return main, revenue * scale.scale + scale.center + 0.5 * amount.noise

    def draw_chosen(self, offers: IntArray, draws: int, rng: Generator) -> FloatArray:
        """Return the expected rewards (n, M, c) of c offers (n, c) for each context, under M draws of the weights.

        One draw of the weights serves all contexts, so that means over contexts can be taken draw by draw. Customers'
        own effects count at their mean.
        """
        main, amount = self.belief.main, self.belief.amount
        weights = [_weight_draws(model, draws, rng) for model in self.models]
        amounts = None if amount is None else _weight_draws(amount, draws, rng)
        found = np.empty((self.n, draws, offers.shape[1]))
        at_once = max(1, VARIANCE_CELLS // (draws * max(offers.shape[1], main.design.columns.shape[1])))
        if self.constrained:
            at_once = max(1, VARIANCE_CELLS // (draws * self.catalogue.n_offers))
        for start in range(0, self.n, at_once):
            part = slice(start, start + at_once)
            encoded, chosen = self.encoded.take(part), offers[part]
            own = None if encoded.customer_effects is None else encoded.customer_effects[:, None, :]
            scores = self._chosen_scores(self._drawn_effects(weights, encoded.matrix, own), chosen)
            log_revenue = None
            if amount is not None and amounts is not None:
                columns = amount.design.columns[chosen.ravel()].reshape(*chosen.shape, -1)
                drawn = np.einsum("nmk,nck->nmc", _effects(amount, amounts, encoded.matrix), columns)
                scale = amount.amount_scale
                log_revenue = drawn * scale.scale + scale.center + 0.5 * amount.noise
            for place in range(len(chosen)):
                revenue = None if log_revenue is None else log_revenue[place]
                found[start + place] = self.rewards(chosen[place], scores[place], revenue)
        return found

    def _chosen_scores(self, parts: list[_Effects], chosen: IntArray) -> FloatArray:
        """Return (n, M, c) main scores of other offers (n, c) for each context."""
        if self.constrained:
            distinct, back = np.unique(chosen, return_inverse=True)
            scores = self._main_scores(parts, distinct, constrained=True)
            return np.take_along_axis(scores, back.reshape(chosen.shape)[:, None, :], axis=2)
        found = []
        for model, (effects, pairs) in zip(self.models, parts, strict=True):
            design = model.design
            columns = design.columns[chosen.ravel()].reshape(*chosen.shape, -1)
            scores = np.einsum("nmk,nck->nmc", effects, columns)
            if design.pairs.shape[1]:
                added = np.moveaxis(pairs @ design.pairs[chosen.ravel()].T, 0, 1)
                scores += added.reshape(*chosen.shape, -1).swapaxes(1, 2)
            found.append(scores)
        return self._scaled(joint_logit(found))

    def _draw_linear(self, offers: IntArray, draws: int, rng: Generator) -> FloatArray:
        main, columns = self.belief.main, self.belief.main.design.columns[offers]
        drawn = self._project(main, offers, draws, rng)
        if self.is_raw_reward:
            return self._scaled(drawn)
        later = [self._project(model, offers, draws, rng) for model in self.belief.later]
        return joint_logit([drawn + self._own_draws(draws, rng) @ columns.T, *later])

    def _project(self, model: OfferModel, offers: IntArray, draws: int, rng: Generator) -> FloatArray:
        """Return (n, M, m) draws of unscaled scores: of m linear functions of the weights, not of all weights."""
        contexts = model.columns(self.encoded.matrix)
        found = np.empty((len(contexts), draws, len(offers)))
        factor = np.sqrt(_variance_draws(model, draws, rng))[:, None]
        for place in range(len(contexts)):
            rows = model.design.rows(np.repeat(contexts[place : place + 1], len(offers), axis=0), offers)
            values, axes = np.linalg.eigh(model.model.weights.gain(rows) @ rows.T)
            root = axes * np.sqrt(np.maximum(values, 0.0))
            found[place] = rows @ model.model.weights.mean + factor * (
                rng.standard_normal((draws, len(offers))) @ root.T
            )
        return found

    def _own_draws(self, draws: int, rng: Generator) -> FloatArray:
        """Return (n, M, 1 + K) draws of the customers' own effects, all 0 without customers."""
        k = self.belief.main.design.columns.shape[1]
        mean = self.encoded.customer_effects
        location = np.zeros((self.n, k)) if mean is None else mean
        if self._own_variance is None:
            return np.repeat(location[:, None, :], draws, axis=1)
        normal = rng.standard_normal((self.n, draws, k))
        return np.asarray(location[:, None, :] + np.sqrt(self._own_variance)[:, None, :] * normal)

    def _draw_constrained(self, offers: IntArray, draws: int, rng: Generator) -> FloatArray:
        weights = [_weight_draws(model, draws, rng) for model in self.models]
        own = None if self.is_raw_reward else self._own_draws(draws, rng)
        return self._main_scores(self._drawn_effects(weights, self.encoded.matrix, own), offers, constrained=True)

    def _drawn_effects(self, weights: list[FloatArray], matrix: FloatArray, own: FloatArray | None) -> list[_Effects]:
        """Return each model's effects for n contexts under M draws of its weights, with customers' own in the first."""
        found: list[_Effects] = []
        for model, drawn in zip(self.models, weights, strict=True):
            effects = _effects(model, drawn, matrix)
            if not found and own is not None:
                effects += own
            found.append((effects, model.design.pair_weights(drawn)))
        return found

    def _main_scores(self, parts: list[_Effects], offers: IntArray, constrained: bool) -> FloatArray:
        """Return the (..., m) main scores from the effects and pairs of each model."""
        wanted, search = offers, self._search
        if constrained and search is not None:
            return self._scaled(search.scores(parts[0][0], offers))
        if constrained and self.belief.constraints:
            wanted = np.arange(self.catalogue.n_offers, dtype=np.int64)
        scores = joint_logit(
            [_model_scores(model, *part, wanted) for model, part in zip(self.models, parts, strict=True)]
        )
        if constrained and self.belief.constraints:
            for constraint in self.belief.constraints:
                constraint.apply(scores)
            scores = scores[..., offers]
        return self._scaled(scores)

    def _scaled(self, scores: FloatArray) -> FloatArray:
        """Return raw rewards in their own unit, and other scores as they are."""
        scale = self.belief.main.amount_scale
        return np.asarray(scores * scale.scale + scale.center) if self.is_raw_reward else scores


def _model_scores(model: OfferModel, effects: FloatArray, pairs: FloatArray, offers: IntArray) -> FloatArray:
    """Return (..., m) unscaled scores from (..., 1 + K) effects and the weights (M or 1, P) of the pairs."""
    return np.asarray(effects @ model.design.columns[offers].T + pairs @ model.design.pairs[offers].T)


def _unit(model: OfferModel) -> float:
    """Return the square of the factor from the covariance of unscaled scores to that of the score."""
    if not isinstance(model.model, BayesianLinear):
        return 1.0
    return model.model.rate / model.model.shape * model.amount_scale.scale**2


def _freedom(model: OfferModel) -> float:
    return 2.0 * model.model.shape if isinstance(model.model, BayesianLinear) else np.inf


def _weight_draws(model: OfferModel, draws: int, rng: Generator) -> FloatArray:
    """Return (M, D) draws of a model's weights."""
    mean = model.model.weights.mean
    factor = np.sqrt(_variance_draws(model, draws, rng))[:, None]
    return np.asarray(mean + factor * (model.model.weights.draw(draws, 1.0, rng) - mean))


def _effects(model: OfferModel, weights: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return the (n, M, 1 + K) effects of the option columns for all context columns (n, d) under M drawn weights."""
    return model.design.effects_of_draws(weights, model.columns(matrix))


def _variance_draws(model: OfferModel, draws: int, rng: Generator) -> FloatArray:
    """Return (M,) draws of the variance of the noise of standardised amounts; 1 for responses, which have none."""
    if not isinstance(model.model, BayesianLinear):
        return np.ones(draws)
    return np.asarray(model.model.rate / rng.gamma(model.model.shape, size=draws))

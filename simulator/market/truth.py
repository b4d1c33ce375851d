"""Exact expected values of offers, given all tastes or given only the observed facts.

Given all tastes the response is a logistic function and the basket a lognormal mean (times that of bulk purchases).
All effects of facts and time, threshold rules and drift among them, are in the features. Given facts only, score and
log basket are jointly Gaussian: the mean response is a one-dimensional Gaussian integral of the logistic function,
taken by Gauss-Hermite quadrature, and the mean revenue is the same integral with the score shifted by its
covariance with the log basket (exponential tilting: E[s(X) exp(Y)] = E[exp(Y)] E[s(X + cov(X, Y))]).
With 24 nodes the error of a response is below 1e-11 where the score's deviation is at most 1, below 1e-7 up to 1.5
(measured against adaptive integration, over scores from -6 to 3; the retail market has deviations of 0.6 to 0.7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.catalogue.objective import Money
from bandit.domain import FloatArray, IntArray
from simulator.market.market import Market

NODES = 24
"""Nodes of the Gauss-Hermite quadrature over hidden tastes."""

_LARGEST_SCORE = 500.0  # keeps exp(-score) finite; a response of exp(-500) is zero for every purpose


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Quadrature of hidden tastes and season: shifts of the score of each offer, (Q, N), and their weights (Q,)."""

    shifts: FloatArray
    weights: FloatArray

    def take(self, offers: IntArray) -> Mixture:
        """Return the mixture of some offers."""
        return Mixture(self.shifts[:, offers], self.weights)

    def moved(self, by: FloatArray) -> Mixture:
        """Return the mixture with the (N,) shifts added."""
        return Mixture(self.shifts + by, self.weights)


def mixture(deviation: FloatArray, season: tuple[FloatArray, FloatArray] | None = None, nodes: int = NODES) -> Mixture:
    """Return the product rule over a normal of (N,) deviations and, where given, a season's shifts and weights."""
    if deviation.any():
        points, weights = np.polynomial.hermite_e.hermegauss(nodes)
        weights = weights / weights.sum()
    else:
        points, weights = np.zeros(1), np.ones(1)
    shifts = points[:, None] * deviation
    if season is not None:
        moves, shares = season
        shifts = (shifts[:, None, :] + moves[None, :, None]).reshape(-1, shifts.shape[1])
        weights = np.outer(weights, shares).ravel()
    return Mixture(shifts, weights)


def mean_response(score: FloatArray, over: Mixture) -> FloatArray:
    """Return the mean of the logistic function of (n, N) scores over a mixture of shifts.

    One exponential a score: 1 / (1 + exp(-score - shift)) = 1 / (1 + exp(-score) exp(-shift)).
    """
    odds_against = np.exp(-np.clip(score, -_LARGEST_SCORE, _LARGEST_SCORE))
    factors = np.exp(-np.clip(over.shifts, -100.0, 100.0))
    if len(factors) == 1:
        return np.asarray(1.0 / (1.0 + odds_against * factors[0]))
    total = np.zeros_like(odds_against)
    part = np.empty_like(odds_against)
    for factor, weight in zip(factors, over.weights.tolist(), strict=True):
        np.multiply(odds_against, factor, out=part)
        part += 1.0
        np.divide(weight, part, out=part)
        total += part
    return total


def money_of(money: Money, offers: IntArray) -> Money:
    """Return the money of some offers."""
    return Money(money.rate[offers], money.contact_cost[offers], money.redemption_cost[offers])


def expected_money(market: Market, offers: IntArray, response: FloatArray, revenue: FloatArray) -> FloatArray:
    """Return the expected objective from P(convert) and E[revenue; convert] / P(convert) before returns.

    A purchase that is sent back counts as none, so only the share that is kept converts.
    """
    kept = response * (1.0 - market.returned[offers])
    return market.catalogue.objective.expected(money_of(market.catalogue.money, offers), kept, revenue)


def known_value(
    market: Market,
    features: FloatArray,
    hidden: FloatArray,
    offers: IntArray,
    season: FloatArray | float = 0.0,
    over: tuple[FloatArray, FloatArray] | None = None,
) -> FloatArray:
    """Return the (n, m) expected objective of m offers with every taste known.

    `season` is what the season adds, (n, 1) or a number; `over` are shifts and weights of an unknown season.
    """
    score = scores(market, features, hidden, offers) + season
    basket = baskets(market, features, hidden, offers)
    response = mean_response(score, mixture(np.zeros(len(offers)), over))
    return expected_money(market, offers, response, np.exp(basket + market.scenario.log_mean_purchase))


def facts_value(
    market: Market,
    features: FloatArray,
    offers: IntArray,
    season: FloatArray | float = 0.0,
    over: tuple[FloatArray, FloatArray] | None = None,
    nodes: int = NODES,
) -> FloatArray:
    """Return the (n, m) expected objective of m offers given the facts only, hidden tastes integrated out."""
    loading = market.score_loading[:, offers]
    deviation = np.sqrt((loading**2).sum(axis=0))
    together = market.basket_loading @ loading
    score = market.score_offset[offers] + features @ market.score_map[:, offers] + season
    tastes = mixture(deviation, over, nodes)
    response = mean_response(score, tastes)
    tilted = mean_response(score, tastes.moved(together)) if together.any() else response
    spread = market.scenario.log_mean_purchase + market.basket_loading @ market.basket_loading / 2
    basket = market.basket_offset[offers] + features @ market.basket_map[:, offers] + spread
    return expected_money(market, offers, response, np.exp(basket) * (tilted / response))


def scores(market: Market, features: FloatArray, hidden: FloatArray, offers: IntArray) -> FloatArray:
    """Return (n, m) logits of the response with every taste known, without season."""
    return np.asarray(
        market.score_offset[offers] + features @ market.score_map[:, offers] + hidden @ market.score_loading[:, offers]
    )


def baskets(market: Market, features: FloatArray, hidden: FloatArray, offers: IntArray) -> FloatArray:
    """Return (n, m) means of the log basket of one purchase with every taste known."""
    mean = market.basket_offset[offers] + features @ market.basket_map[:, offers]
    return np.asarray(mean + (hidden @ market.basket_loading)[:, None])


def score_of(market: Market, features: FloatArray, hidden: FloatArray, offer: IntArray) -> FloatArray:
    """Return (n,) logits, one offer a row, without season."""
    score = market.score_offset[offer] + np.einsum("nf,nf->n", features, market.score_map.T[offer])
    return np.asarray(score + np.einsum("nh,nh->n", hidden, market.score_loading.T[offer]))


def basket_of(market: Market, features: FloatArray, hidden: FloatArray, offer: IntArray) -> FloatArray:
    """Return (n,) means of the log basket, one offer a row."""
    mean = market.basket_offset[offer] + np.einsum("nf,nf->n", features, market.basket_map.T[offer])
    return np.asarray(mean + hidden @ market.basket_loading)

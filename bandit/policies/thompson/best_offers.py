"""The offer with the highest expected reward under each posterior draw: what propensities are counted from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import BoolArray, IntArray
from bandit.models.arrays import Float32Array
from bandit.models.shared_design import WeightDraws

if TYPE_CHECKING:
    from bandit.policies.thompson.reward_belief import EncodedContexts, RewardBelief

BEST_OFFER_CELLS = 300_000
"""Scores (contexts x draws x offers) that one array of 1.2 MB holds at a time, near the caches."""


def best_offers(belief: RewardBelief, drawn: WeightDraws, encoded: EncodedContexts, eligible: BoolArray) -> IntArray:
    """Return the (n, M) offers with the highest expected reward of n contexts under M draws, the first of equal ones.

    `eligible` (n, N) are the offers that may be best; a row without any has an arbitrary offer.
    """
    n, n_offers = eligible.shape
    draws = drawn.draws
    at_once = min(n, max(1, BEST_OFFER_CELLS // (draws * n_offers)))
    scores = np.empty((at_once * draws, n_offers), dtype=np.float32)
    found = np.empty((n, draws), dtype=np.int64)
    values = _Values(belief, drawn, encoded, eligible)
    for start in range(0, n, max(1, at_once)):
        part = slice(start, min(start + at_once, n))
        values.of(part, scores).argmax(axis=2, out=found[part])
    return found


class _Values:
    """Expected rewards of all offers, or numbers of the same order, under draws; -inf where not eligible."""

    def __init__(self, belief: RewardBelief, drawn: WeightDraws, encoded: EncodedContexts, eligible: BoolArray) -> None:
        self._belief, self._drawn, self._encoded, self._eligible = belief, drawn, encoded, eligible
        own = encoded.customer_effects
        self._own: Float32Array | None = None if own is None else own.astype(np.float32)
        self._all_eligible = bool(eligible.all())
        self._worth: Float32Array | None = None
        self._cost: Float32Array
        if belief.amount is None:
            return
        worth, cost = belief.catalogue.objective.worth(belief.catalogue.money, belief.revenue(encoded, belief.amount))
        self._worth = worth.astype(np.float32)
        if self._all_eligible and len(eligible) > 1:
            # The same for all contexts; repeated for the draws, since whole arrays are subtracted twice as quickly.
            self._cost = np.tile(cost.astype(np.float32), (drawn.draws, 1))
        elif self._all_eligible:
            self._cost = cost.astype(np.float32)[None]
        else:
            self._cost = np.where(eligible, cost, np.inf).astype(np.float32)[:, None, :]

    def of(self, part: slice, out: Float32Array) -> Float32Array:
        """Return those of some contexts, (n, M, N); `out` (at least n x M, N) may be overwritten."""
        belief, drawn, encoded, own = self._belief, self._drawn, self._encoded, self._own
        if len(self._eligible) > 1:
            encoded, own = encoded.take(part), None if own is None else own[part]
        if self._worth is None:
            scores = self._constrained(encoded, own, out)
            if not self._all_eligible:  # the logit has the order of P(convert): the same offer wins
                scores += np.where(self._eligible[part], np.float32(0.0), np.float32(-np.inf))[:, None, :]
            return scores
        # Reward of an offer = worth / (1 + exp(-score)) - cost; only the score differs between draws. In place.
        if belief.funnel is not None and not belief.constraints:
            scores = belief.main.draw_scores(drawn, encoded.matrix, own, -1, out)
            scores = belief.funnel.odds_against(scores, drawn.later, encoded.matrix)
        else:
            if belief.constraints:
                scores = -self._constrained(encoded, own, out)
            else:
                scores = belief.main.draw_scores(drawn, encoded.matrix, own, -1, out)
            with np.errstate(over="ignore"):  # infinite odds against are a probability of 0
                np.exp(scores, out=scores)
        scores += np.float32(1.0)
        np.divide(self._worth[part][:, None, :], scores, out=scores)
        scores -= self._cost if self._cost.ndim == 2 else self._cost[part]
        return scores

    def _constrained(self, encoded: EncodedContexts, own: Float32Array | None, out: Float32Array) -> Float32Array:
        """Return the (n, M, N) scores, within the monotone constraints."""
        belief, drawn = self._belief, self._drawn
        if belief.funnel is not None:
            first = belief.main.draw_scores(drawn, encoded.matrix, own, -1, out)
            odds = belief.funnel.odds_against(first, drawn.later, encoded.matrix)
            scores = np.negative(np.log(np.maximum(odds, np.float32(1e-30))))
        else:
            scores = belief.main.draw_scores(drawn, encoded.matrix, own, 1, out)
        for constraint in belief.constraints:
            constraint.apply(scores)
        return scores

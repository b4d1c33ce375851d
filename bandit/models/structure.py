"""How offers share weights: score = base(x) + sum over option columns of effect(x) + pairs.

A weight for every (option column, context column), one for every context column alone (the base), and one for
every pair column; so D = (1 + K) d + P, however many offers there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bandit.domain import FloatArray, IntArray
from bandit.models.gaussian import Gaussian


@dataclass(frozen=True, slots=True)
class PriorScales:
    """Prior standard deviations of the groups of weights; context columns are of about unit size."""

    base: float
    base_context: float
    option: float
    option_context: float
    pair: float


class Structure:
    """The weights that N offers share, for d context columns; knows where each weight stands in the belief."""

    def __init__(self, main: FloatArray, pairs: FloatArray, n_context: int) -> None:
        """Take (N, K) option columns and (N, P) pair columns; the first of the d context columns is the intercept."""
        self.columns = np.column_stack([np.ones(len(main)), main])
        self.pairs = pairs
        self.n_context = n_context
        # All that multiplies the effects of a context, contiguous for the product: (N, 1 + K + P).
        self._table32 = np.ascontiguousarray(np.column_stack([self.columns, pairs]), dtype=np.float32)

    @property
    def size(self) -> int:
        """The number of weights, D."""
        return int(self.columns.shape[1] * self.n_context + self.pairs.shape[1])

    def prior_variance(self, scales: PriorScales) -> FloatArray:
        """Return the (D,) prior variances."""
        deviation = np.full((self.columns.shape[1], self.n_context), scales.option_context)
        deviation[:, 0] = scales.option
        deviation[0, :] = scales.base_context
        deviation[0, 0] = scales.base
        return np.asarray(np.concatenate([deviation.ravel(), np.full(self.pairs.shape[1], scales.pair)]) ** 2)

    def rows(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the (n, D) rows of the chosen offers: contexts (n, d), offer (n,)."""
        n = len(offer)
        products = self.columns[offer][:, :, None] * contexts[:, None, :]
        return np.concatenate([products.reshape(n, -1), self.pairs[offer]], axis=1)

    def places_after_growth(self, kept: IntArray, n_context: int) -> IntArray:
        """Return where each weight stands once the context columns are `n_context`, mine being those in `kept`."""
        n_columns, n_pairs = self.columns.shape[1], self.pairs.shape[1]
        products = (np.arange(n_columns)[:, None] * n_context + kept[None, :]).ravel()
        return np.concatenate([products, n_columns * n_context + np.arange(n_pairs)]).astype(np.int64)

    def effects(self, belief: Gaussian, contexts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean (n, G) and covariance (n, G, G) of each context's G = 1 + K + P effects.

        For one context, the offers' scores are their columns and pairs times these effects. The covariance is the
        belief's, contracted with the context on both sides: the D x D matrix is read once and never factored.
        """
        n, d = contexts.shape
        k, p = self.columns.shape[1], self.pairs.shape[1]
        mean = np.empty((n, k + p))
        mean[:, :k] = contexts @ belief.mean[: k * d].reshape(k, d).T
        mean[:, k:] = belief.mean[k * d :]
        half = np.ascontiguousarray(belief.covariance[:, : k * d]).reshape(-1, d) @ contexts.T
        half = half.reshape(k * d + p, k, n)
        covariance = np.empty((n, k + p, k + p))
        covariance[:, :k, :k] = np.einsum("kdln,nd->nkl", half[: k * d].reshape(k, d, k, n), contexts)
        cross = half[k * d :].transpose(2, 0, 1)
        covariance[:, k:, :k] = cross
        covariance[:, :k, k:] = cross.transpose(0, 2, 1)
        covariance[:, k:, k:] = belief.covariance[k * d :, k * d :]
        return mean, covariance

    def mean_scores(self, belief: Gaussian, contexts: FloatArray) -> FloatArray:
        """Return the (n, N) scores at the belief's mean."""
        d, k = self.n_context, self.columns.shape[1]
        effects = contexts @ belief.mean[: k * d].reshape(k, d).T
        return np.asarray(effects @ self.columns.T + self.pairs @ belief.mean[k * d :])

    def draw_scores(
        self, belief: Gaussian, contexts: FloatArray, draws: int, width: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return (n, draws, N) scores under posterior draws, each context with draws of its own.

        `width` scales the draws' deviation from the mean. The factor is float64; the draws are float32: a score is
        then right to about 1e-6, far below the deviation it is drawn with, in half the time.
        """
        mean, covariance = self.effects(belief, contexts)
        factor = np.linalg.cholesky(covariance)
        factor *= width
        normal = rng.standard_normal((len(contexts), draws, mean.shape[1]), dtype=np.float32)
        effects = normal @ factor.astype(np.float32).transpose(0, 2, 1)
        effects += mean[:, None, :].astype(np.float32)
        return np.asarray(effects @ self._table32.T, dtype=np.float32)

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
        self._root: FloatArray | None = None
        self._table: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)

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

    def mean_scores(self, belief: Gaussian, contexts: FloatArray) -> FloatArray:
        """Return the (n, N) scores at the belief's mean."""
        d, k = self.n_context, self.columns.shape[1]
        effects = contexts @ belief.mean[: k * d].reshape(k, d).T
        return np.asarray(effects @ self.columns.T + self.pairs @ belief.mean[k * d :])

    def draw_scores(
        self, belief: Gaussian, contexts: FloatArray, draws: int, width: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return (n, draws, N) scores under posterior draws, each context with draws of its own.

        `width` scales the draws' deviation from the mean. A context's scores come from its 1 + K effects and the P
        pair weights, jointly Gaussian. The pairs, the same for every context, are drawn by a factor that is kept until
        the belief changes; the effects given the pairs by a (1 + K) x (1 + K) factor a context, of the belief's
        covariance contracted with the context on both sides. So the D x D matrix is read once and never factored.
        Factors are float64, draws float32: a score is right to about 1e-6, far below the deviation it is drawn with.
        """
        n, d = contexts.shape
        k = self.columns.shape[1]
        root, inverse = belief.tail_factor(k * d)
        half = contexts @ belief.covariance[: k * d].reshape(k, d, -1)
        left = half[:, :, : k * d].reshape(k, n, k, d).transpose(1, 0, 2, 3)
        effects = np.matmul(left, contexts[:, None, :, None])[..., 0]
        on_pairs = half[:, :, k * d :].transpose(1, 0, 2) @ inverse.T
        given_pairs = np.linalg.cholesky(effects - on_pairs @ on_pairs.transpose(0, 2, 1))
        normal = rng.standard_normal((n, draws, k + len(root)), dtype=np.float32)
        # effects = factor x normal and pairs = root x normal, in one product with the offers' columns
        factor = np.concatenate([given_pairs, on_pairs], axis=2).astype(np.float32)
        normal[:, :, :k] = normal @ factor.transpose(0, 2, 1)
        scores = normal @ self._table_for(root)
        scores *= np.float32(width)
        scores += self.mean_scores(belief, contexts)[:, None, :].astype(np.float32)
        return np.asarray(scores, dtype=np.float32)

    def _table_for(self, root: FloatArray) -> NDArray[np.float32]:
        """Return what multiplies (effects, normals of the pairs) to give scores: (1 + K + P, N)."""
        if self._root is not root:
            self._root = root
            self._table = np.concatenate([self.columns.T, root.T @ self.pairs.T]).astype(np.float32)
        return self._table

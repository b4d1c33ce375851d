"""The design of weights that offers share: score = base(x) + sum over option columns of effect(x) + pairs.

There is a weight for every (option column, context column), one for every context column alone (the base), one for
every pair column, and one for every cross, a further context column that acts on one option column or the base only;
so D = (1 + K) d + P + C, however many offers there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from bandit.domain import FactoredColumns, FloatArray, IntArray
from bandit.models.arrays import Float32Array
from bandit.models.weight_belief import WeightBelief


@dataclass(frozen=True, slots=True, eq=False)
class WeightDraws:
    """M draws of the weights, prepared for any context: they serve every decision until the belief changes.

    `effects` is (M (1 + K), d), to be multiplied with a context; `pairs` is (M, N), the pairs' part of the scores, or
    (M, 0) where there are none. `crosses` is (M, C). `later` are draws of further models that are scored with these, as
    of later stages.
    """

    effects: Float32Array
    pairs: Float32Array
    crosses: Float32Array
    later: tuple[WeightDraws, ...] = ()

    @property
    def is_finite(self) -> bool:
        """Whether all numbers are finite, those of `later` among them."""
        own = all(np.isfinite(part).all() for part in (self.effects, self.pairs, self.crosses))
        return own and all(each.is_finite for each in self.later)

    @property
    def draws(self) -> int:
        """The number of draws, M."""
        return len(self.pairs)


class SharedDesign:
    """The layout of the weights that N offers share, for d context columns and C crosses, in a belief over D weights.

    Contexts are (n, d + C): the context columns, of which the first is the intercept, then the columns of the crosses.
    """

    def __init__(
        self, main: FloatArray | FactoredColumns, pairs: FloatArray, n_context: int, targets: IntArray | None = None
    ) -> None:
        """Take (N, K) option columns and (N, P) pair columns; `targets` (C,) of the crosses count the base as 0."""
        self.columns: FloatArray | FactoredColumns
        if isinstance(main, FactoredColumns):
            self.columns = main.with_intercept()
        else:
            self.columns = np.column_stack([np.ones(len(main)), main])
        self.pairs = pairs
        self.n_context = n_context
        self.targets: IntArray = np.zeros(0, dtype=np.int64) if targets is None else targets
        self.n_columns = int(self.columns.shape[1])
        """The number of columns of an offer, 1 + K."""
        self.first_pair = self.n_columns * n_context
        """The place of the first weight of a pair, after the products of option and context columns."""
        self.first_cross = self.first_pair + int(pairs.shape[1])
        """The place of the first weight of a cross, after those of the pairs."""
        self.size = self.first_cross + len(self.targets)
        """The number of weights, D."""
        self._target_rows = np.eye(self.n_columns)[self.targets]
        self._target_rows32 = self._target_rows.astype(np.float32)

    @cached_property
    def table(self) -> Float32Array:
        """The (1 + K, N) columns, for scoring every offer."""
        return np.ascontiguousarray(self.columns[:].T, dtype=np.float32)

    @cached_property
    def _sparse_pairs(self) -> csr_array:
        """The (N, P) pair columns: an offer has one pair of each two dimensions, and all others are 0."""
        return csr_array(self.pairs)

    @cached_property
    def _negative(self) -> Float32Array:
        return -self.table

    def pair_weights(self, weights: FloatArray) -> FloatArray:
        """Return the (..., P) weights of the pairs among (..., D)."""
        return weights[..., self.first_pair : self.first_cross]

    def labels(self, column_owner: IntArray, context_group: IntArray, n_groups: int) -> IntArray:
        """Return the (D,) group of each weight: owner of its option column x group of its context column.

        `column_owner` is (1 + K,), the base's first; `context_group` (d,) lies below `n_groups`; the group of the pairs
        is the next one. Crosses are left out.
        """
        products = column_owner[:, None] * n_groups + context_group[None, :]
        last = (int(column_owner.max()) + 1) * n_groups
        return np.concatenate([products.ravel(), np.full(self.pairs.shape[1], last)]).astype(np.int64)

    def blocks(self, context_block: IntArray) -> IntArray:
        """Return the (D,) block of each weight: that of its context column (d,); pairs and crosses are in 0."""
        products = np.tile(context_block, self.n_columns)
        return np.concatenate([products, np.zeros(self.size - len(products), dtype=np.int64)])

    def rows(self, contexts: FloatArray, offer: IntArray) -> FloatArray:
        """Return the (n, D) rows of the chosen offers: contexts (n, d + C), offer (n,)."""
        n, columns = len(offer), self.columns[offer]
        products = (columns[:, :, None] * contexts[:, None, : self.n_context]).reshape(n, -1)
        if not len(self.targets):
            return np.concatenate([products, self.pairs[offer]], axis=1)
        crosses = contexts[:, self.n_context :] * columns[:, self.targets]
        return np.concatenate([products, self.pairs[offer], crosses], axis=1)

    def row(self, context: FloatArray, offer: int) -> FloatArray:
        """Return the (D,) row of one offer: that of `rows`, for a context (d + C,)."""
        columns, d = self.columns[offer : offer + 1], self.n_context
        found = np.empty(self.size)
        np.multiply(columns.T, context[:d], out=found[: self.first_pair].reshape(-1, d))
        found[self.first_pair : self.first_cross] = self.pairs[offer]
        if self.size > self.first_cross:
            np.multiply(context[d:], columns[0, self.targets], out=found[self.first_cross :])
        return found

    def places_after_growth(self, kept: IntArray, n_context: int) -> IntArray:
        """Return each weight's place once there are `n_context` context columns, the present ones at places `kept`."""
        n_columns, n_others = self.n_columns, self.pairs.shape[1] + len(self.targets)
        products = (np.arange(n_columns)[:, None] * n_context + kept[None, :]).ravel()
        return np.concatenate([products, n_columns * n_context + np.arange(n_others)]).astype(np.int64)

    def effects(self, weights: FloatArray, contexts: FloatArray) -> FloatArray:
        """Return the (n, 1 + K) effects of the option columns for (n, d + C) contexts at (D,) weights."""
        d, k = self.n_context, self.n_columns
        found = contexts[:, :d] @ weights[: k * d].reshape(k, d).T
        if len(self.targets):
            found += (contexts[:, d:] * weights[self.first_cross :]) @ self._target_rows
        return np.asarray(found)

    def effects_of_draws(self, weights: FloatArray, contexts: FloatArray) -> FloatArray:
        """Return the (n, M, 1 + K) effects for (n, d + C) contexts at (M, D) weights, in double precision."""
        d, k = self.n_context, self.n_columns
        found = (contexts[:, :d] @ weights[:, : k * d].reshape(-1, d).T).reshape(len(contexts), len(weights), k)
        if len(self.targets):
            found += (contexts[:, None, d:] * weights[None, :, self.first_cross :]) @ self._target_rows
        return np.asarray(found)

    def mean_scores(
        self, belief: WeightBelief, contexts: FloatArray, customer_effects: FloatArray | None = None
    ) -> FloatArray:
        """Return the (n, N) scores at the belief's mean; `customer_effects` (n, 1 + K) are added."""
        effects = self.effects(belief.mean, contexts)
        if customer_effects is not None:
            effects += customer_effects
        scores = effects @ self.columns[:].T
        if self.pairs.shape[1]:
            scores += self.pairs @ self.pair_weights(belief.mean)
        return np.asarray(scores)

    def draw(self, belief: WeightBelief, draws: int, width: float, rng: np.random.Generator) -> WeightDraws:
        """Return joint draws of all weights; the D x D factor is needed here and never for a decision."""
        return self.as_draws(belief.draw(draws, width, rng))

    def as_draws(self, weights: FloatArray) -> WeightDraws:
        """Return (M, D) weights in the form in which draws are scored."""
        d, k, draws = self.n_context, self.n_columns, len(weights)
        effects = np.ascontiguousarray(weights[:, : k * d].reshape(draws * k, d), dtype=np.float32)
        crosses = weights[:, self.first_cross :].astype(np.float32)
        if not self.pairs.shape[1]:
            return WeightDraws(effects, np.zeros((draws, 0), dtype=np.float32), crosses)
        pairs = self._sparse_pairs @ np.ascontiguousarray(self.pair_weights(weights).T)
        return WeightDraws(effects, np.ascontiguousarray(pairs.T, dtype=np.float32), crosses)

    def draw_effects(self, drawn: WeightDraws, contexts: FloatArray) -> Float32Array:
        """Return the (n, M, 1 + K) effects of the option columns for (n, d + C) contexts under the draws."""
        n, d, k = len(contexts), self.n_context, self.n_columns
        effects: Float32Array = (contexts[:, :d].astype(np.float32) @ drawn.effects.T).reshape(n, drawn.draws, k)
        if n == 1 and len(self.targets):
            effects[0] += drawn.crosses @ (contexts[0, d:, None].astype(np.float32) * self._target_rows32)
        elif len(self.targets):
            cells = contexts[:, d:].astype(np.float32)
            for target in np.unique(self.targets).tolist():
                own = np.flatnonzero(self.targets == target)
                effects[:, :, target] += cells[:, own] @ drawn.crosses[:, own].T
        return effects

    def draw_scores(
        self,
        drawn: WeightDraws,
        contexts: FloatArray,
        customer_effects: Float32Array | None = None,
        sign: Literal[1, -1] = 1,
        out: Float32Array | None = None,
    ) -> Float32Array:
        """Return (n, M, N) scores of (n, d + C) contexts under the draws; `customer_effects` (n, 1 + K) are added.

        With `sign` -1, the negative scores: cheaper here than in a second pass. Draws are float32: a score is exact to
        about 1e-6, far below the deviation it was drawn with. They are in the first rows of `out` (n M or more, N),
        where it is given.
        """
        n, k = len(contexts), self.n_columns
        effects = self.draw_effects(drawn, contexts)
        if customer_effects is not None:
            effects += customer_effects[:, None, :]
        table = self.table if sign == 1 else self._negative
        rows = effects.reshape(-1, k)
        found = np.matmul(rows, table, out=None if out is None else out[: len(rows)])
        scores = found.reshape(n, drawn.draws, table.shape[1])
        if self.pairs.shape[1]:
            (np.add if sign == 1 else np.subtract)(scores, drawn.pairs, out=scores)
        return np.asarray(scores)

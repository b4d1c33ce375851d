"""Ridge regression of rewards over the structure of the offers: the default reward model.

It gives q(x, a) to the direct and the doubly robust estimators and does not depend on any policy. An effect that it
cannot express makes the intervals of `dr` wider, not wrong, since the model is cross-fitted and `dr` corrects it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import Contexts, FloatArray, IntArray, LoggedBatch
    from bandit.encoding.encoder import Encoder

MAX_REGRESSION_COLUMNS = 1_500
"""Most columns of the regression; above it the pairs are left out first, then the terms of context times option."""

_PRODUCT_CELLS = 1_000_000
# Rows whose context columns are made at a time, so that they stay in the processor's cache.
_BLOCK_ROWS = 8_192
# Penalties tried, relative to a column's own sum of squares; the last is close to predicting the mean.
_PENALTIES = 10.0 ** np.arange(-6.0, 4.5, 0.5)


class RidgeReward:
    """Ridge regression of the reward on x, a, x times a, and pairs(a); learned in one pass, solved once.

    x are the context columns with the intercept, a the option columns. An offer's columns do not depend on the
    context, so the cross-products are gathered as sums of x x' a offer and then multiplied out: d^2 numbers a row
    instead of (d K)^2. Columns are centred and scaled before they are penalised; the penalty is the one with the
    smallest generalised cross-validation score (Golub, Heath and Wahba 1979, "Generalized cross-validation as a
    method for choosing a good ridge parameter"), over a grid.

    With d context columns, K option columns and P pairs there are d (K + 1) + P columns; where these are more than
    MAX_REGRESSION_COLUMNS the pairs are left out, and then x times a.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        d = encoder.n_context
        # Offer columns that are crossed with all of x, and those that are not.
        self._crossed, self._alone = _layout(d, encoder.offers.main, encoder.offers.pairs)
        j, e = self._crossed.shape[1], self._alone.shape[1]
        self._n, self._weight, self._squares = 0, 0.0, 0.0
        self._cc, self._ca, self._aa = np.zeros((d * d, j * j)), np.zeros((d, j * e)), np.zeros((e, e))
        self._cy, self._ay = np.zeros((d, j)), np.zeros(e)
        self._solution: tuple[FloatArray, FloatArray, float] | None = None

    def learn(self, batch: LoggedBatch, weight: FloatArray | None = None) -> None:
        """Add the cross-products of a batch; a row of `weight` 2 counts like two rows of weight 1."""
        if not len(batch):
            return
        few = len(self._crossed) <= np.iinfo(np.uint16).max
        order = np.argsort(batch.offer.astype(np.uint16) if few else batch.offer, kind="stable")
        contexts, offer, reward = batch.contexts.take(order), batch.offer[order], batch.reward[order]
        root = None if weight is None else np.sqrt(weight[order])
        reward = reward if root is None else reward * root
        for start in range(0, len(batch), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            x = self.encoder.context_matrix(contexts.take(rows))
            self._gather(x if root is None else x * root[rows, None], offer[rows], reward[rows])
        self._n += len(batch)
        self._weight += len(batch) if weight is None else float(weight.sum())
        self._squares += float(reward @ reward)
        self._solution = None

    def __add__(self, other: RidgeReward) -> RidgeReward:
        """Return the regression of the decisions of both, which have encoders of the same scales."""
        both = copy.copy(self)
        both._n, both._weight = self._n + other._n, self._weight + other._weight
        both._squares, both._solution = self._squares + other._squares, None
        both._cc, both._ca, both._aa = self._cc + other._cc, self._ca + other._ca, self._aa + other._aa
        both._cy, both._ay = self._cy + other._cy, self._ay + other._ay
        return both

    def predict(self, contexts: Contexts) -> FloatArray:
        """Return the expected reward of every offer, (n, N); 0 before anything was learned."""
        crossed, alone, constant = self.solve()
        of_offers = self._alone @ alone + constant
        table = np.empty((contexts.n, len(of_offers)))
        for start in range(0, contexts.n, _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            x = self.encoder.context_matrix(contexts.take(rows))
            np.matmul(x @ crossed, self._crossed.T, out=table[rows])
            table[rows] += of_offers
        return table

    def solve(self) -> tuple[FloatArray, FloatArray, float]:
        """Return the coefficients (d, J) and (E,) and the constant, solved once after the last decision was learned."""
        if self._solution is None:
            self._solution = self._solve()
        return self._solution

    def _gather(self, x: FloatArray, offer: IntArray, reward: FloatArray) -> None:
        """Add rows that are sorted by offer."""
        starts = np.flatnonzero(np.diff(offer, prepend=-1))
        offers, ends = offer[starts], np.append(starts[1:], len(offer))
        d = x.shape[1]
        at_once = max(1, _PRODUCT_CELLS // d**2)
        for first in range(0, len(offers), at_once):
            part = slice(first, first + at_once)
            own = [slice(start, end) for start, end in zip(starts[part].tolist(), ends[part].tolist(), strict=True)]
            squares = np.empty((len(own), d, d))
            products = np.empty((len(own), d))
            for place, rows in enumerate(own):
                np.matmul(x[rows].T, x[rows], out=squares[place])
                np.matmul(reward[rows], x[rows], out=products[place])
            self._add_products(offers[part], squares.reshape(len(own), d * d), products)

    def _add_products(self, offers: IntArray, squares: FloatArray, products: FloatArray) -> None:
        """Add the sums of x x', (u, d d), and of x times the reward, (u, d), over the rows of u distinct offers."""
        a, p = self._crossed[offers], self._alone[offers]
        # The first context column is the intercept: its products are the sums, and the first of these the count.
        sums = squares[:, : products.shape[1]]
        counts = sums[:, 0]
        self._cc += squares.T @ (a[:, :, None] * a[:, None, :]).reshape(len(offers), -1)
        self._cy += products.T @ a
        if p.shape[1]:
            self._ca += sums.T @ (a[:, :, None] * p[:, None, :]).reshape(len(offers), -1)
            self._aa += (p * counts[:, None]).T @ p
            self._ay += products[:, 0] @ p

    def _solve(self) -> tuple[FloatArray, FloatArray, float]:
        """Return the (d, J) and (E,) coefficients and the constant."""
        d, (_, j), e = self.encoder.n_context, self._crossed.shape, self._alone.shape[1]
        gram = np.empty((d * j + e, d * j + e))
        gram[: d * j, : d * j] = self._cc.reshape(d, d, j, j).transpose(0, 2, 1, 3).reshape(d * j, d * j)
        gram[: d * j, d * j :] = self._ca.reshape(d * j, e)
        gram[d * j :, : d * j] = gram[: d * j, d * j :].T
        gram[d * j :, d * j :] = self._aa
        products = np.concatenate([self._cy.ravel(), self._ay])
        # Only ratios of weights matter: they are scaled so that their sum is the number of rows.
        scale = self._n / self._weight if self._weight > 0.0 else 0.0
        coefficients, constant = ridge(gram * scale, products * scale, self._squares * scale, self._n if scale else 0)
        return coefficients[: d * j].reshape(d, j), coefficients[d * j :], constant


def ridge(gram: FloatArray, products: FloatArray, squares: float, n: int) -> tuple[FloatArray, float]:
    """Return the (D,) coefficients and the constant of a ridge regression from its n rows' cross-products.

    `gram` is (D, D), of columns the first of which is 1 everywhere; `products` is (D,), of columns and outcome;
    `squares` the outcome's sum of squares. A column that does not vary has the coefficient 0.
    """
    if n < 2:
        return np.zeros(len(products)), float(products[0]) if n else 0.0
    mean, level = gram[0] / n, products[0] / n
    centred = gram - n * np.outer(mean, mean)
    deviation = np.sqrt(np.maximum(np.diagonal(centred), 0.0) / n)
    varies = deviation > 1e-7 * np.sqrt(np.diagonal(gram) / n)
    scale = np.where(varies, deviation, np.inf)
    cross = (products - mean * products[0]) / (scale * n)
    values, vectors = np.linalg.eigh(centred / (n * np.outer(scale, scale)))
    values = np.maximum(values, 0.0)
    turned = cross @ vectors
    shrunk = values[:, None] + _PENALTIES
    fitted = (turned[:, None] ** 2 * (values[:, None] + 2.0 * _PENALTIES) / shrunk**2).sum(axis=0)
    error = np.maximum(squares / n - level**2 - fitted, 0.0)
    freedom = 1.0 - (1.0 + (values[:, None] / shrunk).sum(axis=0)) / n
    score = np.where(freedom > 0.0, error / np.maximum(freedom, 1e-12) ** 2, np.inf)
    # The largest penalty of those with equal scores.
    best = len(score) - 1 - int(np.argmin(score[::-1]))
    coefficients = vectors @ (turned / shrunk[:, best]) / scale
    return coefficients, float(level - mean @ coefficients)


def _layout(d: int, main: FloatArray, pairs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the offer columns that are crossed with all of x, and those that are not."""
    one = np.ones((len(main), 1))
    with_main = np.concatenate([one, main], axis=1)
    none = np.zeros((len(main), 0))
    richest_first = [
        (with_main, pairs),
        (with_main, none),
        (one, np.concatenate([main, pairs], axis=1)),
        (one, main),
    ]
    for crossed, alone in richest_first:
        if d * crossed.shape[1] + alone.shape[1] <= MAX_REGRESSION_COLUMNS:
            return crossed, alone
    return richest_first[-1]

"""Bayesian linear regression with unknown noise (normal-inverse-gamma), learned online in any order."""

from __future__ import annotations

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.models.block_gaussian import weight_belief
from bandit.models.rates_of_change import RatesOfChange

LINEAR_BLOCK = 128
"""Observations learned at once: the n x n system stays small beside the D x D covariance."""


class BayesianLinear:
    """y = row @ w + noise; w | s2 ~ N(prior, s2 x covariance), s2 ~ InverseGamma(shape, rate).

    The conjugate update of Murphy, "Machine Learning: A Probabilistic Perspective" (2012), section 7.6.3, applied
    block by block; exact, so the order and the split of the observations do not matter except for rounding.
    """

    def __init__(
        self,
        mean: FloatArray,
        variance: FloatArray,
        shape: float = 2.0,
        rate: float = 1.0,
        blocks: IntArray | None = None,
    ) -> None:
        """Start from independent weights (D,); with `blocks` (D,), the covariance between blocks is dropped."""
        self.weights = weight_belief(mean, variance, blocks)
        self.shape = float(shape)
        self.rate = float(rate)
        self._start = self.shape, self.rate
        self.rates: RatesOfChange | None = None
        """Sees every observation before it is learned, where the weights move as time passes."""

    @property
    def noise(self) -> float:
        """The expected variance of the noise."""
        return self.rate / max(self.shape - 1.0, 0.5)

    def decay(self, kept: float) -> None:
        """Keep a share of what was learned of the noise; `Prior.decay` does the same for the weights."""
        shape, rate = self._start
        self.shape = shape + kept * (self.shape - shape)
        self.rate = rate + kept * (self.rate - rate)

    def update(self, rows: FloatArray, y: FloatArray, times: FloatArray | None = None) -> None:
        """Learn n observations: rows (n, D), y (n,), as often as `times` (n,) above 0 says, once by default.

        An observation that is learned s times counts as s equal ones: the sums that the belief depends on are the same
        as those of one row and y times sqrt(s), and the shape grows by s / 2.
        """
        if times is not None:
            root = np.sqrt(times)
            self.update(root[:, None] * rows, root * y)
            self.shape += 0.5 * (float(times.sum()) - len(y))
            return
        for start in range(0, len(y), LINEAR_BLOCK):
            block, observed = rows[start : start + LINEAR_BLOCK], y[start : start + LINEAR_BLOCK]
            residual = observed - block @ self.weights.mean
            if self.rates is not None and self.rates.watches:
                self.rates.see_amounts(block, self.weights.gain(block), residual, self.weights, self.noise)
            self.rate += 0.5 * self.weights.squared_residual(block, residual, 1.0)
            self.shape += 0.5 * len(observed)
            self.weights.condition(block, residual, np.ones(len(observed)))

    def retract(self, rows: FloatArray, y: FloatArray, times: FloatArray | None = None) -> None:
        """Remove observations that were learned before, exactly; `times` as they were learned."""
        if times is not None:
            root = np.sqrt(times)
            self.retract(root[:, None] * rows, root * y)
            self.shape -= 0.5 * (float(times.sum()) - len(y))
            return
        for start in range(0, len(y), LINEAR_BLOCK):
            block, observed = rows[start : start + LINEAR_BLOCK], y[start : start + LINEAR_BLOCK]
            residual = observed - block @ self.weights.mean
            if self.rates is not None and self.rates.watches:
                self.rates.remove_amounts(block, self.weights.gain(block), residual, self.weights)
            learned = 0.5 * self.weights.squared_residual(block, residual, -1.0)
            # Without the covariances between blocks, a little more may seem to have been learned than was.
            self.rate = max(self.rate - learned, 0.5 * self._start[1])
            self.shape -= 0.5 * len(observed)
            self.weights.downdate(block, residual, np.ones(len(observed)))

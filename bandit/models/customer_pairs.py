"""The variances of customers' effects, from how the outcomes of one customer go together: sums over pairs of outcomes.

Two outcomes of a customer have residuals r = w (y - p), whose product has the mean u1 u2 (a1' V a2) to first order,
with u the curvatures w p (1 - p), a the offers' columns and V the diagonal variances. The score of the variances at 0
and its information are sums over all pairs (Lin 1997, "Variance component testing in generalised linear models with
random effects", Biometrika 84), and one step of Fisher's scoring from there estimates them. No customer's effects have
to be known for that: modes of a few binary outcomes lie so near 0 that variances found in them shrink round by round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import FloatArray, IntArray

LEAST_VARIANCE, MOST_TIMES_GIVEN = 1e-4, 16.0
"""Bounds of a variance: the lower one, and the upper one as a multiple of the given variance."""


@dataclass(frozen=True, slots=True, eq=False)
class PairSums:
    """The score (d,) and information (d, d) of the variances of d dimensions' effects at 0; parts add with `+`."""

    score: FloatArray
    information: FloatArray

    @staticmethod
    def none(n: int) -> PairSums:
        """Return the sums of no pairs, for n dimensions."""
        return PairSums(np.zeros(n), np.zeros((n, n)))

    @staticmethod
    def of(columns: FloatArray, residual: FloatArray, curvature: FloatArray, owner: IntArray, n: int) -> PairSums:
        """Return the sums of m customers with k outcomes each: columns (m, k, 1 + K), the others (m, k).

        `owner` (1 + K,) is the dimension of each column, of n.
        """
        m, k = residual.shape
        if k < 2:
            return PairSums.none(n)
        alike = np.empty((n, m, k, k))
        for place in range(n):
            own = columns[:, :, owner == place]
            alike[place] = own @ own.transpose(0, 2, 1)
        alike[:, :, np.arange(k), np.arange(k)] = 0.0
        score = (np.matmul(alike, residual[None, :, :, None])[..., 0] * residual).sum(axis=2).sum(axis=1)
        known = (alike * (curvature[:, :, None] * curvature[:, None, :])).reshape(n, -1)
        return PairSums(0.5 * score, 0.5 * (known @ alike.reshape(n, -1).T))

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(self.score + other.score, self.information + other.information)

    def variances(self, given: FloatArray) -> FloatArray:
        """Return the estimated variances (d,), which start from N(given, given^2) each.

        >>> PairSums(np.array([2.0]), np.array([[3.0]])).variances(np.array([1.0])).tolist()
        [0.75]
        """
        own = 1.0 / given**2
        found = np.linalg.solve(self.information + np.diag(own), self.score + own * given)
        return np.asarray(np.clip(found, LEAST_VARIANCE, MOST_TIMES_GIVEN * given))

"""A Gaussian belief over D weights, kept as mean and covariance and updated in place, O(D^2) an observation."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from bandit.domain import FloatArray, IntArray


class Gaussian:
    """N(mean, covariance) over D weights; the prior is independent, with the variances given."""

    def __init__(self, mean: FloatArray, variance: FloatArray) -> None:
        self.mean = np.array(mean, dtype=np.float64)
        self.covariance = np.diag(np.asarray(variance, dtype=np.float64))
        self._tail: tuple[int, FloatArray, FloatArray] | None = None

    def take_over(self, mean: FloatArray, covariance: FloatArray) -> None:
        """Become another belief."""
        self.mean, self.covariance, self._tail = mean, covariance, None

    def tail_factor(self, start: int) -> tuple[FloatArray, FloatArray]:
        """Return the Cholesky factor of the covariance of the weights from `start` on, and the factor's inverse.

        Kept until the belief changes; the inverse of a triangle serves every decision until then.
        """
        if self._tail is None or self._tail[0] != start:
            root: FloatArray = np.asarray(np.linalg.cholesky(self.covariance[start:, start:]), dtype=np.float64)
            inverse: FloatArray = root
            if len(root):
                inverse = np.asarray(solve_triangular(root, np.eye(len(root)), lower=True), dtype=np.float64)
            self._tail = (start, root, inverse)
        _, root, inverse = self._tail
        return root, inverse

    @property
    def size(self) -> int:
        """The number of weights, D."""
        return len(self.mean)

    def condition(self, rows: FloatArray, residual: FloatArray, variance: FloatArray) -> None:
        """Learn n noisy linear observations at once (the matrix inversion lemma, n x n to solve).

        `rows` (n, D), `residual` = observed - rows @ mean (n,), `variance` of each observation's noise (n,).
        """
        self._observe(rows, residual, variance, 1.0)

    def release(self, rows: FloatArray, residual: FloatArray, variance: FloatArray) -> None:
        """Take back what `condition` learned from the same rows; `residual` is against the mean of now."""
        self._observe(rows, residual, variance, -1.0)

    def _observe(self, rows: FloatArray, residual: FloatArray, variance: FloatArray, sign: float) -> None:
        """Add observations (sign 1) or take them back (sign -1)."""
        gain = rows @ self.covariance
        system = sign * (gain @ rows.T)
        system[np.diag_indices_from(system)] += variance
        factor = np.linalg.cholesky(system)
        half = solve_triangular(factor, gain, lower=True, check_finite=False)
        self.mean += sign * (half.T @ solve_triangular(factor, residual, lower=True, check_finite=False))
        self.narrow(half, sign)

    def narrow(self, half: FloatArray, sign: float = 1.0) -> None:
        """Take half' half from the covariance, (m, D); with sign -1, give it back.

        A product with its own transpose is symmetric to the last bit, so the covariance stays so too.
        """
        self._tail = None
        self.covariance -= sign * (half.T @ half)

    def shift(self, rows: FloatArray, change: FloatArray) -> None:
        """Add rows' @ change to the natural mean (precision times mean); the precision stays as it is."""
        self.mean += (change @ rows) @ self.covariance

    def grow(self, places: IntArray, mean: FloatArray, variance: FloatArray) -> None:
        """Embed the weights in a larger belief at `places`; the others get the prior given, size of `mean`.

        Exact, not an approximation: a weight whose column was 0 in all that was learned still has its prior,
        independent of the rest.
        """
        grown = np.diag(variance)
        grown[np.ix_(places, places)] = self.covariance
        new_mean = np.array(mean, dtype=np.float64)
        new_mean[places] = self.mean
        self.take_over(new_mean, grown)


def solve_positive(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a symmetric positive definite system by Cholesky factors."""
    return np.asarray(cho_solve(cho_factor(matrix, lower=True, check_finite=False), right, check_finite=False))

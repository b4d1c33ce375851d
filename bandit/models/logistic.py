"""Bayesian logistic regression, learned online by Laplace steps."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from bandit.domain import FloatArray
from bandit.models.gaussian import Gaussian, solve_positive

BLOCK = 128
"""Rows learned at once."""

_STEPS = 30
_TOLERANCE = 1e-10


class BayesianLogistic:
    """P(y = 1) = sigmoid(row @ w), w ~ N(mean, covariance).

    Each block of outcomes moves the belief to the mode of (belief x likelihood) and the curvature there: Newton's
    method in the space of the outcomes (Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006),
    algorithm 3.1), and the covariance by the matrix inversion lemma. One outcome is a block of one.
    """

    def __init__(self, mean: FloatArray, variance: FloatArray) -> None:
        self.weights = Gaussian(mean, variance)

    def update(self, rows: FloatArray, y: FloatArray) -> None:
        """Learn n outcomes: rows (n, D), y (n,) of 0 and 1."""
        for start in range(0, len(y), BLOCK):
            self._learn(rows[start : start + BLOCK], y[start : start + BLOCK])

    def restate(self, rows: FloatArray, change: FloatArray) -> None:
        """Re-state outcomes that were learned before; `change` is new y - old y, (n,).

        At the mode, an outcome's part in the natural mean is (curvature x score + y - p): with the curvature held
        where it was learned, another y moves it by the difference. To first order this is the belief that
        learning the new outcome would have given.
        """
        self.weights.shift(rows, change)

    def _learn(self, rows: FloatArray, y: FloatArray) -> None:
        belief = self.weights
        gain = rows @ belief.covariance
        kernel = gain @ rows.T
        start = rows @ belief.mean
        dual = self._mode(kernel, start, y)
        p = expit(start + kernel @ dual)
        root = np.sqrt(np.maximum(p * (1.0 - p), 1e-12))
        system = root[:, None] * kernel * root
        system[np.diag_indices_from(system)] += 1.0
        half = solve_triangular(np.linalg.cholesky(system), root[:, None] * gain, lower=True, check_finite=False)
        belief.mean += dual @ gain
        belief.narrow(half)

    @staticmethod
    def _mode(kernel: FloatArray, start: FloatArray, y: FloatArray) -> FloatArray:
        """Return a with scores = start + kernel @ a at the mode, where a = y - sigmoid(scores)."""
        dual = np.zeros(len(y))
        for _ in range(_STEPS):
            scores = start + kernel @ dual
            p = expit(scores)
            gradient = y - p - dual
            if np.abs(gradient).max() < _TOLERANCE:
                break
            root = np.sqrt(np.maximum(p * (1.0 - p), 1e-12))
            system = root[:, None] * kernel * root
            system[np.diag_indices_from(system)] += 1.0
            # Newton: (I + W K) step = gradient, solved in its symmetric form.
            weighted = root * (kernel @ gradient)
            step = gradient - root * solve_positive(system, weighted)
            size = 1.0
            while size > 1e-4 and _objective(kernel, start, y, dual + size * step) < _objective(kernel, start, y, dual):
                size *= 0.5
            dual = dual + size * step
        return dual


def _objective(kernel: FloatArray, start: FloatArray, y: FloatArray, dual: FloatArray) -> float:
    """Return the log posterior, up to a constant, at the weights that `dual` stands for."""
    move = kernel @ dual
    scores = start + move
    return float(np.sum(y * scores - np.logaddexp(0.0, scores)) - 0.5 * dual @ move)

"""Exact, slow versions of the posteriors, and random problems to compare with."""

import numpy as np
from scipy.special import expit


def exact_linear(rows, y, variance):
    """The conjugate posterior by one dense solve: the oracle of the blockwise one (Murphy 2012, 7.6.3)."""
    precision = rows.T @ rows + np.diag(1.0 / variance)
    mean = np.linalg.solve(precision, rows.T @ y)
    rate = 1.0 + 0.5 * (y @ y - mean @ precision @ mean)
    return mean, np.linalg.inv(precision), 2.0 + 0.5 * len(y), rate


def exact_logistic(rows, y, variance):
    """The mode and curvature of all outcomes at once, by Newton's method to convergence: the oracle."""
    mean = np.zeros(rows.shape[1])
    for _ in range(100):
        p = expit(rows @ mean)
        hessian = (rows * (p * (1 - p))[:, None]).T @ rows + np.diag(1.0 / variance)
        mean = mean + np.linalg.solve(hessian, rows.T @ (y - p) - mean / variance)
    return mean, np.linalg.inv(hessian)


def problem(n, size, rng, *, kind):
    rows = rng.normal(size=(n, size))
    rows[:, 0] = 1.0
    weights = rng.normal(size=size) * 0.3
    if kind == "linear":
        return rows, rows @ weights + rng.normal(size=n) * 0.5, np.full(size, 0.5)
    return rows, (rng.random(n) < expit(rows @ weights - 1.5)).astype(float), np.full(size, 0.5)

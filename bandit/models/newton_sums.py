"""The sums of one Newton pass of a logistic regression: what parts of a log add up, wherever each was read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from bandit.domain import FloatArray
from bandit.models.prior import Prior
from bandit.models.weight_belief import WeightBelief

SHORT_RUN = 128
"""Outcomes that are added up one after the other in a gradient."""


@dataclass(frozen=True, slots=True, eq=False)
class NewtonSums:
    """Curvature (D, D) and gradient (D,) of the log-likelihood of outcomes at some weights; parts add with `+`.

    They are the natural parameters that the outcomes add to a normal belief around these weights.
    """

    curvature: FloatArray
    gradient: FloatArray

    @staticmethod
    def of(batches: Iterable[tuple[FloatArray, FloatArray, FloatArray]], mean: FloatArray) -> NewtonSums:
        """Return the sums of batches of rows (n, D), responses y (n,) and weights (n,) at the weights `mean` (D,)."""
        curvature, gradient = np.zeros((len(mean), len(mean))), np.zeros(len(mean))
        for rows, y, weight in batches:
            p = expit(rows @ mean)
            curvature += (rows * (weight * p * (1.0 - p))[:, None]).T @ rows
            gradient += column_sums(weight * (y - p), rows)
        return NewtonSums(curvature, gradient)

    def __add__(self, other: NewtonSums) -> NewtonSums:
        if self.curvature.shape != other.curvature.shape:
            raise ValueError(f"sums of {len(self.gradient)} and of {len(other.gradient)} weights")
        return NewtonSums(self.curvature + other.curvature, self.gradient + other.gradient)

    def step(self, belief: WeightBelief, prior: Prior) -> float:
        """Take the Newton step of a belief that is held whole, and return its largest move, in posterior deviations."""
        deviation = np.sqrt(prior.variance)
        gradient = (prior.center - belief.mean) / prior.variance + self.gradient
        # In units of the prior's deviations the system is better conditioned.
        system = deviation[:, None] * self.curvature * deviation
        system[np.diag_indices_from(system)] += 1.0
        factor = cho_factor(system, lower=True, check_finite=False)
        covariance = deviation[:, None] * cho_solve(factor, np.diag(deviation), check_finite=False)
        covariance = np.asarray(0.5 * (covariance + covariance.T))
        move = deviation * cho_solve(factor, deviation * gradient, check_finite=False)
        # Far from the mode a full step may overshoot: no weight moves by more than a few of its deviations at once.
        move /= max(1.0, float(np.abs(move / deviation).max()) / 3.0)
        belief.assign_parts(belief.mean + move, [covariance])
        return float(np.abs(move / np.sqrt(np.diag(covariance))).max())


def column_sums(weight: FloatArray, rows: FloatArray) -> FloatArray:
    """Return weight @ rows, (D,), added up in short runs: one long run would lose the last digits."""
    starts = range(0, len(rows), SHORT_RUN)
    parts = [weight[start : start + SHORT_RUN] @ rows[start : start + SHORT_RUN] for start in starts]
    return np.asarray(np.sum(parts, axis=0)) if parts else np.zeros(rows.shape[1])

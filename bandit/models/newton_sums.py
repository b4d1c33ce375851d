"""The sums of one Newton pass of a logistic regression: what parts of a log add up, wherever each was read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from bandit.domain import FloatArray


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
            gradient += (weight * (y - p)) @ rows
        return NewtonSums(curvature, gradient)

    def __add__(self, other: NewtonSums) -> NewtonSums:
        if self.curvature.shape != other.curvature.shape:
            raise ValueError(f"sums of {len(self.gradient)} and of {len(other.gradient)} weights")
        return NewtonSums(self.curvature + other.curvature, self.gradient + other.gradient)

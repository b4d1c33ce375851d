"""Customers' effects whose variances are those with which the customers' histories predict their next outcomes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bandit.domain import FloatArray, IntArray
from bandit.models.customer_pairs import LEAST_VARIANCE, MOST_TIMES_GIVEN
from bandit.models.joint_customers import JointCustomerEffects

LOG_DEVIATION = 1.0
"""Prior deviation of the logarithm of a dimension's variance around the given one."""

MOST_LOG_STEP = 1.0
"""Most by which the logarithm of a variance changes at one estimate."""


class PredictiveCustomerEffects(JointCustomerEffects):
    """Customers' effects under variances that are judged by what the effects predict, before it is learned.

    A mean of k columns is natural / (1 / variance + precision); with another variance v of a dimension it is longer or
    shorter, by d mean / d log v = mean / (1 + v precision), and so is what it adds to a score. Where the residuals of
    new outcomes go with that derivative x, the variance is too small, where they go against it, too large: with
    curvature w, each outcome is an observation of log v of gradient residual x and information w x x'. The logarithms
    start from N(log given, LOG_DEVIATION^2) and take one Gauss-Newton step an estimate (the recursive prediction error
    method: Ljung & Soderstrom 1983, "Theory and Practice of Recursive Identification", section 3.4).

    A residual of a new outcome does not depend on how the history was summarised. The variances that are found in the
    effects themselves are too small where a customer is shown the same offer again and again: the columns of that
    offer cannot be told apart, and effects without covariances count each of them as known.
    """

    by_key = True

    def __init__(self, owner: IntArray, deviation: FloatArray, strength: float = 5.0) -> None:
        """Take what `CustomerEffects` takes."""
        super().__init__(owner, deviation, strength)
        self._start_judging()

    def _start_judging(self) -> None:
        size = len(self.given)
        self._gradient = np.zeros(size)
        self._information = np.eye(size) / LOG_DEVIATION**2

    def judge(
        self,
        columns: FloatArray,
        mean: FloatArray,
        variance: FloatArray,
        residual: FloatArray,
        curvature: FloatArray,
    ) -> None:
        """Take in n outcomes before they are learned: the offers' columns and the customers' belief (n, 1 + K).

        `residual` (n,) is weight x (y - chance) and `curvature` (n,) weight x chance (1 - chance) at the mean.
        """
        longer = self._longer(columns, mean, variance)
        self._gradient += residual @ longer
        self._information += (curvature[:, None] * longer).T @ longer

    def judge_one(
        self, columns: FloatArray, mean: FloatArray, variance: FloatArray, residual: float, curvature: float
    ) -> None:
        """Take in one outcome as `judge` does; the arrays are (1 + K,)."""
        left = np.minimum(variance / self._priors()[0][0], 1.0)
        longer = (columns * mean * left) @ self._member
        self._gradient += residual * longer
        self._information += (curvature * longer)[:, None] * longer

    def correct_judgement(self, places: IntArray, columns: FloatArray, change: FloatArray) -> None:
        """Correct the residuals of outcomes judged before; `change` (n,) is weight x (new y - old y)."""
        mean, variance = self.means_and_variances(places)
        self._gradient += change @ self._longer(columns, mean, variance)

    def _longer(self, columns: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
        """Return the derivatives of the scores by the logarithms of the dimensions' variances, (n, dimensions)."""
        left = np.minimum(variance / self.variances[self.owner], 1.0)
        return np.asarray((columns * mean * left) @ self._member)

    def estimate(self, rounds: int = 1) -> None:
        """Move the variances by what was judged since the last estimate."""
        for _ in range(rounds):
            step = np.linalg.solve(self._information, self._gradient)
            self._gradient = np.zeros(len(self.given))
            found = self.variances * np.exp(np.clip(step, -MOST_LOG_STEP, MOST_LOG_STEP))
            self.variances = np.clip(found, LEAST_VARIANCE, MOST_TIMES_GIVEN * self.given)

    def estimate_from_histories(self) -> None:
        """Estimate the variances from whole histories, as a batch fit does; what was judged before is forgotten."""
        super().estimate()
        self._start_judging()

    def take_variances(self, variances: FloatArray) -> None:
        """Set the variances of the dimensions; what was judged before is forgotten."""
        super().take_variances(variances)
        self._start_judging()

    def decay(self, kept: float) -> None:
        """Keep a share of what was learned."""
        super().decay(kept)
        start = np.eye(len(self.given)) / LOG_DEVIATION**2
        self._information = start + kept * (self._information - start)

    def state_of_all(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of a state that are not of single customers."""
        return super().state_of_all() | {"gradient": self._gradient, "information": self._information}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state, of which what was judged may be absent; ValueError or KeyError where it does not fit."""
        super().restore(arrays)
        self._start_judging()
        if "gradient" not in arrays:  # carried from another catalogue, whose dimensions may be others
            return
        gradient = np.array(arrays["gradient"], dtype=np.float64)
        information = np.array(arrays["information"], dtype=np.float64)
        if gradient.shape != self._gradient.shape or information.shape != self._information.shape:
            raise ValueError("what it knows of customers' variances is of other offers")
        if not (np.isfinite(gradient).all() and np.isfinite(information).all()):
            raise ValueError("what it knows of customers' variances is not finite")
        self._gradient, self._information = gradient, information

"""Forward selection of columns for a Gaussian belief by the evidence for each, and the belief with what they show.

A belief w ~ N(m, C) was learned from outcomes with score rows x, curvatures h and residuals r (for a linear model h = 1
and r in units of the noise's deviation). A further column z with weight v ~ N(0, t^2) has, with w integrated out, the
score G = sum z r and the information V = sum h z^2 - b' C b, with b = sum h z x; its log Bayes factor is

    G^2 / (V + 1/t^2) / 2 - log(1 + V t^2) / 2.

For a linear model this is exact, for a logistic one it is the quadratic approximation at the mode. Columns that are
taken become part of the belief, so that each further one is judged beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.models.gaussian import solve_positive


@dataclass(frozen=True, slots=True, eq=False)
class CandidateColumns:
    """Q candidate columns: scores G (Q,), information (Q, Q), prior variances t^2 (Q,), penalties (Q,)."""

    score: FloatArray
    information: FloatArray
    variance: FloatArray
    penalty: FloatArray

    def take(self, places: IntArray) -> CandidateColumns:
        """Return the chosen candidates."""
        return CandidateColumns(
            self.score[places],
            self.information[np.ix_(places, places)],
            self.variance[places],
            self.penalty[places],
        )


def log_bayes_factor(score: FloatArray, information: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the log Bayes factors of single columns against their absence; arrays of one shape."""
    return np.asarray(0.5 * score**2 / (information + 1.0 / variance) - 0.5 * np.log1p(information * variance))


def select(candidates: CandidateColumns, most: int) -> IntArray:
    """Return the candidates that are taken, in order: each time the one of most evidence above its penalty."""
    score, information = candidates.score.copy(), candidates.information.copy()
    taken: list[int] = []
    for _ in range(min(most, len(score))):
        own = np.maximum(np.diag(information), 0.0)
        gain = log_bayes_factor(score, own, candidates.variance) - candidates.penalty
        gain[taken] = -np.inf
        best = int(gain.argmax())
        if not gain[best] > 0.0:
            break
        taken.append(best)
        # Conditioned on the column just taken, with its prior: what it explains is no evidence for others.
        along = information[best].copy()
        whole = along[best] + 1.0 / candidates.variance[best]
        score -= along * (score[best] / whole)
        information -= np.multiply.outer(along, along) / whole
    return np.array(taken, dtype=np.int64)


def posterior(candidates: CandidateColumns) -> tuple[FloatArray, FloatArray]:
    """Return mean (Q,) and covariance (Q, Q) of the weights of all these columns, the other weights integrated out."""
    size, axes = np.linalg.eigh(candidates.information)
    precision = (axes * np.maximum(size, 0.0)) @ axes.T + np.diag(1.0 / candidates.variance)
    covariance = solve_positive(precision, np.eye(len(precision)))
    covariance = 0.5 * (covariance + covariance.T)
    return covariance @ candidates.score, covariance


def extended(
    mean: FloatArray, covariance: FloatArray, regression: FloatArray, added: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance of the belief with Q further weights, which come last.

    `mean` (D,) and `covariance` (D, D) are of the belief without them, and `added` has mean (Q,) and covariance (Q, Q)
    of the further weights v with the others integrated out: given v, the others have the mean m - regression v, with
    `regression` (D, Q) = C sum h x z'.
    """
    spread = regression @ added[1]
    corner = covariance + spread @ regression.T
    whole = np.block([[0.5 * (corner + corner.T), -spread], [-spread.T, added[1]]])
    return np.concatenate([mean - regression @ added[0], added[0]]), whole

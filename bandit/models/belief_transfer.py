"""Transfer of a Gaussian belief to another set of weights, each a linear combination of the old ones or new.

Old weights w ~ N(m, C) become w' = T w ~ N(T m, T C T'); a weight that no old one goes into has its prior. Leaving an
old weight out of T marginalises it. Where each w' is one old weight with the same prior this is exact, not an
approximation: it is the posterior of a model that had the new weights from the beginning, in columns that were 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import BoolArray, FloatArray
from bandit.models.gaussian import solve_positive
from bandit.models.weight_belief import WeightBelief


@dataclass(frozen=True, slots=True, eq=False)
class TransferredBelief:
    """A belief over D weights: mean (D,), covariance (D, D), and which weights an older belief knew (D,)."""

    mean: FloatArray
    covariance: FloatArray
    known: BoolArray


def transfer(source: WeightBelief, matrix: FloatArray, center: FloatArray, variance: FloatArray) -> TransferredBelief:
    """Return the belief over D weights that (D, E) `matrix` makes of E old ones; others have `center` and `variance`.

    `center` and `variance` of the new prior are (D,).
    """
    known: BoolArray = np.asarray(matrix.any(axis=1))
    new_mean = np.array(center, dtype=np.float64)
    new_covariance = np.diag(np.asarray(variance, dtype=np.float64))
    rows = matrix[known]
    new_mean[known] = rows @ source.mean
    new_covariance[np.ix_(known, known)] = source.gain(rows) @ rows.T
    return TransferredBelief(new_mean, new_covariance, known)


def recall(belief: TransferredBelief, older: TransferredBelief) -> TransferredBelief:
    """Return the belief with the weights that only the older one knew, as they follow from the weights both know.

    With r the weights that only the older belief knows and s those that both do, p(r | s) is the older belief's, and
    nothing that the newer one learned depends on r but through s: so r has the mean m_r + G (m'_s - m_s) and the
    covariance C_rr - G C_sr + G C'_ss G', with G = C_rs C_ss^-1, m and C the older belief's and m' and C' the newer's.
    """
    shared, gone = belief.known & older.known, older.known & ~belief.known
    if not gone.any():
        return belief
    inner = older.covariance[np.ix_(shared, shared)]
    gain = solve_positive(inner, older.covariance[np.ix_(shared, gone)]).T
    mean, covariance = belief.mean.copy(), belief.covariance.copy()
    mean[gone] = older.mean[gone] + gain @ (belief.mean[shared] - older.mean[shared])
    own = older.covariance[np.ix_(gone, gone)] - gain @ older.covariance[np.ix_(shared, gone)]
    across = gain @ belief.covariance[np.ix_(shared, belief.known)]
    covariance[np.ix_(gone, belief.known)] = across
    covariance[np.ix_(belief.known, gone)] = across.T
    own += gain @ belief.covariance[np.ix_(shared, shared)] @ gain.T
    covariance[np.ix_(gone, gone)] = 0.5 * (own + own.T)
    return TransferredBelief(mean, covariance, belief.known | gone)


def settled(belief: TransferredBelief, variance: FloatArray) -> TransferredBelief:
    """Return the belief with its mean and a covariance that a prior of (D,) `variance` and some outcomes can give.

    A transferred weight may be wider than its new prior. In units of the prior's deviations, precision = 1 + what
    outcomes added, which is never negative: where it would be, it is set to 0, and the weight is as wide as its prior.
    """
    deviation = np.sqrt(variance)
    precision = solve_positive(belief.covariance, np.eye(len(variance)))
    learned = deviation[:, None] * (0.5 * (precision + precision.T)) * deviation
    learned[np.diag_indices_from(learned)] -= 1.0
    size, axes = np.linalg.eigh(learned)
    scaled = deviation[:, None] * axes
    covariance = (scaled / (1.0 + np.maximum(size, 0.0))) @ scaled.T
    return TransferredBelief(belief.mean, 0.5 * (covariance + covariance.T), belief.known)

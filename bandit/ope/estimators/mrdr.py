"""More robust doubly robust (mrdr): dr with a reward model fitted to minimise its variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.errors import NumberError
from bandit.ope.feedback import Feedback

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import FeedbackRows, Need


def robust_prediction(rows: FeedbackRows) -> FloatArray:
    """Return the (n,) means of the robust model's prediction under the target policy."""
    return rows.robust_target


def robust_residual(rows: FeedbackRows) -> FloatArray:
    """Return the (n,) weighted residuals w (r - q) of the robust model."""
    return rows.weight * (rows.reward - rows.robust_logged)


@dataclass(frozen=True, slots=True)
class MoreRobustDR:
    """More robust DR: V = mean(q_target + w (r - q_logged)), with q fitted to minimise the variance of V.

    Farajtabar, Chow and Ghavamzadeh 2018, "More robust doubly robust off-policy evaluation". The reward model is
    fitted by weighted least squares with the weights of `mrdr_weights` for this target policy, on other rows than
    those it predicts. Otherwise it is dr, and unbiased under the same conditions.
    """

    name: ClassVar[str] = "mrdr"
    needs: ClassVar[Need | None] = "robust"
    terms: ClassVar[tuple[Term, ...]] = (robust_prediction, robust_residual)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the two means and its gradient, (1, 1)."""
        return float(means[0] + means[1]), np.ones(2)


@np.errstate(over="ignore")
def mrdr_weights(propensity: FloatArray, target: FloatArray) -> FloatArray:
    """Return the (n,) weights w^2 (1 - p) of the squared errors with which mrdr's reward model is fitted.

    With p(a) the logging and t(a) the target policy's probabilities and d(a) the model's error in mean, the part of
    dr's variance in one context that depends on the model is sum_a t(a)^2 d(a)^2 / p(a) - (sum_a t(a) d(a))^2. Its
    terms in d(a)^2 are t(a)^2 (1 - p(a)) / p(a) d(a)^2; as a mean over logged rows, w^2 (1 - p) (r - q)^2. For a
    deterministic target that is the whole variance, and the weight is that of Farajtabar et al. 2018, (1 - p) / p^2;
    otherwise the products of two offers' errors are omitted, as if errors were independent. The weight is 0 where
    the logging policy is deterministic (p = 1). NumberError for probabilities out of range.
    """
    rows = Feedback(np.zeros(np.size(propensity)), propensity, target).rows()
    weights = rows.weight * rows.weight * (1.0 - np.asarray(propensity, dtype=np.float64))
    if not np.isfinite(weights).all():
        raise NumberError(
            "the square of target / propensity is too large for a float64; leave out rows whose propensity is "
            "practically 0"
        )
    return weights

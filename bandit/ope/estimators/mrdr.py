"""The doubly robust estimator with a reward model fitted for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.errors import NumberError
from bandit.ope.feedback import Feedback

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need, Rows


def robust_prediction(rows: Rows) -> FloatArray:
    """Return the robust model's mean under the target policy."""
    return rows.robust_target


def robust_residual(rows: Rows) -> FloatArray:
    """Return w (r - q) of the robust model."""
    return rows.weight * (rows.reward - rows.robust_logged)


@dataclass(frozen=True, slots=True)
class MoreRobustDR:
    """V = mean(q_target + w (r - q_logged)) with the q that makes this narrow rather than the one that predicts best.

    Farajtabar, Chow and Ghavamzadeh 2018, "More robust doubly robust off-policy evaluation". The reward model is
    fitted with the weights of `mrdr_weights` for this target policy, on other rows than those it corrects; it is
    dr in everything else, and as unbiased.
    """

    name: ClassVar[str] = "mrdr"
    needs: ClassVar[Need | None] = "robust"
    terms: ClassVar[tuple[Term, ...]] = (robust_prediction, robust_residual)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the two means and its gradient, (1, 1)."""
        return float(means[0] + means[1]), np.ones(2)


@np.errstate(over="ignore")
def mrdr_weights(propensity: FloatArray, target: FloatArray) -> FloatArray:
    """Return the (n,) weights w^2 (1 - p) of the squared errors of the reward model that mrdr needs.

    With p(a) the logging and t(a) the target policy's probabilities and d(a) the model's error in mean, the part of
    dr's variance in one context that depends on the model is sum_a t(a)^2 d(a)^2 / p(a) - (sum_a t(a) d(a))^2. Its
    terms in d(a)^2 are t(a)^2 (1 - p(a)) / p(a) d(a)^2; as a mean over what is logged, w^2 (1 - p) (r - q)^2. That
    is the whole of it for a target that takes one offer for sure, where it is the weight of Farajtabar et al. 2018,
    (1 - p) / p^2; otherwise the products of two offers' errors are left out, as if errors were independent.
    All weights are 0 where the logging policy never drew. NumberError for numbers out of range.
    """
    rows = Feedback(np.zeros(np.size(propensity)), propensity, target).rows()
    weights = rows.weight * rows.weight * (1.0 - np.asarray(propensity, dtype=np.float64))
    if not np.isfinite(weights).all():
        raise NumberError(
            "the square of target / propensity is too large for a float64; leave out rows whose propensity is "
            "practically 0"
        )
    return weights

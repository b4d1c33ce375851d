"""The self-normalised doubly robust estimator (sndr)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.ope.estimator import prediction, weight, weighted_residual

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need


@dataclass(frozen=True, slots=True)
class SelfNormalisedDR:
    """Self-normalised DR: V = mean(q_target) + sum(w (r - q_logged)) / sum(w).

    The correction stays within the range of the residuals. Thomas and Brunskill 2016, "Data-efficient off-policy
    policy evaluation for reinforcement learning": the weighted doubly robust estimator at horizon one. With S the
    ratio, the influence value of a row is q_target - mean(q_target) + w (r - q_logged - S) / mean(w). NaN where all
    weights are 0.
    """

    name: ClassVar[str] = "sndr"
    needs: ClassVar[Need | None] = "predictions"
    terms: ClassVar[tuple[Term, ...]] = (prediction, weighted_residual, weight)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the value and its gradient, (1, 1 / mean(w), -S / mean(w))."""
        if means[2] <= 0:
            return np.nan, np.full(3, np.nan)
        correction = float(means[1] / means[2])
        return float(means[0]) + correction, np.array([1.0, 1.0 / means[2], -correction / means[2]])

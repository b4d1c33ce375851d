"""Switch doubly robust (switch-dr): dr for rows with weights up to a threshold, dm for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.errors import InputError
from bandit.ope.estimator import prediction

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import FeedbackRows, Need

SWITCH_THRESHOLD = 100.0
"""The default threshold of switch-dr."""


@dataclass(frozen=True, slots=True)
class SwitchedResidual:
    """The weighted residual w (r - q) where w <= threshold, else 0."""

    threshold: float

    def __call__(self, rows: FeedbackRows) -> FloatArray:
        """Return the (n,) terms."""
        kept = np.where(rows.weight <= self.threshold, rows.weight, 0.0)
        return kept * (rows.reward - rows.predicted_logged)


@dataclass(frozen=True, slots=True)
class SwitchDR:
    """Switch DR: V = mean(q_target + w 1{w <= tau} (r - q_logged)).

    Rows with weights above tau are left to the reward model. Wang, Agarwal and Dudik 2017, "Optimal and adaptive
    off-policy evaluation in contextual bandits": the SWITCH estimator with dr in place of ips. tau (`threshold`) is
    fixed before the log is seen, 100 by default. tau = infinity is dr, tau = 0 is dm. The interval does not include
    the bias of switching.
    """

    name: ClassVar[str] = "switch-dr"
    needs: ClassVar[Need | None] = "predictions"
    threshold: float = SWITCH_THRESHOLD

    def __post_init__(self) -> None:
        if not self.threshold >= 0:
            raise InputError(f"the threshold of switch-dr is {self.threshold}; give a number of at least 0")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The prediction and the switched residual."""
        return (prediction, SwitchedResidual(self.threshold))

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the two means and its gradient, (1, 1)."""
        return float(means[0] + means[1]), np.ones(2)

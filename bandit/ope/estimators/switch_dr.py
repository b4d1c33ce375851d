"""Doubly robust where weights are moderate, the reward model alone where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.errors import InputError
from bandit.ope.estimator import prediction

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need, Rows

THRESHOLD = 100.0


@dataclass(frozen=True, slots=True)
class SwitchedResidual:
    """w (r - q) where w <= threshold, else 0."""

    threshold: float

    def __call__(self, rows: Rows) -> FloatArray:
        """Return the term of each row."""
        kept = np.where(rows.weight <= self.threshold, rows.weight, 0.0)
        return kept * (rows.reward - rows.predicted_logged)


@dataclass(frozen=True, slots=True)
class SwitchDR:
    """V = mean(q_target + w 1{w <= tau} (r - q_logged)): rows with larger weights are left to the reward model.

    Wang, Agarwal and Dudik 2017, "Optimal and adaptive off-policy evaluation in contextual bandits", the
    SWITCH estimator with the doubly robust estimator in place of ips. The threshold tau is fixed beforehand, 100
    unless given: a row then counts at most as much as 100 rows of the target's own log. tau = infinity is dr,
    tau = 0 is dm. The bias it trades for width is not part of the interval.
    """

    name: ClassVar[str] = "switch-dr"
    needs: ClassVar[Need | None] = "predictions"
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        if not self.threshold >= 0:
            raise InputError(f"the threshold of switch-dr is {self.threshold}; give a number of at least 0")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The prediction and the residual, switched."""
        return (prediction, SwitchedResidual(self.threshold))

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the two means and its gradient, (1, 1)."""
        return float(means[0] + means[1]), np.ones(2)

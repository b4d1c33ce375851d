"""Doubly robust with optimistic shrinkage of the weights (dr-os)."""

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

SHRINKAGE = 10_000.0
"""The default lambda of dr-os."""


@dataclass(frozen=True, slots=True)
class ShrunkResidual:
    """The residual with a shrunk weight, v (r - q), v = lambda w / (w^2 + lambda)."""

    shrinkage: float

    def __call__(self, rows: FeedbackRows) -> FloatArray:
        """Return the (n,) terms."""
        # w / (1 + w^2 / lambda) is the same number and does not overflow where w^2 does.
        shrunk = rows.weight / (1.0 + rows.weight * (rows.weight / self.shrinkage))
        return shrunk * (rows.reward - rows.predicted_logged)


@dataclass(frozen=True, slots=True)
class ShrunkDR:
    """DR with optimistic shrinkage: V = mean(q_target + v (r - q_logged)), v = lambda w / (w^2 + lambda).

    Su, Dimakopoulou, Krishnamurthy and Dudik 2020, "Doubly robust off-policy evaluation with shrinkage". lambda
    (`shrinkage`) is fixed before the log is seen, 10,000 by default: a weight of 10 shrinks by 1 %, a weight of
    100 = sqrt(lambda) by one half, and no shrunk weight is larger than 50. lambda = infinity is dr; lambda towards 0
    is dm. The interval does not include the bias of shrinkage.
    """

    name: ClassVar[str] = "dr-os"
    needs: ClassVar[Need | None] = "predictions"
    shrinkage: float = SHRINKAGE

    def __post_init__(self) -> None:
        if not self.shrinkage > 0:
            raise InputError(f"the shrinkage of dr-os is {self.shrinkage}; give a number above 0")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The prediction and the shrunk residual."""
        return (prediction, ShrunkResidual(self.shrinkage))

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the two means and its gradient, (1, 1)."""
        return float(means[0] + means[1]), np.ones(2)

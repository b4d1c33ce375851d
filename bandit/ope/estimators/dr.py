"""The doubly robust estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.ope.estimator import prediction, weighted_residual

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need


@dataclass(frozen=True, slots=True)
class DoublyRobust:
    """V = mean(q_target + w (r - q_logged)): unbiased with right propensities whatever the reward model says.

    Dudik, Erhan, Langford and Li 2014, "Doubly robust policy evaluation and optimization". The reward
    model must not have seen the row it corrects, which is why it is cross-fitted.
    """

    name: ClassVar[str] = "dr"
    needs: ClassVar[Need | None] = "predictions"
    terms: ClassVar[tuple[Term, ...]] = (prediction, weighted_residual)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the two means and its gradient, (1, 1)."""
        return float(means[0] + means[1]), np.ones(2)

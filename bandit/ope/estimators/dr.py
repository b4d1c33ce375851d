"""The doubly robust estimator (dr)."""

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
    """Doubly robust: V = mean(q_target + w (r - q_logged)).

    Unbiased where the propensities are correct, for any reward model. Dudik, Erhan, Langford and Li 2014, "Doubly
    robust policy evaluation and optimization". The reward model must not be fitted on the rows it predicts, so
    `bandit.evaluate` cross-fits it.
    """

    name: ClassVar[str] = "dr"
    needs: ClassVar[Need | None] = "predictions"
    terms: ClassVar[tuple[Term, ...]] = (prediction, weighted_residual)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the two means and its gradient, (1, 1)."""
        return float(means[0] + means[1]), np.ones(2)

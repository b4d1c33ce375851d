"""The direct method (dm): the mean prediction of a reward model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.ope.estimator import prediction

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need


@dataclass(frozen=True, slots=True)
class DirectMethod:
    """The direct method: V = mean(q_target), the reward model's mean prediction under the target policy.

    Low variance, with the full bias of the model: the interval covers how the predictions vary between rows, not the
    model's own error. Dudik, Erhan, Langford and Li 2014, "Doubly robust policy evaluation and optimization".
    """

    name: ClassVar[str] = "dm"
    needs: ClassVar[Need | None] = "predictions"
    terms: ClassVar[tuple[Term, ...]] = (prediction,)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)

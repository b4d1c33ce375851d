"""Self-normalised inverse propensity scoring (snips)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.ope.estimator import weight, weighted_reward

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need


@dataclass(frozen=True, slots=True)
class Snips:
    """Self-normalised IPS: V = sum(w r) / sum(w).

    The value stays within the range of the rewards and is equivariant: a constant added to all rewards adds the same
    constant to it. Swaminathan and Joachims 2015, "The self-normalized estimator for counterfactual learning". The
    bias is of order 1 / n; the influence value of a row is w (r - V) / mean(w). NaN where all weights are 0.
    """

    name: ClassVar[str] = "snips"
    needs: ClassVar[Need | None] = None
    terms: ClassVar[tuple[Term, ...]] = (weighted_reward, weight)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the ratio of the two means and its gradient, (1, -V) / mean(w)."""
        if means[1] <= 0:
            return np.nan, np.full(2, np.nan)
        value = float(means[0] / means[1])
        return value, np.array([1.0, -value]) / means[1]

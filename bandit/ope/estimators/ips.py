"""Inverse propensity scoring (ips)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.ope.estimator import weighted_reward

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need


@dataclass(frozen=True, slots=True)
class Ips:
    """Inverse propensity scoring: V = mean(w r).

    Unbiased where the propensities are correct; high variance where weights are large.
    Horvitz and Thompson 1952, "A generalization of sampling without replacement from a finite universe"; in the
    notation of Dudik, Erhan, Langford and Li 2014, "Doubly robust policy evaluation and optimization".
    """

    name: ClassVar[str] = "ips"
    needs: ClassVar[Need | None] = None
    terms: ClassVar[tuple[Term, ...]] = (weighted_reward,)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)

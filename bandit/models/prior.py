"""The prior of a belief: independent weights in groups that share a variance, estimated from the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.models.weight_belief import WeightBelief

MAX_DEVIATION_FACTOR, MIN_DEVIATION_FACTOR = 4.0, 0.05
"""Bounds of a group's estimated deviation, as factors of the deviation it was given."""


@dataclass(frozen=True, slots=True)
class WeightGroup:
    """Weights that share a prior deviation; that of a `fixed` group is never estimated."""

    name: str
    deviation: float
    fixed: bool = False


class Prior:
    """w ~ N(center, variance of its group), independent; the variances are estimated from the belief itself.

    Type-II maximum likelihood by MacKay's fixed point (MacKay 1992, "Bayesian interpolation", section 4), with the
    given variance as `strength` weights' worth of evidence, so that a group of few weights does not fluctuate.
    """

    def __init__(
        self, groups: Sequence[WeightGroup], labels: IntArray, center: FloatArray, strength: float = 1.0
    ) -> None:
        """Take the groups, the (D,) group of each weight and its (D,) prior mean."""
        self.groups = tuple(groups)
        self.labels = labels
        self.center = center
        self.strength = strength
        self.given = np.array([group.deviation for group in self.groups]) ** 2
        self.variances = self.given.copy()
        self._fixed = np.array([group.fixed for group in self.groups])

    @property
    def variance(self) -> FloatArray:
        """The (D,) prior variances."""
        return np.asarray(self.variances[self.labels])

    def grown(self, labels: IntArray, center: FloatArray) -> Prior:
        """Return the same groups and variances over more weights."""
        prior = Prior(self.groups, labels, center, self.strength)
        prior.variances = self.variances.copy()
        return prior

    def estimate(self, belief: WeightBelief, unit: float = 1.0, rounds: int = 2) -> None:
        """Estimate the variances from the belief, and replace the belief's prior by them.

        `unit` divides squared weights: the noise variance of a linear model, whose covariance is in units of it.
        """
        size = np.bincount(self.labels, minlength=len(self.groups)).astype(np.float64)
        for _ in range(rounds):
            squares = np.bincount(self.labels, (belief.mean - self.center) ** 2, minlength=len(self.groups)) / unit
            left = np.bincount(self.labels, belief.diagonal, minlength=len(self.groups))
            determined = np.clip(size - left / self.variances, 0.0, size)
            found = (self.strength * self.given + squares) / (self.strength + determined)
            found = np.clip(found, self.given * MIN_DEVIATION_FACTOR**2, self.given * MAX_DEVIATION_FACTOR**2)
            found[self._fixed] = self.given[self._fixed]
            self.replace_variances(belief, found)

    def replace_variances(self, belief: WeightBelief, variances: FloatArray) -> None:
        """Give the groups other variances, in the belief too."""
        old = self.center, self.variance
        self.variances = np.asarray(variances, dtype=np.float64)
        belief.replace_prior(old, (self.center, self.variance))

    def decay(self, belief: WeightBelief, kept: float) -> None:
        """Keep a share of what was learned: the belief moves towards the prior."""
        prior = self.center, self.variance
        belief.replace_prior(prior, prior, kept)

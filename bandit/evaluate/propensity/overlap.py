"""Overlap of a target policy with an estimated logging policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray

THIN_PROPENSITY = 0.01
"""An estimated propensity below it, and below a twentieth of an even share, means that the offer was hardly made."""


class TargetOverlap:
    """How much of a target policy's probability lies on offers that the logging policy hardly made in that context.

    With estimated propensities it is not enough that an offer was shown at all. An offer was hardly made where its
    estimate is below `level` and below a twentieth of an even share (an even share of 144 offers is below 0.01).
    """

    def __init__(self, level: float = THIN_PROPENSITY) -> None:
        self.level, self.n = level, 0.0
        self._outside = 0.0

    def add(self, estimated: FloatArray, target: FloatArray, stands_for: FloatArray | None = None) -> None:
        """Add the (n, N) estimated propensities and the (n, N) probabilities of the target policy.

        `stands_for` (n,) is how many decisions each row stands for, one by default.
        """
        n_eligible = (estimated > 0.0).sum(axis=1, keepdims=True)
        thin = estimated < np.minimum(self.level, 0.05 / np.maximum(n_eligible, 1))
        if stands_for is None:
            self._outside += float(target[thin].sum())
            self.n += len(target)
        else:
            self._outside += float(stands_for @ np.where(thin, target, 0.0).sum(axis=1))
            self.n += float(stands_for.sum())

    def __add__(self, other: TargetOverlap) -> TargetOverlap:
        both = TargetOverlap(self.level)
        both.n, both._outside = self.n + other.n, self._outside + other._outside
        return both

    @property
    def share(self) -> float:
        """The share of the target's probability without support, in [0, 1]; 0 before anything was added."""
        return self._outside / self.n if self.n else 0.0

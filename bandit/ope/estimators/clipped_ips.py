"""Inverse propensity scoring with clipped weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need, Rows

LARGEST = 100.0


@dataclass(frozen=True, slots=True)
class ClippedReward:
    """min(w, largest) r."""

    largest: float

    def __call__(self, rows: Rows) -> FloatArray:
        """Return the term of each row."""
        return np.minimum(rows.weight, self.largest) * rows.reward


@dataclass(frozen=True, slots=True)
class ClippedIps:
    """V = mean(min(w, M) r): no row counts more than M rows of the target's own log.

    Ionides 2008, "Truncated importance sampling"; Bottou et al. 2013, "Counterfactual reasoning and learning
    systems". M is fixed beforehand, 100 unless given; M = infinity is ips. What the clipped part of the weights
    would have added is missing from the value: with rewards >= 0 the value is too low by
    mean of (w - M)+ r under the log. That bias is not part of the interval.
    """

    name: ClassVar[str] = "clipped-ips"
    needs: ClassVar[Need | None] = None
    largest: float = LARGEST

    def __post_init__(self) -> None:
        if not self.largest > 0:
            raise InputError(f"the largest weight of clipped-ips is {self.largest}; give a number above 0")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The reward with its clipped weight."""
        return (ClippedReward(self.largest),)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)

"""Clipped inverse propensity scoring (clipped-ips): weights above a maximum are truncated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import FeedbackRows, Need

CLIPPED_MAX_WEIGHT = 100.0
"""The default maximum weight of clipped-ips."""


@dataclass(frozen=True, slots=True)
class ClippedReward:
    """The clipped weighted reward, min(w, largest) r."""

    largest: float

    def __call__(self, rows: FeedbackRows) -> FloatArray:
        """Return the (n,) terms."""
        return np.minimum(rows.weight, self.largest) * rows.reward


@dataclass(frozen=True, slots=True)
class ClippedIps:
    """Clipped IPS: V = mean(min(w, M) r).

    Ionides 2008, "Truncated importance sampling"; Bottou et al. 2013, "Counterfactual reasoning and learning
    systems". M (`largest`) is fixed before the log is seen, 100 by default; M = infinity is ips. With rewards >= 0 the
    value is biased downwards by the logging policy's mean of (w - M)+ r. The interval does not include that bias.
    """

    name: ClassVar[str] = "clipped-ips"
    needs: ClassVar[Need | None] = None
    largest: float = CLIPPED_MAX_WEIGHT

    def __post_init__(self) -> None:
        if not self.largest > 0:
            raise InputError(f"the largest weight of clipped-ips is {self.largest}; give a number above 0")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The clipped weighted reward."""
        return (ClippedReward(self.largest),)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)

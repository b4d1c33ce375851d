"""Marginalised inverse propensity scoring (mips): weights over an embedding of the offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import FeedbackRows, Need


def marginal_reward(rows: FeedbackRows) -> FloatArray:
    """Return the (n,) rewards weighted by the marginal weights, w(x, e) r."""
    return rows.marginal_weight * rows.reward


@dataclass(frozen=True, slots=True)
class MarginalIps:
    """Marginalised IPS: V = mean(w(x, e) r), where the embedding e is the logged offer's options of some dimensions.

    Saito and Joachims 2022, "Off-policy evaluation for large action spaces via embeddings". w(x, e) is the ratio of
    the two policies' probabilities of choosing any offer with that embedding (`marginal_weights`); its variance is at
    most that of the weights of ips. Unbiased where the other dimensions do not change the reward (the assumption of
    no direct effect); the interval does not include the bias where they do.
    """

    name: ClassVar[str] = "mips"
    needs: ClassVar[Need | None] = "marginal"
    terms: ClassVar[tuple[Term, ...]] = (marginal_reward,)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)

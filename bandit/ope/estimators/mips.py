"""Inverse propensity scoring with the weights of the offer's chosen dimensions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need, Rows


def marginal_reward(rows: Rows) -> FloatArray:
    """Return w(x, e) r."""
    return rows.marginal_weight * rows.reward


@dataclass(frozen=True, slots=True)
class MarginalIps:
    """V = mean(w(x, e) r), where e is the logged offer's combination of some dimensions: narrower than ips.

    Saito and Joachims 2022, "Off-policy evaluation for large action spaces via embeddings". w(x, e) is the ratio of
    the probabilities with which the two policies choose any offer of that combination, as `marginal_weights`
    computes it. Unbiased where the other dimensions do not change the reward (their "no direct effect"); where they
    do, the bias is not part of the interval.
    """

    name: ClassVar[str] = "mips"
    needs: ClassVar[Need | None] = "marginal"
    terms: ClassVar[tuple[Term, ...]] = (marginal_reward,)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)

"""The pseudo-inverse estimator for offers that are combinations of options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Need, Rows


def slate_reward(rows: Rows) -> FloatArray:
    """Return the slate weight times r."""
    return rows.slate_weight * rows.reward


@dataclass(frozen=True, slots=True)
class PseudoInverse:
    """V = mean(q' G^+ s r): learns from every row that shares some options with what the target would choose.

    Swaminathan et al. 2017, "Off-policy evaluation for slate recommendation". s marks the options of the logged
    offer, G is the mean of s s' and q that of s under the logging and the target policy, given the row's context;
    `slate_weights` computes q' G^+ s, which may be negative. Unbiased where the mean reward is a sum over the
    offer's options for every context; where it is not, the bias is not part of the interval.
    """

    name: ClassVar[str] = "pi"
    needs: ClassVar[Need | None] = "slate"
    terms: ClassVar[tuple[Term, ...]] = (slate_reward,)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)

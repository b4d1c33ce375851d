"""The pseudo-inverse estimator (pi) for slates: offers that combine one option of each dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import FeedbackRows, Need


def slate_reward(rows: FeedbackRows) -> FloatArray:
    """Return the (n,) rewards weighted by the slate weights, q' G^+ s r."""
    return rows.slate_weight * rows.reward


@dataclass(frozen=True, slots=True)
class PseudoInverse:
    """The pseudo-inverse estimator: V = mean(q' G^+ s r).

    Swaminathan et al. 2017, "Off-policy evaluation for slate recommendation". s is the indicator vector of the logged
    offer's options; given the row's context, G is the mean of s s' under the logging policy and q the mean of s under
    the target policy. `slate_weights` computes q' G^+ s, which may be negative. Unlike ips it uses rows that share
    only some options with the target's choice. Unbiased where the mean reward is additive over the offer's options in
    every context; the interval does not include the bias where it is not.
    """

    name: ClassVar[str] = "pi"
    needs: ClassVar[Need | None] = "slate"
    terms: ClassVar[tuple[Term, ...]] = (slate_reward,)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)

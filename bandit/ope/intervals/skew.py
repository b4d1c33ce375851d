"""The skewness-corrected interval: Hall's cubic transformation of the studentised statistic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

if TYPE_CHECKING:
    from bandit.ope.statistic import Statistic


@dataclass(frozen=True, slots=True)
class Transformation:
    """Hall's monotone transformation g(t) = t + a t^2 + a^2 t^3 / 3 + b = b + ((1 + a t)^3 - 1) / (3 a).

    g(t) = t + b at a = 0. The transformed statistic is compared with Student-t with `freedom` degrees of freedom.
    """

    a: float
    b: float
    freedom: float

    def apply(self, t: float) -> float:
        """Return g(t) of the studentised statistic t."""
        return t + self.a * t**2 + self.a**2 * t**3 / 3.0 + self.b

    def invert(self, x: float) -> float:
        """Return the t with g(t) = x."""
        x -= self.b
        # Close to a = 0 the closed form cancels; the series is exact to order a^2.
        if abs(self.a) * max(abs(x), 1.0) < 1e-6:
            return x - self.a * x**2
        moved = 3.0 * self.a * x
        # Near 0 the difference of the root and 1 would lose the digits that the logarithm keeps.
        return float(np.expm1(np.log1p(moved) / 3.0) if abs(moved) < 0.5 else np.cbrt(1.0 + moved) - 1.0) / self.a

    def p_value(self, t: float) -> float:
        """Return the two-sided p-value of the studentised statistic."""
        return float(2.0 * stdtr(self.freedom, -abs(self.apply(t))))


def skew(statistic: Statistic, level: float) -> tuple[float, float]:
    """Return value - error g^-1(x) and value - error g^-1(-x), x the Student-t quantile with g's degrees of freedom.

    Hall 1992, "On the removal of skewness by transformation", with g from `transformation`. The coverage error is one
    order of 1 / sqrt(groups) smaller than that of `normal`; the interval is deterministic and computed from moments.
    """
    g = transformation(statistic)
    x = float(stdtrit(g.freedom, 0.5 + level / 2))
    return statistic.value - statistic.error * g.invert(x), statistic.value - statistic.error * g.invert(-x)


def transformation(statistic: Statistic) -> Transformation:
    """Return the transformation that makes (value - truth) / error symmetric to second order.

    With l_g the influence of group g on the value in units of the error (their squares sum to 1), s their skewness and
    q_gh the second-order influences of pairs of groups in units of the error,

        k = sum_gh l_g l_h q_gh,   d = sum_g q_gg / 2,   a = s / 3 + k / 2,   b = s / 6 + k / 2 - d.

    For a mean, k = d = 0 and these are Hall's constants. The other terms follow from the same expansion for a function
    of means (Hall 1992, "The Bootstrap and Edgeworth Expansion", section 2.4): the error is itself a function of the
    means, and the value has a bias of d errors. With D_g the group's summed deviations, H the second derivatives, n_g
    its rows and e_g = (n_g - mean) / n, q_gh = D_g' H D_h / (n^2 error) - l_g e_h - e_g l_h: where clusters differ in
    size, means are ratios too.

    Skewness and error are estimates, with large errors where few groups carry the value. s is sum l^3 shrunk by
    max(0, 1 - sum l^6 / (sum l^3)^2), the positive-part James-Stein factor with sum l^6 as the variance of sum l^3;
    the degrees of freedom are those of Satterthwaite 1946, 2 / (sum l^4 - 1 / groups), at most groups - 1. Without
    these two corrections, intervals of symmetric heavy-tailed rewards undercover because of spurious skewness.
    """
    summary, columns = statistic.summary, statistic.columns
    # Without the correction for few groups, so that the squared influences of all groups sum to 1.
    error = statistic.error * np.sqrt(1.0 - 1.0 / summary.groups)
    gradient, scatter = statistic.gradient[columns], summary.scatter[np.ix_(columns, columns)]
    second = statistic.curvature()
    with_size = float(gradient @ summary.with_counts[columns]) / summary.total**2
    along = scatter @ gradient
    k = float(along @ second @ along) / summary.total**4 / error**3 - 2.0 * with_size / error
    d = 0.5 * float(np.sum(second * scatter)) / summary.total**2 / error - with_size / error
    # Products instead of `**`, which numpy computes far more slowly.
    influences = statistic.influences / error
    squared = influences * influences
    cubed = squared * influences
    s, noise = float(cubed.sum()), float(cubed @ cubed)
    s *= max(0.0, 1.0 - noise / s**2) if s else 0.0
    excess = float(squared @ squared) - 1.0 / len(influences)
    freedom = float(summary.groups - 1)
    if excess > 0:
        freedom = min(2.0 / excess, freedom)
    if not np.isfinite([s, k, d]).all():
        return Transformation(0.0, 0.0, freedom)
    return Transformation(s / 3.0 + k / 2.0, s / 6.0 + k / 2.0 - d, freedom)

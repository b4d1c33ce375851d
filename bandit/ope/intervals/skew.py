"""The interval that takes the skewness of the studentised statistic away: Hall's cubic transformation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

if TYPE_CHECKING:
    from bandit.ope.statistic import Statistic


@dataclass(frozen=True, slots=True)
class Transformation:
    """g(t) = t + a t^2 + a^2 t^3 / 3 + b = b + ((1 + a t)^3 - 1) / (3 a), monotone; g(t) is Student-t with `freedom`.

    g(t) = t + b at a = 0.
    """

    a: float
    b: float
    freedom: float

    def forth(self, t: float) -> float:
        """Return g(t), for t the studentised statistic."""
        return t + self.a * t**2 + self.a**2 * t**3 / 3.0 + self.b

    def back(self, x: float) -> float:
        """Return the t with g(t) = x."""
        x -= self.b
        # Close to a = 0 the closed form loses its digits, and the series is exact to a^2.
        if abs(self.a) * max(abs(x), 1.0) < 1e-6:
            return x - self.a * x**2
        return float(np.cbrt(1.0 + 3.0 * self.a * x) - 1.0) / self.a

    def p_value(self, t: float) -> float:
        """Return the two-sided p-value of the studentised statistic."""
        return float(2.0 * stdtr(self.freedom, -abs(self.forth(t))))


def skew(statistic: Statistic, level: float) -> tuple[float, float]:
    """Return value - error g^-1(x) and value - error g^-1(-x), x the Student-t quantile with g's degrees of freedom.

    Hall 1992, "On the removal of skewness by transformation", with the transformation of `transformation`: right to
    one order of 1 / sqrt(groups) more than `normal`, deterministic, and had from moments.
    """
    g = transformation(statistic)
    x = float(stdtrit(g.freedom, 0.5 + level / 2))
    return statistic.value - statistic.error * g.back(x), statistic.value - statistic.error * g.back(-x)


def transformation(statistic: Statistic) -> Transformation:
    """Return the transformation that makes (value - truth) / error symmetric to second order.

    With l_g the influence of group g on the value in errors (the squares add up to 1), s their skewness and q_gh
    the second-order influences of pairs of groups in errors,

        k = sum_gh l_g l_h q_gh,   d = sum_g q_gg / 2,   a = s / 3 + k / 2,   b = s / 6 + k / 2 - d.

    For a mean k = d = 0 and these are Hall's. The rest follows from the same expansion for a function of means
    (Hall 1992, The Bootstrap and Edgeworth Expansion, section 2.4): the error is itself a function of the means,
    and the value is biased by d errors. With D_g the group's summed deviations, H the second derivatives, n_g its
    rows and e_g = (n_g - mean) / n, q_gh = D_g' H D_h / (n^2 error) - l_g e_h - e_g l_h: where clusters differ in
    size the means are ratios as well.

    Skewness and error are themselves estimated, badly so where few groups carry the value. s is sum l^3 shrunk by
    max(0, 1 - sum l^6 / (sum l^3)^2), the positive-part James-Stein factor with sum l^6 for the variance of sum l^3;
    the degrees of freedom are those of Satterthwaite 1946, 2 / (sum l^4 - 1 / groups), at most groups - 1. Without
    the two, symmetric rewards with heavy tails are covered too seldom for a skewness that is not there.
    """
    summary, columns = statistic.summary, statistic.columns
    # Without the correction for few groups, so that the squared influences of all groups add up to 1.
    error = statistic.error * np.sqrt(1.0 - 1.0 / summary.groups)
    gradient, scatter = statistic.gradient[columns], summary.scatter[np.ix_(columns, columns)]
    second = statistic.curvature()
    with_size = float(gradient @ summary.with_counts[columns]) / summary.n**2
    along = scatter @ gradient
    k = float(along @ second @ along) / summary.n**4 / error**3 - 2.0 * with_size / error
    d = 0.5 * float(np.sum(second * scatter)) / summary.n**2 / error - with_size / error
    # Squares by hand: numpy takes powers one by one.
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

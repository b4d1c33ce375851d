"""Simultaneous confidence intervals by the max-t method: the joint correlation of the estimates' errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

from bandit.ope.intervals.skew import transformation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray
    from bandit.ope.estimate import Estimate
    from bandit.ope.intervals import IntervalKind
    from bandit.ope.statistic import Statistic

DRAWS = 100_000
"""Monte Carlo draws of the largest of m correlated t statistics; the 95 % point is known to about 0.01."""

_SEED = 1987

_ROUNDING = 1e-12
"""An eigenvalue of a correlation matrix below it is 0."""


@dataclass(frozen=True, slots=True)
class Simultaneous:
    """One of several estimates whose intervals have joint coverage at the estimate's level.

    `p_value` is the two-sided p-value of the hypothesis that the value is 0, adjusted for multiple comparisons: it is
    below 1 - level exactly where the interval excludes 0.
    """

    estimate: Estimate
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class MaxT:
    """The distribution of the largest absolute value of `count` correlated t statistics, as (draws,) sorted draws.

    Hothorn, Bretz and Westfall 2008, "Simultaneous inference in general parametric models": the errors are jointly
    normal with the correlation of the influence values, divided by sqrt(chi-square / freedom) of groups - 1 degrees.
    """

    largest: FloatArray
    count: int
    freedom: int

    @classmethod
    def of(cls, statistics: Sequence[Statistic]) -> MaxT:
        """Return the distribution for these statistics, without those whose error is 0 or infinite."""
        used = [each for each in statistics if np.isfinite(each.error) and each.error > 0]
        freedom = statistics[0].summary.groups - 1
        if len(used) < 2:
            return cls(np.empty(0), len(used), freedom)
        gradients = np.array([each.gradient for each in used])
        covariance = gradients @ statistics[0].summary.scatter @ gradients.T
        scale = np.sqrt(np.diagonal(covariance))
        values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        # The differences of three groups have two dimensions: what is left of the third is rounding, whose root is not.
        root = vectors * np.sqrt(np.where(values > _ROUNDING, values, 0.0))
        rng = np.random.default_rng(_SEED)
        largest = np.empty(DRAWS)
        at_once = max((1 << 20) // len(used), 1)
        for start in range(0, DRAWS, at_once):
            part = largest[start : start + at_once]
            part[:] = np.abs(rng.standard_normal((len(part), len(used))) @ root.T).max(axis=1)
        return cls(np.sort(largest / np.sqrt(rng.chisquare(freedom, DRAWS) / freedom)), len(used), freedom)

    def level(self, level: float) -> float:
        """Return the level of each single interval that gives this joint level; for one statistic the level itself."""
        if self.count < 2:
            return level
        critical = float(self.largest[min(int(np.ceil(level * len(self.largest))), len(self.largest)) - 1])
        # Kept between the quantile of one interval and Bonferroni's, against the noise of the draws.
        bonferroni = float(stdtrit(self.freedom, 0.5 + (1.0 - (1.0 - level) / self.count) / 2))
        single = float(stdtrit(self.freedom, 0.5 + level / 2))
        return float(1.0 - 2.0 * stdtr(self.freedom, -min(max(critical, single), bonferroni)))

    def p_value(self, t: float) -> float:
        """Return the probability that the largest is at least |t|, kept between the single and Bonferroni's p-value."""
        single = float(2.0 * stdtr(self.freedom, -abs(t)))
        if self.count < 2:
            return single
        above = len(self.largest) - int(np.searchsorted(self.largest, abs(t)))
        return min(max((above + 1) / (len(self.largest) + 1), single), self.count * single, 1.0)


def t_statistic(statistic: Statistic, kind: IntervalKind) -> float:
    """Return the t statistic, of groups - 1 degrees of freedom, of the hypothesis that the value is 0.

    For skew it is the t statistic with the p-value of the transformed statistic.
    """
    if not np.isfinite(statistic.value) or not np.isfinite(statistic.error):
        return 0.0
    if statistic.error == 0.0:
        return 0.0 if statistic.value == 0.0 else float(np.copysign(np.inf, statistic.value))
    t = statistic.value / statistic.error
    if kind != "skew":
        return t
    return float(-stdtrit(statistic.summary.groups - 1, 0.5 * transformation(statistic).p_value(t)))

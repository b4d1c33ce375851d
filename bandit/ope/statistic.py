"""A policy's value, or the difference of two, as a smooth function of the means of all terms: what intervals see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.ope.estimate import standard_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray, IntArray
    from bandit.ope.estimator import Estimator
    from bandit.ope.sums import Summary

# Central differences of this share of a number leave an error of about its square.
_STEP = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One policy's value by one estimator, with its sign in the statistic; `columns` are its terms'."""

    sign: float
    estimator: Estimator
    policy: int
    columns: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """f(mean) with its gradient over all p columns and its standard error; f adds up the parts with their signs.

    `columns` are the distinct columns that f depends on.
    """

    summary: Summary
    parts: tuple[Part, ...]
    value: float
    gradient: FloatArray
    error: float
    columns: IntArray

    @classmethod
    def of(cls, summary: Summary, parts: Sequence[Part]) -> Statistic:
        """Return the statistic of these parts at the means that were seen."""
        value, gradient = _at(parts, summary.mean)
        columns = np.unique(np.concatenate([part.columns for part in parts]))
        return cls(summary, tuple(parts), value, gradient, standard_error(summary, gradient), columns)

    @property
    def influences(self) -> FloatArray:
        """The (b,) sums of the linearised influences of each block's rows, in units of the statistic."""
        return self.gradient[self.columns] @ self.summary.deviations[self.columns] / self.summary.n

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return value and gradient over `columns` for other means of `columns`."""
        full = self.summary.mean.copy()
        full[self.columns] = means
        value, gradient = _at(self.parts, full)
        return value, gradient[self.columns]

    def curvature(self) -> FloatArray:
        """Return the second derivatives over `columns` at the means, by central differences of the gradient."""
        centre = self.summary.mean[self.columns]
        spread = np.sqrt(np.maximum(np.diagonal(self.summary.scatter)[self.columns], 0.0)) / self.summary.n
        size = _STEP * np.where(centre == 0.0, spread, np.abs(centre))
        second = np.zeros((len(centre), len(centre)))
        for place in np.flatnonzero(size > 0):
            step = np.zeros(len(centre))
            step[place] = size[place]
            second[place] = (self.at(centre + step)[1] - self.at(centre - step)[1]) / (2 * size[place])
        return 0.5 * (second + second.T)


def _at(parts: Sequence[Part], means: FloatArray) -> tuple[float, FloatArray]:
    value, gradient = 0.0, np.zeros(len(means))
    for part in parts:
        its, local = part.estimator.at(means[part.columns])
        value += part.sign * its
        gradient[part.columns] += part.sign * local
    return value, gradient

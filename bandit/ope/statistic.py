"""The statistic that intervals are computed for: a policy's value or a difference, as a function of means."""

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

# The relative step of central differences; their error is of the order of its square.
_STEP = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class SignedValue:
    """One policy's value by one estimator, with its sign in the statistic; `columns` are the columns of its terms."""

    sign: float
    estimator: Estimator
    policy: int
    columns: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """f(mean) with its gradient over all p columns and its standard error; f is the signed sum of the parts.

    `columns` are the distinct columns that f depends on.
    """

    summary: Summary
    parts: tuple[SignedValue, ...]
    value: float
    gradient: FloatArray
    error: float
    columns: IntArray

    @classmethod
    def of(cls, summary: Summary, parts: Sequence[SignedValue]) -> Statistic:
        """Return the statistic of these parts at the observed means."""
        value, gradient = _at(parts, summary.mean)
        columns = np.unique(np.concatenate([part.columns for part in parts]))
        return cls(summary, tuple(parts), value, gradient, standard_error(summary, gradient), columns)

    @property
    def influences(self) -> FloatArray:
        """The (b,) sums of the influence values of each block's rows, in units of the statistic."""
        return self.gradient[self.columns] @ self.summary.deviations[self.columns] / self.summary.total

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the value and the gradient over `columns` at other means of `columns`."""
        full = self.summary.mean.copy()
        full[self.columns] = means
        value, gradient = _at(self.parts, full)
        return value, gradient[self.columns]

    def curvature(self) -> FloatArray:
        """Return the second derivatives over `columns` at the means, by central differences of the gradient."""
        centre = self.summary.mean[self.columns]
        spread = np.sqrt(np.maximum(np.diagonal(self.summary.scatter)[self.columns], 0.0)) / self.summary.total
        size = _STEP * np.where(centre == 0.0, spread, np.abs(centre))
        second = np.zeros((len(centre), len(centre)))
        for index in np.flatnonzero(size > 0):
            step = np.zeros(len(centre))
            step[index] = size[index]
            second[index] = (self.at(centre + step)[1] - self.at(centre - step)[1]) / (2 * size[index])
        return 0.5 * (second + second.T)


def _at(parts: Sequence[SignedValue], means: FloatArray) -> tuple[float, FloatArray]:
    value, gradient = 0.0, np.zeros(len(means))
    for part in parts:
        part_value, local = part.estimator.at(means[part.columns])
        value += part.sign * part_value
        gradient[part.columns] += part.sign * local
    return value, gradient

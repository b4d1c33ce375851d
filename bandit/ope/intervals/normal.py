"""The linearised Student-t interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.special import stdtrit

if TYPE_CHECKING:
    from bandit.ope.statistic import Statistic


def normal(statistic: Statistic, level: float) -> tuple[float, float]:
    """Return value +- t(groups - 1) standard errors.

    The error is that of the delta method (Liang and Zeger 1986, see `standard_error`). Coverage is close to nominal
    for many groups of moderate weight. With few effective rows and rare rewards, low values come with small errors, so
    the interval undercovers: the truth lies above it too often.
    """
    half = float(stdtrit(statistic.summary.groups - 1, 0.5 + level / 2)) * statistic.error
    return statistic.value - half, statistic.value + half

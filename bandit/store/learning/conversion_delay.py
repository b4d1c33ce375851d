"""Estimates the distribution of the conversion delay, and from it how much of an open decision's silence is known.

A conversion comes after a delay. The log-likelihood of a decision of age t that has not converted is log(1 - p F(t)),
to first order F(t) log(1 - p): the share F(t) of a full non-conversion (the likelihood is that of Chapelle, "Modeling
delayed feedback in display advertising", KDD 2014, equation 6, with any F in place of the exponential one). F is
estimated from the delays of past conversions and rounded to a few levels, so that a decision is learned a handful of
times and not at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bandit.domain import FloatArray, IntArray

LEVELS: Final = ((0.125, 0.25), (0.375, 0.5), (0.625, 0.75), (0.875, 0.95))
"""(share of conversions reached, weight of the silence): the nearest quarter, below 1 while a conversion may come."""

LEVEL_SHARES: Final = np.array([share for share, _ in LEVELS])
LEVEL_WEIGHTS: Final = np.array([0.0, *(weight for _, weight in LEVELS)])
"""The weight after 0, 1, 2, ... levels."""

PRIOR_CONVERSIONS: Final = 10.0
"""The weight, in conversions, of the prior hazard of an interval.

Among 1 to 20, in simulated campaigns with seven distributions of delay and 300 or 3,000 decisions a window, it was
never far from the best: smaller values are wrong early, larger ones are slow to notice quick conversions.
"""

_N_INTERVALS = 48
_RATIO = 2.0**0.25


@dataclass(frozen=True, slots=True, eq=False)
class DelayDistribution:
    """The distribution of the conversion delay within the window: `share` (B,) of conversions by `age` (B,)."""

    age: FloatArray
    share: FloatArray

    def at(self, age: FloatArray) -> FloatArray:
        """Return the (n,) shares, in [0, 1], of conversions that have come by these (n,) ages.

        >>> DelayDistribution(np.array([0.0, 10.0]), np.array([0.0, 1.0])).at(np.array([2.5, 20.0])).tolist()
        [0.25, 1.0]
        """
        return np.interp(age, self.age, self.share).astype(np.float64)

    def level_ages(self) -> IntArray:
        """Return the (L,) ages in microseconds at which the levels are reached."""
        ages: IntArray = np.ceil(np.interp(LEVEL_SHARES, self.share, self.age)).astype(np.int64)
        return ages


def estimate(delay: IntArray, age: IntArray, window: int) -> DelayDistribution:
    """Return the distribution of the delay from (n,) delays of conversions and the (n,) ages of their decisions.

    A delay longer than the age is not observed, so the delays are truncated on the right. The product-limit estimator
    in reversed time corrects for that (Lynden-Bell 1971; Kalbfleisch and Lawless 1989, "Inference based on
    retrospective ascertainment", equation 2.5): conversions in an interval that ends at t are compared with the shorter
    delays among decisions older than t only. Interval ends grow geometrically. The prior hazard of an interval is that
    of the interval of shorter delays before it, so that a flat curve stays flat, but at most the hazard of a share
    linear in the age, which is the estimate without any conversion.
    """
    edges = window * _RATIO ** np.arange(-_N_INTERVALS, 1.0)
    by = (delay[:, None] <= edges) & (age[:, None] >= edges)
    at_risk = by.sum(axis=0)
    within = (by[:, 1:] & (delay[:, None] > edges[:-1])).sum(axis=0)
    hazard = np.empty(_N_INTERVALS)
    linear = assumed = 1.0 - 1.0 / _RATIO
    for place in range(_N_INTERVALS):
        hazard[place] = (within[place] + PRIOR_CONVERSIONS * assumed) / (at_risk[place + 1] + PRIOR_CONVERSIONS)
        assumed = min(hazard[place], linear)
    share = np.append(np.cumprod((1.0 - hazard)[::-1])[::-1], 1.0)
    return DelayDistribution(np.append(0.0, edges), np.append(0.0, share))

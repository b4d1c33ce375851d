"""SLOPE: a data-driven choice of the clipping, threshold or shrinkage parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.ope.estimators.clipped_ips import ClippedIps
from bandit.ope.estimators.dm import DirectMethod
from bandit.ope.estimators.dr_os import ShrunkDR
from bandit.ope.estimators.switch_dr import SwitchDR

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.estimator import Estimator
    from bandit.ope.feedback import Need

# The half-width of an interval in standard errors, as in the paper's experiments.
_HALF_WIDTH = 2.0

SLOPE_MAX_WEIGHTS = (np.inf, *(2.0**power for power in range(10, -1, -1)))
"""The grid of maximum weights: no maximum, then 1,024 down to 1 by halving. It is fixed before the log is seen.

Weights have mean 1, and min(w, 1) keeps the probability on which the two policies agree; with single rows that weigh
more than 1,024 no interval is informative. From one finite step to the next the root mean square changes by a factor of
at most 2 for a clipped and at most 4 for a shrunk term; with bounded steps the method loses no more than a constant. (A
switching threshold has no such bound.)
"""


@dataclass(frozen=True, slots=True)
class Slope:
    """Selects, of candidates ordered by increasing bias, the last whose interval intersects those of all before it.

    Su, Srinath and Krishnamurthy 2020, "Adaptive estimator selection for off-policy evaluation". Intervals are value
    +- 2 standard errors; while they have a point in common, the added bias is no larger than the noise removed. The
    method assumes widths that decrease along the order; where an observed width does not, the interval is widened to
    the widest after it, so that a candidate with an accidentally small standard error does not exclude its successors.

    The result is the selected value with the interval of the first, least biased candidate: the accepted bias may be
    as large as four of its standard errors, and the selected candidate's own interval would not include it. SLOPE
    minimises the error of the point estimate; it is not meant for verdicts.
    """

    name: str
    candidates: tuple[Estimator, ...]

    def __post_init__(self) -> None:
        if not self.candidates:
            raise InputError(f'"{self.name}" has no candidates; give at least one')
        if len({each.needs for each in self.candidates}) > 1:
            raise InputError(f'the candidates of "{self.name}" need different columns; give those that need the same')

    @property
    def needs(self) -> Need | None:
        """The optional columns that the candidates need."""
        return self.candidates[0].needs

    def choose(self, values: FloatArray, errors: FloatArray) -> int:
        """Return the index of the selected candidate from the (k,) values and standard errors; 0 if all are unknown."""
        if not np.isfinite(errors).any():
            return 0
        half = _HALF_WIDTH * np.maximum.accumulate(np.where(np.isnan(errors), np.inf, errors)[::-1])[::-1]
        low, high = np.maximum.accumulate(values - half), np.minimum.accumulate(values + half)
        # NaN intersects nothing; a difference in the last digit is rounding.
        disjoint = ~(low <= high + 1e-12 * np.abs(values))
        return max(int(np.argmax(disjoint)) - 1, 0) if disjoint.any() else len(values) - 1


CLIPPED_IPS_SLOPE = Slope("clipped-ips-slope", tuple(ClippedIps(largest) for largest in SLOPE_MAX_WEIGHTS))
"""From ips to weights clipped at 1."""

SWITCH_DR_SLOPE = Slope("switch-dr-slope", (*(SwitchDR(threshold) for threshold in SLOPE_MAX_WEIGHTS), SwitchDR(0.0)))
"""From dr to dm."""

DR_OS_SLOPE = Slope("dr-os-slope", (*(ShrunkDR(largest**2) for largest in SLOPE_MAX_WEIGHTS), DirectMethod()))
"""From dr to dm; the shrinkage is the square of the grid's weight, the weight that shrinks by one half."""

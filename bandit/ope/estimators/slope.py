"""Which clipping, threshold or shrinkage the rows themselves ask for."""

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

# Half the length of an interval, in standard errors, as in the paper's experiments.
_HALF = 2.0

LARGEST = (np.inf, *(2.0**power for power in range(10, -1, -1)))
"""The largest weights to choose from: none, then 1,024 down to 1 by halves.

They are fixed before the log is seen. Weights have mean 1, and min(w, 1) keeps what the two policies agree on; where a
row counts for more than 1,024 no interval is worth having. From one finite step to the next the root mean square of a
clipped term changes by a factor of at most 2 and of a shrunk one by at most 4: the method loses no more than a constant
where steps are bounded. (A threshold has no such bound.)
"""


@dataclass(frozen=True, slots=True)
class Slope:
    """Of estimators in the order of growing bias, the last whose interval meets those of all before it.

    Su, Srinath and Krishnamurthy 2020, "Adaptive estimator selection for off-policy evaluation". As long as
    intervals of value +- 2 standard errors have a point in common, the bias that was added hides in the noise that
    was taken away. The method supposes that widths fall along the order; where an observed one does not, an interval
    is made as wide as the widest after it, so that a candidate that happens to look narrow rules out none of those
    that follow.

    What is reported is the chosen value with the interval of the first candidate: the bias that is accepted may be as
    large as four of its standard errors, and an interval of the chosen one's own would know nothing of it. It is meant
    for a small error of the value, not for a verdict.
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
        """What the candidates need."""
        return self.candidates[0].needs

    def choose(self, values: FloatArray, errors: FloatArray) -> int:
        """Return the index of the chosen candidate from the (k,) values and standard errors; 0 if none is known."""
        if not np.isfinite(errors).any():
            return 0
        half = _HALF * np.maximum.accumulate(np.where(np.isnan(errors), np.inf, errors)[::-1])[::-1]
        low, high = np.maximum.accumulate(values - half), np.minimum.accumulate(values + half)
        # NaN meets nothing; a difference in the last digit is rounding.
        apart = ~(low <= high + 1e-12 * np.abs(values))
        return max(int(np.argmax(apart)) - 1, 0) if apart.any() else len(values) - 1


CLIPPED_IPS_SLOPE = Slope("clipped-ips-slope", tuple(ClippedIps(largest) for largest in LARGEST))
"""From ips to weights of at most 1."""

SWITCH_DR_SLOPE = Slope("switch-dr-slope", (*(SwitchDR(threshold) for threshold in LARGEST), SwitchDR(0.0)))
"""From dr to dm."""

DR_OS_SLOPE = Slope("dr-os-slope", (*(ShrunkDR(largest**2) for largest in LARGEST), DirectMethod()))
"""From dr to dm; the weight that is halved is the square root of the shrinkage."""

"""What calibration promises, and whether it holds beyond the noise of a finite number of logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulator.validation.calibration.equal_offers import FalseAnnouncements
from simulator.validation.calibration.summary import EstimatedShare, GridResults, IntervalCoverage, coverage
from simulator.validation.calibration.worlds import NULL_MARKET

COVERAGE_LIMITS = (0.93, 0.97)
"""Between these is the share of 95 % intervals that cover the truth."""

FALSE_LIMIT = 0.025
"""Largest share of false "better", and of false "worse", where no policy is better or worse."""

CLAIM_SIGMAS = 3.0
"""A claim fails where it is missed by more than so many Monte Carlo standard errors."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise: the share that was found, what it should be, and whether that can still be true."""

    says: str
    found: EstimatedShare
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the share is within its limits up to Monte Carlo noise; never where nothing was found."""
        if not self.found.n:
            return False
        noise = CLAIM_SIGMAS * _noise(self.found, self.low, self.high)
        return self.low - noise <= self.found.value <= self.high + noise

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"says": self.says, **self.found.to_dict(), "low": self.low, "high": self.high, "holds": self.holds}


def claims(results: GridResults, estimator: str, kind: str) -> Iterator[Claim]:
    """Yield the claims about one estimator with one kind of interval."""
    worth = {cell: replications for cell, replications in results.items() if cell.world != NULL_MARKET}
    nothing = {cell: replications for cell, replications in results.items() if cell.world == NULL_MARKET}
    for what, difference in (("the value", False), ("the difference", True)):
        found = coverage(worth, estimator, kind, difference=difference).covered
        yield Claim(f"95 % intervals of {what} cover it", found, *COVERAGE_LIMITS)
    false: IntervalCoverage = coverage(nothing, estimator, kind, difference=True)
    yield Claim('false "better" where nothing is better', false.above, 0.0, FALSE_LIMIT)
    yield Claim('false "worse" where nothing is worse', false.below, 0.0, FALSE_LIMIT)


def equal_offer_claims(found: FalseAnnouncements) -> Iterator[Claim]:
    """Yield the claims that of many equal offers, all compared at once, none is announced on either side."""
    for word, share in (("better", found.together_better), ("worse", found.together_worse)):
        yield Claim(
            f"one of {found.compared:.0f} equal offers is announced as {word}, {found.rows:,} rows",
            share,
            0.0,
            FALSE_LIMIT,
        )


def _noise(found: EstimatedShare, low: float, high: float) -> float:
    """Return the larger of the error that was seen and that of independent answers at the limit itself."""
    limit = high if found.value > high else low
    binomial = float(np.sqrt(limit * (1.0 - limit) / found.n))
    return float(np.nanmax([found.error, binomial]))

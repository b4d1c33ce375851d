"""The claims about calibration, and whether they hold up to the noise of a finite number of logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from simulator.validation.calibration.equal_offers import FalseAnnouncements
from simulator.validation.calibration.summary import EstimatedShare, GridResults, IntervalCoverage, coverage
from simulator.validation.calibration.worlds import NULL_MARKET

COVERAGE_LIMITS = (0.93, 0.97)
"""Limits of the share of 95 % intervals that cover the truth."""

FALSE_LIMIT = 0.025
"""Largest share of false "better", and of false "worse", where no policy is better or worse."""

CLAIM_SIGMAS = 3.0
"""A claim fails where its limits are missed by more than so many Monte Carlo standard errors."""

CLAIMED_ESTIMATOR = "dr"
"""The estimator about which the claims are made: the default of an evaluation."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: the share that was found, the limits it should be within, and whether that may be true."""

    says: str
    found: EstimatedShare
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the share is within its limits up to Monte Carlo noise; False where there are no answers."""
        if not self.found.n:
            return False
        noise = CLAIM_SIGMAS * _noise(self.found, self.low, self.high)
        return self.low - noise <= self.found.value <= self.high + noise

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"says": self.says, **self.found.to_dict(), "low": self.low, "high": self.high, "holds": self.holds}


def claims(results: GridResults, estimator: str, kind: str) -> Iterator[Claim]:
    """Yield the claims about one estimator with one kind of interval."""
    differing = {cell: replications for cell, replications in results.items() if cell.world != NULL_MARKET}
    equal = {cell: replications for cell, replications in results.items() if cell.world == NULL_MARKET}
    for what, difference in (("the value", False), ("the difference", True)):
        found = coverage(differing, estimator, kind, difference=difference).covered
        yield Claim(f"95 % intervals of {what} cover it", found, *COVERAGE_LIMITS)
    false: IntervalCoverage = coverage(equal, estimator, kind, difference=True)
    yield Claim('false "better" where nothing is better', false.above, 0.0, FALSE_LIMIT)
    yield Claim('false "worse" where nothing is worse', false.below, 0.0, FALSE_LIMIT)


def equal_offer_claims(found: FalseAnnouncements) -> Iterator[Claim]:
    """Yield the claims that, of many equal offers compared at once, none is announced as better or as worse."""
    for word, share in (("better", found.together_better), ("worse", found.together_worse)):
        yield Claim(
            f"one of {found.compared:.0f} equal offers is announced as {word}, {found.rows:,} rows",
            share,
            0.0,
            FALSE_LIMIT,
        )


def all_claims(results: GridResults, equal_offers: Iterable[FalseAnnouncements], kind: str) -> list[Claim]:
    """Return all claims about `CLAIMED_ESTIMATOR` with one kind of interval."""
    found = list(equal_offers)
    # Where a log answers for no offer, that none is announced is no achievement; where none does, the claims fail.
    telling = [each for each in found if each.says_something]
    nothing = EstimatedShare(np.nan, np.nan, 0)
    silent = [replace(each, together_better=nothing, together_worse=nothing) for each in found[-1:]]
    of_equal_offers = chain.from_iterable(equal_offer_claims(each) for each in telling or silent)
    return [*claims(results, CLAIMED_ESTIMATOR, kind), *of_equal_offers]


def _noise(found: EstimatedShare, low: float, high: float) -> float:
    """Return the larger of the standard error found and that of independent answers at the limit."""
    limit = high if found.value > high else low
    binomial = float(np.sqrt(limit * (1.0 - limit) / found.n))
    return float(np.nanmax([found.error, binomial]))

"""Formatting of estimates for people: no more digits than the standard error allows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandit.ope.estimate import Estimate

UNKNOWN_NUMBER = "?"
"""Shown instead of a number that is not known."""

LARGEST_WRITTEN_OUT = 1e15
"""From here on a number is written as 1.234e+15."""

_MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How the numbers of one column are formatted: with how many decimals."""

    decimals: int

    @staticmethod
    def of(estimates: Iterable[Estimate]) -> NumberFormat:
        """Return the format in which the smallest standard error has two significant figures."""
        errors = [each.standard_error for each in estimates]
        return NumberFormat.of_error(
            min((error for error in errors if math.isfinite(error) and error > 0), default=0.0)
        )

    @staticmethod
    def of_error(error: float) -> NumberFormat:
        """Return the format in which a standard error has two significant figures; four decimals for an unknown one.

        >>> NumberFormat.of_error(0.0123).decimals, NumberFormat.of_error(0.0).decimals
        (3, 4)
        """
        if not error > 0.0:
            return NumberFormat(4)
        return NumberFormat(min(max(1 - math.floor(math.log10(error)), 0), _MOST_DECIMALS))

    def number(self, value: float, *, signed: bool = False) -> str:
        """Return a number as text, "?" where it is not finite."""
        if not math.isfinite(value):
            return UNKNOWN_NUMBER
        sign = "+" if signed else ""
        if abs(value) >= LARGEST_WRITTEN_OUT:
            return f"{value:{sign}.4g}"
        return f"{value:{sign},.{self.decimals}f}"

    def interval(self, estimate: Estimate, *, signed: bool = False) -> str:
        """Return the interval of an estimate as text, such as "0.12 to 0.15".

        >>> NumberFormat(2).number(1234.567)
        '1,234.57'
        """
        if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
            return UNKNOWN_NUMBER
        return f"{self.number(estimate.low, signed=signed)} to {self.number(estimate.high, signed=signed)}"

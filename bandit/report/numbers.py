"""Numbers as a person reads them: no more digits than the noise leaves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandit.ope import Estimate

UNKNOWN_NUMBER = "?"
"""Stands for a number that the log cannot give."""

_MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How many decimals a column of numbers has."""

    decimals: int

    @staticmethod
    def of(estimates: Iterable[Estimate]) -> NumberFormat:
        """Return the scale at which the smallest standard error has two figures."""
        errors = [each.standard_error for each in estimates]
        errors = [error for error in errors if math.isfinite(error) and error > 0]
        if not errors:
            return NumberFormat(4)
        return NumberFormat(min(max(1 - math.floor(math.log10(min(errors))), 0), _MOST_DECIMALS))

    def number(self, value: float, *, signed: bool = False) -> str:
        """Return one number."""
        if not math.isfinite(value):
            return UNKNOWN_NUMBER
        return f"{value:{'+' if signed else ''},.{self.decimals}f}"

    def interval(self, estimate: Estimate, *, signed: bool = False) -> str:
        """Return the interval of an estimate, as "0.12 to 0.15"."""
        if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
            return UNKNOWN_NUMBER
        return f"{self.number(estimate.low, signed=signed)} to {self.number(estimate.high, signed=signed)}"


def count(number: int) -> str:
    """Return a number of things."""
    return f"{number:,}"

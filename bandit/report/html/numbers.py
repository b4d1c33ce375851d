"""Numbers of a report as words: money with as many digits as its error allows, in the unit of the objective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.ope.numbers import LARGEST_WRITTEN_OUT
from bandit.report.numbers import UNKNOWN_NUMBER

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.ope import Estimate

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class RewardWords:
    """The unit of rewards in words: `amount` follows a number ("EUR", "conversions"), `what` names the value."""

    amount: str
    what: str
    event: str

    @staticmethod
    def of(catalogue: Catalogue) -> RewardWords:
        """Return the unit of a catalogue's objective."""
        kind, event = catalogue.objective.kind, catalogue.objective.event
        if kind == "conversion":
            return RewardWords(f'"{event}"', f'conversions ("{event}")', event)
        if kind == "reward":
            return RewardWords("reward", "reward", event)
        return RewardWords(catalogue.currency, f"{kind} in {catalogue.currency}", event)


def rounded(value: float, error: float, *, signed: bool = False, figures: int = 2) -> str:
    """Return a number with as many digits as its error has significant figures, such as "+1,230" or "0.046".

    >>> rounded(1234.5, 87.0, signed=True), rounded(-0.04567, 0.0123), rounded(float("nan"), 1.0)
    ('+1,234', '\N{MINUS SIGN}0.046', '?')
    >>> rounded(57_268.0, 12_345.0)
    '57,000'
    """
    if not math.isfinite(value):
        return UNKNOWN_NUMBER
    if abs(value) >= LARGEST_WRITTEN_OUT:
        return f"{value:{'+' if signed else ''}.{figures + 1}g}".replace("-", MINUS)
    places = 3
    if math.isfinite(error) and error > 0.0:
        places = min(figures - 1 - math.floor(math.log10(error)), 6)
    shown = round(value, places) + 0.0
    text = f"{abs(shown):,.{max(places, 0)}f}"
    sign = MINUS if shown < 0.0 else "+" if signed and shown > 0.0 else ""
    return sign + text


def bounds(estimate: Estimate, *, times: float = 1.0, signed: bool = False, figures: int = 2) -> str:
    """Return an interval in words, such as "+0.1 to +0.3"; "unknown" where it has no finite ends."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return "unknown"
    error = estimate.standard_error * times
    low, high = (rounded(end * times, error, signed=signed, figures=figures) for end in (estimate.low, estimate.high))
    return f"{low} to {high}"


def between(estimate: Estimate, *, times: float = 1.0, signed: bool = False) -> str:
    """Return an interval in words for a sentence, such as "between +0.1 and +0.3"."""
    ends = bounds(estimate, times=times, signed=signed)
    return f"between {ends.replace(' to ', ' and ')}" if " to " in ends else "within unknown bounds"


def middle(estimate: Estimate, *, times: float = 1.0, signed: bool = False, figures: int = 2) -> str:
    """Return the value of an estimate in as many digits as its error allows."""
    return rounded(estimate.value * times, estimate.standard_error * times, signed=signed, figures=figures)


def percent(share: float) -> str:
    """Return a share as a percentage, with a decimal below 10 %.

    >>> percent(0.5), percent(0.0123)
    ('50 %', '1.2 %')
    """
    if not math.isfinite(share):
        return UNKNOWN_NUMBER
    places = 1 if 0.0 < abs(share) < 0.0995 else 0
    return f"{share:.{places}%}".replace("%", " %").replace("-", MINUS)


def tick(value: float, _: object = None) -> str:
    """Return the label of an axis: short, with a sign, and 0 without one."""
    if value == 0.0:
        return "0"
    return f"{value:+,.4g}".replace("-", MINUS)

"""Names, numbers and shares as the texts of an explanation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bandit.printable import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.explain.records import CredibleNumber, DecisionExplanation

_LONGEST = 300
"""Most characters of a name or a sentence from outside."""

_UNBOUNDED = 1e3
"""Width of an interval, in units of the number, from which it says nothing."""


def quantity_name(explanation: DecisionExplanation, *, unit: bool = False) -> str:
    """Return the name of the expected reward."""
    if not in_money(explanation):
        return p_convert_name(explanation)
    words = f"expected {explanation.objective}"
    return f"{words}, {safe(explanation.unit)}" if unit else words


def p_convert_name(explanation: DecisionExplanation) -> str:
    """Return the name of the probability of a conversion, with the event that counts."""
    return f"P({plain(explanation.event, 12)})"


def in_money(explanation: DecisionExplanation) -> bool:
    """Say whether rewards are amounts and not probabilities."""
    return explanation.objective != "conversion"


def unit_name(explanation: DecisionExplanation) -> str:
    """Return the unit in which a difference of expected rewards is shown."""
    return safe(explanation.unit) if in_money(explanation) else "percentage points"


def unit_scale(explanation: DecisionExplanation) -> float:
    """Return the factor from expected rewards to that unit."""
    return 1.0 if in_money(explanation) else 100.0


def interval_words(number: CredibleNumber, explanation: DecisionExplanation) -> str:
    """Return the interval of a difference in brackets, empty where it says nothing."""
    if _says_nothing(number):
        return ""
    scale = unit_scale(explanation)
    return f" ({explanation.level:.0%} interval {signed(number.low * scale)} to {signed(number.high * scale)})"


def with_interval(number: CredibleNumber | None, *, percent: bool = False) -> str:
    """Return a number with its interval, "?" for none."""
    if number is None:
        return "?"
    shown = percentage if percent else plain_number
    if _says_nothing(number):
        return f"{shown(number.value)} (not known yet)"
    return f"{shown(number.value)} ({shown(number.low)} to {shown(number.high)})"


def _says_nothing(number: CredibleNumber) -> bool:
    width = number.high - number.low
    return not math.isfinite(width) or width > _UNBOUNDED * max(abs(number.value), 1e-12) + 1e3


def plain_number(value: float) -> str:
    """Return a number with about three figures, "?" where it is not finite."""
    return f"{value:,.{decimals_for(value)}f}" if math.isfinite(value) else "?"


def decimals_for(value: float) -> int:
    """Return how many decimals a number is shown with: about three figures."""
    size = abs(value)
    return 0 if size >= 1_000 else 1 if size >= 100 else 2 if size >= 0.1 or not size else 3


def signed(value: float) -> str:
    """Return a number with its sign."""
    shown = plain_number(value)
    return shown if value < 0.0 or shown == "?" else f"+{shown}"


def percentage(share: float) -> str:
    """Return a share as a percentage with three figures.

    >>> percentage(0.5106), percentage(0.00017857), percentage(1.0)
    ('51.1%', '0.0179%', '100%')
    """
    return f"{100.0 * share:.3g}%"


def pairs_text(values: Mapping[str, object]) -> str:
    """Return names and values as one text."""
    return ", ".join(f"{safe(str(name))} {safe(_value(value))}" for name, value in values.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def safe(text: str) -> str:
    """Return a text from outside on one line, without control characters, and not too long."""
    return plain(text, _LONGEST)


def capital(text: str) -> str:
    """Return a sentence with a capital first letter."""
    return text[:1].upper() + text[1:]

"""The tables of a catalogue file as structures, and durations as they are written in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from bandit.catalogue.group_schema import GroupsFile
from bandit.catalogue.live_schema import GuardrailFile, RolloutFile, StickyFile
from bandit.catalogue.objective import ObjectiveKind
from bandit.domain import MICROSECONDS
from bandit.errors import CatalogueError

MAX_WINDOW_DAYS = 36_525
"""Longest duration: a hundred years, so that adding one to a time gives a valid calendar date."""

_UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_WINDOW = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A section of the file; unknown keys are refused, so that a misspelt key is an error."""


class FactFile(_Strict, frozen=True):
    """One fact under [context]."""

    type: Literal["categorical", "numeric", "boolean"]
    values: list[str] = []
    center: float | None = None
    scale: float | None = None


class OptionFile(_Strict, frozen=True):
    """One option; keys other than the costs are free numeric attributes."""

    name: str
    rate: float = 0.0
    contact_cost: float = 0.0
    redemption_cost: float = 0.0
    attributes: dict[str, float] = {}


class AttributeFile(_Strict, frozen=True):
    """Prior knowledge about an attribute of a dimension's options (`rate` is one too): how response depends on it."""

    monotone: Literal["increasing", "decreasing"]


class DimensionFile(_Strict, frozen=True):
    """One entry of [[dimensions]]."""

    name: str
    options: list[OptionFile]
    attributes: dict[str, AttributeFile] = {}


class RuleFile(_Strict, frozen=True):
    """One entry of [[rules]]: stacking without `when`, eligibility with it."""

    forbid: dict[str, list[str]]
    when: str | None = None
    reason: str = ""

    @property
    def words(self) -> str:
        """The declared reason, or a sentence made from the rule."""
        combination = " with ".join(f"{name} {' or '.join(options)}" for name, options in self.forbid.items())
        return self.reason or (f"no {combination}" if self.when is None else f"no {combination} when {self.when}")

    def forbids(self, offer: Mapping[str, str]) -> bool:
        """Return whether an offer has a forbidden option in every dimension that the rule names."""
        return all(offer.get(name) in options for name, options in self.forbid.items())


class ObjectiveFile(_Strict, frozen=True):
    """The [objective]."""

    kind: ObjectiveKind = "conversion"
    event: str = "purchase"
    margin: float = 1.0
    window: str = "7d"
    activation: str | None = None

    @property
    def window_microseconds(self) -> int:
        """The attribution window in microseconds."""
        return window_microseconds(self.window)


class CatalogueFile(_Strict, frozen=True):
    """A whole catalogue."""

    dimensions: list[DimensionFile]
    name: str = "offers"
    currency: str = "EUR"
    objective: ObjectiveFile = ObjectiveFile()
    undeclared: Literal["refuse", "drop"] = "refuse"
    context: dict[str, FactFile] = {}
    rules: list[RuleFile] = []
    fallback: dict[str, str] | None = None
    groups: GroupsFile | None = None
    rollout: RolloutFile | None = None
    guardrails: list[GuardrailFile] = []
    sticky: StickyFile | None = None


def window_microseconds(text: str) -> int:
    """Return a duration such as "36h" or "7d" in microseconds; CatalogueError for any other text.

    >>> window_microseconds("36h")
    129600000000
    """
    found = _WINDOW.fullmatch(text.strip())
    if not found:
        raise CatalogueError(f'"{text}" is not a duration; write a number and one of {", ".join(_UNITS)}, as "7d"')
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds > MAX_WINDOW_DAYS * _UNITS["d"]:
        raise CatalogueError(f'"{text}" is longer than {MAX_WINDOW_DAYS:,} days; write a shorter duration')
    return round(seconds * MICROSECONDS)

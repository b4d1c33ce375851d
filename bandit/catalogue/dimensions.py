"""Dimensions and their options: the levers of a catalogue and their values, costs and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a dimension, with its costs, free numeric attributes and earlier names.

    A `stopped` option is known to logs and has its costs, and no policy chooses it any more.
    """

    name: str
    rate: float = 0.0
    contact_cost: float = 0.0
    redemption_cost: float = 0.0
    attributes: Mapping[str, float] = field(default_factory=dict)
    stopped: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dimension:
    """One lever and its options, in the order of the catalogue.

    `monotone` has the attributes (or "rate") along which response is known to go one way, "increasing" or "decreasing".
    `aliases` are earlier names of the dimension.
    """

    name: str
    options: tuple[Option, ...]
    monotone: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The options' names."""
        return tuple(option.name for option in self.options)

    @property
    def codes(self) -> dict[str, int]:
        """The place of each option by its name and by its earlier names."""
        places = {alias: place for place, option in enumerate(self.options) for alias in option.aliases}
        return places | {name: place for place, name in enumerate(self.names)}

"""Checks the events that a mapping names against those that the catalogue knows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.nearest import nearest
from bandit.errors import CatalogueError
from bandit.printable import plain

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.catalogue.events import EventParts
    from bandit.domain import BoolArray
    from bandit.logfiles.columns.outcomes import OutcomeEvents
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import OutcomeSection


_MISSPELT = 0.8
"""Least similarity of a misspelt event and the one that it means."""


def check_outcome_events(catalogue: Catalogue, mapping: LogMapping) -> None:
    """Raise CatalogueError for [[outcomes]] whose event cannot count, and warn of one that is probably misspelt.

    Refused are, where the catalogue declares [events], other names and amounts of an event that is ignored; and
    outcomes of which none is the objective's event, though one is named like it or brings revenue.
    """
    events, where = catalogue.events, mapping.where
    outcomes = mapping.file.outcomes
    own, reward = events.converting, events.kind == "reward"
    unknown = [outcome for outcome in outcomes if outcome.event not in events.parts]
    if events.declared:
        for outcome in outcomes:
            if outcome in unknown:
                raise CatalogueError(f"{where}: [[outcomes]]: {events.unknown(outcome.event)}")
            if events.parts[outcome.event] == "ignored" and (outcome.revenue or outcome.reward):
                raise CatalogueError(
                    f'{where}: [[outcomes]] "{outcome.event}" has an amount, and the catalogue declares the event as '
                    '"ignored" under [events]: leave the amount out, or declare it as "feedback" or "returns"'
                )
    if not reward and all(outcome.event != own for outcome in outcomes):
        meant = _meant(unknown, own)
        if meant is not None:
            raise CatalogueError(
                f'{where}: [[outcomes]] has the event "{plain(meant.event)}" and not "{own}", the event that converts '
                f'under [objective] of the catalogue, so no row would convert: write event = "{own}" in the mapping, '
                f'or event = "{plain(meant.event)}" in the catalogue'
            )
    if events.declared:
        return
    for outcome in unknown:
        if nearest(outcome.event, events.parts, least=_MISSPELT) is not None:
            warnings.warn(f"{where}: [[outcomes]]: {events.sentence(outcome.event, 1, 'undeclared')}", stacklevel=3)


class ReturnSigns:
    """Takes the amounts of declared returns as paid back whatever their sign, and tells of signs that mislead."""

    def __init__(self, parts: EventParts) -> None:
        self._parts = parts
        self._turned: dict[str, int] = {}
        self._added: dict[str, int] = {}

    def apply(self, events: Sequence[OutcomeEvents], ok: BoolArray) -> list[OutcomeEvents]:
        """Return the events, those of declared returns with revenue below 0; `ok` (n,) marks the rows that count."""
        applied = []
        for each in events:
            positive = each.happened & ok & (each.revenue > 0.0)
            if not positive.any():
                applied.append(each)
            elif self._parts.parts.get(each.event) == "returns":
                self._turned[each.event] = self._turned.get(each.event, 0) + int(positive.sum())
                applied.append(replace(each, revenue=-np.abs(each.revenue)))
            else:
                if self._parts.sounds_like_return(each.event):
                    self._added[each.event] = self._added.get(each.event, 0) + int(positive.sum())
                applied.append(each)
        return applied

    def warn(self, name: str) -> None:
        """Warn of what was seen in the file of this name."""
        for event, n in self._turned.items():
            warnings.warn(
                f'{name}: the event "{plain(event)}" has an amount above 0 in {n:,} rows; as [events] declares it as '
                '"returns", it is taken as paid back',
                stacklevel=3,
            )
        for event, n in self._added.items():
            warnings.warn(
                f'{name}: the event "{plain(event)}" has an amount above 0 in {n:,} rows, which is added to the sale; '
                f'if it pays back, declare it as "returns" under [events] in the catalogue',
                stacklevel=3,
            )


def _meant(unknown: list[OutcomeSection], own: str) -> OutcomeSection | None:
    """Return the outcome that is probably the conversion, None where none looks like it."""
    named = nearest(own, [outcome.event for outcome in unknown])
    if named is not None:
        return next(outcome for outcome in unknown if outcome.event == named)
    paying = [outcome for outcome in unknown if outcome.revenue is not None]
    return paying[0] if paying else unknown[0] if len(unknown) == 1 else None

"""Checks the events that a mapping names against those that the catalogue knows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from bandit.catalogue.nearest import nearest
from bandit.errors import CatalogueError
from bandit.printable import plain

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.mapping.schema import OutcomeSection


def check_outcome_events(catalogue: Catalogue, mapping: LogMapping) -> None:
    """Raise CatalogueError for [[outcomes]] whose event cannot count, and warn of one that probably does not.

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
    for outcome in unknown:
        if not (outcome.reward if reward else outcome.revenue):
            warnings.warn(
                f"{where}: [[outcomes]]: {events.sentence(outcome.event, 1, 'undeclared')}",
                stacklevel=3,
            )


def _meant(unknown: list[OutcomeSection], own: str) -> OutcomeSection | None:
    """Return the outcome that is probably the conversion, None where none looks like it."""
    named = nearest(own, [outcome.event for outcome in unknown])
    if named is not None:
        return next(outcome for outcome in unknown if outcome.event == named)
    paying = [outcome for outcome in unknown if outcome.revenue is not None]
    return paying[0] if paying else unknown[0] if len(unknown) == 1 else None

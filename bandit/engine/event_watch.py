"""Looks at recorded events: refuses those that may not be recorded, and says once which do not count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bandit.engine.caller import warn_caller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.catalogue.events import EventFault, EventNote, EventParts
    from bandit.domain import IntArray
    from bandit.store import EventReceipt, EventRows

_QUIET: frozenset[EventFault] = frozenset({"late"})
"""Faults of which the receipt tells and nobody is warned: events come late in every campaign."""


class EventWatch:
    """Checks the events that one engine records; `parts` says what its catalogue takes each for.

    Without `warn`, the notes are in the receipts only.
    """

    def __init__(self, parts: EventParts, *, warn: bool = True) -> None:
        self._parts, self._warns = parts, warn
        self._warned: set[tuple[str, EventFault]] = set()

    def check(self, rows: EventRows) -> None:
        """InputError for events that may not be recorded."""
        self._parts.check(rows.event, rows.revenue, rows.reward)

    def noted(self, receipt: EventReceipt, rows: EventRows, delays: Sequence[IntArray]) -> EventReceipt:
        """Return the receipt of some rows with the notes on them; warns of a name and a fault the first time only.

        `delays` has what `rows.on_delays` was given, nothing where it was not called.
        """
        notes = self._parts.notes(rows.event, rows.revenue, rows.reward, delays[0] if delays else None)
        if not notes:
            return receipt
        if self._warns:
            self._warn(notes)
        return replace(receipt, notes=notes)

    def _warn(self, notes: tuple[EventNote, ...]) -> None:
        for note in notes:
            key = (note.event, note.fault)
            if note.fault not in _QUIET and key not in self._warned:
                self._warned.add(key)
                warn_caller(note.sentence)

"""What the recorded events of a database are taken for, and which of them do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.nearest import did_you_mean
from bandit.printable import count, counted, plain
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.catalogue.events import EventNote, EventParts
    from bandit.store import EventCounts, EventShape, Store
    from bandit.tabular import Cell

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class EventUse:
    """One name of events: how many are recorded, what they are taken for, and why some of them do not count."""

    event: str
    n: int
    taken_for: str
    notes: tuple[EventNote, ...]


@dataclass(frozen=True, slots=True)
class EventUses(Tabular):
    """The names of events in a database, the most frequent first; `problem` says that no conversion is recorded.

    It is None unless events are recorded and none of them is the objective's, though one has a name that is like it or
    brings revenue.
    """

    uses: tuple[EventUse, ...]
    problem: str | None

    @property
    def notes(self) -> tuple[EventNote, ...]:
        """Why events do not count, over all names."""
        return tuple(note for use in self.uses for note in use.notes)

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a name, and one more for each further note on it."""
        rows: list[dict[str, Cell]] = []
        for use in self.uses:
            head: dict[str, Cell] = {"event": use.event, "n": use.n, "taken_for": use.taken_for}
            rows += [head | {"n_noted": note.n, "note": note.sentence} for note in use.notes] or [
                head | {"n_noted": 0, "note": None}
            ]
        return rows

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "names": [
                {
                    "event": use.event,
                    "n": use.n,
                    "taken_for": use.taken_for,
                    "notes": [note.to_dict() for note in use.notes],
                }
                for use in self.uses
            ],
            "problem": self.problem,
        }

    def lines(self) -> dict[str, object]:
        """Return by name how many events there are and what they are taken for, in words."""
        lines: dict[str, object] = {}
        for use in self.uses:  # one name may mean another thing under another catalogue
            said = f"{counted(use.n, 'event')}, {use.taken_for}"
            lines[use.event] = f"{lines[use.event]}; {said}" if use.event in lines else said
        return lines

    def words(self, most: int = 8) -> str:
        """Return the names with their numbers on one line, with a mark on those that do not count."""
        parts = []
        for use in self.uses[:most]:
            wrong = min(sum(note.n for note in use.notes), use.n)
            undeclared = any(note.fault == "undeclared" for note in use.notes)
            mark = ": converts nothing" if undeclared else f"; {count(wrong)} to look at" if wrong else ""
            parts.append(f"{plain(use.event, _SHOWN)} {count(use.n)} ({use.taken_for.split(':')[0]}{mark})")
        more = len(self.uses) - most
        return "; ".join(parts) + (f"; and {more} more names" if more > 0 else "") or "none"


def event_uses(store: Store, counts: EventCounts | None = None) -> EventUses:
    """Return what the events of a store are taken for, each by the catalogue of its decision.

    `counts` are those of the store, if the caller has them; they are brought up to date.
    """
    shapes = store.event_use.counts() if counts is None else counts
    shapes.update()
    parts: dict[int, EventParts] = {}
    by_use: dict[tuple[str, str], list[tuple[EventShape, int]]] = {}
    for shape, n in shapes.counts.items():
        if n > 0:
            known = parts.setdefault(shape.catalogue_id, store.catalogues.get(shape.catalogue_id).events)
            by_use.setdefault((shape.event, known.taken_for(shape.event)), []).append((shape, n))
    uses = [
        EventUse(event, sum(n for _, n in rows), taken_for, _notes(event, rows, parts))
        for (event, taken_for), rows in by_use.items()
    ]
    return EventUses(tuple(sorted(uses, key=lambda use: (-use.n, use.event))), _no_conversion(by_use, parts))


def _notes(event: str, rows: list[tuple[EventShape, int]], parts: Mapping[int, EventParts]) -> tuple[EventNote, ...]:
    """Return the notes on the events of one name, of each catalogue by its own window and objective."""
    notes: dict[str, EventNote] = {}
    for number in dict.fromkeys(shape.catalogue_id for shape, _ in rows):
        mine = [(shape, n) for shape, n in rows if shape.catalogue_id == number]
        known = parts[number]
        found = known.notes(
            event,
            np.array([np.nan if shape.sign is None else shape.sign for shape, _ in mine]),
            np.array([1.0 if shape.rewarded else np.nan for shape, _ in mine]),
            np.array([{-1: -1, 0: 0, 1: known.window + 1}[shape.timing] for shape, _ in mine]),
            np.array([n for _, n in mine]),
        )
        for note in found:
            before = notes.get(note.fault)
            notes[note.fault] = note if before is None else known.note(event, before.n + note.n, note.fault)
    return tuple(notes.values())


def _no_conversion(
    by_use: Mapping[tuple[str, str], list[tuple[EventShape, int]]], parts: Mapping[int, EventParts]
) -> str | None:
    """Return a sentence where nothing converts although an event looks as if it should."""
    if not parts:
        return None
    newest = parts[max(parts)]
    own, recorded = newest.converting, {event for event, _ in by_use}
    if any(known.converting in recorded for known in parts.values()) or newest.kind == "reward":
        return None
    paid: dict[str, int] = {}
    for (event, _), rows in by_use.items():
        like = bool(did_you_mean(own, [event]))
        n = sum(n for shape, n in rows if like or (shape.sign or 0) > 0)
        if n and newest.parts.get(event) is None:
            paid[event] = paid.get(event, 0) + n
    if not paid:
        return None
    name = max(paid, key=lambda event: paid[event])
    return (
        f'no event "{plain(own, _SHOWN)}" was recorded, which is what converts, while "{plain(name, _SHOWN)}" was '
        f"{count(paid[name])} times: every decision counts as not converted; record the purchases under the name "
        f'"{plain(own, _SHOWN)}", or write event = "{plain(name, _SHOWN)}" under [objective] in the catalogue'
    )

"""What each recorded event is taken for, and why some events do not count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bandit.catalogue.nearest import did_you_mean
from bandit.errors import InputError
from bandit.printable import plain

if TYPE_CHECKING:
    from bandit.catalogue.file_tables import CatalogueFile
    from bandit.catalogue.objective import Objective
    from bandit.domain import BoolArray, FloatArray, IntArray

CLOSING_EVENT = "closed"
"""The event which says that no more events of a decision will come."""

EventPart = Literal["converts", "returns", "shown", "feedback", "ignored"]
"""What an event does: it is the conversion, pays back, activates, is only counted, or does nothing."""

EventFault = Literal[
    "undeclared", "early", "late", "late return", "no revenue", "positive return", "no reward",
    "revenue does not count", "reward does not count",
]  # fmt: skip
"""Why an event does not count, or not as its sender may think."""

_PAYING_BACK = ("return", "refund", "cancel", "chargeback", "reversal", "credit")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class EventNote:
    """`n` recorded events of one name that do not count, or not as their sender may think, and why in one sentence."""

    event: str
    n: int
    fault: EventFault
    sentence: str

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EventParts:
    """The part of each event that a catalogue knows; `declared` says whether it has [events], so that others are wrong.

    Known by themselves are the objective's event, its stages and activation, "closed", and the events of guardrails and
    [sticky].
    """

    parts: Mapping[str, str]
    declared: bool
    kind: str
    converting: str
    window: int

    @staticmethod
    def of(file: CatalogueFile, objective: Objective) -> EventParts:
        """Return the parts that a catalogue file declares and implies."""
        watched = [guardrail.event for guardrail in file.guardrails]
        watched += [] if file.sticky is None else file.sticky.until
        parts: dict[str, str] = dict.fromkeys(watched, "feedback")
        parts |= file.events
        parts |= dict.fromkeys(objective.stages, "stage")
        if objective.activation is not None:
            parts[objective.activation] = "shown"
        parts |= {CLOSING_EVENT: "closes", objective.event: "converts"}
        return EventParts(parts, bool(file.events), objective.kind, objective.event, objective.window)

    @property
    def silent(self) -> tuple[str, ...]:
        """The events that are not expected to count: those that close a decision or are ignored."""
        return tuple(name for name, part in self.parts.items() if part in {"closes", "ignored"})

    def sounds_like_return(self, event: str) -> bool:
        """Return whether an event of which nothing is known has a name of one that pays back."""
        return event not in self.parts and _sounds_like_return(event)

    def taken_for(self, event: str) -> str:
        """Return what an event is taken for, in words."""
        part = self.parts.get(event)
        if part is not None:
            return _WORDS[part]
        return _UNDECLARED_REWARD if self.kind == "reward" else _UNDECLARED

    def check(self, event: str | Sequence[str], revenue: FloatArray, reward: FloatArray) -> None:
        """InputError for an event that may not be recorded; `revenue` and `reward` are (n,), NaN for none.

        Where [events] is declared, that is any other name, an amount of an event that is ignored, and a return that
        brings revenue. Without [events], everything may be recorded.
        """
        if not self.declared or (isinstance(event, str) and self.parts.get(event) in {"converts", "closes"}):
            return
        for name, rows in _by_name(event, len(revenue)):
            part = self.parts.get(name)
            if part is None:
                raise InputError(self.unknown(name))
            paid, valued = revenue[rows], reward[rows]
            if part == "ignored" and (np.isfinite(paid).any() or np.isfinite(valued).any()):
                raise InputError(
                    f'the event {_quoted(name)} is declared as "ignored" under [events], so its amount would not '
                    'count; leave the amount out, or declare the event as "feedback" or "returns"'
                )
            if part == "returns" and (paid > 0.0).any():
                amount = float(paid[paid > 0.0][0])
                raise InputError(
                    f'the event {_quoted(name)} is declared as "returns" under [events], and pays back: send '
                    f"revenue={-amount:g}; seen {amount:g}"
                )

    def unknown(self, name: str) -> str:
        """Return why an event that is not declared is refused."""
        known = ", ".join(f'"{plain(each, _SHOWN)}"' for each in self.parts)
        return (
            f"the event {_quoted(name)} is not declared{did_you_mean(name, self.parts)}; [events] of the catalogue has "
            f'{known}: correct the name, or declare it there, as {_key(name)} = "ignored"'
        )

    def notes(
        self,
        event: str | Sequence[str],
        revenue: FloatArray,
        reward: FloatArray,
        delay: IntArray | None,
        numbers: IntArray | None = None,
    ) -> tuple[EventNote, ...]:
        """Return why some of n events do not count, or not as their sender may think; none for events that do.

        `revenue` and `reward` are (n,), NaN for none; `delay` (n,) is how long after its decision each came, in
        microseconds, None where that is not known. `numbers` (n,) is how many events each stands for, else 1.
        """
        if isinstance(event, str) and len(revenue) == 1 and self._is_usual(event, revenue, reward, delay):
            return ()
        found = []
        for name, rows in _by_name(event, len(revenue)):
            after = None if delay is None else delay[rows]
            for fault, wrong in self._faults(name, revenue[rows], reward[rows], after):
                n = int(wrong.sum() if numbers is None else numbers[rows][wrong].sum())
                if n:
                    found.append(self.note(name, n, fault))
        return tuple(found)

    def note(self, name: str, n: int, fault: EventFault) -> EventNote:
        """Return the note on n events of one name that have a fault."""
        return EventNote(name, n, fault, self.sentence(name, n, fault))

    def _is_usual(self, name: str, revenue: FloatArray, reward: FloatArray, delay: IntArray | None) -> bool:
        """Whether one event closes, or is a conversion with its amount within the window: the usual, told quickly."""
        part = self.parts.get(name)
        if part == "closes":
            return True
        if part != "converts" or (delay is not None and not 0 <= delay[0] <= self.window):
            return False
        paid, valued = revenue[0], reward[0]
        if self.kind == "reward":
            return bool(valued == valued)  # noqa: PLR0124 - NaN
        return bool(valued != valued and (self.kind == "conversion" or paid == paid))  # noqa: PLR0124

    def _faults(
        self, name: str, revenue: FloatArray, reward: FloatArray, delay: IntArray | None
    ) -> Iterator[tuple[EventFault, BoolArray]]:
        """Yield each fault with the events of one name that have it; an event that came too early has no other."""
        part = self.parts.get(name)
        if part in {"closes", "ignored"}:
            return
        paid, valued, back = np.isfinite(revenue), np.isfinite(reward), revenue < 0.0
        rest = np.ones(len(revenue), dtype=np.bool_)
        counts_rewards = self.kind == "reward"
        if part is None:
            unpaid = _sounds_like_return(name) and not counts_rewards
            positive = revenue > 0.0 if unpaid else np.zeros(len(revenue), dtype=np.bool_)
            yield "positive return", positive
            yield "undeclared", ~(valued if counts_rewards else back) & ~positive
            rest = (valued if counts_rewards else back) & ~positive
        if delay is not None:
            late, early = delay > self.window, delay < 0
            yield "early", rest & early
            yield "late return", rest & late & back
            yield "late", rest & late & ~back
            rest = rest & ~early & ~late
        if not counts_rewards:
            yield "reward does not count", rest & valued
        if part in {"converts", "returns"}:
            if counts_rewards:
                yield "revenue does not count", rest & paid & ~valued
                yield "no reward", rest & ~paid & ~valued
            elif part == "returns" or self.kind != "conversion":
                yield "no revenue", rest & ~paid

    def sentence(self, name: str, n: int, fault: EventFault) -> str:
        """Return one sentence that says what was seen, what it was taken for, and what to do."""
        who = f"the event {_quoted(name)}" if n == 1 else f"{n:,} events {_quoted(name)}"
        one, own = n == 1, _quoted(self.converting)
        if fault == "undeclared":
            amounts = f"{'it is' if one else 'they are'} kept, and {'counts' if one else 'count'} for nothing"
            if self.kind in {"profit", "revenue"}:
                amounts = f"a revenue of {'it' if one else 'theirs'} counts only where {own} has converted the decision"
            elif self.kind == "reward":
                amounts = f"without reward= {'it counts' if one else 'they count'} for nothing"
            return (
                f"{who} {'converts' if one else 'convert'} nothing, as the objective's event is {own}"
                f"{did_you_mean(name, self.parts)}: {amounts}; correct the name, or declare it under [events] in the "
                f'catalogue, as {_key(name)} = "ignored"'
            )
        if fault == "early":
            verb = "does" if one else "do"
            return f"{who} came before {'its decision' if one else 'their decisions'} and {verb} not count; check time="
        if fault == "late return":
            return (
                f"{who} came after the window of {window_words(self.window)}, so the sale stands; a longer window "
                "under [objective] in the catalogue would count it"
            )
        if fault == "late":
            return f"{who} came after the window of {window_words(self.window)} and {'does' if one else 'do'} not count"
        return f"{who} came {self._about_amounts(name, fault)}"

    def _about_amounts(self, name: str, fault: EventFault) -> str:
        if fault == "no revenue" and self.parts.get(name) == "returns":
            return "without revenue, so the sale stands; send what was paid back, as revenue=-50"
        if fault == "no revenue":
            return f'without revenue, which the objective "{self.kind}" takes for a sale of 0; send revenue='
        if fault == "positive return":
            return (
                "with a revenue above 0, which is added to the sale; if it pays back, send revenue=-50, and declare "
                f'{_key(name)} = "returns" under [events] in the catalogue'
            )
        if fault == "no reward":
            return 'without a reward, and counts as 0 under the objective "reward"; send reward='
        if fault == "revenue does not count":
            return 'with a revenue and no reward; the objective "reward" counts reward= alone'
        return f'with a reward, which the objective "{self.kind}" does not count; send revenue=, or leave it out'


_UNDECLARED = "not declared: converts nothing; with a revenue below 0, a return"
_UNDECLARED_REWARD = "not declared: its reward counts, if it has one"
_WORDS = {
    "converts": "converts",
    "returns": "returns: pays back",
    "shown": "shown: activates its decision",
    "stage": "a stage before the conversion",
    "feedback": "feedback: counted by itself, converts nothing",
    "ignored": "ignored",
    "closes": "closes its decision",
}


def window_words(window: int) -> str:
    """Return a window in microseconds in days, or in hours where it is shorter than two days.

    >>> window_words(604_800_000_000)
    '7 days'
    """
    hours = window / 3_600_000_000
    return f"{hours:g} h" if hours < 48 else f"{hours / 24:g} days"


def _sounds_like_return(name: str) -> bool:
    return any(word in name.casefold() for word in _PAYING_BACK)


def _by_name(event: str | Sequence[str], n: int) -> Iterator[tuple[str, slice | IntArray]]:
    """Yield each name with the rows that have it."""
    if isinstance(event, str):
        yield event, slice(0, n)
        return
    places: dict[str, list[int]] = {}
    for place, name in enumerate(event):
        places.setdefault(name, []).append(place)
    for name, rows in places.items():
        yield name, np.array(rows, dtype=np.int64)


def _quoted(name: str) -> str:
    return f'"{plain(name, _SHOWN)}"'


def _key(name: str) -> str:
    """Return a name as a key of TOML."""
    bare = name.isascii() and all(each.isalnum() or each in "-_" for each in name)
    return name if bare and name else f'"{plain(name, _SHOWN)}"'

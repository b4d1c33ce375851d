"""The lines of a dsjson file that are outcomes or activations of other lines' events, gathered before it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bandit.logfiles.sources.dsjson_event import COST, DsjsonEvent, activates, outcome_value
from bandit.logfiles.sources.json_paths import scalar_text
from bandit.printable import counted

NO_SUCH_EVENT = "outcomes of an event that is not in the file"
SENT_TWICE = "outcomes that the file has twice"
HAS_A_REWARD = "outcomes of an event whose own line has a reward"
OF_NO_LABEL = "outcomes of an event that is left out"

_SHARED_KEY, _OBSERVED_KEY, _COST_KEY = b'"c"', b'"o"', f'"{COST}"'.encode()


@dataclass(slots=True)
class EventOutcome:
    """What outcome lines say of one event: the sum of their rewards, None where they only activate it."""

    value: float | None = None
    lines: int = 0
    activated: bool = False


class DsjsonOutcomes:
    """The outcome lines of a file by event, its digest, and whether any event has a label or a list of observations.

    Memory: about 200 bytes an event with outcome lines, which joined logs have few of or none.
    """

    def __init__(self) -> None:
        self.by_event: dict[str, EventOutcome] = {}
        self.labelled = self.observed = False
        self.repeated = 0
        self._seen: set[int] = set()
        self._digest = hashlib.blake2b(digest_size=8)

    @property
    def digest(self) -> str:
        """A digest of the content: 16 hex digits."""
        return self._digest.hexdigest()

    def add(self, text: bytes) -> None:
        """Take in the next line; ValueError and msgspec's errors where one without `c` is not a JSON object."""
        self._digest.update(text)
        self.labelled = self.labelled or _COST_KEY in text
        self.observed = self.observed or _OBSERVED_KEY in text
        if _SHARED_KEY in text or not text.strip() or b'"EventId"' not in text:
            return
        event = DsjsonEvent(text)
        if not event.is_outcome:
            return
        if (key := hash(text.strip())) in self._seen:
            self.repeated += 1
            return
        self._seen.add(key)
        properties = event.properties
        outcome = self.by_event.setdefault(scalar_text(properties["EventId"], "EventId"), EventOutcome())
        outcome.lines += 1
        outcome.activated |= activates(properties)
        if (value := outcome_value(properties)) is not None:
            outcome.value = value + (outcome.value or 0.0)


class OutcomeJoin:
    """What became of the outcome lines in one pass over the events of a file."""

    def __init__(self, outcomes: DsjsonOutcomes) -> None:
        self._outcomes = outcomes
        self.is_needed = bool(outcomes.by_event) or not outcomes.labelled
        self._places: dict[str, str] = {}
        has_values = any(each.value is not None for each in outcomes.by_event.values())
        self.silence: float | None = None if outcomes.labelled or not (has_values or outcomes.observed) else 0.0
        """The reward of an event without any outcome: 0 where the file has outcomes but no labels, else unknown."""

    def reward_of(self, event_id: str) -> float | None:
        """Return the reward that outcome lines have for an event, None where there are none."""
        found = self._outcomes.by_event.get(event_id)
        return None if found is None else found.value

    def is_activated(self, event_id: str) -> bool:
        """Return whether an outcome line says that a deferred event was shown."""
        found = self._outcomes.by_event.get(event_id)
        return found is not None and found.activated

    def note(self, event_id: str, place: str) -> None:
        """Note what became of the outcome lines of an event, if it has any: empty where they were joined to it."""
        if event_id in self._outcomes.by_event:
            self._places.setdefault(event_id, place)

    def left_out(self) -> dict[str, int]:
        """Return the numbers of outcome lines that were not joined to an event, by reason; after the last event."""
        counts = {SENT_TWICE: self._outcomes.repeated}
        for event_id, outcome in self._outcomes.by_event.items():
            place = self._places.get(event_id, NO_SUCH_EVENT)
            counts[place] = counts.get(place, 0) + outcome.lines
        return {reason: n for reason, n in counts.items() if n and reason}

    def joined(self) -> Iterable[str]:
        """Return a sentence on the outcome lines that were joined, none without such lines."""
        events = [each for each in self._places if not self._places[each]]
        lines = sum(self._outcomes.by_event[each].lines for each in events)
        if not lines:
            return ()
        silent = "" if self.silence is None else "; events without one are taken to have the reward 0"
        what = counted(lines, "outcome line", ("was", "were"))
        return (f"{what} joined to {counted(len(events), 'event')} of the same EventId{silent}",)

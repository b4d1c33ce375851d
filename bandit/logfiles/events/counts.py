"""What became of the rows of a file with a row an event: counts, and sentences about what did not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bandit.printable import counted, plain

_MOST_NAMED = 5

_CURE = "where such rows are repeats, name the column with the events' ids as event_id under [event_rows]"
_ALIKE = tuple(
    f"{equals} an earlier outcome of {its} decision in event, time and amount, and {count}; {_CURE}"
    for equals, its, count in (("equals", "its", "counts"), ("equal", "their", "count"))
)
_REPEATED = (
    "has the event id of an earlier row and does not count",
    "have the event id of an earlier row and do not count",
)
_FURTHER = ("repeats a decision, whose first row counts", "repeat a decision, whose first row counts")
_LATE = (
    "came after the objective's window and does not count in it",
    "came after the objective's window and do not count in it",
)

NO_DECISION = "no decision has their id"
NO_DECISION_BEFORE = "their customer has no decision in the objective's window before them"
NO_PURCHASE_BEFORE = "they pay back what was not paid for any decision of the file"
KEY_BLANK = "they name no decision and no customer"
TIME_UNREADABLE = "their time cannot be read"
BEFORE_DECISION = "they are earlier than their decision"


@dataclass(frozen=True, slots=True)
class UnjoinedRows:
    """`n` rows of an event that belong to no decision of the file, the first at `line`, and the `reason`."""

    event: str
    reason: str
    n: int
    line: int


@dataclass(frozen=True, slots=True)
class EventRowCounts:
    """The numbers of rows of a file with a row an event.

    `joined` counts the rows of each event of [[outcomes]] that belong to a decision, `unjoined` those that do not,
    `other` the rows of events that the mapping does not name, and `events` all rows by the name of their event.
    `n_repeated` rows have the event id of an earlier row; `n_alike` equal an earlier outcome of their decision in
    event, time and amount, and count. `n_further` rows of a decision repeat the one that counts. `n_late` outcomes came
    after the objective's window. `n_open` decisions had their window not over at the time of the last row.
    """

    n_rows: int
    n_decisions: int
    joined: Mapping[str, int]
    unjoined: Sequence[UnjoinedRows]
    other: Mapping[str, int]
    events: Mapping[str, int]
    n_repeated: int
    n_alike: int
    n_further: int
    n_late: int
    n_open: int

    def sentences(self) -> list[str]:
        """Return one sentence for the rows that count, and one for each kind of row that does not."""
        joined = ", ".join(f'{n:,} of "{event}"' for event, n in self.joined.items())
        rows, decisions = f"{self.n_rows:,} rows", f"{self.n_decisions:,} are decisions"
        said = [f"A row is an event: of {rows} {decisions}, and these outcomes belong to them: {joined}."]
        for each in self.unjoined:
            count = "count" if each.n > 1 else "counts"
            rows = f'{counted(each.n, "row")} of "{each.event}" {count} for nothing'
            said.append(f"{rows}, the first at line {each.line}: {each.reason}.")
        lost = {each.event for each in self.unjoined}
        never = ", ".join(f'"{event}"' for event, n in self.joined.items() if not n and event not in lost)
        if never:
            said.append(f"No row is the outcome {never} of the mapping; the file's events are {_named(self.events)}.")
        if self.other:
            said.append(f"Rows of events that the mapping does not name count for nothing: {_named(self.other)}.")
        for n, text in (
            (self.n_repeated, _REPEATED),
            (self.n_alike, _ALIKE),
            (self.n_further, _FURTHER),
            (self.n_late, _LATE),
        ):
            if n:
                said.append(f"{counted(n, 'row')} {text[n > 1]}.")
        if self.n_open:
            window = counted(self.n_open, "decision")
            said.append(
                f"For {window} the objective's window was not over when the file ends, so outcomes may be missing; "
                "import a later export as well."
            )
        return [plain(sentence) for sentence in said]

    def to_dict(self) -> dict[str, object]:
        """Return the numbers as JSON values."""
        return {
            "n_rows": self.n_rows,
            "n_decisions": self.n_decisions,
            "joined": dict(self.joined),
            "unjoined": [
                {"event": each.event, "reason": each.reason, "n": each.n, "line": each.line} for each in self.unjoined
            ],
            "other": dict(self.other),
            "n_repeated": self.n_repeated,
            "n_alike": self.n_alike,
            "n_further": self.n_further,
            "n_late": self.n_late,
            "n_open": self.n_open,
            "sentences": self.sentences(),
        }


def _named(counts: Mapping[str, int]) -> str:
    """Return the most frequent names with their counts, and how many more there are."""
    named = sorted(counts.items(), key=lambda item: -item[1])
    more = len(named) - _MOST_NAMED
    listed = ", ".join(f'"{name}" ({n:,})' for name, n in named[:_MOST_NAMED])
    return f"{listed} and {more:,} more" if more > 0 else listed


def named_events(counts: Mapping[str, int]) -> str:
    """Return events with their numbers of rows, for messages."""
    return _named(counts) if counts else "none"

"""What a draft is made of: what the caller says, what was guessed and why, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.errors import InputError, LogFileError

if TYPE_CHECKING:
    from bandit.logfiles.columns.number_style import NumberStyle
    from bandit.logfiles.columns.time_styles import TimeStyle
    from bandit.logfiles.draft.profile import ColumnProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftOptions:
    """What the caller knows of a file, so that it need not be guessed.

    `outcome` may be "COLUMN=WORD" for a column of other words than true and false. `propensity` is a column, a number,
    a fraction such as "1/3" or "unknown". `baseline` is an option, or "DIMENSION=OPTION,...".
    """

    outcome: str | None = None
    revenue: str | None = None
    offers: tuple[str, ...] = ()
    customer: str | None = None
    time: str | None = None
    time_format: str | None = None
    propensity: str | None = None
    margin: float | None = None
    currency: str | None = None
    baseline: str | None = None

    def check(self, columns: Mapping[str, ColumnProfile]) -> None:
        """Raise InputError for a column that the file does not have, and for a margin that is no share."""
        given: list[tuple[str, str]] = [("--offer", name) for name in self.offers]
        named = {"--revenue": self.revenue, "--customer": self.customer, "--time": self.time}
        given += [(option, name) for option, name in named.items() if name is not None]
        if self.outcome is not None and self.outcome not in columns:
            given.append(("--outcome", self.outcome.partition("=")[0]))
        for option, name in given:
            if name not in columns:
                raise InputError(f'{option} "{name}" is no column of the file; its columns are {listed(columns)}')
        if self.margin is not None and not 0.0 < self.margin <= 1.0:
            raise InputError(f"--margin is the share of the revenue that is earned, 0 to 1; seen {self.margin:g}")


@dataclass(frozen=True, slots=True)
class Guess:
    """One column (or several, or none), the role it was given, and the reason; one line."""

    column: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutcomeGuess:
    """The outcome: an event, the condition under which it happened, and its money.

    It happened where the column `when` is true, is above 0 (`above_zero`) or is the text `equals`.
    """

    event: str
    when: str
    above_zero: bool = False
    equals: str | None = None
    revenue: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Roles:
    """The role of each column of a file."""

    levers: tuple[ColumnProfile, ...]
    outcome: OutcomeGuess
    facts: tuple[ColumnProfile, ...]
    customer: str | None
    decision_id: str | None
    time: str | None
    time_style: TimeStyle | None
    propensity: str | None
    numbers: NumberStyle
    currency: str | None
    guesses: tuple[Guess, ...]
    left_out: tuple[Guess, ...]


def question(path: object, sentence: str) -> LogFileError:
    """Return the error that asks for what cannot be guessed."""
    return LogFileError(f"{path}: {sentence}")


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names in quotes, and how many more there are.

    >>> listed(["a", "b", "c"], 2)
    '"a", "b" and 1 more'
    """
    every = list(names)
    shown = ", ".join(f'"{name}"' for name in every[:most])
    return f"{shown} and {len(every) - most} more" if len(every) > most else shown

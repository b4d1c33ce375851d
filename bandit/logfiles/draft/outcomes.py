"""Which column says what came of an offer, and which has its money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.objective import bounded_amounts
from bandit.domain import BoolArray
from bandit.logfiles.draft.records import Guess, OutcomeGuess, listed, question
from bandit.logfiles.draft.words import OUTCOME_WORDS, PAST, REVENUE_WORDS, YES

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.logfiles.draft.profile import ColumnProfile
    from bandit.logfiles.draft.records import DraftOptions

_AGREES = 0.99
"""Share of the rows with money in which the outcome must have happened."""

_CLICKS = 2
"""The rank of outcomes that are steps on the way, such as a visit."""


def find_outcome(
    path: Path, columns: Mapping[str, ColumnProfile], options: DraftOptions
) -> tuple[OutcomeGuess, list[Guess]]:
    """Return the outcome among some columns and how it was found; LogFileError where that cannot be guessed."""
    given, guesses = None, []
    if options.outcome is not None:
        given = _given_outcome(path, columns, options.outcome)
        guesses.append(Guess(given.when, "outcome", "as you said"))
    money = _money_columns(columns) if options.revenue is None else [columns[options.revenue]]
    money = [each for each in money if given is None or each.name != given.when]
    if given is None:
        found = _named_outcome(path, columns, money)
        if found is None:
            given, reason = _from_money(path, columns, money, asked=options.revenue is not None)
        else:
            given, reason = found
        guesses.append(Guess(given.when, "outcome", reason))
    happened = outcome_happened(columns, given)
    for each in money:
        share = _agreement(each, happened)
        if options.revenue is not None or share >= _AGREES:
            guesses.append(Guess(each.name, "revenue", _revenue_reason(each, happened, asked=bool(options.revenue))))
            return OutcomeGuess(given.event, given.when, given.above_zero, given.equals, each.name), guesses
    return given, guesses


def outcome_happened(columns: Mapping[str, ColumnProfile], outcome: OutcomeGuess) -> BoolArray:
    """Return in which rows the outcome happened, (n,)."""
    column = columns[outcome.when]
    if outcome.equals is not None:
        equal: BoolArray = column.codes == column.distinct.index(outcome.equals)
        return equal
    numbers = np.zeros(column.n) if column.numbers is None else np.nan_to_num(column.numbers, nan=0.0)
    happened: BoolArray = numbers > 0.0
    return happened


def _given_outcome(path: Path, columns: Mapping[str, ColumnProfile], text: str) -> OutcomeGuess:
    name, _, word = (text, "", "") if text in columns else text.partition("=")
    return _as_outcome(path, columns[name], word)


def _as_outcome(path: Path, column: ColumnProfile, word: str = "") -> OutcomeGuess:
    """Return a column as an outcome; LogFileError where it does not say which of its words is a yes."""
    event = _event_name(column.name)
    if column.looks in {"truth", "constant"} and column.numbers is not None and not word:
        return OutcomeGuess(event, column.name)
    if column.looks == "number" and not word:
        return OutcomeGuess(event, column.name, above_zero=True)
    words = [each for each in column.distinct if each.lower() in YES]
    if not word and len(words) == 1:
        word = words[0]
    if word not in column.distinct:
        raise question(
            path,
            f'"{column.name}" is {listed(column.frequent(), 6)}; say which of them is the outcome by '
            f'--outcome "{column.name}={column.distinct[0] if column.distinct else "WORD"}"',
        )
    return OutcomeGuess(event, column.name, equals=word)


def _event_name(column: str) -> str:
    return column if column.strip() and column != "closed" else "purchase"


def _named_outcome(
    path: Path, columns: Mapping[str, ColumnProfile], money: Sequence[ColumnProfile]
) -> tuple[OutcomeGuess, str] | None:
    """Return the outcome that the columns' names tell, with the reason; None where no name does."""
    for rank, vocabulary in enumerate(OUTCOME_WORDS):
        found = [each for each in columns.values() if _may_be_outcome(each, vocabulary)]
        if not found or (rank == _CLICKS and money):
            continue
        if len(found) > 1:
            found = _agreeing(found, money) or found
            if any(not np.array_equal(each.codes, found[0].codes) for each in found[1:]):
                names = [each.name for each in found]
                raise question(
                    path, f"{listed(names)} may each be the outcome; say which by --outcome {_shown(names[0])}"
                )
        outcome = _as_outcome(path, found[0])
        happened = outcome_happened(columns, outcome)
        values = "two values" if outcome.equals is None else f'"{outcome.equals}" for yes'
        return outcome, f"its name, and {values}: {happened.mean():.2%} of the rows"
    return None


def _may_be_outcome(column: ColumnProfile, vocabulary: frozenset[str]) -> bool:
    two = column.looks == "truth" or (column.looks == "text" and len(column.distinct) == 2)
    return two and bool(vocabulary & column.words) and not column.words & PAST


def _agreeing(found: Sequence[ColumnProfile], money: Sequence[ColumnProfile]) -> list[ColumnProfile]:
    """Return the columns of two values that are true exactly where there is money."""
    if not money:
        return []
    paid = _paid(money[0])
    return [each for each in found if each.numbers is not None and ((each.numbers == 1.0) == paid).mean() >= _AGREES]


def _from_money(
    path: Path, columns: Mapping[str, ColumnProfile], money: Sequence[ColumnProfile], *, asked: bool
) -> tuple[OutcomeGuess, str]:
    """Return the outcome that a column of money implies; LogFileError where there is none."""
    usable = [each for each in money if asked or 0.0 < _paid(each).mean() < 1.0]
    if usable:
        best = usable[0]
        outcome = OutcomeGuess("purchase", best.name, above_zero=True)
        return outcome, f'no column of two values has an outcome\'s name, so a purchase is "{best.name}" above 0'
    twos = [each.name for each in columns.values() if each.looks == "truth"]
    numbers = [each.name for each in columns.values() if each.looks == "number"]
    choices = f"of two values are {listed(twos)}" if twos else f"of numbers are {listed(numbers) or 'not there either'}"
    raise question(
        path,
        "no column is named as an outcome (such as converted, purchase or revenue); name the one that says what came "
        f"of an offer by --outcome COLUMN or --revenue COLUMN: columns {choices}",
    )


def _money_columns(columns: Mapping[str, ColumnProfile]) -> list[ColumnProfile]:
    """Return the columns that may have the money of an outcome, the most likely first."""
    found = []
    for each in columns.values():
        ranks = [rank for rank, word in enumerate(REVENUE_WORDS) if word in each.words]
        if ranks and each.looks in {"number", "constant"} and each.numbers is not None and not each.words & PAST:
            found.append((min(ranks), each))
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def _paid(column: ColumnProfile) -> BoolArray:
    numbers = column.numbers if column.numbers is not None else np.zeros(column.n)
    paid: BoolArray = np.nan_to_num(numbers, nan=0.0) != 0.0
    return paid


def _agreement(column: ColumnProfile, happened: BoolArray) -> float:
    """Return the share of the rows with money in which the outcome happened, 0 where it has none."""
    paid = _paid(column)
    return float(happened[paid].mean()) if paid.any() else 0.0


def _revenue_reason(column: ColumnProfile, happened: BoolArray, *, asked: bool) -> str:
    paid = _paid(column)
    mean = 0.0
    if column.numbers is not None and paid.any():
        mean = float(bounded_amounts(np.nan_to_num(column.numbers)[paid]).mean())
    why = "as you said" if asked else "its name, and it is 0 or blank where nothing happened"
    return f"{why}: {mean:,.2f} where there is any ({paid.sum():,} rows, {happened.sum():,} outcomes)"


def _shown(name: str) -> str:
    return f'"{name}"' if " " in name else name

"""Which columns are facts, known when the decision is made, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.draft.profile import BLANK, ColumnProfile
from bandit.logfiles.draft.records import Guess
from bandit.logfiles.draft.words import AFTERWARDS, ID_WORDS, OUTCOME_WORDS, PAST, REVENUE_WORDS

if TYPE_CHECKING:
    from bandit.domain import BoolArray

MOST_FACTS = 50
"""Most facts that are drafted; more columns are left out with a word."""

MOST_DRAFTED_VALUES = 50
"""Most values of a categorical fact."""

_EXPECTED = 20.0
"""Outcomes, or rows without, that a group must be expected to have before having none of them is no chance."""

_PARTS = 5


def find_facts(
    candidates: Sequence[ColumnProfile], happened: BoolArray, taken: Sequence[ColumnProfile]
) -> tuple[list[ColumnProfile], list[Guess], list[Guess]]:
    """Return the facts among some columns, why each is one, and why the others are left out.

    `happened` (n,) is where the outcome happened; `taken` are the columns that have another role.
    """
    facts: list[ColumnProfile] = []
    guesses, left_out = [], []
    numbers = [each for each in candidates if each.looks == "number"]
    for each in candidates:
        if len(facts) >= MOST_FACTS:
            reason: str | None = f"{MOST_FACTS} facts are drafted; add the columns that you want"
        else:
            reason = _why_not(each, happened, [*taken, *facts], numbers)
        if reason is not None:
            left_out.append(Guess(each.name, "left out", reason))
            continue
        facts.append(each)
        guesses.append(Guess(each.name, fact_type(each), _values_of(each)))
    return facts, guesses, left_out


def fact_type(column: ColumnProfile) -> str:
    """Return the type of fact that a column is."""
    return {"truth": "boolean", "number": "numeric"}.get(column.looks, "categorical")


def _values_of(column: ColumnProfile) -> str:
    if column.looks == "truth":
        text = f"two values ({' and '.join(column.frequent())})"
    elif column.numbers is not None:
        known = column.numbers[np.isfinite(column.numbers)]
        text = f"numbers, {known.min():g} to {known.max():g}"
    else:
        text = (
            f"{len(column.distinct)} values ({', '.join(column.frequent()[:4])}{', ...' * (len(column.distinct) > 4)})"
        )
    return f"{text}; missing in {column.n_blank:,} rows" if column.n_blank else text


def _why_not(
    column: ColumnProfile, happened: BoolArray, others: Sequence[ColumnProfile], numbers: Sequence[ColumnProfile]
) -> str | None:
    """Return why a column is no fact, None where it is one."""
    if column.looks in {"empty", "constant"}:
        return "it is empty" if column.looks == "empty" else f'it is "{column.distinct[0]}" in every row'
    if column.looks == "time":
        return "a second time; a fact would be a number, such as the days since"
    if (reason := _no_value(column)) is not None:
        return reason
    if (reason := _afterwards(column, happened)) is not None:
        return reason
    same = next((each for each in others if each.looks != "time" and np.array_equal(each.codes, column.codes)), None)
    if same is not None and len(column.distinct) > 1:
        return f'it says the same as "{same.name}"'
    if column.looks == "text":
        fine = next((each for each in numbers if _is_binning(column, each)), None)
        if fine is not None:
            return f'it is "{fine.name}" in ranges'
    return None


def _no_value(column: ColumnProfile) -> str | None:
    """Return why the values of a column cannot be those of a fact, None where they can."""
    if column.looks == "number":
        numbers = column.numbers
        rises = numbers is not None and len(numbers) > 2 and bool((np.diff(numbers) == 1.0).all())
        if rises:
            return "it numbers the rows"
        if column.is_whole and column.is_unique and column.words & ID_WORDS:
            return "an id: it differs in every row"
        if column.words & {"id", "uuid"} and column.is_whole and len(column.distinct) > MOST_DRAFTED_VALUES:
            return f"an id: {len(column.distinct):,} different numbers without an order"
        return None
    if column.looks != "text":
        return None
    n = column.n - column.n_blank
    if len(column.distinct) > max(1, 0.5 * n) and n > 3:
        return "an id or free text: it differs in nearly every row"
    if len(column.distinct) > MOST_DRAFTED_VALUES:
        return f"{len(column.distinct):,} different texts; group them into at most {MOST_DRAFTED_VALUES} first"
    return None


def _afterwards(column: ColumnProfile, happened: BoolArray) -> str | None:
    """Return why a column is known only after the offer was made, None where nothing says so."""
    past = bool(column.words & PAST)
    if not past and column.looks == "truth" and any(column.words & known for known in OUTCOME_WORDS):
        return "a second outcome: it is known only afterwards"
    if not past and column.words & AFTERWARDS:
        return "by its name it is known only after the offer was made"
    money = not past and column.looks == "number" and bool(column.words & set(REVENUE_WORDS))
    gives_away = _gives_away(column, happened)
    if gives_away is not None:
        return f"it gives the outcome away ({gives_away}), so it is known only afterwards"
    if money and _related(column, happened):
        return "a second amount: it differs where the outcome happened"
    return None


def _gives_away(column: ColumnProfile, happened: BoolArray) -> str | None:
    """Return a group of rows in which the outcome always or never happened although chance would have it otherwise."""
    rate = float(happened.mean())
    for label, rows in _groups(column):
        n, hits = int(rows.sum()), int(happened[rows].sum())
        if hits == 0 and n * rate >= _EXPECTED:
            return f"never in the {n:,} rows with {label}, where {n * rate:,.0f} were to be expected"
        if hits == n and n * (1.0 - rate) >= _EXPECTED:
            return f"always in the {n:,} rows with {label}"
    return None


def _groups(column: ColumnProfile) -> list[tuple[str, BoolArray]]:
    """Return groups of rows by the values of a column: each value, or ranges of numbers; missing is one, too."""
    groups: list[tuple[str, BoolArray]] = []
    if column.n_blank:
        groups.append(("a blank", column.codes == BLANK))
    if column.looks == "number" and column.numbers is not None:
        known = column.numbers[np.isfinite(column.numbers)]
        edges = np.unique(np.quantile(known, np.linspace(0.0, 1.0, _PARTS + 1)))
        lowest = edges[0]
        groups.append((f"{lowest:g}", column.numbers == lowest))
        zeros = column.numbers == 0.0
        groups.append(("0", zeros))
        groups.append(("more than 0", column.numbers > 0.0))
        groups += [
            (f"{low:g} to {high:g}", (column.numbers > low) & (column.numbers <= high))
            for low, high in pairwise(edges.tolist())
        ]
        return groups
    return groups + [(f'"{text}"', column.codes == code) for code, text in enumerate(column.distinct)]


def _related(column: ColumnProfile, happened: BoolArray) -> bool:
    """Return whether the values differ strongly between rows with and without the outcome."""
    numbers = np.nan_to_num(column.numbers if column.numbers is not None else np.zeros(column.n))
    if numbers.std() == 0.0 or happened.all() or not happened.any():
        return False
    return abs(float(np.corrcoef(numbers, happened)[0, 1])) > 0.3


def _is_binning(column: ColumnProfile, numbers: ColumnProfile) -> bool:
    """Return whether the texts of a column stand for ranges of a number that do not overlap."""
    values = numbers.numbers
    if values is None or len(column.distinct) < 3 or len(numbers.distinct) <= 2 * len(column.distinct):
        return False
    known = (column.codes != BLANK) & np.isfinite(values)
    codes, values = column.codes[known], values[known]
    low, high = np.full(len(column.distinct), np.inf), np.full(len(column.distinct), -np.inf)
    np.minimum.at(low, codes, values)
    np.maximum.at(high, codes, values)
    order = np.argsort(low)
    return bool((high[order][:-1] <= low[order][1:]).all())

"""The role of each column: offer, outcome, fact, time, customer, decision id, propensity, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.logfiles.columns.number_style import NumberStyle
from bandit.logfiles.columns.time_styles import TimeStyle, guess_time_style
from bandit.logfiles.columns.values import INVALID, share
from bandit.logfiles.draft.facts import find_facts
from bandit.logfiles.draft.levers import find_levers
from bandit.logfiles.draft.outcomes import find_outcome, outcome_happened
from bandit.logfiles.draft.records import DraftOptions, Guess, Roles, listed, question
from bandit.logfiles.draft.words import (
    CUSTOMER_WORDS,
    DECISION_WORDS,
    EVENT_VALUES,
    ID_WORDS,
    NOT_THE_TIME,
    PROPENSITY_WORDS,
    TIME_WORDS,
    word_set,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.domain import BoolArray
    from bandit.logfiles.draft.profile import ColumnProfile
    from bandit.logfiles.draft.sample import FileSample

_CURRENCIES = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "EUR": "EUR", "USD": "USD", "GBP": "GBP"}
_CURRENCIES |= {"CHF": "CHF", "SEK": "SEK", "NOK": "NOK", "DKK": "DKK", "PLN": "PLN", "zł": "PLN", "CZK": "CZK"}
_SIGNS = ("€", "$", "£", "¥", "₹")
_STRONG_TIMES = word_set("time timestamp datetime sent decided at zeitpunkt")


def find_roles(sample: FileSample, options: DraftOptions) -> tuple[Roles, BoolArray]:
    """Return the roles of a file's columns, and in which rows the outcome happened, (n,).

    LogFileError where the offer or the outcome cannot be guessed, and for a file with one row an event.
    """
    columns, path = sample.columns, sample.path
    options.check(columns)
    guesses: list[Guess] = []
    rest = dict(columns)
    reserved = {options.revenue, *options.offers, (options.outcome or "").partition("=")[0], options.outcome}

    def take(name: str | None) -> str | None:
        if name is not None:
            rest.pop(name, None)
        return name

    propensity = take(_propensity(rest, options, guesses, reserved))
    customer = take(_customer(rest, options, guesses, reserved))
    _refuse_events(path, columns, customer)
    decision_id = take(_decision_id(rest, guesses, reserved))
    time, style = _time(path, rest, options, guesses, reserved)
    take(time)
    known = None if propensity is None else columns[propensity]
    free = {name: each for name, each in rest.items() if name not in _outcome_names(options)}
    levers, why = find_levers(path, free, known, options)
    guesses += why
    for each in levers:
        take(each.name)
    outcome, why = find_outcome(path, rest, options)
    guesses += why
    take(outcome.when)
    take(outcome.revenue)
    happened = outcome_happened(columns, outcome)
    used = {name for name in (outcome.when, outcome.revenue) if name is not None}
    taken = [*levers, *(columns[name] for name in used)]
    facts, why, left_out = find_facts(list(rest.values()), happened, taken)
    numbers, left_out_too = _numbers(
        [*facts, *(columns[name] for name in (*used, *([propensity] if propensity else [])))]
    )
    facts = [each for each in facts if each.name not in {guess.column for guess in left_out_too}]
    guesses += [guess for guess in why if guess.column in {each.name for each in facts}]
    money = [columns[name] for name in used]
    return Roles(
        levers=tuple(levers),
        outcome=outcome,
        facts=tuple(facts),
        customer=customer,
        decision_id=decision_id,
        time=time,
        time_style=style,
        propensity=propensity,
        numbers=numbers,
        currency=options.currency or _currency([*money, *columns.values()]),
        guesses=tuple(guesses),
        left_out=(*left_out, *left_out_too),
    ), happened


def _outcome_names(options: DraftOptions) -> set[str]:
    named = {options.outcome, (options.outcome or "").partition("=")[0], options.revenue}
    return {name for name in named if name}


def _propensity(
    columns: Mapping[str, ColumnProfile], options: DraftOptions, guesses: list[Guess], reserved: set[str | None]
) -> str | None:
    """Return the column of propensities, None where there is none or the caller says what they are."""
    given = options.propensity
    if given is not None and given in columns:
        guesses.append(Guess(given, "propensity", "as you said"))
        return given
    if given is not None:
        if given != "unknown" and not 0.0 < share(given) <= 1.0:
            raise InputError(
                f'--propensity "{given}" is no column, no number above 0 and at most 1, no fraction such as "1/3", and '
                'not "unknown"'
            )
        return None
    for each in columns.values():
        if each.name in reserved or each.numbers is None or not PROPENSITY_WORDS & each.words:
            continue
        known = each.numbers[np.isfinite(each.numbers)]
        if len(known) and ((known > 0.0) & (known <= 1.0)).all() and not each.n_blank:
            guesses.append(
                Guess(each.name, "propensity", f"its name, and numbers from {known.min():.4g} to {known.max():.4g}")
            )
            return each.name
    return None


def _customer(
    columns: Mapping[str, ColumnProfile], options: DraftOptions, guesses: list[Guess], reserved: set[str | None]
) -> str | None:
    if options.customer is not None:
        guesses.append(Guess(options.customer, "customer", "as you said"))
        return options.customer
    for each in columns.values():
        named = each.words & CUSTOMER_WORDS and each.words <= CUSTOMER_WORDS | ID_WORDS
        if named and each.name not in reserved and each.looks in {"text", "number"} and len(each.distinct) > 2:
            per = (each.n - each.n_blank) / len(each.distinct)
            guesses.append(
                Guess(each.name, "customer", f"its name; {len(each.distinct):,} customers, {per:.1f} rows each")
            )
            return each.name
    guesses.append(Guess("", "customer", "no column is named as one, so each row is a customer of its own"))
    return None


def _decision_id(columns: Mapping[str, ColumnProfile], guesses: list[Guess], reserved: set[str | None]) -> str | None:
    found = [
        each
        for each in columns.values()
        if each.looks in {"text", "number"}
        and each.is_unique
        and each.words
        and each.words <= ID_WORDS | DECISION_WORDS
        and each.name not in reserved
        and not each.n_blank
    ]
    if not found:
        return None
    chosen = min(found, key=lambda each: ("decision" not in each.words, not each.words & ID_WORDS))
    guesses.append(Guess(chosen.name, "decision id", "its name, and it differs in every row"))
    return chosen.name


def _time(
    path: Path,
    columns: Mapping[str, ColumnProfile],
    options: DraftOptions,
    guesses: list[Guess],
    reserved: set[str | None],
) -> tuple[str | None, TimeStyle | None]:
    """Return the column with the time of the decision and how it is written; (None, None) where there is none."""
    chosen = options.time
    if chosen is None:
        candidates = [
            each
            for each in columns.values()
            if each.looks == "time" and not each.words & NOT_THE_TIME and each.name not in reserved and not each.n_blank
        ]
        candidates.sort(key=lambda each: (not each.words & _STRONG_TIMES, not each.words & TIME_WORDS))
        chosen = candidates[0].name if candidates else None
    if chosen is None:
        guesses.append(Guess("", "time", "no column has one, so the rows are taken in their order, a second apart"))
        return None, None
    column = columns[chosen]
    reason = "as you said" if options.time else "its values"
    style = column.time or guess_time_style(column.distinct[:2_000])
    if options.time_format is not None:
        style = TimeStyle(options.time_format)
    elif style is None and column.looks == "number":
        guesses.append(
            Guess(chosen, "time", f"{reason}: numbers that are no dates, taken for days; set time_unit and time_start")
        )
        return chosen, TimeStyle("unix", "d")
    if style is None:
        raise question(
            path,
            f'the times in "{chosen}", such as "{column.distinct[0]}", cannot be read; say how they are written '
            "by --time-format, such as %d.%m.%Y",
        )
    if style.others and options.time_format is None:
        raise question(
            path,
            f'"{column.distinct[0]}" in "{chosen}" may be {style.time_format} or {style.others[0]}; say which by '
            f'--time-format "{style.time_format}"',
        )
    guesses.append(
        Guess(chosen, "time", f'{reason}, such as "{column.distinct[0]}"; time_format is "{style.time_format}"')
    )
    return chosen, style


def _refuse_events(path: Path, columns: Mapping[str, ColumnProfile], customer: str | None) -> None:
    """Raise LogFileError for a file with one row an event."""
    for each in columns.values():
        events = [value for value in each.distinct if value.lower() in EVENT_VALUES]
        if each.looks != "text" or len(events) < 2 or 2 * len(events) < len(each.distinct):
            continue
        ids = [
            other.name
            for other in columns.values()
            if other.looks in {"text", "number"}
            and other.words & (DECISION_WORDS | ID_WORDS)
            and other.name not in {each.name, customer}
            and 1 < len(other.distinct) < other.n
        ]
        by = ids[0] if ids else customer or "the decision's id"
        raise question(
            path,
            f'has one row an event ("{each.name}" is {listed(each.frequent(), 4)}); a log has one row a decision: '
            f'bring the rows of each "{by}" together into one, with what was offered, a column of 0 and 1 for '
            f'"{events[-1] if events[0] in {"shown", "sent"} else events[0]}" and the sum of its money',
        )


def _numbers(columns: list[ColumnProfile]) -> tuple[NumberStyle, list[Guess]]:
    """Return the one style in which numbers are written, and the columns that are written otherwise."""
    written = [each for each in columns if each.style is not None and each.looks == "number"]
    decided = [each for each in written if any(mark in text for text in each.distinct for mark in ".,' ")]
    sure = [each for each in decided if not each.ambiguous] or decided
    decimals = Counter(each.style.decimal for each in sure if each.style is not None)
    decimal = decimals.most_common(1)[0][0] if decimals else "."
    fitting = [
        each for each in written if each.style is not None and (each not in decided or each.style.decimal == decimal)
    ]
    styles = [each.style for each in fitting if each.style is not None]
    grouped = next((style.thousands for style in styles if style.thousands), "")
    style = NumberStyle(
        decimal,
        grouped if grouped != decimal else "",
        tuple(dict.fromkeys(sign for each in styles for sign in each.signs)),
        tuple(dict.fromkeys(word for each in styles for word in each.missing)),
        any(each.brackets for each in styles),
        any(each.trailing_minus for each in styles),
    )
    others = [
        Guess(each.name, "left out", f'its numbers are not written as the others (decimal = "{style.decimal}")')
        for each in written
        if (style.numbers(each.distinct) == INVALID).any()
    ]
    return style, others


def _currency(columns: list[ColumnProfile]) -> str | None:
    """Return the currency whose sign stands in the columns, None where there is none."""
    for each in columns:
        if each.style is not None:
            found = next((_CURRENCIES[sign] for sign in each.style.signs if sign in _CURRENCIES), None)
            if found is not None:
                return found
    for each in columns:
        if each.looks == "text" and len(each.distinct) <= 50:
            found = next((_CURRENCIES[sign] for sign in _SIGNS if any(sign in text for text in each.distinct)), None)
            if found is not None:
                return found
    return None

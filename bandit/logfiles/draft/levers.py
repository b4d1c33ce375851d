"""Which columns say what was offered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bandit.logfiles.draft.profile import BLANK
from bandit.logfiles.draft.records import Guess, listed, question
from bandit.logfiles.draft.words import (
    CONTACT_VALUES,
    INCENTIVE_VALUES,
    NOT_OFFERED,
    STRONG_OFFER_WORDS,
    WEAK_OFFER_WORDS,
    says_no_offer,
    share_with,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bandit.logfiles.draft.profile import ColumnProfile
    from bandit.logfiles.draft.records import DraftOptions

MOST_OPTIONS = 500
"""Most options of a dimension that is drafted."""

_ENOUGH = 3
_HALF = 0.5


def find_levers(
    path: Path, columns: Mapping[str, ColumnProfile], propensity: ColumnProfile | None, options: DraftOptions
) -> tuple[list[ColumnProfile], list[Guess]]:
    """Return the columns with what was offered and why; LogFileError where they cannot be guessed."""
    if options.offers:
        chosen = [columns[name] for name in dict.fromkeys(options.offers)]
        return chosen, [Guess(each.name, "offer", f"as you said: {_options_of(path, each)}") for each in chosen]
    scored = []
    for each in columns.values():
        score, why = _score(each, propensity)
        if score >= _ENOUGH:
            scored.append((each, why))
    if not scored:
        few = [each.name for each in columns.values() if each.looks in {"text", "truth"} and len(each.distinct) <= 50]
        raise question(
            path,
            "no column is named as an offer (such as offer, variant or discount); name each that says what was offered "
            f"by --offer COLUMN: columns of few values are {listed(few) or 'not there'}",
        )
    guesses = [Guess(each.name, "offer", f"{' and '.join(why)}: {_options_of(path, each)}") for each, why in scored]
    return [each for each, _ in scored], guesses


def _score(column: ColumnProfile, propensity: ColumnProfile | None) -> tuple[int, list[str]]:
    """Return how much speaks for a column being an offer's, and what."""
    options = column.distinct
    most = MOST_OPTIONS if column.words & STRONG_OFFER_WORDS else 50
    if not 2 <= len(options) <= most or column.looks in {"time", "empty", "constant"} or column.words & NOT_OFFERED:
        return 0, []
    if len(options) * 2 > column.n:
        return 0, []
    score, why = 0, []
    if column.words & STRONG_OFFER_WORDS:
        score, why = 3, ["its name"]
    elif column.words & WEAK_OFFER_WORDS:
        score, why = 1, ["its name"]
    if column.looks == "text":
        none = next((option for option in options if says_no_offer(option)), None)
        if none is not None:
            score += 2
            why.append(f'its option "{none}"')
        if share_with(options, CONTACT_VALUES) >= _HALF or share_with(options, INCENTIVE_VALUES) >= _HALF:
            score += 2
            why.append("options as offers are named")
    if score and propensity is not None and _determines(column, propensity):
        score += 2
        why.append(f'"{propensity.name}" follows from it')
    return score, why


def _determines(column: ColumnProfile, propensity: ColumnProfile) -> bool:
    """Return whether the propensity takes several values, but only one for each value of a column."""
    if len(propensity.distinct) < 2:
        return False
    known = column.codes != BLANK
    pairs = column.codes[known] * len(propensity.distinct) + propensity.codes[known]
    return len(np.unique(pairs)) == len(np.unique(column.codes[known]))


def _options_of(path: Path, column: ColumnProfile) -> str:
    if len(column.distinct) > MOST_OPTIONS:
        raise question(
            path,
            f'"{column.name}" has {len(column.distinct):,} values, too many for the options of an offer; name another '
            "column by --offer COLUMN",
        )
    blank = ", and blanks, which are taken for none" if column.n_blank else ""
    return f"{len(column.distinct)} options ({listed(column.frequent(), 5)}){blank}"

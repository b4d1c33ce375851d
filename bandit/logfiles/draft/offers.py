"""The offers of a log: dimensions with their options, which go together, and for whom an option never was."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue.text_form import look_alike_key, normal_text
from bandit.domain import BoolArray, IntArray
from bandit.logfiles.columns.number_style import guess_number_style
from bandit.logfiles.draft.profile import BLANK
from bandit.logfiles.draft.words import says_no_offer, word_set, words

if TYPE_CHECKING:
    from bandit.logfiles.draft.fact_drafts import FactDraft
    from bandit.logfiles.draft.profile import ColumnProfile

EXPECTED_TOGETHER = 20.0
"""Rows in which two things must be expected together before never seeing them so makes a rule."""

_NONE = "none"
_DISCOUNTS = word_set("discount discounts rabatt off reduction markdown")


@dataclass(frozen=True, slots=True, eq=False)
class LeverDraft:
    """A dimension: its options in order, other texts for them in the file, and the option of each row, (n,)."""

    name: str
    column: str
    options: tuple[str, ...]
    map: Mapping[str, str]
    codes: IntArray

    @property
    def none(self) -> str | None:
        """The option that says no offer, None where none does."""
        return next((option for option in self.options if says_no_offer(option) or self._is_no_discount(option)), None)

    def percent(self, option: str) -> float | None:
        """Return the discount that an option of a column of discounts stands for, in percent; None for others."""
        if not _DISCOUNTS & set(words(self.name)):
            return None
        found = re.fullmatch(r"(\d{1,2}(?:\.\d+)?)\s*%?(?:\s*off)?", option, re.IGNORECASE)
        return float(found[1]) if found else None

    def _is_no_discount(self, option: str) -> bool:
        return self.percent(option) == 0.0


@dataclass(frozen=True, slots=True)
class ForbidDraft:
    """Options that were never seen together, or never for some customers (`when`), and where they were expected."""

    forbid: Mapping[str, tuple[str, ...]]
    when: str | None
    expected: float


def draft_lever(column: ColumnProfile, later: set[str]) -> LeverDraft:
    """Return a dimension; `later` are texts of the column beyond the sample."""
    raws = [*column.raw, *later]
    forms = {text: normal_text(text) for text in raws}
    missing = {forms[text] for text in column.raw if forms[text]} - set(column.distinct)
    kept: dict[str, str] = {}  # one option for texts that look alike, such as "Email" and "email"
    for text in [*column.frequent(), *sorted(form for form in forms.values() if form and form not in missing)]:
        kept.setdefault(look_alike_key(text), text)
    named = sorted(kept.values(), key=_order)
    none = next((option for option in named if says_no_offer(option)), _NONE)
    blank = missing or not all(forms.values())
    options = tuple(dict.fromkeys([*([none] if blank else []), *named]))
    meant = {text: none if not form or form in missing else kept[look_alike_key(form)] for text, form in forms.items()}
    table = {text: meant[text] for text in sorted(raws) if text != meant[text]}
    places = {option: place for place, option in enumerate(options)}
    codes = [*(places[kept[look_alike_key(text)]] for text in column.distinct), places.get(none, 0)]
    return LeverDraft(column.name.strip(), column.name, options, table, np.array(codes, dtype=np.int64)[column.codes])


def _order(option: str) -> tuple[int, float, str]:
    """Return by what options are sorted: no offer first, then numbers, then names."""
    if says_no_offer(option):
        return 0, 0.0, option
    found = guess_number_style([option])
    return (1, found.style.number(option), option) if found is not None else (2, 0.0, option.lower())


def row_offers(levers: Sequence[LeverDraft]) -> tuple[IntArray, list[tuple[int, ...]]]:
    """Return the offer of each row, (n,), and the options of each offer that was made, in order of frequency."""
    table = np.stack([lever.codes for lever in levers], axis=1)
    offers, codes, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[codes.ravel()], [tuple(row) for row in offers[order].tolist()]


def never_together(levers: Sequence[LeverDraft]) -> list[ForbidDraft]:
    """Return the options of two dimensions that were never seen together although they should have been by chance."""
    rules = []
    for place, one in enumerate(levers):
        for other in levers[place + 1 :]:
            table = _table(one.codes, len(one.options), other.codes, len(other.options))
            expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / max(table.sum(), 1.0)
            never = (table == 0.0) & (expected >= EXPECTED_TOGETHER)
            for pattern in np.unique(never[never.any(axis=1)], axis=0):
                alike = (never == pattern).all(axis=1)
                forbid = {one.name: _names(one, alike), other.name: _names(other, pattern)}
                rules.append(ForbidDraft(forbid, None, float(expected[alike][:, pattern].min())))
    return rules


def never_for(levers: Sequence[LeverDraft], facts: Sequence[FactDraft]) -> list[ForbidDraft]:
    """Return the options that customers with a certain fact never got although they should have by chance."""
    rules = []
    for lever in levers:
        for fact in facts:
            if fact.kind == "numeric":
                continue
            known = fact.codes != BLANK
            table = _table(lever.codes[known], len(lever.options), fact.codes[known], len(fact.conditions))
            expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / max(table.sum(), 1.0)
            never = (table == 0.0) & (expected >= EXPECTED_TOGETHER)
            for value in np.flatnonzero(never.any(axis=0)).tolist():
                forbid = {lever.name: _names(lever, never[:, value])}
                rules.append(
                    ForbidDraft(forbid, fact.conditions[value], float(expected[:, value][never[:, value]].min()))
                )
    return rules


def _names(lever: LeverDraft, marked: BoolArray) -> tuple[str, ...]:
    return tuple(lever.options[place] for place in np.flatnonzero(marked).tolist())


def _table(
    one: IntArray, n_one: int, other: IntArray, n_other: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return how many rows have each pair of values."""
    return np.bincount(one * n_other + other, minlength=n_one * n_other).reshape(n_one, n_other).astype(np.float64)

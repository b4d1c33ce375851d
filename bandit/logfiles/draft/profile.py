"""What the values of a column look like: numbers, times, two values, a few texts, or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from bandit.catalogue.text_form import normal_text
from bandit.domain import FloatArray, IntArray
from bandit.logfiles.columns.number_style import MISSING_WORDS, NumberStyle, guess_number_style
from bandit.logfiles.columns.time_styles import TimeStyle, guess_time_style
from bandit.logfiles.columns.values import INVALID, floats, truth
from bandit.logfiles.draft.words import TIME_WORDS, words

ColumnLook: TypeAlias = Literal["empty", "constant", "truth", "number", "time", "text"]

BLANK = -1
"""Code of a row whose value is missing."""

_TIMES_TRIED = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class ColumnProfile:
    """One column of a sample of n rows.

    `distinct` are its texts in normal form, in order of appearance and without missing ones; `codes` (n,) says which
    of them a row has, BLANK where it is missing. `raw` are the texts as they stand in the file. `numbers` (n,) are
    there for truth values and numbers, NaN where missing.
    """

    name: str
    looks: ColumnLook
    distinct: tuple[str, ...]
    raw: frozenset[str]
    codes: IntArray
    numbers: FloatArray | None
    style: NumberStyle | None
    ambiguous: bool
    time: TimeStyle | None

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.codes)

    @property
    def n_blank(self) -> int:
        """The number of rows without a value."""
        return int((self.codes == BLANK).sum())

    @property
    def words(self) -> frozenset[str]:
        """The words of its name."""
        return frozenset(words(self.name))

    @property
    def is_unique(self) -> bool:
        """Whether no two rows have the same value, among many."""
        n = self.n - self.n_blank
        return n > 1 and len(self.distinct) == n

    @property
    def is_whole(self) -> bool:
        """Whether all its numbers are whole."""
        if self.numbers is None:
            return False
        known = self.numbers[np.isfinite(self.numbers)]
        return bool((known == np.rint(known)).all())

    def counts(self) -> IntArray:
        """Return how many rows have each of the distinct texts."""
        return np.bincount(self.codes[self.codes != BLANK], minlength=len(self.distinct)).astype(np.int64)

    def frequent(self) -> tuple[str, ...]:
        """Return the distinct texts, the most frequent first."""
        order = np.argsort(-self.counts(), kind="stable")
        return tuple(self.distinct[place] for place in order.tolist())


def profile(name: str, texts: Sequence[str]) -> ColumnProfile:
    """Return the profile of a column of text."""
    raw = list(dict.fromkeys(texts))
    missing = _missing_words(raw)
    places: dict[str, int] = {}
    table = {}
    for text in raw:
        bare = normal_text(text)
        table[text] = BLANK if not bare or bare in missing else places.setdefault(bare, len(places))
    codes = np.fromiter(map(table.__getitem__, texts), dtype=np.int64, count=len(texts))
    distinct = tuple(places)

    def built(
        looks: ColumnLook,
        values: FloatArray | None = None,
        style: NumberStyle | None = None,
        time: TimeStyle | None = None,
        *,
        ambiguous: bool = False,
    ) -> ColumnProfile:
        numbers = None if values is None else np.append(values, np.nan)[codes]
        return ColumnProfile(name, looks, distinct, frozenset(raw), codes, numbers, style, ambiguous, time)

    if len(distinct) <= 1:
        only = guess_number_style(distinct)
        if only is None:
            return built("constant" if distinct else "empty")
        return built("constant", only.style.numbers(distinct), only.style)
    found = guess_number_style(distinct)
    if found is not None:
        values = found.style.numbers(distinct)
        time = guess_time_style(distinct[:_TIMES_TRIED]) if TIME_WORDS & set(words(name)) else None
        if time is not None and found.style.is_plain:
            return built("time", values, found.style, time)
        style = replace(found.style, missing=tuple(word for word in missing if word))
        return built(
            "truth" if set(values.tolist()) == {0.0, 1.0} else "number", values, style, ambiguous=found.ambiguous
        )
    marks = floats(distinct, truth)
    if INVALID not in marks:
        return built("truth", marks)
    time = guess_time_style(distinct[:_TIMES_TRIED])
    return built("text") if time is None else built("time", time=time)


def _missing_words(raw: Sequence[str]) -> frozenset[str]:
    """Return the words that stand for a missing value: all of them beside numbers, the unmistakable ones elsewhere."""
    bare = set(map(normal_text, raw))
    others = [text for text in bare if text and text not in MISSING_WORDS]
    if others and guess_number_style(others) is not None:
        return frozenset(bare & set(MISSING_WORDS))
    return frozenset(bare & {"NA", "N/A", "#N/A", "NULL", "NaN", "nan", "<NA>", "NaT"})

"""Facts as a catalogue declares them: a name that conditions can use, a type, and the values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bandit.catalogue.text_form import look_alike_key, normal_text
from bandit.domain import IntArray
from bandit.logfiles.columns.values import INVALID, truth
from bandit.logfiles.draft.facts import MOST_DRAFTED_VALUES, fact_type
from bandit.logfiles.draft.profile import BLANK

if TYPE_CHECKING:
    from bandit.logfiles.draft.profile import ColumnProfile

_RESERVED = frozenset(
    {
        "undeclared",
        "undeclared_values",
        "true",
        "false",
        "null",
        "inf",
        "nan",
        "and",
        "or",
        "not",
        "in",
        "for",
        "if",
        "else",
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class FactDraft:
    """A fact: its column, the values of a categorical one, and other texts for them in the file.

    `codes` (n,) is which of the `conditions` holds in each row, BLANK where the fact is missing; a numeric fact has no
    conditions.
    """

    name: str
    column: str
    kind: Literal["categorical", "numeric", "boolean"]
    values: tuple[str, ...]
    map: Mapping[str, str | bool]
    codes: IntArray
    conditions: tuple[str, ...]


def draft_facts(columns: Sequence[ColumnProfile], later: Mapping[str, set[str]]) -> list[FactDraft]:
    """Return the facts of columns; `later` are the texts that they have beyond the sample."""
    facts: list[FactDraft] = []
    for column in columns:
        name = _name(column.name, {fact.name for fact in facts})
        facts.append(_draft(name, column, later.get(column.name, set())))
    return facts


def _draft(name: str, column: ColumnProfile, later: set[str]) -> FactDraft:
    kind = fact_type(column)
    if kind == "numeric":
        return FactDraft(name, column.name, "numeric", (), {}, column.codes, ())
    raws = sorted(column.raw | later)
    known = set(column.distinct)
    missing = {text for text in column.raw if text.strip() and text.strip() not in known}
    if kind == "boolean":
        words = {text: (text.strip() and truth(text)) for text in raws if text not in missing}
        table: dict[str, str | bool] = dict.fromkeys(sorted(missing), "")
        if column.numbers is not None and any(value == INVALID for value in words.values() if value != ""):
            for text, code in zip(column.distinct, range(len(column.distinct)), strict=True):
                table[text] = bool(column.numbers[int(np.argmax(column.codes == code))])
        marks = np.full(column.n, BLANK) if column.numbers is None else np.nan_to_num(column.numbers, nan=BLANK)
        return FactDraft(name, column.name, "boolean", (), table, marks.astype(np.int64), (f"not {name}", name))
    added = sorted({form for text in later if (form := normal_text(text))} - known)
    kept: dict[str, str] = {}
    for text in [*column.frequent(), *added][: 2 * MOST_DRAFTED_VALUES]:
        kept.setdefault(look_alike_key(text), text)
    values = tuple(sorted(kept.values()))
    table = dict.fromkeys(sorted(missing), "")
    for text in raws:
        meant = kept.get(look_alike_key(text))
        if text.strip() and text not in missing and meant is not None and meant != text:
            table[text] = meant
    codes, conditions = _merged(name, column, kept)
    return FactDraft(name, column.name, "categorical", values, table, codes, conditions)


def _merged(name: str, column: ColumnProfile, kept: Mapping[str, str]) -> tuple[IntArray, tuple[str, ...]]:
    """Return each row's condition, (n,), and the conditions: one for texts that look alike."""
    meant = [kept.get(look_alike_key(text), text) for text in column.distinct]
    places = {text: place for place, text in enumerate(dict.fromkeys(meant))}
    table = np.array([*(places[text] for text in meant), BLANK], dtype=np.int64)
    return table[column.codes], tuple(f'{name} == "{_quoted(text)}"' for text in places)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _name(column: str, taken: set[str]) -> str:
    """Return a name that conditions can use: letters, digits and underscores, not a word of the language, and new."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", column.strip()).strip("_") or "fact"
    name = f"fact_{name}" if name[0].isdigit() or name.lower() in _RESERVED else name
    base, number = name, 2
    alike = set(map(look_alike_key, taken))
    while look_alike_key(name) in alike:
        name = f"{base}_{number}"
        number += 1
    return name

"""Undeclared values of categorical facts: counted value by value, with the declared value that is nearest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bandit.catalogue.facts import MISSING, Fact
from bandit.catalogue.text_form import nearest
from bandit.domain import Contexts
from bandit.printable import counted, plain
from bandit.tabular import Cell, Tabular

MOST_NAMED = 5
"""Most undeclared values of a fact that are named, the most frequent first."""

MOST_COUNTED = 1_000
"""Most different undeclared values of a fact that are counted one by one."""

MOSTLY = 0.5
"""A column is mostly undeclared if more than this share of its known values is."""

_LONGEST_NAMED = 60


@dataclass(frozen=True, slots=True)
class ValueCount:
    """A value, how often it was seen, and the declared value that it was probably meant to be, None without any."""

    value: str
    n: int
    nearest: str | None

    @property
    def words(self) -> str:
        """The value with its count and the question whether another was meant."""
        meant = "" if self.nearest is None else f'; did you mean "{plain(self.nearest, _LONGEST_NAMED)}"?'
        return f'"{plain(self.value, _LONGEST_NAMED)}" ({self.n:,}{meant})'


@dataclass(frozen=True, slots=True)
class UndeclaredValues(Tabular):
    """The undeclared values of one categorical fact: `n` of `n_known` values, each of them taken for one further value.

    `column` is the column of a log file, None in a database. `values` are the most frequent, `n_values` how many
    different ones there are (those beyond `MOST_COUNTED` are not told apart). `missing` are words such as "NULL" that
    are taken for a missing value; they count in neither number.
    """

    fact: str
    declared: tuple[str, ...]
    n: int
    n_known: int
    values: tuple[ValueCount, ...]
    n_values: int
    missing: tuple[ValueCount, ...]
    column: str | None = None
    expected: bool = False

    @property
    def mostly(self) -> bool:
        """Whether more than half of the known values are undeclared, and the catalogue does not expect it."""
        return not self.expected and self.n > MOSTLY * self.n_known

    @property
    def seen(self) -> str:
        """The most frequent undeclared values in words."""
        more = self.n_values - len(self.values)
        return ", ".join([each.words for each in self.values] + ([f"and {more:,} more"] if more > 0 else []))

    @property
    def cure(self) -> str:
        """What to write so that the values are declared or expected."""
        keys = ", ".join(
            f'"{plain(each.value, 40)}" = "{plain(each.nearest, 40)}"' for each in self.values if each.nearest
        )
        ways = ["declare them under [context] in the catalogue"]
        if keys and self.column is not None:
            ways.append(
                f'map them in the mapping: {self.fact} = {{ column = "{plain(self.column, 60)}", map = {{ {keys} }} }}'
            )
        elif keys:
            ways.append("send the declared ones")
        ways.append('or say undeclared_values = "other" for this fact in the catalogue if they are expected')
        return "; ".join(ways)

    @property
    def sentences(self) -> list[str]:
        """What was seen, what it is taken for and what to do, as sentences; none where the catalogue expects it."""
        where = f'the fact "{self.fact}"'
        lines = []
        if self.n and not self.expected:
            lines.append(
                f"{self.n:,} of {counted(self.n_known, 'known value')} of {where} are not declared and count as one "
                f"further value: {self.seen}; {self.cure}."
            )
        if self.missing:
            words = ", ".join(f'"{plain(each.value, _LONGEST_NAMED)}" ({each.n:,})' for each in self.missing)
            lines.append(f"{words} of {where} is taken for a missing value; declare it under [context] if it is one.")
        return lines

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a value that is named."""
        return [
            {"fact": self.fact, "value": each.value, "taken for": taken, "rows": each.n, "nearest": each.nearest}
            for taken, values in (("one further value", self.values), ("missing", self.missing))
            for each in values
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "fact": self.fact,
            "column": self.column,
            "declared": list(self.declared),
            "n": self.n,
            "n_known": self.n_known,
            "n_values": self.n_values,
            "expected": self.expected,
            "values": [{"value": each.value, "n": each.n, "nearest": each.nearest} for each in self.values],
            "taken_for_missing": [{"value": each.value, "n": each.n} for each in self.missing],
            "sentences": self.sentences,
        }


@dataclass(slots=True)
class UndeclaredCounts:
    """Counts the undeclared values of one categorical fact; `MOST_COUNTED` different ones are told apart."""

    fact: Fact
    column: str | None = None
    n: int = 0
    n_known: int = 0
    _values: Counter[str] = field(default_factory=Counter)
    _missing: Counter[str] = field(default_factory=Counter)

    def add(self, contexts: Contexts, weight: Sequence[int] | None = None) -> None:
        """Add a batch of contexts; `weight` is how often each of them was seen, once by default."""
        codes = contexts.columns[self.fact.name]
        known, other = codes != MISSING, codes == len(self.fact.values)
        if weight is None:
            self.n_known += int(np.count_nonzero(known))
        else:
            self.n_known += int(np.asarray(weight)[known].sum())
        if other.any():
            places = np.flatnonzero(other)
            if self.fact.name not in contexts.text:  # texts were dropped to save memory
                self.n += len(places) if weight is None else int(np.asarray(weight)[places].sum())
                return
            texts = contexts.text[self.fact.name][places].tolist()
            self._count(self._values, texts, None if weight is None else [weight[place] for place in places.tolist()])

    def add_missing(self, texts: Sequence[str], times: Sequence[int]) -> int:
        """Add texts as they were given, of which words for a missing value are counted; return how many were words."""
        before = self._missing.total()
        for text, n in zip(texts, times, strict=True):
            if n and self.fact.is_missing_word(text):
                self._missing[text.strip()] += n
        return self._missing.total() - before

    def __add__(self, other: UndeclaredCounts) -> UndeclaredCounts:
        """Return the counts of the contexts of both; of more different values than MOST_COUNTED the most frequent."""
        both = UndeclaredCounts(self.fact, self.column, self.n + other.n, self.n_known + other.n_known)
        both._values.update(dict(_most_frequent(self._values + other._values)))
        both._missing.update(dict(_most_frequent(self._missing + other._missing)))
        return both

    def _count(self, counts: Counter[str], texts: Iterable[str], weight: Sequence[int] | None) -> None:
        new = Counter(texts) if weight is None else Counter[str]()
        if weight is not None:
            for text, n in zip(texts, weight, strict=True):
                new[text] += n
        for text, n in new.items():
            self.n += n
            if text in counts or len(counts) < MOST_COUNTED:
                counts[text] += n

    def result(self) -> UndeclaredValues | None:
        """Return what was counted, None where every value is declared."""
        if not self.n and not self._missing:
            return None
        declared = self.fact.values
        named = [
            ValueCount(text, n, None if self.fact.hashed else nearest(text, declared))
            for text, n in _most_frequent(self._values)[:MOST_NAMED]
        ]
        missing = [ValueCount(text, n, None) for text, n in _most_frequent(self._missing)[:MOST_NAMED]]
        return UndeclaredValues(
            self.fact.name,
            declared,
            self.n,
            self.n_known,
            tuple(named),
            len(self._values),
            tuple(missing),
            self.column,
            self.fact.any_value,
        )


def _most_frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return the values that are told apart, the most frequent first, and equally frequent ones by their text."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_COUNTED]


def undeclared_counts(facts: Mapping[str, Fact]) -> list[UndeclaredCounts]:
    """Return a counter for every categorical fact."""
    return [UndeclaredCounts(fact) for fact in facts.values() if fact.kind == "categorical"]

"""The undeclared values that decisions were asked for with: counted, and warned of once a fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bandit.catalogue.fact_values import is_frame
from bandit.catalogue.facts import MISSING, Fact
from bandit.catalogue.undeclared import UndeclaredCounts, UndeclaredValues, undeclared_counts
from bandit.domain import Contexts
from bandit.engine.caller import warn_caller
from bandit.errors import UndeclaredValueWarning
from bandit.printable import plain

_LONGEST_LIST = 300


class UndeclaredWatch:
    """Counts the undeclared values of each categorical fact since the engine was opened, and warns once a fact."""

    def __init__(self, facts: Mapping[str, Fact]) -> None:
        self._facts = facts
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero; what was warned of is warned of again."""
        self._counts = [(each.fact.name, len(each.fact.values), each) for each in undeclared_counts(self._facts)]
        self._warned: set[str] = set()

    @property
    def found(self) -> tuple[UndeclaredValues, ...]:
        """The facts with undeclared values so far; the watch may go on meanwhile."""
        return tuple(found for _, _, counts in self._counts if (found := counts.result()) is not None)

    def add_one(self, contexts: Contexts, given: Mapping[str, object]) -> None:
        """Count the values of one context, which was given as a mapping."""
        for name, n_values, counts in self._counts:
            code = contexts.columns[name].item()
            if code == MISSING:
                if isinstance(value := given.get(name), str):
                    self._add_missing(counts, [value])
            elif code < n_values:
                counts.n_known += 1
            else:
                self._add(counts, contexts)

    def add(self, contexts: Contexts, given: object) -> None:
        """Count the values of a batch, which was given as columns or as rows."""
        for name, n_values, counts in self._counts:
            codes = contexts.columns[name]
            missing = np.flatnonzero(codes == MISSING)
            if len(missing):
                self._add_missing(counts, _given_at(given, name, missing.tolist()))
            if (codes == n_values).any():
                self._add(counts, contexts)
            else:
                counts.n_known += contexts.n - len(missing)

    def _add(self, counts: UndeclaredCounts, contexts: Contexts) -> None:
        counts.add(contexts)
        fact = counts.fact
        if fact.any_value or fact.name in self._warned:
            return
        found = counts.result()
        if found is None or not found.values:
            return
        self._warned.add(fact.name)
        value = found.values[0]
        meant = "" if value.nearest is None else f' (did you mean "{plain(value.nearest, 60)}"?)'
        _warn(
            f'the fact "{fact.name}" has the value "{plain(value.value, 60)}"{meant}, which the catalogue does not '
            f"declare; it counts as one further value. Declared are {plain(', '.join(fact.values), _LONGEST_LIST)}. "
            'Send one of them, declare it, or set undeclared_values = "other" for the fact if such values are '
            "expected. This is said once a fact; status().undeclared counts all."
        )

    def _add_missing(self, counts: UndeclaredCounts, values: Sequence[object]) -> None:
        """Count the words for a missing value among values that were taken for missing."""
        texts = [value for value in values if isinstance(value, str) and value]
        if not texts or not counts.add_missing(texts, [1] * len(texts)):
            return
        name = counts.fact.name
        if name not in self._warned and not counts.fact.any_value:
            self._warned.add(name)
            word = next(text for text in texts if counts.fact.is_missing_word(text))
            _warn(
                f'the fact "{name}" has the text "{plain(word, 60)}", which is taken for a missing value; send None, '
                "or declare it as a value. This is said once a fact; status().undeclared counts all."
            )


def _given_at(given: object, name: str, rows: Sequence[int]) -> Sequence[object]:
    """Return what was given for a fact in some rows, nothing where it was not given."""
    if isinstance(given, Mapping) or is_frame(given):
        if name not in given:  # type: ignore[operator]  # a table has its names like a mapping
            return ()
        column = given[name]  # type: ignore[index]
        values = list(column)
        return [values[row] for row in rows]
    if isinstance(given, Sequence):
        return [given[row].get(name) for row in rows]
    return ()


def _warn(message: str) -> None:
    """Warn the caller of `Engine.decide` or `decide_batch`."""
    warn_caller(message, UndeclaredValueWarning)

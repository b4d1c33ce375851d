"""The rows of parts that a process has read, kept up to a bound: each pass of a fit reads the same ones again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from bandit.domain import Log, LogPart
from bandit.policies.bounded_outcomes import BoundedLog
from bandit.policies.thompson.training_rows import TrainingRecipe, TrainingRows

KEPT_BYTES = 64_000_000
"""Most bytes of rows that a process keeps; what is used longest ago goes first."""


@dataclass(frozen=True, slots=True, eq=False)
class NumberedPart:
    """A part of a log with its number in one fit, named by `token`."""

    token: str
    number: int
    part: LogPart

    @property
    def n(self) -> int:
        """The number of decisions."""
        return self.part.n

    @property
    def partition(self) -> object:
        """What the part calls itself in messages."""
        return getattr(self.part, "partition", self.number)

    def open(self) -> Log:
        """Return the part as a log."""
        return self.part.open()

    def rows(self, recipe: TrainingRecipe) -> Iterator[TrainingRows]:
        """Yield the rows of a recipe, from memory where they are kept."""
        key = (self.token, self.number, recipe.place, recipe.revenues)
        kept = _KEPT.get(key)
        if kept is not None:
            yield from kept
            return
        found: list[TrainingRows] | None = []
        size = 0
        for rows in recipe.training_rows(BoundedLog(self.open(), recipe.largest)):
            size += rows.contexts.nbytes + 64 * len(rows)
            if found is not None:
                found.append(rows)
                if size > KEPT_BYTES:
                    found = None
            yield rows
        if found is not None:
            _KEPT.keep(key, found, size)


class _KeptRows:
    """Rows by what they are of, those used last at the end."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Hashable, tuple[list[TrainingRows], int]] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable) -> list[TrainingRows] | None:
        """Return the rows of a key, None where they are not kept."""
        found = self._rows.get(key)
        if found is None:
            return None
        self._rows.move_to_end(key)
        return found[0]

    def keep(self, key: Hashable, rows: list[TrainingRows], size: int) -> None:
        """Keep rows, and let others go where they are too many."""
        if key not in self._rows:
            self._rows[key] = rows, size
            self._size += size
        while self._size > KEPT_BYTES:
            self._size -= self._rows.popitem(last=False)[1][1]

    def forget(self, token: str) -> None:
        """Let the rows of a fit go."""
        for key in [key for key in self._rows if isinstance(key, tuple) and key[0] == token]:
            self._size -= self._rows.pop(key)[1]


_KEPT = _KeptRows()


def rows_of(part: LogPart, recipe: TrainingRecipe) -> Iterator[TrainingRows]:
    """Return the rows of a part, from memory where it is numbered and they are kept."""
    if isinstance(part, NumberedPart):
        return part.rows(recipe)
    return recipe.training_rows(BoundedLog(part.open(), recipe.largest))


def forget_rows(token: str) -> None:
    """Let the rows that this process kept of a fit go."""
    _KEPT.forget(token)

"""Undeclared values in a log: facts whose values the catalogue does not declare, so that conditions miss them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.catalogue.undeclared import undeclared_counts
from bandit.evaluate.diagnostics.findings import DiagnosticCheck, Finding

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.catalogue.undeclared import UndeclaredValues
    from bandit.domain import Contexts


@dataclass(frozen=True, slots=True)
class UndeclaredFacts(DiagnosticCheck):
    """The facts of a log with values that the catalogue neither declares nor expects."""

    facts: tuple[UndeclaredValues, ...]

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return "undeclared"

    def finding(self) -> Finding | None:
        """Return a note where values are undeclared, and a doubt where most values of a fact are."""
        lines = [line for each in self.facts for line in each.sentences]
        if not lines:
            return None
        severity = "doubt" if any(each.mostly for each in self.facts) else "note"
        return self._finding(severity, "; ".join(line.rstrip(".") for line in lines))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return self._to_json() | {"facts": [each.to_dict() for each in self.facts]}


class UndeclaredSums:
    """Counts the undeclared values of a log batch by batch."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue, self._counts = catalogue, undeclared_counts(catalogue.facts)

    def __add__(self, other: UndeclaredSums) -> UndeclaredSums:
        both = UndeclaredSums(self._catalogue)
        both._counts = [one + two for one, two in zip(self._counts, other._counts, strict=True)]
        return both

    def add(self, contexts: Contexts) -> None:
        """Add n contexts."""
        for counts in self._counts:
            counts.add(contexts)

    def result(self) -> UndeclaredFacts:
        """Return what was counted."""
        return UndeclaredFacts(tuple(found for each in self._counts if (found := each.result()) is not None))

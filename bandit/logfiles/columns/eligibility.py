"""The eligible offers of each row by the catalogue's rules, and whether the logged offer is among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

from bandit.decide import with_fallback
from bandit.domain import BoolArray, Contexts, IntArray
from bandit.logfiles.columns.conditional_rules import ConditionalRules
from bandit.logfiles.columns.logged_eligibility import LoggedEligibility, LoggedEligibilityReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk


@dataclass(frozen=True, slots=True, eq=False)
class RuleEligibility:
    """The eligible offers of n rows by the catalogue's rules; `contexts` is None where no rule has a condition.

    `removed` (n,) is the number of the rule that removes the row's own offer, 0 where none does.
    """

    catalogue: Catalogue
    contexts: Contexts | None
    removed: IntArray

    def mask(self, rows: IntArray) -> BoolArray:
        """Return the mask of some rows that can be used, (n, N), or (1, N) where all share one."""
        if self.contexts is None:
            return np.ones((1, self.catalogue.n_offers), dtype=np.bool_)
        contexts = self.contexts.take(rows)
        return with_fallback(self.catalogue, self.catalogue.eligible(contexts), contexts)

    def judged(self, rows: IntArray) -> BoolArray:
        """Return the mask of what a policy of the catalogue may choose from in some rows: that of `mask`."""
        return self.mask(rows)

    def removals(self, rows: IntArray) -> Callable[[int], str] | None:
        """Return the function that says, for one of these rows, which rule removed what, as JSON."""
        contexts = self.contexts
        if contexts is None:
            return None

        def removed(row: int) -> str:
            removals = self.catalogue.removals(contexts.take(rows[row : row + 1]))
            plain = [{"rule": removal.rule, "reason": removal.reason} for removal in removals]
            return msgspec.json.encode(plain).decode()

        return removed


RowEligibility: TypeAlias = RuleEligibility | LoggedEligibility
"""The eligible offers of the rows of a chunk, by the rules or as the log has them."""


class RuleEligibilityReader:
    """Applies the catalogue's `when` rules to the rows of a chunk."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.columns: list[str] = []
        self._rules = ConditionalRules(catalogue)

    def read(
        self,
        chunk: SourceChunk,  # noqa: ARG002 - as `LoggedEligibilityReader` has it
        contexts: Contexts,
        offer: IntArray,
        rejections: ChunkRejections,
    ) -> RuleEligibility:
        """Return what is eligible in each row; rows for whom the rules leave nothing are rejected.

        `offer` is -1 in rows that are rejected or have an offer that the catalogue does not have.
        """
        if not self._rules:
            return RuleEligibility(self._catalogue, None, np.zeros(contexts.n, dtype=np.int64))
        removed = self._rules.removed(contexts, offer, rejections.ok)
        self._rules.reject_without_offers(contexts, (removed > 0) | (offer < 0), rejections)
        return RuleEligibility(self._catalogue, contexts, removed)


def eligibility_reader(catalogue: Catalogue, mapping: LogMapping) -> RuleEligibilityReader | LoggedEligibilityReader:
    """Return the reader of the eligible offers: a column where the mapping names one, else the catalogue's rules."""
    column = mapping.file.columns.eligible
    return RuleEligibilityReader(catalogue) if column is None else LoggedEligibilityReader(catalogue, column)

"""The eligible offers of each row by the catalogue's rules, and whether the logged offer is among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

from bandit.decide import with_fallback
from bandit.domain import BoolArray, Contexts, IntArray
from bandit.logfiles.columns.logged_eligibility import LoggedEligibility, LoggedEligibilityReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk

MASK_CELLS = 16_000_000
"""Most cells of a mask that are worked on at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class RuleEligibility:
    """The eligible offers of n rows by the catalogue's rules; `contexts` is None where no rule has a condition."""

    catalogue: Catalogue
    contexts: Contexts | None

    def mask(self, rows: IntArray) -> BoolArray:
        """Return the mask of some rows that can be used, (n, N), or (1, N) where all share one."""
        if self.contexts is None:
            return np.ones((1, self.catalogue.n_offers), dtype=np.bool_)
        contexts = self.contexts.take(rows)
        return with_fallback(self.catalogue, self.catalogue.eligible(contexts), contexts)

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
        self._rules = [rule for rule in catalogue.rules if rule.when is not None]
        fallback = catalogue.fallback
        self._removes_fallback = fallback is not None and any(rule.forbids[fallback] for rule in self._rules)

    def read(
        self,
        chunk: SourceChunk,  # noqa: ARG002 - as `LoggedEligibilityReader` has it
        contexts: Contexts,
        offer: IntArray,
        rejections: ChunkRejections,
    ) -> RuleEligibility:
        """Return what is eligible in each row; rows whose offer a rule removes are rejected with its reason."""
        if not self._rules:
            return RuleEligibility(self._catalogue, None)
        allowed = np.zeros(contexts.n, dtype=np.bool_)
        if self._removes_fallback:
            allowed = self._only_fallback_left(contexts, offer, rejections.ok)
        for rule in self._rules:
            if rule.when is None:
                continue
            removed = rule.when(contexts) & rule.forbids[offer] & ~allowed
            message = f"a rule of the catalogue removes its offer for this customer: {rule.reason}"
            rejections.reject(removed, "offer is not eligible", _always(message))
        return RuleEligibility(self._catalogue, contexts)

    def _only_fallback_left(self, contexts: Contexts, offer: IntArray, ok: BoolArray) -> BoolArray:
        """Return the rows with the fallback where the rules leave nothing else, as the engine serves it, (n,)."""
        allowed = np.zeros(contexts.n, dtype=np.bool_)
        served = np.flatnonzero(ok & (offer == self._catalogue.fallback))
        block = max(1, MASK_CELLS // self._catalogue.n_offers)
        for start in range(0, len(served), block):
            rows = served[start : start + block]
            allowed[rows] = ~self._catalogue.eligible(contexts.take(rows)).any(axis=1)
        return allowed


def eligibility_reader(catalogue: Catalogue, mapping: LogMapping) -> RuleEligibilityReader | LoggedEligibilityReader:
    """Return the reader of the eligible offers: a column where the mapping names one, else the catalogue's rules."""
    column = mapping.file.columns.eligible
    return RuleEligibilityReader(catalogue) if column is None else LoggedEligibilityReader(catalogue, column)


def _always(message: str) -> Callable[[int], str]:
    return lambda _: message

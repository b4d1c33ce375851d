"""Which offers the catalogue's rules leave for each logged customer, and whether the logged one is among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from bandit.decide import with_fallback
from bandit.domain import BoolArray, Contexts, IntArray
from bandit.logfiles.columns.logged_eligibility import LoggedEligibilityReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bandit.catalogue import Catalogue
    from bandit.logfiles.mapping.mapping import LogMapping
    from bandit.logfiles.rejections import RowRejections
    from bandit.logfiles.sources.source import Chunk

CELLS = 16_000_000
"""Most cells of a mask that are worked on at a time."""


def eligibility_reader(
    catalogue: Catalogue, mapping: LogMapping, contexts: FactReader
) -> EligibilityReader | LoggedEligibilityReader:
    """Return what reads the eligible offers: a column where the mapping names one, else the catalogue's rules."""
    column = mapping.file.columns.eligible
    return EligibilityReader(catalogue, contexts) if column is None else LoggedEligibilityReader(catalogue, column)


class FactReader(Protocol):
    """What gives the facts of some rows of a chunk."""

    def contexts(self, chunk: Chunk, rows: Sequence[int]) -> Contexts:
        """Return some rows as the batch that the catalogue's rules look at."""
        ...


class EligibilityReader:
    """Applies the catalogue's `when` rules to the rows of a chunk."""

    def __init__(self, catalogue: Catalogue, contexts: FactReader) -> None:
        self.catalogue = catalogue
        self.contexts = contexts
        self.columns: list[str] = []
        self._rules = [rule for rule in catalogue.rules if rule.when is not None]

    def read(self, chunk: Chunk, offer: IntArray, refused: RowRejections) -> Eligibility:
        """Return what is eligible in each row; rows whose offer a rule removes are refused with its reason."""
        if not self._rules:
            return Eligibility(self.catalogue, None, np.empty(0, dtype=np.int64))
        rows = np.flatnonzero(refused.ok)
        contexts = self.contexts.contexts(chunk, rows.tolist())
        place = np.full(len(chunk), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        spared = np.zeros(len(rows), dtype=np.bool_)
        if self._fallback_can_go:
            spared = self._served_for_want(contexts, offer[rows])
        for rule in self._rules:
            if rule.when is None:
                continue
            removed = np.zeros(len(chunk), dtype=np.bool_)
            removed[rows] = rule.when(contexts) & rule.forbids[offer[rows]] & ~spared
            words = f"a rule of the catalogue removes its offer for this customer: {rule.reason}"
            refused.refuse(removed, "offer is not eligible", _always(words))
        return Eligibility(self.catalogue, contexts, place)

    @property
    def _fallback_can_go(self) -> bool:
        fallback = self.catalogue.fallback
        return fallback is not None and any(rule.forbids[fallback] for rule in self._rules)

    def _served_for_want(self, contexts: Contexts, offer: IntArray) -> BoolArray:
        """Return the rows that have the fallback since the rules leave nothing else, as the engine serves it."""
        spared = np.zeros(contexts.n, dtype=np.bool_)
        at = np.flatnonzero(offer == self.catalogue.fallback)
        block = max(1, CELLS // self.catalogue.n_offers)
        for start in range(0, len(at), block):
            some = at[start : start + block]
            spared[some] = ~self.catalogue.eligible(contexts.take(some)).any(axis=1)
        return spared


@dataclass(frozen=True, slots=True, eq=False)
class Eligibility:
    """What is eligible in the rows of a chunk; `contexts` is None where no rule looks at them."""

    catalogue: Catalogue
    contexts: Contexts | None
    place: IntArray

    def mask(self, rows: IntArray) -> BoolArray:
        """Return the mask of some rows, (n, N), or (1, N) where all share one."""
        if self.contexts is None:
            return np.ones((1, self.catalogue.n_offers), dtype=np.bool_)
        contexts = self.contexts.take(self.place[rows])
        return with_fallback(self.catalogue, self.catalogue.eligible(contexts), contexts)

    def removals(self, rows: IntArray) -> Callable[[int], str] | None:
        """Return the function that says, for one of these rows, which rule removed what, as JSON."""
        contexts = self.contexts
        if contexts is None:
            return None

        def removed(row: int) -> str:
            removals = self.catalogue.removals(contexts.take(self.place[rows[row : row + 1]]))
            plain = [{"rule": removal.rule, "reason": removal.reason} for removal in removals]
            return msgspec.json.encode(plain).decode()

        return removed


def _always(words: str) -> Callable[[int], str]:
    return lambda _: words

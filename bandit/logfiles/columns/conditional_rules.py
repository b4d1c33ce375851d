"""The catalogue's rules with a condition, applied to the rows of a file: whose offer they remove, and who has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, Contexts, IntArray
    from bandit.logfiles.rejections import ChunkRejections

MASK_CELLS = 16_000_000
"""Most cells of a mask that are worked on at a time."""


class ConditionalRules:
    """The rules with a condition of one catalogue, those that stop options among them; true where there are any."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._rules = [(rule, rule.when) for rule in catalogue.rules if rule.when is not None]
        fallback = catalogue.fallback
        self._removes_fallback = fallback is not None and any(rule.forbids[fallback] for rule, _ in self._rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def removed(self, contexts: Contexts, offer: IntArray, ok: BoolArray) -> IntArray:
        """Return the number of the first rule that removes each row's offer, (n,), 0 where none does.

        The fallback is not removed where the rules leave nothing else, as the engine serves it. `offer` is -1 where
        the catalogue does not have the offer.
        """
        removed = np.zeros(contexts.n, dtype=np.int64)
        open_rows = ok & (offer >= 0)
        if self._removes_fallback:
            served = np.flatnonzero(open_rows & (offer == self._catalogue.fallback))
            open_rows[served[self._empty(contexts, served)]] = False
        for rule, when in self._rules:
            removed[(removed == 0) & open_rows & rule.forbids[offer] & when(contexts)] = rule.number
        return removed

    def reject_without_offers(self, contexts: Contexts, rows: BoolArray, rejections: ChunkRejections) -> None:
        """Reject those of some rows, (n,), for whom the rules leave no offer, unless there is a fallback."""
        if self._catalogue.fallback is not None:
            return
        asked = np.flatnonzero(rows & rejections.ok)
        without = np.zeros(contexts.n, dtype=np.bool_)
        without[asked[self._empty(contexts, asked)]] = True
        rejections.reject(
            without,
            "no offer is eligible",
            lambda _: "the rules of the catalogue leave no offer for this customer, and there is no [fallback]",
        )

    def _empty(self, contexts: Contexts, rows: IntArray) -> BoolArray:
        """Return for which of some rows the rules leave no offer, (len(rows),)."""
        empty = np.zeros(len(rows), dtype=np.bool_)
        block = max(1, MASK_CELLS // self._catalogue.n_offers)
        for start in range(0, len(rows), block):
            part = slice(start, start + block)
            empty[part] = ~self._catalogue.eligible(contexts.take(rows[part])).any(axis=1)
        return empty

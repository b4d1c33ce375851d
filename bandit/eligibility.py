"""What the rules leave for whom: masks of offers, and the reasons for what is missing from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit.conditions import Condition
from bandit.domain import BoolArray, Contexts, Removal

MASK_BYTES = 4_000_000
"""Most memory that masks of single contexts are kept in, one for each set of rules that hold together."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A rule of the catalogue: the offers it removes, and for whom (for everyone where `when` is None)."""

    number: int
    reason: str
    when: Condition | None
    forbids: BoolArray


class Eligibility:
    """The R rules that have a condition, over N offers; remembers what does not depend on the customer."""

    def __init__(self, rules: Sequence[Rule], n_offers: int) -> None:
        self._rules = [(rule, rule.when, ~rule.forbids) for rule in rules if rule.when is not None]
        self._n_offers = n_offers
        self._masks: dict[bytes, BoolArray] = {}
        self._removals: dict[int, Removal] = {}

    def fired(self, contexts: Contexts) -> BoolArray:
        """Return (n, R): which rules hold for each context."""
        held = np.empty((len(self._rules), contexts.n), dtype=np.bool_)  # a rule's column lies in one piece
        for place, (_, when, _) in enumerate(self._rules):
            held[place] = when(contexts)
        return held.T

    def masks(self, fired: BoolArray) -> BoolArray:
        """Return the (n, N) offers that the rules leave; a mask of one row is shared and cannot be written to."""
        if len(fired) != 1:
            return self._work_out(fired)
        pattern = fired.tobytes()
        mask = self._masks.get(pattern)
        if mask is None:
            if (len(self._masks) + 1) * self._n_offers > MASK_BYTES:
                self._masks.clear()
            mask = self._work_out(fired)
            mask.flags.writeable = False
            self._masks[pattern] = mask
        return mask

    def removals(self, fired: BoolArray) -> tuple[Removal, ...]:
        """Return what the rules that hold, as an (R,) mask, removed."""
        return tuple(map(self._removal, np.flatnonzero(fired).tolist())) if len(fired) else ()

    def _work_out(self, fired: BoolArray) -> BoolArray:
        mask = np.ones((len(fired), self._n_offers), dtype=np.bool_)
        for (_, _, allows), rows in zip(self._rules, fired.T, strict=True):
            if rows.all():
                mask &= allows
            elif rows.any():
                mask[rows] &= allows
        return mask

    def _removal(self, place: int) -> Removal:
        """Return what a rule removes; it is told once, since there may be a hundred thousand offers."""
        removal = self._removals.get(place)
        if removal is None:
            rule = self._rules[place][0]
            removal = Removal(rule.number, rule.reason, tuple(np.flatnonzero(rule.forbids).tolist()))
            self._removals[place] = removal
        return removal

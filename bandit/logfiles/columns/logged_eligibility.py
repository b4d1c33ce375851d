"""The eligible offers of each row as a column of the log has them: a mask in hex, the first offer the highest bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.decide import judged_masks
from bandit.domain import BoolArray, Contexts, IntArray
from bandit.logfiles.columns.coded_text import coded
from bandit.logfiles.columns.conditional_rules import ConditionalRules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bandit.catalogue import Catalogue
    from bandit.logfiles.rejections import ChunkRejections
    from bandit.logfiles.sources.source import SourceChunk


def mask_text(mask: BoolArray) -> str:
    """Return the text of an (N,) mask.

    >>> mask_text(np.array([True, False, False, True, False]))
    '90'
    """
    return np.packbits(mask).tobytes().hex()


def read_mask(text: str, n_offers: int) -> BoolArray | None:
    """Return the (N,) mask of a text, None where the text is not a mask of N offers."""
    try:
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8)).astype(np.bool_)
    except ValueError:
        return None
    if not 0 <= len(bits) - n_offers < 8 or bits[n_offers:].any():
        return None
    return bits[:n_offers]


class LoggedEligibilityReader:
    """Reads what was eligible in each row from a column, in place of applying the catalogue's rules."""

    def __init__(self, catalogue: Catalogue, column: str) -> None:
        self._catalogue = catalogue
        self._rules = ConditionalRules(catalogue)
        self.columns = [column]

    def read(
        self,
        chunk: SourceChunk,
        contexts: Contexts,
        offer: IntArray,
        rejections: ChunkRejections,
    ) -> LoggedEligibility:
        """Return what was eligible; rows are rejected where it cannot be read, and where it lacks the row's offer."""
        column, n_offers = self.columns[0], self._catalogue.n_offers
        texts = chunk.columns[column]
        distinct, which = _distinct(texts)
        table = np.zeros((len(distinct), n_offers), dtype=np.bool_)
        unreadable = np.zeros(len(distinct), dtype=np.bool_)
        for place, text in enumerate(distinct):
            mask = read_mask(text, n_offers)
            if mask is None:
                unreadable[place] = True
            else:
                table[place] = mask
        rejections.reject(
            unreadable[which],
            "eligible offers cannot be read",
            lambda row: (
                f'"{texts[row]}" in "{column}" is not a mask of {n_offers} offers in hex; if another catalogue '
                "wrote it, leave `eligible` out of the mapping, and the rules say what was eligible"
            ),
        )
        rejections.reject(
            ~table[which, np.maximum(offer, 0)] & (offer >= 0),
            "offer is not eligible",
            lambda _: f'its offer is not among the eligible ones of "{column}"',
        )
        if not self._rules:
            return LoggedEligibility(table, which, None, None, np.zeros(contexts.n, dtype=np.int64))
        removed = self._rules.removed(contexts, offer, rejections.ok)
        self._rules.reject_without_offers(contexts, (removed > 0) | (offer < 0), rejections)
        return LoggedEligibility(table, which, self._catalogue, contexts, removed)


@dataclass(frozen=True, slots=True, eq=False)
class LoggedEligibility:
    """What was eligible in the rows of a chunk: distinct masks (u, N) and which of them each row has, (n,).

    `catalogue` and `contexts` are None where no rule has a condition; `removed` is as in `RuleEligibility`.
    """

    table: BoolArray
    which: IntArray
    catalogue: Catalogue | None
    contexts: Contexts | None
    removed: IntArray

    def mask(self, rows: IntArray) -> BoolArray:
        """Return the mask of some rows, (n, N), or (1, N) where all share one."""
        which = self.which[rows]
        if len(which) and (which == which[0]).all():
            return self.table[which[:1]]
        return self.table[which]

    def judged(self, rows: IntArray) -> BoolArray:
        """Return the mask of what a policy of the catalogue may choose from in some rows, as `mask` returns it."""
        logged = self.mask(rows)
        if self.catalogue is None or self.contexts is None:
            return logged
        return judged_masks(self.catalogue, self.contexts.take(rows), logged)

    def removals(self, rows: IntArray) -> Callable[[int], str] | None:  # noqa: ARG002 - as `RuleEligibility` has it
        """Return None: the log does not say which rule removed what."""
        return None


def _distinct(texts: Sequence[str]) -> tuple[list[str], IntArray]:
    rows = coded(texts)
    counts = np.bincount(rows.codes, minlength=len(rows.distinct))
    used = np.flatnonzero(counts)
    number = np.zeros(len(counts), dtype=np.int64)
    number[used] = np.arange(len(used))
    return list(map(rows.distinct.__getitem__, used.tolist())), number[rows.codes]

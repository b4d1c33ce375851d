"""The segments that are searched: the values of single facts, and pairs of values of two facts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.segments import FactSegmentation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bandit.catalogue import Catalogue
    from bandit.domain import Contexts, FloatArray, IntArray

MOST_VALUES = 50
"""A categorical fact of more values is not searched."""

MOST_CELLS = 400
"""Most segments that are searched; pairs of facts that would make more are left out."""

MIN_CELL_SHARE = 0.02
"""A segment with a smaller share of the decisions is not searched."""

CELL_ROWS = 8_192
"""Rows whose memberships are held at once; with MOST_CELLS segments these take 26 MB."""


@dataclass(frozen=True, slots=True)
class SegmentCell:
    """One segment: the facts, one or two, and their values in words, such as "gender f, age above 40"."""

    facts: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class _Block:
    """The cells of one fact or of a pair; those of a pair are numbered by the first fact's code, then the second's."""

    facts: tuple[int, ...]
    start: int
    sizes: tuple[int, ...]


class SegmentCells:
    """Assigns contexts to the S segments; numeric facts are cut at the quartiles of the first batch.

    A fact that has one value only is no segment, and a categorical fact of more than `MOST_VALUES` values is skipped.
    Pairs are taken in the order of the facts, as long as there are at most `MOST_CELLS` segments.
    """

    def __init__(self, catalogue: Catalogue, facts: Sequence[str], first: Contexts) -> None:
        found = [FactSegmentation(catalogue, fact) for fact in dict.fromkeys(facts)]
        self.skipped = tuple(each.fact for each in found if len(each.values) > MOST_VALUES)
        self._segmentations = [each for each in found if each.fact not in self.skipped]
        self.facts = tuple(each.fact for each in self._segmentations)
        names = [each.assign(first)[1] for each in self._segmentations]
        self.cells: list[SegmentCell] = []
        self._blocks: list[_Block] = []
        for place, own in enumerate(names):
            self._add((place,), [f"{self.facts[place]} {name}" for name in own], (len(own),))
        self.singles = len(self.cells)
        self.pairs = self.pairs_left_out = 0
        for a, b in combinations(range(len(names)), 2):
            if len(self.cells) + len(names[a]) * len(names[b]) > MOST_CELLS:
                self.pairs_left_out += 1
                continue
            both = [f"{self.facts[a]} {one}, {self.facts[b]} {two}" for one in names[a] for two in names[b]]
            self._add((a, b), both, (len(names[a]), len(names[b])))
            self.pairs += 1

    def __len__(self) -> int:
        return len(self.cells)

    def memberships(self, contexts: Contexts) -> Iterator[tuple[slice, FloatArray]]:
        """Yield rows and their (k, S) memberships, 1 in a segment and 0 elsewhere, some thousand rows at a time."""
        codes = self._codes(contexts)
        for start in range(0, contexts.n, CELL_ROWS):
            rows = slice(start, min(start + CELL_ROWS, contexts.n))
            table = np.zeros((rows.stop - start, len(self.cells)))
            every = np.arange(len(table))
            for block in self._blocks:
                own = codes[block.facts[0]][rows]
                if len(block.facts) == 2:
                    own = own * block.sizes[1] + codes[block.facts[1]][rows]
                table[every, block.start + own] = 1.0
            yield rows, table

    def includes(self, cell: int, other: int) -> bool:
        """Say whether one segment contains another: the same one, or a pair of which it is a half."""
        if cell == other:
            return True
        block, place = self._place(cell)
        outer, inner = self._place(other)
        if len(block.facts) == 2 or len(outer.facts) == 1:
            return False
        halves = dict(zip(outer.facts, divmod(inner, outer.sizes[1]), strict=True))
        return halves.get(block.facts[0]) == place

    def constant(self, counts: FloatArray) -> tuple[str, ...]:
        """Return the facts of which nearly every decision has the same value, from the (S,) counts of decisions."""
        parts = [counts[each.start : each.start + each.sizes[0]] for each in self._blocks if len(each.facts) == 1]
        return tuple(
            fact
            for fact, part in zip(self.facts, parts, strict=True)
            if part.max() > (1.0 - MIN_CELL_SHARE) * part.sum()
        )

    def fact_of(self, cell: int) -> int:
        """Return which block, a fact or a pair of facts, a segment belongs to."""
        return next(number for number, each in enumerate(self._blocks) if cell < each.start + int(np.prod(each.sizes)))

    def _place(self, cell: int) -> tuple[_Block, int]:
        block = self._blocks[self.fact_of(cell)]
        return block, cell - block.start

    def _codes(self, contexts: Contexts) -> list[IntArray]:
        return [each.assign(contexts)[0] for each in self._segmentations]

    def _add(self, facts: tuple[int, ...], names: Sequence[str], sizes: tuple[int, ...]) -> None:
        self._blocks.append(_Block(facts, len(self.cells), sizes))
        named = tuple(self.facts[place] for place in facts)
        self.cells += [SegmentCell(named, name) for name in names]

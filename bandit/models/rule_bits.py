"""Rules over combinations of options as bits, so that a search can track which rules still apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bandit.domain import BoolArray

BitWords: TypeAlias = NDArray[np.uint64]
"""Bits of rules, 64 a word, in the last axis."""


@dataclass(frozen=True, slots=True, eq=False)
class RuleBits:
    """Rules as bits: a combination is forbidden where a rule in force names its option in each dimension it covers.

    One array a dimension. `named` (K, words): bit r of an option is set where rule r names it or does not cover the
    dimension. `covers` (words,): bit r is set where rule r covers the dimension.
    """

    named: tuple[BitWords, ...]
    covers: tuple[BitWords, ...]

    @staticmethod
    def of(sizes: Sequence[int], rules: Sequence[Sequence[BoolArray | None]]) -> RuleBits:
        """Build from a mask of options for each rule and dimension, None where the rule does not cover it."""
        words = max(1, -(-len(rules) // 64))
        named = tuple(np.full((size, words), ~np.uint64(0)) for size in sizes)
        covers = tuple(np.zeros(words, dtype=np.uint64) for _ in sizes)
        for number, rule in enumerate(rules):
            word, bit = number // 64, np.uint64(1) << np.uint64(number % 64)
            for place, options in enumerate(rule):
                if options is not None:
                    covers[place][word] |= bit
                    named[place][~options, word] &= ~bit
        return RuleBits(named, covers)

    def in_force(self, holds: BoolArray) -> BitWords:
        """Return as (n, words) bits which of the rules hold for n contexts, (n, rules)."""
        bits = np.zeros((len(holds), 64 * len(self.covers[0])), dtype=np.bool_)
        bits[:, : holds.shape[1]] = holds
        return np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)

    def ordered(self, order: Sequence[int]) -> RuleBits:
        """Return the same rules over the dimensions in another order."""
        return RuleBits(tuple(self.named[place] for place in order), tuple(self.covers[place] for place in order))

    def decided(self) -> list[BitWords]:
        """Return for each dimension the rules that are decided once it is chosen: they cover no later dimension."""
        every = np.bitwise_or.reduce(self.covers)
        found, later = [], np.zeros_like(every)
        for covered in reversed(self.covers):
            found.append(every & ~later)
            later = later | covered
        return found[::-1]

    def of_one_dimension(self) -> list[BitWords]:
        """Return for each dimension the rules that cover it and no other."""
        once, often = np.zeros_like(self.covers[0]), np.zeros_like(self.covers[0])
        for covered in self.covers:
            once, often = once | covered, often | (once & covered)
        return [covered & ~often for covered in self.covers]

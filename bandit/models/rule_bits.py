"""Rules over combinations of options as bits, so that a search can carry along which of them still apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bandit.domain import BoolArray

Words: TypeAlias = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class RuleBits:
    """Rules as bits: a combination is forbidden where a rule in force names each of its options that it looks at.

    One array a dimension. `named` (K, words): bit r of an option is set where rule r names it or does not look at the
    dimension. `looks` (words,): bit r is set where rule r looks at the dimension.
    """

    named: tuple[Words, ...]
    looks: tuple[Words, ...]

    @staticmethod
    def of(sizes: Sequence[int], rules: Sequence[Sequence[BoolArray | None]]) -> RuleBits:
        """Take a mask of options a rule and dimension, None where the rule does not look at the dimension."""
        words = max(1, -(-len(rules) // 64))
        named = tuple(np.full((size, words), ~np.uint64(0)) for size in sizes)
        looks = tuple(np.zeros(words, dtype=np.uint64) for _ in sizes)
        for number, rule in enumerate(rules):
            word, bit = number // 64, np.uint64(1) << np.uint64(number % 64)
            for place, options in enumerate(rule):
                if options is not None:
                    looks[place][word] |= bit
                    named[place][~options, word] &= ~bit
        return RuleBits(named, looks)

    def in_force(self, holds: BoolArray) -> Words:
        """Return as (n, words) bits which of the rules hold for n contexts, (n, rules)."""
        bits = np.zeros((len(holds), 64 * len(self.looks[0])), dtype=np.bool_)
        bits[:, : holds.shape[1]] = holds
        return np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)

    def ordered(self, order: Sequence[int]) -> RuleBits:
        """Return the same rules over the dimensions in another order."""
        return RuleBits(tuple(self.named[place] for place in order), tuple(self.looks[place] for place in order))

    def seen(self) -> list[Words]:
        """Return for each dimension the rules that have been seen whole there: they look at none that comes later."""
        every = np.bitwise_or.reduce(self.looks)
        found, later = [], np.zeros_like(every)
        for own in reversed(self.looks):
            found.append(every & ~later)
            later = later | own
        return found[::-1]

    def alone(self) -> list[Words]:
        """Return for each dimension the rules that look at it and at no other."""
        once, often = np.zeros_like(self.looks[0]), np.zeros_like(self.looks[0])
        for own in self.looks:
            once, often = once | own, often | (once & own)
        return [own & ~often for own in self.looks]

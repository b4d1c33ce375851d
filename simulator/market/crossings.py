"""Crossings of two facts, such as "days since the last visit >= 20 x region": tastes that no fact tells alone.

Each part of a crossing is standardised, a numeric fact as the indicator of a threshold; the features of a crossing are
the products of the columns of its two parts. Where the two facts are independent, a product is uncorrelated with both,
so that a model that is linear in the facts learns nothing of it. For two booleans of equal shares the product is the
exclusive or of the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from bandit.domain import FloatArray, IntArray
from simulator.market.demographics import FactSpec, Numeric

THRESHOLD_QUANTILES = (0.3, 0.7)
"""Numeric facts in a crossing are cut between these quantiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossings:
    """The number of crossings of a market, and the pairs of facts from which they are drawn, all equally likely.

    The deviation of their effects on the options of a dimension is its `DimensionSpec.crossed`: effects are normal, or,
    where `even`, as large as the deviation with the sign by chance.
    """

    count: int = 0
    pairs: tuple[tuple[str, str], ...] = ()
    even: bool = False


@dataclass(frozen=True, slots=True)
class CrossingPart:
    """One fact of a crossing; a numeric one is cut at `cut`, which a share `above` of the customers reaches."""

    fact: FactSpec
    cut: float = 0.0
    above: float = 0.5

    def features(self, column: IntArray | FloatArray) -> FloatArray:
        """Return (n, k): mean about 0, variance about 1 in all, 0 where missing."""
        if not isinstance(self.fact, Numeric):
            return self.fact.features(column)
        standard = ((column >= self.cut) - self.above) / np.sqrt(self.above * (1.0 - self.above))
        return np.where(np.isnan(column), 0.0, standard)[:, None]

    def __str__(self) -> str:
        return f"{self.fact.name} >= {self.cut:g}" if isinstance(self.fact, Numeric) else self.fact.name


@dataclass(frozen=True, slots=True)
class Crossing:
    """Two facts whose product moves tastes."""

    first: CrossingPart
    second: CrossingPart

    @property
    def n_features(self) -> int:
        """The number of columns that `features` gives: the product of those of the parts."""
        return self.first.fact.n_features * self.second.fact.n_features

    def features(self, columns: Mapping[str, IntArray | FloatArray]) -> FloatArray:
        """Return (n, n_features) products from canonical columns of the facts."""
        one, other = (part.features(columns[part.fact.name]) for part in (self.first, self.second))
        return np.asarray((one[:, :, None] * other[:, None, :]).reshape(len(one), -1))

    def __str__(self) -> str:
        return f"{self.first} x {self.second}"


def draw_crossings(like: Crossings, facts: Sequence[FactSpec], rng: np.random.Generator) -> tuple[Crossing, ...]:
    """Draw different pairs of facts, and where their numeric facts are cut."""
    named = {fact.name: fact for fact in facts}
    chosen = rng.choice(len(like.pairs), size=like.count, replace=False)
    pairs = [like.pairs[place] for place in chosen.tolist()]
    return tuple(Crossing(*(_part(named[name], rng) for name in pair)) for pair in pairs)


def crossing_features(crossings: Sequence[Crossing], columns: Mapping[str, IntArray | FloatArray]) -> FloatArray:
    """Return (n, P): the features of all crossings side by side."""
    return np.concatenate([crossing.features(columns) for crossing in crossings], axis=1)


def _part(fact: FactSpec, rng: np.random.Generator) -> CrossingPart:
    if not isinstance(fact, Numeric):
        return CrossingPart(fact)
    cut = float(fact.draw(ndtri(rng.uniform(*THRESHOLD_QUANTILES, size=1)))[0])
    # Values are rounded: whatever lies above half a unit below the cut reaches it.
    reached = cut - 0.5 * 10.0**-fact.decimals
    normal = np.log(reached / fact.center) if fact.log else reached - fact.center
    return CrossingPart(fact, cut, float(1.0 - ndtr(normal / fact.spread)))

"""A tree over facts whose leaves give everybody the policy's mean probabilities and lose as little value as can be.

With p(x) the policy's probabilities and q(x) what it expects of each offer, a leaf that gives everybody p' earns
sum of p' . q(x), and its distance to the policy is the sum of |p(x) - p'|^2. A split is judged by how much its two
sides together earn more, and, with a small weight, by how much nearer they are: so a split that earns nothing by itself
is still made where the next ones need it. All these are sums over the values of a fact. For a policy that expects
nothing of offers only the distance counts, which is the variance reduction of a regression tree (Breiman, Friedman,
Olshen and Stone 1984, "Classification and regression trees", section 8.4). The leaf with the best split is split next.

Offers that a rule may take away from somebody in a leaf are not given to anybody there (`fact_regions`), and their
probability goes to the others in proportion: so a split that separates whom a rule concerns gains what this loses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from bandit.analysis.policy_table.splits import FactBins
from bandit.catalogue.fact_regions import FactRange, RegionCondition

if TYPE_CHECKING:
    from bandit.analysis.policy_table.sample import PolicySample
    from bandit.catalogue import Catalogue
    from bandit.catalogue.fact_regions import Region
    from bandit.domain import BoolArray, FloatArray, IntArray

LEAST_GAIN = 1e-3
"""Least gain of a split, as a share of what telling all customers apart gains over one row for everybody."""

FIT_WEIGHT = 0.05
"""How much all of the distance to the policy counts beside all of the value that telling customers apart earns."""


@dataclass(frozen=True, slots=True, eq=False)
class TreeLeaf:
    """A leaf: the region of its customers, its rows of the sample, and what each offer gets there, (M,), summing to 1.

    `allowed` (M,) are the offers that no rule can take away from anybody there. `path` says at each split from the root
    whether the leaf is on its second side, which puts leaves in order.
    """

    region: Region
    rows: IntArray
    probability: FloatArray
    allowed: BoolArray
    value: float
    score: float
    path: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class GrownTree:
    """The leaves in order, and what each number of rows up to theirs earns by the policy's own expectations.

    `everybody` is the leaf of all contexts with all rules regarded, `by_rows` the value per decision with 1, 2, ...
    leaves, and `full` that of the policy itself.
    """

    leaves: tuple[TreeLeaf, ...]
    everybody: TreeLeaf
    by_rows: tuple[float, ...]
    full: float


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    gain: float
    fact: str
    bins: BoolArray
    seen: BoolArray


class RegionRules:
    """The catalogue's rules with a condition over the offers of a sample."""

    def __init__(self, catalogue: Catalogue, offers: IntArray) -> None:
        given = [(rule, rule.when) for rule in catalogue.rules if rule.when is not None]
        self.conditions = [RegionCondition(when.text, catalogue.facts) for _, when in given]
        self._forbids = [rule.forbids[offers] for rule, _ in given]
        self._none = np.zeros(len(offers), dtype=np.bool_)
        self.names = frozenset().union(*(each.names for each in self.conditions))

    def allowed(self, region: Region) -> BoolArray:
        """Return which offers no rule can take away from anybody in a region, (M,)."""
        taken = self._none.copy()
        for condition, forbids in zip(self.conditions, self._forbids, strict=True):
            if condition.possible(region).true:
                taken |= forbids
        return ~taken


class TreeGrower:
    """Grows the tree of one sample."""

    def __init__(self, sample: PolicySample, catalogue: Catalogue, facts: Sequence[str], min_customers: float) -> None:
        self._sample, self._min = sample, min_customers
        self._rules = RegionRules(catalogue, sample.offers)
        self._fallback = self._place_of(catalogue.fallback)
        self._value_weight, self._fit_weight = 1.0, 0.0
        self._root = {name: FactRange.whole(fact) for name, fact in catalogue.facts.items()}
        self._bins = {
            name: FactBins.of(
                catalogue.facts[name],
                sample.contexts.columns[name],
                [number for each in self._rules.conditions for number in each.numbers(name)],
            )
            for name in facts
        }

    def grow(self, most: int) -> GrownTree:
        """Return the tree with at most so many leaves."""
        sample = self._sample
        total = float(sample.weight.sum())
        full = float(np.einsum("i,ij,ij->", sample.weight, sample.probability, sample.value))
        root = self._leaf(self._root, np.arange(len(sample)), ())
        square = float(sample.weight @ (sample.probability**2).sum(axis=1))
        root = self._weigh(root, full, square)
        leaves, splits = [root], [self._best(root)]
        by_rows = [root.value / total]
        best = self._value_weight * full + self._fit_weight * square
        least = max(LEAST_GAIN * (best - root.score), 1e-12 * abs(best))
        while len(leaves) < most:
            place = int(np.argmax([-np.inf if each is None else each.gain for each in splits]))
            split = splits[place]
            if split is None or split.gain < least:
                break
            both = self._halves(leaves[place], split)
            leaves[place : place + 1] = both
            splits[place : place + 1] = [self._best(each) for each in both]
            by_rows.append(sum(each.value for each in leaves) / total)
        order = sorted(range(len(leaves)), key=lambda one: leaves[one].path)
        return GrownTree(tuple(leaves[one] for one in order), root, tuple(by_rows), full / total)

    def _weigh(self, root: TreeLeaf, full: float, square: float) -> TreeLeaf:
        """Weigh value and distance against each other, and return the root anew with its score by these weights."""
        gain = full - root.value if self._sample.predicts else 0.0
        self._value_weight, self._fit_weight = 0.0, 1.0
        far = square - self._leaf(self._root, root.rows, ()).score
        if gain > 0.0:
            self._value_weight, self._fit_weight = 1.0, FIT_WEIGHT * gain / far if far > 0.0 else 0.0
        return self._leaf(self._root, root.rows, ())

    def _place_of(self, fallback: int | None) -> int | None:
        if fallback is None:
            return None
        found = np.flatnonzero(self._sample.offers == fallback)
        return int(found[0]) if len(found) else None

    def _leaf(self, region: Region, rows: IntArray, path: tuple[int, ...]) -> TreeLeaf:
        weight = self._sample.weight[rows]
        chosen, expected = weight @ self._sample.probability[rows], weight @ self._sample.value[rows]
        allowed = self._rules.allowed(region)
        kept = chosen * allowed
        probability = kept / kept.sum() if kept.sum() > 0.0 else self._last(allowed)
        score = self._scores(probability[None], chosen[None], expected[None], weight.sum()[None])
        return TreeLeaf(region, rows, probability, allowed, float(probability @ expected), float(score[0]), path)

    def _scores(self, given: FloatArray, chosen: FloatArray, expected: FloatArray, weight: FloatArray) -> FloatArray:
        """Return how good c leaves are that give their customers `given` (c, M), (c,).

        `chosen` and `expected` (c, M) are the sums of p and of q there, and `weight` (c,) the number of decisions. The
        distance counts without the sum of |p|^2, which is the same for all ways to split.
        """
        near = 2.0 * np.einsum("ij,ij->i", given, chosen) - weight * np.einsum("ij,ij->i", given, given)
        earned = np.einsum("ij,ij->i", given, expected)
        return np.asarray(self._value_weight * earned + self._fit_weight * near)

    def _last(self, allowed: BoolArray) -> FloatArray:
        """Return what a leaf gives where the policy has no probability on what everybody there may get: the fallback.

        All 0 where the catalogue has none.
        """
        found = np.zeros(len(allowed))
        if self._fallback is not None:
            found[self._fallback] = 1.0
        return found

    def _halves(self, leaf: TreeLeaf, split: _Split) -> list[TreeLeaf]:
        bins = self._bins[split.fact]
        own = bins.bin[leaf.rows]
        found = []
        for side, taken in enumerate((split.bins, split.seen & ~split.bins)):
            rows = leaf.rows[(own >= 0) & taken[own]]
            found.append(self._leaf(self._part(leaf.region, bins, taken), rows, (*leaf.path, side)))
        return found

    @staticmethod
    def _part(region: Region, bins: FactBins, taken: BoolArray) -> Region:
        return {**region, bins.fact.name: bins.part(region[bins.fact.name], taken)}

    def _best(self, leaf: TreeLeaf) -> _Split | None:
        """Return the split of a leaf that gains most; None where none leaves enough customers on both sides."""
        sample, rows = self._sample, leaf.rows
        best: _Split | None = None
        for name, bins in self._bins.items():
            own = bins.bin[rows]
            taken = rows[own >= 0]
            own = own[own >= 0]
            if not len(taken):
                continue
            shape = (bins.n_bins, len(taken))
            each = csr_array((sample.weight[taken], (own, np.arange(len(taken)))), shape=shape)
            chosen = np.asarray(each @ sample.probability[taken])
            expected = np.asarray(each @ sample.value[taken])
            customers = np.bincount(own, sample.one_each[taken], bins.n_bins)
            weight = np.bincount(own, sample.weight[taken], bins.n_bins)
            seen = weight > 0.0
            mean = np.divide(chosen, weight[:, None], out=np.zeros_like(chosen), where=seen[:, None])
            sides = bins.sides(seen, mean)
            others = seen & ~sides
            enough = np.minimum(sides @ customers, others @ customers) >= self._min
            sides, others = sides[enough], others[enough]
            if not len(sides):
                continue
            gain = np.full(len(sides), -leaf.score)
            for side in (sides, others):
                share = side.astype(np.float64)
                given = self._given(leaf, bins, side, share @ chosen)
                gain += self._scores(given, share @ chosen, share @ expected, share @ weight)
            place = int(np.argmax(gain))
            if best is None or gain[place] > best.gain:
                best = _Split(float(gain[place]), name, sides[place], seen)
        return best

    def _given(self, leaf: TreeLeaf, bins: FactBins, sides: BoolArray, chosen: FloatArray) -> FloatArray:
        """Return what leaves of c sets of bins would give, (c, M), from the sums of p there, (c, M)."""
        if bins.fact.name in self._rules.names:
            allowed = np.stack([self._rules.allowed(self._part(leaf.region, bins, side)) for side in sides])
        else:
            allowed = np.broadcast_to(leaf.allowed, chosen.shape)
        kept = chosen * allowed
        total = kept.sum(axis=1, keepdims=True)
        return np.asarray(np.where(total > 0.0, kept / np.where(total > 0.0, total, 1.0), self._last(allowed[0])))

"""How much each decision says about giving one option to everyone: weights from the log's propensities.

The policy "give option o" deals the other dimensions evenly: among the m eligible offers with o that the log serves,
each has the probability 1 / m. A decision that served one of them with propensity p then has the weight 1 / (m p), the
ratio of the two policies' probabilities of its offer; the mean weight is 1 where the log's policy may serve them all.
Only the propensity of the offer that was served is needed, and the eligible set.

It is compared with a baseline in the same decisions. Where the log deals the other dimensions evenly itself (offers at
random, or one dimension alone), that is the policy of the log, of weight 1. Elsewhere the log chooses the other
dimensions for each customer, which a single option cannot; there the baseline is the mix of the dimension's options, as
often as the log gives each in all, with the other dimensions dealt evenly, too. So a difference is always due to the
option.

A decision of propensity 1 was not left to chance. It says nothing about another option, and has no weight: whether a
decision was left to chance depends on the customer and the policy, not on the draw, so leaving it out biases nothing.
Where the catalogue declares groups, each group's decisions estimate the same; those of a group whose propensities are
even count for more than those of a group whose weights vary (in proportion to sum(v) / sum(v^2) of the weights v of
even choice, which depends on no outcome).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.distinct_masks import DistinctMasks

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
    from bandit.evaluate.breakdown.pages import BreakdownPage

_CERTAIN = 1.0 - 1e-9
"""From this propensity on a decision was not left to chance."""

_EVEN = 1e-6
"""How far the weights of even choice may be from 1, for propensities that were written with few digits."""


class OptionPlaces:
    """The O options of all dimensions of a catalogue side by side, in its order."""

    def __init__(self, catalogue: Catalogue) -> None:
        sizes = [len(dimension.options) for dimension in catalogue.dimensions]
        self._options, self._starts = catalogue.options, np.cumsum([0, *sizes[:-1]])
        self.names = tuple(
            (dimension.name, option.name) for dimension in catalogue.dimensions for option in dimension.options
        )
        self.dimension = np.repeat(np.arange(len(sizes)), sizes)
        self.rates = np.array([option.rate for dimension in catalogue.dimensions for option in dimension.options])

    def __len__(self) -> int:
        return len(self.names)

    def of(self, offer: IntArray) -> IntArray:
        """Return the columns of the options of n offers, (n, dimensions)."""
        return np.asarray(self._options[offer] + self._starts)

    def totals(self, masks: BoolArray, share: FloatArray) -> FloatArray:
        """Return, for u sets of offers (u, N), the (u, O) sums of `share` (N,) over their offers with each option."""
        served = np.flatnonzero(share)
        table = np.zeros((len(served), len(self)))
        table[np.arange(len(served))[:, None], self.of(served)] = share[served, None]
        return np.asarray(masks[:, served].astype(np.float64) @ table)


@dataclass(frozen=True, slots=True, eq=False)
class WeightedOptions:
    """The options of n decisions: `given` (n, O), and `weight` (n, O), which is 0 where the option was not given.

    `allowed` (n, O) says which options were eligible, in an offer that the log serves at all, and `chance` (n,) which
    decisions were left to chance with a known propensity: the others have no weights. `counts` (n,) is how much a
    decision counts, by its group, which the weights include; `baseline` (n, D) its weight for the baseline, by
    dimension. Where decisions stand for others, `stands_for` (n,) is how many, which the weights include, too.
    """

    given: BoolArray
    weight: FloatArray
    allowed: BoolArray
    chance: BoolArray
    counts: FloatArray
    baseline: FloatArray
    stands_for: FloatArray

    def take(self, rows: IntArray) -> WeightedOptions:
        """Return the chosen rows."""
        return WeightedOptions(*(getattr(self, each.name)[rows] for each in fields(self)))


class ServedOffers:
    """What is known of a log before its decisions are weighted: gathered in one pass.

    `counts` (N,) is how often it served each offer, by how many decisions each stands for. `even` says whether it dealt
    all dimensions but one evenly, in every decision left to chance.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.counts = np.zeros(catalogue.n_offers)
        self._alone = sum(len(dimension.options) > 1 for dimension in catalogue.dimensions) < 2
        self._even = True
        self._groups = frozenset(() if catalogue.groups is None else catalogue.groups.names)
        self._moments: dict[str, FloatArray] = {}

    @property
    def even(self) -> bool:
        """Whether giving an option with the others dealt evenly leaves the others as the log deals them."""
        return self._alone or self._even

    def add(self, page: BreakdownPage) -> None:
        """Add a page."""
        batch, rows = page.batch, np.arange(len(page))
        self.counts += np.bincount(batch.offer, weights=batch.stands_for, minlength=len(self.counts))
        fits, size = np.ones(len(page), dtype=np.bool_), np.full(len(page), len(self.counts))
        if batch.eligible.shape[1]:
            fits, size = batch.eligible[rows, batch.offer], batch.eligible.sum(axis=1)
        chance = left_to_chance(batch.propensity) & fits
        weight = 1.0 / (size[chance] * batch.propensity[chance])
        self._even = self._even and bool((np.abs(weight - 1.0) < _EVEN).all())
        weight = weight * batch.weights[chance]
        if self._groups:
            names, which = np.unique(page.labels.group[chance].astype(str), return_inverse=True)
            for place, name in enumerate(names.tolist()):
                own = weight[which == place]
                self._moments[name] = self._moments.get(name, np.zeros(2)) + np.array([own.sum(), own @ own])

    def count_of(self, group: ObjectArray) -> FloatArray:
        """Return how much each of n decisions counts by its group, (n,): 1 for one of even propensities."""
        if self.even or not self._groups:
            return np.ones(len(group))
        by_name = {name: total / squares for name, (total, squares) in self._moments.items() if name in self._groups}
        return np.fromiter((by_name.get(name, 1.0) for name in group), dtype=np.float64, count=len(group))


class OptionWeights:
    """Computes the weights of decisions of a log of which `served` is known.

    Memory grows with the number of distinct eligible sets. Where a batch has no eligible sets, all offers count as
    eligible.
    """

    def __init__(self, served: ServedOffers) -> None:
        self.places = OptionPlaces(served.catalogue)
        self._served = served
        self._shown = (served.counts > 0).astype(np.float64)
        self._masks = DistinctMasks()
        self._totals = np.zeros((0, len(self.places)))
        options = self.places.totals(np.ones((1, len(self._shown)), dtype=np.bool_), served.counts)
        self._shares = options[0] / (float(served.counts.sum()) or 1.0)

    def of(self, page: BreakdownPage) -> WeightedOptions:
        """Return the options of a page."""
        batch, n, rows = page.batch, len(page), np.arange(len(page))
        own = self.places.of(batch.offer)
        given = np.zeros((n, len(self.places)), dtype=np.bool_)
        given[rows[:, None], own] = True
        chance = left_to_chance(batch.propensity)
        if batch.eligible.shape[1]:
            chance &= batch.eligible[rows, batch.offer]
            totals = self._of_sets(batch.eligible)
        else:
            every = self.places.totals(np.ones((1, len(self._shown)), dtype=np.bool_), self._shown)
            totals = np.broadcast_to(every, given.shape)
        allowed = totals > 0.0
        counts = np.where(chance, self._served.count_of(page.labels.group) * batch.weights, 0.0)
        by_dimension = np.zeros(own.shape)
        kept = rows[chance]
        inverse = counts[chance] / batch.propensity[chance]
        by_dimension[kept] = inverse[:, None] / totals[kept[:, None], own[chance]]
        weight = np.zeros(given.shape)
        weight[rows[:, None], own] = by_dimension
        baseline = np.broadcast_to(counts[:, None], own.shape)
        if not self._served.even:
            of_dimension = (allowed * self._shares) @ (self.places.dimension[:, None] == np.arange(own.shape[1]))
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.where(of_dimension > 0.0, self._shares[own] / of_dimension, 0.0)
            baseline = by_dimension * share
        return WeightedOptions(given, weight, allowed, chance, counts, baseline, batch.weights)

    def _of_sets(self, eligible: BoolArray) -> FloatArray:
        numbers = self._masks.number(eligible)
        if int(numbers.max(initial=-1)) >= len(self._totals):
            masks = self._masks.stack()[len(self._totals) :]
            self._totals = np.concatenate([self._totals, self.places.totals(masks, self._shown)])
        return self._totals[numbers]


def left_to_chance(propensity: FloatArray) -> BoolArray:
    """Return which of n decisions were left to chance with a known propensity."""
    with np.errstate(invalid="ignore"):
        return np.asarray((propensity > 0.0) & (propensity < _CERTAIN))

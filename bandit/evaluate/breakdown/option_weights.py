"""How much each decision says about giving one option to everyone: weights from the log's propensities.

The policy "give option o" keeps the other dimensions as the log has them: among the eligible offers with o, each is
given in proportion to how often the log served it in all, q(a) / q(offers with o that are eligible for x). A decision
that served the offer a of propensity p(a | x) then has the weight

    w = q(a) / sum over eligible a' with o of q(a')  /  p(a | x),

the ratio of the two policies' probabilities of a: its mean is 1 where the log's policy may serve all these offers.
Where a catalogue has one dimension, this is 1 / p. Only the propensity of the offer that was served is needed, and the
eligible set; companions that the log seldom served have small weights, so that they add little variance.

A decision of propensity 1 was not left to chance. It says nothing about another option, and has no weight: whether a
decision was left to chance depends on the customer and the policy, not on the draw, so leaving it out biases nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.distinct_masks import DistinctMasks

if TYPE_CHECKING:
    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, LoggedBatch

_CERTAIN = 1.0 - 1e-9
"""From this propensity on a decision was not left to chance."""


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
    decisions were left to chance with a known propensity: the others have no weights.
    """

    given: BoolArray
    weight: FloatArray
    allowed: BoolArray
    chance: BoolArray

    def take(self, rows: IntArray) -> WeightedOptions:
        """Return the chosen rows."""
        return WeightedOptions(self.given[rows], self.weight[rows], self.allowed[rows], self.chance[rows])


class OptionWeights:
    """Computes the weights of decisions; `counts` (N,) is how often the log served each offer.

    Memory grows with the number of distinct eligible sets. Where a batch has no eligible sets, all offers count as
    eligible, and the other dimensions of ineligible offers, too.
    """

    def __init__(self, catalogue: Catalogue, counts: IntArray) -> None:
        self.columns = OptionPlaces(catalogue)
        self._share = counts / max(int(counts.sum()), 1)
        self._masks = DistinctMasks()
        self._totals = np.zeros((0, len(self.columns)))

    def of(self, batch: LoggedBatch) -> WeightedOptions:
        """Return the options of a batch."""
        n, rows = len(batch), np.arange(len(batch))
        columns = self.columns.of(batch.offer)
        given = np.zeros((n, len(self.columns)), dtype=np.bool_)
        given[rows[:, None], columns] = True
        fits = np.ones(n, dtype=np.bool_)
        if batch.eligible.shape[1]:
            fits = batch.eligible[rows, batch.offer]
            totals = self._of_sets(batch.eligible)
        else:
            totals = np.broadcast_to(
                self.columns.totals(np.ones((1, len(self._share)), dtype=np.bool_), self._share), given.shape
            )
        with np.errstate(invalid="ignore"):
            chance = fits & (batch.propensity > 0.0) & (batch.propensity < _CERTAIN)
        allowed = totals > 0.0
        weight = np.zeros(given.shape)
        kept = rows[chance]
        own = columns[chance]
        ratio = self._share[batch.offer[chance]] / batch.propensity[chance]
        weight[kept[:, None], own] = ratio[:, None] / totals[kept[:, None], own]
        return WeightedOptions(given, weight, allowed, chance)

    def _of_sets(self, eligible: BoolArray) -> FloatArray:
        numbers = self._masks.number(eligible)
        if int(numbers.max(initial=-1)) >= len(self._totals):
            masks = self._masks.stack()[len(self._totals) :]
            self._totals = np.concatenate([self._totals, self.columns.totals(masks, self._share)])
        return self._totals[numbers]

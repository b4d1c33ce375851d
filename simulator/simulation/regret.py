"""What the visits of a run are worth to those who know the truth: the yardstick that learners are held against."""

from __future__ import annotations

from dataclasses import dataclass

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.policies.segment_rules import SegmentRules
from simulator.market.ceilings import Clairvoyant, FactsClairvoyant, ValueScale, chosen_values, uniform_values
from simulator.market.population import Population
from simulator.market.segments import best_segment_rules


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceValues:
    """Exact expected objective of each of n visits, (n,), under four ways to choose that need no learning.

    `uniform` chooses among the eligible offers by chance; `segment_rule` is the best segment rule that full knowledge
    could write for all these visits together; the two ceilings are as in `ValueScale.measure`. Compare them with
    `Run.expected` of a run over the same visits.
    """

    uniform: FloatArray
    segment_rule: FloatArray
    facts_clairvoyant: FloatArray
    clairvoyant: FloatArray

    @staticmethod
    def measure(population: Population, customers: IntArray, times: IntArray) -> ReferenceValues:
        """Measure these visits."""
        mapping = best_segment_rules(population, customers, times)
        rules = SegmentRules.from_dict(population.market.catalogue, mapping)
        return ReferenceValues(
            uniform_values(population, customers, times),
            *(
                chosen_values(population, policy, customers, times)
                for policy in (rules, FactsClairvoyant(population, times), Clairvoyant(population, times))
            ),
        )

    def __len__(self) -> int:
        return len(self.uniform)

    def take(self, rows: IntArray | BoolArray | slice) -> ReferenceValues:
        """Return the yardstick of some visits: `take(slice(-len(stick) // 4, None))` is the last quarter's."""
        return ReferenceValues(
            self.uniform[rows], self.segment_rule[rows], self.facts_clairvoyant[rows], self.clairvoyant[rows]
        )

    @property
    def scale(self) -> ValueScale:
        """The means over these visits as a scale: 0 as uniform choice, 1 as the best that facts allow."""
        return ValueScale(
            float(self.uniform.mean()), float(self.facts_clairvoyant.mean()), float(self.clairvoyant.mean())
        )

    def share(self, values: FloatArray) -> float:
        """Return where the mean of (n,) values at these visits lies on the scale; NaN where nothing can be gained."""
        return self.scale.share(float(values.mean()))

"""Reference policies for regret: what the visits of a run are worth to policies that know the truth."""

from __future__ import annotations

from dataclasses import dataclass

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.policies.segment_rules import SegmentRules
from simulator.market.ceilings import Clairvoyant, FactsClairvoyant, ValueScale, chosen_values, uniform_values
from simulator.market.population import Population
from simulator.market.segments import best_segment_rules


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceValues:
    """The exact expected objective at each of n visits, (n,), of four policies that need no learning.

    `uniform` draws evenly among the eligible offers; `segment_rule` is the best segment rule that could be written for
    all these visits with full knowledge; the two clairvoyant policies are as in `ValueScale.measure`. The regret of a
    run over the same visits is the difference to `Run.expected`.
    """

    uniform: FloatArray
    segment_rule: FloatArray
    facts_clairvoyant: FloatArray
    clairvoyant: FloatArray

    @staticmethod
    def measure(population: Population, customers: IntArray, times: IntArray) -> ReferenceValues:
        """Return the values at these visits."""
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
        """Return the values at some visits: `take(slice(-len(values) // 4, None))` is the last quarter's."""
        return ReferenceValues(
            self.uniform[rows], self.segment_rule[rows], self.facts_clairvoyant[rows], self.clairvoyant[rows]
        )

    @property
    def scale(self) -> ValueScale:
        """The means over these visits as a scale: 0 is uniform choice, 1 the best that facts allow."""
        return ValueScale(
            float(self.uniform.mean()), float(self.facts_clairvoyant.mean()), float(self.clairvoyant.mean())
        )

    def share(self, values: FloatArray) -> float:
        """Return where the mean of (n,) values at these visits lies on the scale; NaN where nothing can be gained."""
        return self.scale.share(float(values.mean()))

"""The true lift of groups, which only the simulator knows: as they were served, and on the same visits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bandit.domain import FloatArray, ObjectArray
from bandit.evaluate.diagnostics.findings import to_json
from bandit.policies import Uniform
from bandit.policies.group_policies import GroupPolicies
from simulator.live.plan import LiveWorld


@dataclass(frozen=True, slots=True, eq=False)
class TrueValues:
    """The true values of n decisions of known groups, rewards a decision.

    `served` (n,) is the expected reward of the offer that was served, given everything about the customer and the time:
    no chance of outcomes is in it. `fixed` has, for each group that learns nothing (rules, random, holdout), the (n,)
    expected rewards of what this group would have been served at each decision, whoever was.
    """

    groups: ObjectArray
    served: FloatArray
    fixed: Mapping[str, FloatArray]

    def mean(self, group: str) -> float:
        """Return the mean of `served` over the decisions of a group; NaN without any."""
        return _mean(self.served[self.groups == group])

    def lift(self, group: str, baseline: str) -> TrueLift:
        """Return the true lift of one group over another."""
        return TrueLift(group, baseline, self.mean(group) - self.mean(baseline), self._same_visits(group, baseline))

    def _same_visits(self, group: str, baseline: str) -> float:
        worth = [self.fixed.get(name, self.served) for name in (group, baseline)]
        learned = [name for name in (group, baseline) if name not in self.fixed]
        if len(learned) > 1:
            return float("nan")
        rows = np.isin(self.groups.astype(np.str_), learned or [group, baseline])
        return _mean((worth[0] - worth[1])[rows])


@dataclass(frozen=True, slots=True)
class TrueLift:
    """The true lift of one group over another, per decision, by two estimands.

    `served` is the mean, over the group's decisions, of the expected reward of the offer that was served to that
    customer at that time, less the same mean over the baseline's decisions. What each group truly earned under its own
    contexts: the luck of the outcomes is not in it, the luck of which customers are in which group is.

    `same_visits` has neither: the mean difference of what the two groups are served at the same decisions. Where one of
    them is the policy that learns, these are the policy's decisions, with what was served and with what the other group
    would have been served; of two groups that learn nothing, the decisions of both.

    The random assignment makes the difference of means, which `lift` reports, unbiased for `same_visits`; its interval
    allows for the luck of outcomes and of customers, so it covers either at least as often as its level says.
    """

    group: str
    baseline: str
    served: float
    same_visits: float

    def within(self, low: float, high: float) -> bool:
        """Return whether both true values lie in an interval; those that are not known count as inside."""
        return all(not np.isfinite(value) or low <= value <= high for value in (self.served, self.same_visits))

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "group": self.group,
            "baseline": self.baseline,
            "served": to_json(self.served),
            "same_visits": to_json(self.same_visits),
        }


def fixed_values(world: LiveWorld) -> dict[str, FloatArray]:
    """Return the (n,) expected rewards, at every visit of a world, of what each group that learns nothing is served."""
    catalogue, visits = world.catalogue, world.visits
    policies = GroupPolicies.of(catalogue)
    if policies is None or catalogue.groups is None:
        return {}
    rng = np.random.default_rng(0)  # unused: these policies' probabilities are not random
    return {
        name: world.population.values(policies.routed(Uniform(catalogue), name), rng, visits.customers, visits.times)
        for name in catalogue.groups.names
        if not policies.asks_policy(name)
    }


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")

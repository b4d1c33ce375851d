"""Lift: what one group of customers earned more than another, from decisions of customers assigned at random.

Each customer belongs to one group, by fixed shares, and each group is served by its own policy. Two methods give the
difference between two groups, per decision and per customer:

- means: the difference of the groups' means. Unbiased by the random assignment alone, whatever the policies do.
- balanced: every decision counts for every group, weighted by the chance that the group's policy makes that decision
  against the chance that the mixture of all groups makes it. Where the policies agree, both weights are equal and the
  decision adds no variance to the difference. Unbiased only while the weights are the true conditional ones; which
  weights are, and what biases them, is the subject of `bandit.ope.lift.weights`.

Intervals are clustered by customer: "skew" and "normal" for one look, "anytime-skew" and "anytime" for repeated looks.
`LiftTally` adds up batches, also by week and by segment, and merges with `+`.
"""

from bandit.ope.lift.batch import LiftBatch
from bandit.ope.lift.sums import LiftDifference, LiftMethod, LiftSums, LiftUnit
from bandit.ope.lift.tally import LiftTally
from bandit.ope.lift.weights import TrajectoryWeights, balanced_weights

__all__ = [
    "LiftBatch",
    "LiftDifference",
    "LiftMethod",
    "LiftSums",
    "LiftTally",
    "LiftUnit",
    "TrajectoryWeights",
    "balanced_weights",
]

"""Frozen records and protocols that every package shares; imports numpy and nothing of ours.

Shapes: n rows of a batch, N offers of the catalogue. Times are whole microseconds since 1970-01-01 UTC.
"""

from bandit.domain.arrays import MICROSECONDS, BoolArray, FloatArray, IntArray, ObjectArray
from bandit.domain.contexts import Contexts
from bandit.domain.decisions import Decision, DecisionBatch
from bandit.domain.offers import EligibleSets, FactoredColumns, Removal, SparseProbabilities
from bandit.domain.outcomes import LoggedBatch, Outcomes
from bandit.domain.protocols import Log, Policy, Progress, RewardPredictor, SparsePolicy

__all__ = [
    "MICROSECONDS",
    "BoolArray",
    "Contexts",
    "Decision",
    "DecisionBatch",
    "EligibleSets",
    "FactoredColumns",
    "FloatArray",
    "IntArray",
    "Log",
    "LoggedBatch",
    "ObjectArray",
    "Outcomes",
    "Policy",
    "Progress",
    "Removal",
    "RewardPredictor",
    "SparsePolicy",
    "SparseProbabilities",
]

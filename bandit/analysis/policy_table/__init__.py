"""A policy distilled to a table: a tree over declared facts, with the mean probability of each offer in each leaf."""

from bandit.analysis.policy_table.distil import DistilledTable, DistilOptions, distil

__all__ = ["DistilOptions", "DistilledTable", "distil"]

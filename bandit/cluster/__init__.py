"""Computation on partitioned logs: each partition is summed where it is read, and the sums are merged."""

from bandit.cluster.opening import open_runner

__all__ = ["open_runner"]

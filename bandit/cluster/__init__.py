"""Computation on partitioned logs: each partition is summed where it is read, and the sums are merged."""

"""Batches of a log that are small enough to predict the reward of every offer for each decision."""

from __future__ import annotations

PREDICTED_CELLS = 2_000_000
"""The largest number of (decision, offer) predictions in memory at once."""


def rows_at_once(n_offers: int) -> int:
    """Return how many decisions are predicted at once with this many offers; at least 1."""
    return max(1, PREDICTED_CELLS // n_offers)

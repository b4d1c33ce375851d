"""Building blocks of probabilities: uniform, one-hot, and the floor that is mixed in."""

from __future__ import annotations

import numpy as np

from bandit.domain import BoolArray, FloatArray, IntArray
from bandit.errors import PolicyError


def uniform_over(eligible: BoolArray) -> FloatArray:
    """Return equal probabilities over the eligible offers of each row, (n, N)."""
    if len(eligible) == 1:
        return np.asarray(eligible / np.count_nonzero(eligible))
    return np.asarray(eligible / eligible.sum(axis=1, keepdims=True))


def mix_floor(probabilities: FloatArray, eligible: BoolArray, floor: float) -> FloatArray:
    """Return (1 - floor) x probabilities + floor spread evenly over the eligible offers."""
    if floor == 0.0:
        return probabilities
    mixed = (1.0 - floor) * probabilities
    spread = uniform_over(eligible)
    spread *= floor  # in place: these tables are the largest of an evaluation
    mixed += spread
    return mixed


def check_share(name: str, share: float) -> float:
    """Return a share between 0 and 1; PolicyError otherwise."""
    if not 0.0 <= share <= 1.0:
        raise PolicyError(f"{name} is a share between 0 and 1; seen {share}")
    return float(share)


def one_hot(offer: IntArray, n_offers: int) -> FloatArray:
    """Return the (n, N) probabilities that are 1 at one offer (n,) a row."""
    chosen = np.zeros((len(offer), n_offers))
    chosen[np.arange(len(offer)), offer] = 1.0
    return chosen

"""Robust weights of observations: a normal core with the tails of Student's t, so that no single one dominates.

The noise of log revenue is normal up to `CORE` deviations and has the tails of Student's t with `FREEDOM` degrees of
freedom beyond. An observation z predictive deviations away counts with the weight of the EM algorithm for Student's t
(Lange, Little & Taylor 1989, "Robust statistical modeling using the t distribution"), scaled to be 1 at `CORE` and kept
at 1 within it:

    w(z) = min(1, (FREEDOM + CORE^2) / (FREEDOM + z^2)).

So usual observations are learned exactly as without weights, and in any order; only the few beyond have weights that
must be remembered, to be removed as they were learned.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bandit.domain import FloatArray, IntArray

FREEDOM = 4.0
"""Degrees of freedom of the tails."""

CORE = 3.0
"""Predictive deviations within which an observation counts in full: 0.3 % of normal ones lie outside."""

MEDIAN_DEVIATION = 1.4826
"""Standard deviation of a normal distribution in units of its median absolute deviation."""

MAX_REMEMBERED = 20_000
"""Most observations of a weight below 1 that are remembered; the oldest are forgotten first."""

ANY_OFFER_NUMBER = -1
"""The offer of observations learned under an earlier catalogue, whose offers have other numbers."""


def tail_weights(squares: FloatArray) -> FloatArray:
    """Return the weights of observations from z^2 (n,), their squared distances in predictive deviations.

    >>> tail_weights(np.array([4.0, 9.0, 22.0])).tolist()
    [1.0, 1.0, 0.5]
    """
    return np.minimum(1.0, (FREEDOM + CORE**2) / (FREEDOM + squares))


def without_tails(y: FloatArray) -> FloatArray:
    """Return values (n,) kept within `CORE` deviations of their median, estimated from the median deviation.

    >>> without_tails(np.array([1.0, 2.0, 3.0, 900.0])).round(3).tolist()
    [1.0, 2.0, 3.0, 6.948]
    """
    middle = float(np.median(y))
    reach = CORE * MEDIAN_DEVIATION * float(np.median(np.abs(y - middle)))
    return np.clip(y, middle - reach, middle + reach)


class RememberedWeights:
    """The weights below 1 with which observations were learned, by offer and observed value."""

    def __init__(self) -> None:
        self._weights: dict[tuple[int, float], list[float]] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, offer: IntArray, y: FloatArray, weight: FloatArray) -> None:
        """Remember those of n observations whose weight is below 1."""
        for place in np.flatnonzero(weight < 1.0).tolist():
            self._weights.setdefault((int(offer[place]), float(y[place])), []).append(float(weight[place]))
            self._n += 1
        while self._n > MAX_REMEMBERED:
            self._n -= len(self._weights.pop(next(iter(self._weights))))

    def take(self, offer: IntArray, y: FloatArray) -> FloatArray | None:
        """Return the weights (n,) of observations that are removed, and forget them; None where all are 1."""
        if not self._n:
            return None
        weight = np.array([self._taken(*pair) for pair in zip(offer.tolist(), y.tolist(), strict=True)])
        return None if (weight == 1.0).all() else weight

    def _taken(self, offer: int, y: float) -> float:
        for key in ((offer, y), (ANY_OFFER_NUMBER, y)):
            found = self._weights.get(key)
            if found:
                self._n -= 1
                weight = found.pop(0)
                if not found:
                    del self._weights[key]
                return weight
        return 1.0

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of a state, none where nothing is remembered."""
        if not self._n:
            return {}
        rows = [(offer, y, weight) for (offer, y), weights in self._weights.items() for weight in weights]
        offers, values, weights = zip(*rows, strict=True)
        return {
            "tail_offer": np.array(offers, dtype=np.int64),
            "tail_y": np.array(values, dtype=np.float64),
            "tail_weight": np.array(weights, dtype=np.float64),
        }

    @staticmethod
    def restored(arrays: Mapping[str, NDArray[np.generic]]) -> RememberedWeights:
        """Return what `state` wrote; ValueError where it does not fit."""
        remembered = RememberedWeights()
        if "tail_y" not in arrays:
            return remembered
        offer = np.array(arrays["tail_offer"], dtype=np.int64)
        y, weight = (np.array(arrays[name], dtype=np.float64) for name in ("tail_y", "tail_weight"))
        fits = y.ndim == 1 and offer.shape == y.shape == weight.shape and len(y) <= MAX_REMEMBERED
        if not (fits and np.isfinite(y).all() and ((weight > 0.0) & (weight < 1.0)).all()):
            raise ValueError("its remembered weights do not fit")
        remembered.add(offer, y, weight)
        return remembered

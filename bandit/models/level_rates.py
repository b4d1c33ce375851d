"""How fast the level of a model moves: random walks of several rates, filtered side by side on the same residuals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bandit.domain import FloatArray

LEVEL_VARIANCES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
"""The rates that are compared: variance that the level gains a day, in squared units of the score."""

MOVING_PENALTY = 25.0
"""Log odds against any movement before data: a market that stands still is taken as such.

What a model does not see in a still market, crosses of facts and differences of customers, looks like movement too: on
simulated still markets up to 23 of such log evidence were seen.
"""

SWITCH_EVIDENCE = 1.0
"""Log evidence by which another rate must be ahead of the present one before it is taken."""

EVIDENCE_HALF_LIFE = 4_000.0
"""Outcomes after which evidence on the rates counts half: a market may begin or cease to move."""

LEVEL_INFORMATION = 4.0
"""Least information on the level that makes one observation of it: about as many responses."""


class LevelRates:
    """Compares rates of a random walk of the level by how well each predicts, and says what the level has gained.

    The residuals of some outcomes at the model's present weights give an observation of the level: with e the sum of
    residuals and h that of the curvatures, level + e / h with variance 1 / h (one scoring step). A scalar Kalman filter
    for each rate predicts the observation before it learns it; the log densities, older ones counting less, are the
    evidence on the rates (dynamic model selection: Raftery, Karny & Ettler 2010, "Online prediction under model
    uncertainty via dynamic model averaging", Technometrics 52).
    """

    def __init__(self) -> None:
        self.rates = np.array(LEVEL_VARIANCES)
        self.chosen = 0
        self._mean = np.zeros(len(self.rates))
        self._variance = np.ones(len(self.rates))
        self._evidence = np.zeros(len(self.rates))
        self._started = False
        # Sums over the outcomes since the last observation: count, curvature, residual, curvature x level; and days.
        self._count = self._information = self._residual = self._weighted = self._days = 0.0
        self._last = (0.0, 0.0)

    @property
    def half_life(self) -> float:
        """The days after which an observation of the level counts half, infinite where the level stands still."""
        days, gain = self._last
        if not self.chosen or not 0.0 < gain < 1.0:
            return np.inf
        return float(days * np.log(2.0) / -np.log1p(-gain))

    @property
    def variance_a_day(self) -> float:
        """The variance that the level gains a day, as estimated."""
        return float(self.rates[self.chosen])

    def see(self, count: float, information: float, residual: float, level: float) -> None:
        """Add outcomes: how many, the sums of their curvatures and residuals, and the level they were predicted at."""
        self._count += count
        self._information += information
        self._residual += residual
        self._weighted += information * level

    def correct(self, residual: float) -> None:
        """Add to the sum of residuals, for outcomes seen before whose responses have changed."""
        self._residual += residual

    def step(self, days: float, noise: float = 1.0) -> float:
        """Let days pass, and return the variance that the level has gained; `noise` is the unit of the variances."""
        gained = self.variance_a_day * days
        self._days += days
        if self._information >= LEVEL_INFORMATION:
            gained += self._observe(noise)
        return gained

    def _observe(self, noise: float) -> float:
        """Filter one observation of the level, choose the rate, and return the variance that the choice adds."""
        days = self._days
        seen, variance = (self._weighted + self._residual) / self._information, 1.0 / self._information
        if self._started:
            before = self._variance + self.rates * self._days
            spread = before + variance
            off = seen - self._mean
            self._evidence *= 0.5 ** (self._count / EVIDENCE_HALF_LIFE)
            self._evidence -= 0.5 * (np.log(spread) + off * off / (spread * noise))
            self._evidence -= self._evidence[0]
            gain = before / spread
            self._mean += gain * off
            self._variance = before * (1.0 - gain)
        else:
            self._mean[:], self._variance[:], self._started = seen, variance, True
        self._count = self._information = self._residual = self._weighted = self._days = 0.0
        earlier = self.chosen
        self.chosen = chosen_rate(self._evidence, earlier)
        self._last = days, float(self._variance[self.chosen] / variance)
        # What the filter of the new rate is less sure of than that of the earlier one.
        return max(0.0, float(self._variance[self.chosen] - self._variance[earlier]))

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, for `restore`."""
        sums = [self._count, self._information, self._residual, self._weighted, self._days, *self._last]
        meta: dict[str, object] = {"level": self.chosen, "started": self._started}
        return meta, {
            "level": np.stack([self._mean, self._variance, self._evidence]),
            "level_sums": np.array(sums),
        }

    def restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state; ValueError or KeyError where it is not one of these rates."""
        table = finite(arrays["level"], (3, len(self.rates)))
        sums = finite(arrays["level_sums"], (7,))
        self.chosen, self._started = place_of(meta["level"], len(self.rates)), bool(meta["started"])
        self._mean, self._variance, self._evidence = table
        self._count, self._information, self._residual, self._weighted, self._days, *last = sums.tolist()
        self._last = (last[0], last[1])


def chosen_rate(evidence: FloatArray, present: int) -> int:
    """Return the place of the rate with the most log evidence, the first being that of no movement."""
    total = evidence.copy()
    total[1:] -= MOVING_PENALTY
    total[present] += SWITCH_EVIDENCE
    return int(total.argmax())


def finite(array: NDArray[np.generic], shape: tuple[int, ...]) -> FloatArray:
    """Return a copy of an array of a state; ValueError for another shape or numbers that are not finite."""
    found = np.array(array, dtype=np.float64)
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError("its rates of change are of another model")
    return found


def place_of(value: object, size: int) -> int:
    """Return a place below `size`; ValueError for anything else."""
    if not isinstance(value, int) or not 0 <= value < size:
        raise ValueError("its rates of change are unknown")
    return value

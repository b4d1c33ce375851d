"""Drift: tastes explained by facts change slowly during a campaign, the same way for customers with the same facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import FloatArray, IntArray
from simulator.market.season import CALENDAR_START, DAY

DRIFT_MOMENTS = 12
"""Moments that represent all times where a policy that does not know the time averages over it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A rotation: what facts explain of tastes is cos(w) A + sin(w) B; the mean effects of options rotate likewise.

    A and B are drawn independently from the same distribution, so the deviations that the scenario names hold at every
    time. w grows evenly from 0 at `CALENDAR_START`; after `quarter_days` it is a quarter turn, and tastes have nothing
    in common with those of the beginning (0: no drift). `effect` is the deviation, in logits, of the moving part of
    an option's mean. Hidden tastes, the own base rate and threshold rules stay as they are.
    """

    quarter_days: float = 0.0
    effect: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether there is any drift."""
        return self.quarter_days > 0

    def angle(self, time: IntArray | int | None) -> FloatArray:
        """Return w in radians at times in microseconds; 0, the beginning, where no time is given."""
        if time is None:
            return np.zeros(())
        return np.asarray((np.asarray(time, dtype=np.int64) - CALENDAR_START) * (np.pi / 2 / (self.quarter_days * DAY)))

    def features(self, facts: FloatArray, time: IntArray | int | None) -> FloatArray:
        """Return (n, 2 + 2 F) features, 0 at the beginning: cos(w) - 1 and sin(w), by themselves and times facts."""
        angle = np.broadcast_to(self.angle(time), (len(facts),))
        turns = np.stack([np.cos(angle) - 1.0, np.sin(angle)], axis=1)
        return np.concatenate([turns, turns[:, :1] * facts, turns[:, 1:] * facts], axis=1)

    def moments(self, times: IntArray | None) -> list[int | None]:
        """Return a few moments, equally weighted, that represent these times; the beginning for None."""
        if times is None or not len(times):
            return [None]
        return [int(time) for time in np.quantile(times, (np.arange(DRIFT_MOMENTS) + 0.5) / DRIFT_MOMENTS)]

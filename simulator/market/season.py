"""The calendar: seasonal effects of year and week on the base rate, and the times of visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import MICROSECONDS, FloatArray, IntArray

HOUR = 3_600 * MICROSECONDS
DAY = 24 * HOUR
YEAR = round(365.25 * DAY)
FIRST_MONDAY = 4 * DAY
"""1970-01-05 was a Monday."""

CALENDAR_START = 1_767_571_200_000_000
"""Monday, 2026-01-05 00:00 UTC in microseconds: the default start of visits, and the beginning of a drift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """A yearly and a weekly cosine added to the logit of the base rate.

    `yearly` and `weekly` are their amplitudes; `yearly_peak` is the day of the year (0 = 1 January) and
    `weekly_peak` the day of the week (0 = Monday, 5.5 = Saturday noon) of the peak. `visits` times the same sum is
    added to the log of the rate of visits. Visits come from `opens` to `closes` o'clock, UTC. Where `observed`,
    the catalogue declares both cosines as the facts "season" and "weekend".
    """

    yearly: float = 0.0
    weekly: float = 0.0
    yearly_peak: float = 335.0
    weekly_peak: float = 5.5
    visits: float = 1.0
    opens: int = 7
    closes: int = 23
    observed: bool = False

    def cycles(self, time: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the yearly and the weekly cosine, each in [-1, 1], at times in microseconds."""
        yearly = np.cos(2 * np.pi * (time - self.yearly_peak * DAY) / YEAR)
        weekly = np.cos(2 * np.pi * (time - FIRST_MONDAY - self.weekly_peak * DAY) / (7 * DAY))
        return yearly, weekly

    def shift(self, time: IntArray) -> FloatArray:
        """Return what the season adds to the logit of the base rate."""
        yearly, weekly = self.cycles(time)
        return self.yearly * yearly + self.weekly * weekly

    def draw_times(self, n: int, start: int, days: float, rng: np.random.Generator) -> IntArray:
        """Return n times of visits in ascending order, from a rate that is constant within each hour."""
        hours = start + np.arange(max(1, round(days * 24)), dtype=np.int64) * HOUR
        clock = (hours // HOUR) % 24
        rate = np.exp(self.visits * self.shift(hours)) * ((clock >= self.opens) & (clock < self.closes))
        cumulative = np.cumsum(rate if rate.any() else np.ones_like(rate))
        hour = np.minimum(np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right"), len(hours) - 1)
        times: IntArray = hours[hour] + rng.integers(0, HOUR, size=n)
        times.sort()
        return times

    def quadrature(self, times: IntArray | None, nodes: int = 3) -> tuple[FloatArray, FloatArray]:
        """Return a few (shifts, weights) that represent the shifts at all these times; no shift for None.

        The Gauss rule of the discrete measure of the shifts, by Lanczos iteration and the eigenvectors of its
        Jacobi matrix (Golub and Welsch 1969): exact for polynomials up to degree 2 nodes - 1.
        """
        if times is None:
            return np.zeros(1), np.ones(1)
        shift = self.shift(times)
        center = shift.mean()
        spread = shift.std()
        if spread < 1e-12:  # one shift, up to rounding
            return np.array([center]), np.ones(1)
        x = (shift - center) / spread
        diagonal, beside = [], []
        before, now = np.zeros(len(x)), np.full(len(x), 1.0 / np.sqrt(len(x)))
        norm = 0.0
        for _ in range(nodes):
            after = x * now - norm * before
            diagonal.append(float(after @ now))
            after -= diagonal[-1] * now
            norm = float(np.linalg.norm(after))
            beside.append(norm)
            if norm < 1e-7:  # fewer different shifts than nodes
                break
            before, now = now, after / norm
        jacobi = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
        values, vectors = np.linalg.eigh(jacobi)
        return center + spread * values, vectors[0] ** 2

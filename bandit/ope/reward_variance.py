"""Sums of rewards between and within customers, from which their variance follows; parts merge with `+`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.domain import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class RewardSums:
    """What n rewards of whole customers add up to; parts of other customers add with `+`.

    `between` is the sum over customers of n_i (their mean - `mean`)^2, `within` that over rewards of (reward - their
    customer's mean)^2, and `squares` that of n_i^2. `lowest` and `highest` are rewards, infinite without any. Means are
    joined by the pairwise update of Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance".
    """

    n: int = 0
    customers: int = 0
    mean: float = 0.0
    between: float = 0.0
    within: float = 0.0
    squares: float = 0.0
    earning: int = 0
    lowest: float = np.inf
    highest: float = -np.inf

    @staticmethod
    def of(reward: FloatArray, customer: IntArray, earned: BoolArray) -> RewardSums:
        """Return the sums of n rewards with their customers' numbers and whether they earned something, (n,) each."""
        if not len(reward):
            return RewardSums()
        _, place, sizes = np.unique(customer, return_inverse=True, return_counts=True)
        centred = reward - reward.mean()
        means = np.bincount(place, weights=centred) / sizes
        return RewardSums(
            n=len(reward),
            customers=len(sizes),
            mean=float(reward.mean()),
            between=float(sizes @ means**2),
            within=float(np.sum((centred - means[place]) ** 2)),
            squares=float(sizes @ sizes.astype(np.float64)),
            earning=int(earned.sum()),
            lowest=float(reward.min()),
            highest=float(reward.max()),
        )

    def __add__(self, other: RewardSums) -> RewardSums:
        n = self.n + other.n
        share, step = other.n / max(n, 1), other.mean - self.mean
        return RewardSums(
            n=n,
            customers=self.customers + other.customers,
            mean=self.mean + step * share if self.n else other.mean,
            between=self.between + other.between + step * step * self.n * share,
            within=self.within + other.within,
            squares=self.squares + other.squares,
            earning=self.earning + other.earning,
            lowest=min(self.lowest, other.lowest),
            highest=max(self.highest, other.highest),
        )

    def variance(self) -> tuple[float, float]:
        """Return the variance of a reward and the correlation of two of one customer, by analysis of variance.

        With k customers of n_i decisions, B and W the mean squares between and within them and n0 = (n - sum n_i^2 / n)
        / (k - 1), the variance between customers is (B - W) / n0 and within them W (Searle, Casella and McCulloch 1992,
        "Variance Components", section 3.6). A negative one counts as 0; where no customer returns there is no
        correlation.
        """
        n, k = self.n, self.customers
        if k in {1, n}:
            return (self.between + self.within) / max(n - 1, 1), 0.0
        inside = self.within / (n - k)
        balanced = (n - self.squares / n) / (k - 1)
        between = max((self.between / (k - 1) - inside) / balanced, 0.0)
        return between + inside, between / (between + inside)


@dataclass(frozen=True, slots=True)
class LogRewards:
    """The sums of a log's rewards, of all and by group, and the times of its first and last decision.

    Parts of other customers add with `+`; times are in microseconds, and the first is after the last without any.
    """

    overall: RewardSums
    by_group: Mapping[str, RewardSums]
    first: int
    last: int

    @staticmethod
    def empty() -> LogRewards:
        """Return the sums of no rewards."""
        return LogRewards(RewardSums(), {}, 2**63 - 1, -(2**63))

    def __add__(self, other: LogRewards) -> LogRewards:
        none = RewardSums()
        names = sorted({*self.by_group, *other.by_group})
        return LogRewards(
            self.overall + other.overall,
            {name: self.by_group.get(name, none) + other.by_group.get(name, none) for name in names},
            min(self.first, other.first),
            max(self.last, other.last),
        )

"""Whether the offers of a log were drawn at random with constant shares, as in a trial: tests of independence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.logfiles.draft.profile import BLANK

if TYPE_CHECKING:
    from bandit.logfiles.draft.profile import ColumnProfile

TRIAL_LEVEL = 0.01
"""Level of the tests: a trial that was drawn evenly is taken for none in at most one of a hundred files."""

_FEWEST_ROWS = 200
_LEVELS, _PAIRED_FACTS, _EXPECTED = 10, 12, 5.0


@dataclass(frozen=True, slots=True, eq=False)
class TrialTest:
    """Chi-square tests of whether the offer depends on a fact, a pair of facts or the order of the rows.

    `p_value` is that of all `n_tests` together (Bonferroni: the smallest times their number), `worst` the test with
    the smallest, and `shares` (K,) how often each offer was made. `equal` is whether the shares may all be the same,
    by a chi-square test at the same level.
    """

    p_value: float
    worst: str
    n_tests: int
    shares: FloatArray
    equal: bool

    @property
    def balanced(self) -> bool:
        """Whether nothing speaks against offers drawn at random with constant shares."""
        return self.p_value >= TRIAL_LEVEL

    @property
    def propensities(self) -> list[str]:
        """The propensity of each offer as a mapping has it: a fraction where the shares are equal."""
        if self.equal:
            return [str(Fraction(1, len(self.shares)))] * len(self.shares)
        return [f"{share:.6g}" for share in self.shares.tolist()]


def trial_test(
    offer: IntArray, n_offers: int, facts: Sequence[ColumnProfile], customers: IntArray | None
) -> TrialTest | None:
    """Test a sample of n rows; None where there is nothing to test: no facts, one offer, or too few rows.

    `offer` (n,) counts the offers from 0. A customer of several rows counts once, by its first.
    """
    counts = np.bincount(offer, minlength=n_offers).astype(np.float64)
    rows = np.arange(len(offer))
    if customers is not None:
        rows = np.sort(np.unique(customers, return_index=True)[1])
    if not facts or n_offers < 2 or len(rows) < _FEWEST_ROWS:
        return None
    kept = offer[rows]
    found = [(f'"{each.name}"', _p_value(kept, n_offers, _levels(each)[rows])) for each in facts]
    order = np.arange(len(rows)) * _LEVELS // len(rows)
    found.append(("the order of the rows", _p_value(kept, n_offers, order)))
    halves = [(each.name, _halves(_levels(each))[rows]) for each in facts[:_PAIRED_FACTS]]
    for (name, one), (other, two) in combinations(halves, 2):
        found.append((f'"{name}" with "{other}"', _p_value(kept, n_offers, 2 * one + two)))
    tested = [(name, p_value) for name, p_value in found if p_value is not None]
    if not tested:
        return None
    worst, smallest = min(tested, key=lambda pair: pair[1])
    even = _chi_square(((counts - counts.mean()) ** 2 / counts.mean()).sum(), n_offers - 1)
    return TrialTest(min(1.0, smallest * len(tested)), worst, len(tested), counts / counts.sum(), even >= TRIAL_LEVEL)


def _levels(column: ColumnProfile) -> IntArray:
    """Return a column as a few levels, (n,): ranges of its numbers or its most frequent texts; missing is one."""
    if column.looks == "number" and column.numbers is not None:
        known = column.numbers[np.isfinite(column.numbers)]
        edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75]))
        levels = np.searchsorted(edges, np.nan_to_num(column.numbers), side="left") + 1
        return np.where(np.isfinite(column.numbers), levels, 0)
    order = np.argsort(-column.counts(), kind="stable")
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order] = np.minimum(np.arange(len(order)), _LEVELS - 2) + 1
    rank[BLANK] = 0
    return rank[column.codes]


def _halves(levels: IntArray) -> IntArray:
    """Return levels as two, as equal in size as they can be cut in order, (n,)."""
    shares = np.cumsum(np.bincount(levels)) / len(levels)
    cut = int(np.argmin(np.abs(shares - 0.5)))
    return (levels > cut).astype(np.int64)


def _p_value(offer: IntArray, n_offers: int, levels: IntArray) -> float | None:
    """Return the p-value of a chi-square test of independence; None where its cells are too small for one."""
    used, levels = np.unique(levels, return_inverse=True)
    table = np.bincount(offer * len(used) + levels, minlength=n_offers * len(used)).reshape(n_offers, len(used))
    table = table[table.sum(axis=1) > 0].astype(np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    large = expected.min(axis=0) >= _EXPECTED
    if large.sum() < 2 or len(table) < 2:
        return None
    table = table[:, large]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return _chi_square(statistic, (table.shape[0] - 1) * (table.shape[1] - 1))


def _chi_square(statistic: float, freedom: int) -> float:
    """Return the probability that a chi-square variable is at least as large."""
    from scipy.special import chdtrc  # noqa: PLC0415 - slow to import, and needed here alone

    return float(chdtrc(freedom, statistic))

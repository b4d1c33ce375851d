"""Check for a sample ratio mismatch: whether an experiment's groups have the intended sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from bandit.errors import InputError
from bandit.evaluate.diagnostics.findings import SIGNIFICANCE, DiagnosticCheck, Finding, share


@dataclass(frozen=True, slots=True)
class SampleRatioTest(DiagnosticCheck):
    """Customers by group, and how many were `expected`; `several` customers were seen in more than one group."""

    counts: Mapping[str, int]
    expected: Mapping[str, float]
    several: int
    chi_square: float
    p_value: float

    @property
    def name(self) -> str:
        """What was checked, as a key."""
        return "sample ratio"

    def finding(self) -> Finding | None:
        """Return what makes the groups incomparable, which is fatal."""
        if self.p_value < SIGNIFICANCE:
            worst = max(self.counts, key=lambda group: abs(self.counts[group] - self.expected[group]))
            total = sum(self.counts.values())
            return self._finding(
                "fatal",
                f'the groups do not have the intended sizes: "{worst}" has {self.counts[worst]:,} of {total:,} '
                f"customers where {self.expected[worst]:,.0f} were to be expected (p = {self.p_value:.1g}), so the "
                "assignment is biased, or one group has lost more customers than another",
                "new assignment",
            )
        total = sum(self.counts.values()) + self.several
        if total and self.several / total > SIGNIFICANCE:
            return self._finding(
                "doubt",
                f"{self.several:,} of {total:,} customers ({share(self.several / total)}) were in more than one "
                "group, although each should stay in one",
            )
        return None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        tables = {"counts": dict(self.counts), "expected": dict(self.expected)}
        return self._to_json("several", "chi_square", "p_value") | tables


def sample_ratio(counts: Mapping[str, int], shares: Mapping[str, float], several: int = 0) -> SampleRatioTest:
    """Return whether the `counts` of customers by group fit the intended `shares`, by Pearson's chi-square test.

    Shares need not sum to 1. A group without customers counts as 0; `several` is the number of customers in more than
    one group, who are not counted in any. p < 0.001 is a mismatch (Fabijan et al. 2019, "Diagnosing sample ratio
    mismatch in online controlled experiments"). Raises InputError for fewer than two groups, for a group without a
    share, and for shares that are not above 0.

    >>> check = sample_ratio({"policy": 5_200, "holdout": 4_800}, {"policy": 0.5, "holdout": 0.5})
    >>> round(check.chi_square, 6), check.severity
    (16.0, 'fatal')
    """
    if len(shares) < 2:
        raise InputError(f"a share is given for {len(shares)} group; name at least two groups and the share of each")
    wrong = next((group for group, part in shares.items() if not (np.isfinite(part) and part > 0)), None)
    if wrong is not None:
        raise InputError(f'the share of the group "{wrong}" is {shares[wrong]}; give a number above 0')
    unknown = next((group for group, count in counts.items() if count and group not in shares), None)
    if unknown is not None:
        raise InputError(
            f'{counts[unknown]:,} customers are in the group "{unknown}", which has no share; groups with one are '
            f"{', '.join(shares)}"
        )
    whole, total = sum(shares.values()), sum(counts.values())
    seen = {group: int(counts.get(group, 0)) for group in shares}
    expected = {group: total * part / whole for group, part in shares.items()}
    statistic = sum((seen[group] - expected[group]) ** 2 / expected[group] for group in shares) if total else 0.0
    p = float(chdtrc(len(shares) - 1, statistic))
    return SampleRatioTest(seen, expected, several, float(statistic), p)

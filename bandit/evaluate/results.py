"""What an evaluation answers: one row a policy, ready for a table or for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.ope import Estimate

MIN_EFFECTIVE = 30.0
"""With fewer effective decisions, or fewer customers, than this the answer is "cannot tell"."""

MAX_UNSUPPORTED = 0.05
"""A larger share of choices that the log never shows and the answer is "cannot tell"."""


# Weights that are all 1 have an interval without width around a mean that is 1 up to rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class PolicyEvaluation:
    """One policy's value per decision by each estimator, and whether the log supports it.

    `difference` is value - baseline, paired row by row, and None for the baseline itself and without one.
    `unsupported` is the share of the policy's probability that lies on offers the log never shows. `warning` is a
    sentence that begins with "cannot tell" where the numbers are not to be acted on, and None otherwise.
    """

    name: str
    estimates: tuple[Estimate, ...]
    difference: tuple[Estimate, ...] | None
    effective_sample_size: float
    max_weight: float
    mean_weight: Estimate
    unsupported: float
    warning: str | None

    @property
    def support_ok(self) -> bool:
        """Whether the log supports the policy well enough to act on the numbers."""
        return self.warning is None

    def estimate(self, name: str) -> Estimate:
        """Return the value by one estimator."""
        return _named(self.estimates, name)

    def against_baseline(self, name: str) -> Estimate | None:
        """Return the paired difference to the baseline by one estimator."""
        return None if self.difference is None else _named(self.difference, name)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "estimates": {each.name: each.to_dict() for each in self.estimates},
            "difference": (
                None if self.difference is None else {each.name: each.to_dict() for each in self.difference}
            ),
            "effective_sample_size": self.effective_sample_size,
            "max_weight": self.max_weight,
            "mean_weight": self.mean_weight.to_dict(),
            "unsupported": self.unsupported,
            "support_ok": self.support_ok,
            "warning": self.warning,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The policies' values on one log of `n` decisions.

    `customers` is None where the log knows none. `realised` is the mean reward of the log with its interval, which
    is what the policy that wrote it earned. `default` names the estimator to show first. `learned_on` is the
    number of decisions that were kept for learning, 0 where all were judged.
    """

    n: int
    customers: int | None
    realised: Estimate
    baseline: str | None
    default: str
    learned_on: int
    rows: tuple[PolicyEvaluation, ...]

    @property
    def realised_mean(self) -> float:
        """The mean reward of the log."""
        return self.realised.value

    def row(self, name: str) -> PolicyEvaluation:
        """Return one policy's row; InputError for an unknown name."""
        for each in self.rows:
            if each.name == name:
                return each
        raise InputError(f'no policy "{name}" was evaluated; there are {", ".join(each.name for each in self.rows)}')

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "n": self.n,
            "customers": self.customers,
            "realised": self.realised.to_dict(),
            "baseline": self.baseline,
            "default": self.default,
            "learned_on": self.learned_on,
            "policies": [each.to_dict() for each in self.rows],
        }


def support_warning(n: int, effective: float, unsupported: float, mean_weight: Estimate) -> str | None:
    """Return why the log cannot answer for a policy, or None.

    `mean_weight` should come with a wide interval (99.9 %), so that it seldom cries wolf.
    """
    if effective < MIN_EFFECTIVE:
        return f"cannot tell: of {n:,} decisions only {effective:.0f} (effective) say anything about this policy"
    if mean_weight.clusters < MIN_EFFECTIVE:
        return f"cannot tell: the {n:,} decisions are those of only {mean_weight.clusters} customers"
    if unsupported > MAX_UNSUPPORTED:
        return f"cannot tell: {unsupported:.0%} of this policy's choices are offers that the log never shows"
    if not mean_weight.low - _ROUNDING <= 1.0 <= mean_weight.high + _ROUNDING:
        return (
            f"cannot tell: the weights average {mean_weight.value:.3f} instead of 1, so the logged propensities "
            "are wrong or rule out part of this policy's choices"
        )
    return None


def _named(estimates: tuple[Estimate, ...], name: str) -> Estimate:
    for each in estimates:
        if each.name == name:
            return each
    raise InputError(f'no estimate by "{name}"; there are {", ".join(each.name for each in estimates)}')

"""The record of one estimate, and the delta-method standard error of a function of means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.sums import Summary
    from bandit.tabular import Cell

MIN_EFFECTIVE_SAMPLE_SIZE = 30.0
"""With a smaller effective sample size, or fewer clusters, no interval is reliable: the verdict is "cannot tell"."""

QUADRATIC_FORM_ROUNDING = 1e-13
"""Relative rounding error of a quadratic form: values below this share of its largest terms are 0."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimator's value with its confidence interval at `level`, and how well the log supports it.

    `value`, `low`, `high` and `standard_error` are in the reward's unit. Where the estimator is not defined on the
    rows, `value` is NaN and the interval infinite. The `n` rows form `clusters` independent groups. With
    w = target / propensity, `effective_sample_size` is sum(w)^2 / sum(w^2) (Kish 1965, "Survey sampling"; where a row
    stands for s decisions, s w counts in place of w), `max_weight` the largest w and `mean_weight` their mean, which
    is 1 up to noise where the log supports the policy. For a difference of two policies the effective sample size is
    the smaller and the largest weight the larger of the two, and the mean weight that of the target. `interval` names
    the kind of interval.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    effective_sample_size: float
    max_weight: float
    mean_weight: float
    standard_error: float
    clusters: int
    level: float
    interval: str = "normal"

    def to_dict(self) -> dict[str, str | float | int | None]:
        """Return plain JSON values; None where a number is not finite."""
        plain: dict[str, str | float | int | None] = {}
        for key in self.__slots__:
            value = getattr(self, key)
            plain[key] = None if isinstance(value, float) and not np.isfinite(value) else value
        return plain


def interval_cells(estimate: Estimate | None, name: str = "value") -> dict[str, Cell]:
    """Return a value and the bounds of its interval as cells of a table; None where there is none, or it is not finite.

    The keys are "value", "low" and "high"; under another name the bounds have it as a prefix.
    """
    bounds = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    found = (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
    return dict(zip((name, *bounds), map(finite_cell, found), strict=True))


def finite_cell(number: float | None) -> float | None:
    """Return a number as a cell of a table, None in place of one that is not finite."""
    return None if number is None or not np.isfinite(number) else float(number)


def check_level(level: float) -> None:
    """Raise InputError for a confidence level outside (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"level is {level}; give a share between 0 and 1, such as 0.95")


def standard_error(summary: Summary, gradient: FloatArray) -> float:
    """Return the standard error of f(mean), by the delta method, from f's (p,) gradient over all terms.

    The variance is G / (G - 1) sum_g (sum of influence values in group g)^2 / n^2 over G groups, with the sum of the
    rows' weights in place of n where rows have weights: the cluster-robust
    sandwich estimator of Liang and Zeger 1986, "Longitudinal data analysis using generalized linear models", with the
    correction for few groups. Infinite with fewer than two groups.
    """
    if summary.groups < 2 or not np.isfinite(gradient).all():
        return np.inf
    with np.errstate(over="ignore", invalid="ignore"):
        form = float(gradient @ summary.scatter @ gradient)
        largest = float(np.abs(gradient) @ np.sqrt(np.maximum(np.diagonal(summary.scatter), 0.0))) ** 2
    if not np.isfinite(form):
        return np.inf
    if form <= QUADRATIC_FORM_ROUNDING * largest:
        return 0.0
    return float(np.sqrt(form * summary.groups / (summary.groups - 1)) / summary.total)

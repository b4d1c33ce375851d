"""Summaries over cells: shares of logs with their Monte Carlo errors, and the errors of each estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from bandit.domain import BoolArray, FloatArray
from simulator.validation.calibration.replicate import CalibrationCell
from simulator.validation.calibration.replications import Replications

GridResults = Mapping[CalibrationCell, Replications]

LEAST_ANSWERS = 20
"""Least number of answers about one policy in one cell from which an estimator's error is computed."""


@dataclass(frozen=True, slots=True)
class EstimatedShare:
    """A share over `n` answers, with a Monte Carlo standard error over logs (answers about policies are dependent)."""

    value: float
    error: float
    n: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Return plain JSON values."""
        return {name: None if np.isnan(number) else number for name, number in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class IntervalCoverage:
    """The share of intervals that cover the truth, and the shares that lie below and above it."""

    covered: EstimatedShare
    below: EstimatedShare
    above: EstimatedShare

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"covered": self.covered.to_dict(), "below": self.below.to_dict(), "above": self.above.to_dict()}


@dataclass(frozen=True, slots=True)
class EstimatorErrors:
    """One estimator's errors for one policy in one cell, over the `n` logs with an answer, in the unit of the reward.

    `answered` is the share of these logs. `width` is the median width of the interval of the first kind.
    """

    cell: CalibrationCell
    target: str
    estimator: str
    truth: float
    n: int
    answered: float
    effective: float
    bias: float
    bias_error: float
    rmse: float
    width: float

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "cell"}
        return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in plain.items()}


def share(hits: Sequence[BoolArray], among: Sequence[BoolArray]) -> EstimatedShare:
    """Return the share of hits among the (R, T) answers of each cell; NaN where there are none.

    The error is that of a ratio of sums over logs, since answers about several policies of one log are dependent.
    """
    hit = np.concatenate([(h & a).sum(axis=1) for h, a in zip(hits, among, strict=True)]).astype(np.float64)
    asked = np.concatenate([a.sum(axis=1) for a in among]).astype(np.float64)
    total = float(asked.sum())
    if not total:
        return EstimatedShare(np.nan, np.nan, 0)
    value = float(hit.sum() / total)
    logs = int((asked > 0).sum())
    left = hit - value * asked
    error = float(np.sqrt(left @ left * logs / max(logs - 1, 1)) / total) if logs > 1 else np.nan
    return EstimatedShare(value, error, int(total))


def coverage(
    results: GridResults,
    estimator: str,
    kind: str,
    *,
    difference: bool = False,
    answered: bool = True,
    effective: tuple[float, float] = (0.0, np.inf),
    contrast: tuple[float, float] = (0.0, np.inf),
    events: tuple[float, float] = (0.0, np.inf),
) -> IntervalCoverage:
    """Return the coverage over all cells that have the estimator and the kind of interval.

    Of the value, or of the `difference` to the policy that wrote the log; among the answers that an evaluation would
    give, or all; where the effective sample size, that of the difference (`contrast`) and the rarer outcomes in it
    (`events`) are in a range.
    """
    covered, below, above, among = [], [], [], []
    for replications in results.values():
        if estimator not in replications.estimators or kind not in replications.intervals:
            continue
        low, high = bounds(replications, estimator, kind, difference=difference)
        if np.isnan(low).all():
            continue  # this estimator has no interval of this kind
        truth = replications.truth - replications.logged if difference else replications.truth
        slack = 1e-12 * np.abs(replications.truth)
        below.append(high < truth - slack)
        above.append(low > truth + slack)
        covered.append(~below[-1] & ~above[-1])
        chosen = replications.answered if answered else np.ones_like(replications.answered)
        sizes = ((replications.effective, effective), (replications.contrast, contrast), (replications.events, events))
        for numbers, (least, end) in sizes:
            chosen = chosen & (numbers >= least) & ((numbers < end) | (end == np.inf))
        among.append(chosen)
    if not among:
        nothing = EstimatedShare(np.nan, np.nan, 0)
        return IntervalCoverage(nothing, nothing, nothing)
    return IntervalCoverage(share(covered, among), share(below, among), share(above, among))


def bounds(
    replications: Replications, estimator: str, kind: str, *, difference: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Return the (R, T) lower and upper ends of the intervals."""
    e, k = replications.estimators.index(estimator), replications.intervals.index(kind)
    low, high = (
        (replications.difference_low, replications.difference_high)
        if difference
        else (replications.low, replications.high)
    )
    return low[:, :, e, k], high[:, :, e, k]


def answered(results: GridResults) -> EstimatedShare:
    """Return the share of questions that an evaluation would answer."""
    hits = [replications.answered for replications in results.values()]
    return share(hits, [np.ones_like(each) for each in hits])


def errors(results: GridResults) -> list[EstimatorErrors]:
    """Return every estimator's errors for every policy in every cell."""
    found = []
    for cell, replications in results.items():
        for t, target in enumerate(replications.targets):
            for e, estimator in enumerate(replications.estimators):
                rows = replications.answered[:, t] & np.isfinite(replications.value[:, t, e])
                off = replications.value[rows, t, e] - replications.truth[t]
                n = len(off)
                enough = n >= 2
                width = replications.high[rows, t, e, 0] - replications.low[rows, t, e, 0]
                found.append(
                    EstimatorErrors(
                        cell=cell,
                        target=target,
                        estimator=estimator,
                        truth=float(replications.truth[t]),
                        n=n,
                        answered=float(replications.answered[:, t].mean()),
                        effective=float(np.median(replications.effective[:, t])),
                        bias=float(off.mean()) if enough else np.nan,
                        bias_error=float(off.std(ddof=1) / np.sqrt(n)) if enough else np.nan,
                        rmse=float(np.sqrt(np.mean(off**2))) if enough else np.nan,
                        width=float(np.median(width)) if enough else np.nan,
                    )
                )
    return found


def relative_errors(found: Sequence[EstimatorErrors], beside: str = "ips") -> dict[str, FloatArray]:
    """Return for each estimator its RMSE relative to another one's, a number for each policy in each cell.

    Only where there are enough answers and the error of the other one is not 0.
    """
    base = {
        (each.cell, each.target): each.rmse for each in found if each.estimator == beside and each.n >= LEAST_ANSWERS
    }
    ratios: dict[str, list[float]] = {}
    for each in found:
        other = base.get((each.cell, each.target), 0.0)
        if other > 0.0 and each.n >= LEAST_ANSWERS:
            ratios.setdefault(each.estimator, []).append(each.rmse / other)
    return {name: np.array(numbers) for name, numbers in ratios.items()}


def bias_shares(found: Sequence[EstimatorErrors]) -> dict[str, FloatArray]:
    """Return for each estimator |bias| / RMSE for each policy in each cell."""
    ratios: dict[str, list[float]] = {}
    for each in found:
        if each.n >= LEAST_ANSWERS and each.rmse > 0.0:
            ratios.setdefault(each.estimator, []).append(abs(each.bias) / each.rmse)
    return {name: np.array(numbers) for name, numbers in ratios.items()}


def geometric_mean(numbers: FloatArray) -> float:
    """Return exp(mean(log)); NaN of nothing."""
    positive = numbers[numbers > 0.0]
    return float(np.exp(np.log(positive).mean())) if len(positive) else np.nan


def estimators(results: GridResults) -> tuple[str, ...]:
    """Return the estimators of all cells, in order."""
    return tuple(dict.fromkeys(name for replications in results.values() for name in replications.estimators))


def kinds(results: GridResults) -> tuple[str, ...]:
    """Return the kinds of interval of all cells, in order."""
    return tuple(dict.fromkeys(name for replications in results.values() for name in replications.intervals))

"""A bound of the difference of an event's rates in two groups of customers that holds at every look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, stdtrit

from bandit.errors import InputError
from bandit.ope.estimate import check_level
from bandit.ope.estimators.snips import Snips
from bandit.ope.intervals.anytime import TUNED_GROUPS
from bandit.ope.intervals.skew import transformation
from bandit.ope.statistic import SignedValue, Statistic
from bandit.ope.sums import RowSums
from bandit.printable import counted

if TYPE_CHECKING:
    from bandit.domain import FloatArray

LEAST_CUSTOMERS = 100
"""Customers that each of two groups must have before their rates are compared."""

LEAST_EVENTS = 10
"""Decisions with the event that two groups must have together before their rates are compared."""

_BATCH = 65_536
_ITERATIONS = 60

_RATIO = Snips()
"""The quotient of two means: of a group's decisions with the event and its decisions, the rate."""


@dataclass(frozen=True, slots=True)
class DifferenceBounds:
    """The rate of a group minus that of another, with a lower and an upper bound, each at the level given.

    The bounds are -1 and 1 where `missing` says, in words, what there is too little of.
    """

    value: float
    low: float
    high: float
    missing: str


def difference_bounds(events: FloatArray, decisions: FloatArray, level: float) -> DifferenceBounds:
    """Return rate - other rate with one-sided bounds that hold at every look, each with the probability `level`.

    `events` and `decisions` are (c, 2): for each of c customers, how many decisions with the event and how many
    decisions it has in the one and the other group. A customer counts once, however many decisions it has.

    The bound is asymptotic: value - z error, with the clustered error and the one-sided normal mixture boundary z
    (Robbins 1970, "Statistical methods related to the law of the iterated logarithm"; Waudby-Smith, Arbour, Sinha,
    Kennedy and Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence sequences"; tuned as the
    interval "anytime") corrected for skewness and few effective customers as "anytime-skew" is. Where events are rare
    the smaller group may have none by chance, and that error is then far too small; so the bound is also at most
    value - z e, where e is the error if both groups had their common rate (that of the score test), times the root
    of the design effect of the clusters. There is no bound below `LEAST_CUSTOMERS` customers in a group, and below
    `LEAST_EVENTS` decisions with the event in both together.
    """
    check_level(level)
    if events.shape != decisions.shape or events.ndim != 2 or events.shape[1] != 2:
        raise InputError(
            f"events have shape {events.shape} and decisions {decisions.shape}; give (customers, 2) of each"
        )
    customers, totals, happened = (decisions > 0).sum(axis=0), decisions.sum(axis=0), events.sum(axis=0)
    with np.errstate(invalid="ignore"):
        rates = happened / totals
    value = float(rates[0] - rates[1])
    missing = _missing(customers, float(happened.sum()))
    if missing:
        return DifferenceBounds(value, -1.0, 1.0, missing)
    statistic = _statistic(events, decisions)
    z = _boundary(statistic.summary.groups, level)
    low, high = _skewed(statistic, z)
    error = _score_error(happened, totals, statistic.error)
    return DifferenceBounds(value, max(min(low, value - z * error), -1.0), min(max(high, value + z * error), 1.0), "")


def _missing(customers: FloatArray, events: float) -> str:
    """Return what there is too little of, in words; empty where there is enough."""
    fewest = int(np.argmin(customers))
    if customers[fewest] < LEAST_CUSTOMERS:
        group = ("the policy", "the other group")[fewest]
        return f"{group} has {counted(int(customers[fewest]), 'customer')} and at least {LEAST_CUSTOMERS} are needed"
    if events < LEAST_EVENTS:
        had = counted(round(events), "decision")
        return f"{had} had it in both groups together and at least {LEAST_EVENTS} are needed"
    return ""


def _statistic(events: FloatArray, decisions: FloatArray) -> Statistic:
    """Return the difference of the two rates as a function of means over customers."""
    rows = RowSums(4)
    for start in range(0, len(events), _BATCH):
        part = slice(start, start + _BATCH)
        rows.add(np.concatenate([events[part], decisions[part]], axis=1).T)
    parts = [SignedValue(sign, _RATIO, g, np.array([g, 2 + g])) for g, sign in enumerate((1.0, -1.0))]
    return Statistic.of(rows.summary(), parts)


def _skewed(statistic: Statistic, z: float) -> tuple[float, float]:
    """Return the bounds at z errors, corrected as the interval "anytime-skew" is."""
    g = transformation(statistic)
    x = -float(stdtrit(g.freedom, float(ndtr(-z))))
    return statistic.value - statistic.error * g.invert(x), statistic.value - statistic.error * g.invert(-x)


def _score_error(events: FloatArray, decisions: FloatArray, clustered: float) -> float:
    """Return the error of the difference if both groups had their common rate, times the root of the design effect."""
    rates, pooled = events / decisions, events.sum() / decisions.sum()
    independent = float(np.sqrt((rates * (1.0 - rates) / decisions).sum()))
    common = float(np.sqrt(pooled * (1.0 - pooled) * (1.0 / decisions).sum()))
    return common * max(1.0, clustered / independent) if independent > 0.0 else common


def _boundary(groups: int, level: float) -> float:
    """Return the one-sided boundary in standard errors at this number of customers.

    With x = groups rho^2 it is the z that solves 2 Phi(y) exp(y^2 / 2) / sqrt(1 + x) = 1 / alpha, where
    y = z sqrt(x / (1 + x)), by fixed-point iteration; rho^2 is that of the interval "anytime".
    """
    log = float(-np.log(1.0 - level))
    x = groups * (2.0 * log + float(np.log1p(2.0 * log))) / TUNED_GROUPS
    needed = 0.5 * np.log1p(x) + log - np.log(2.0)
    y = np.sqrt(2.0 * (needed + np.log(2.0)))
    for _ in range(_ITERATIONS):
        y = np.sqrt(2.0 * (needed - np.log(ndtr(y))))
    return float(y * np.sqrt((1.0 + x) / x))

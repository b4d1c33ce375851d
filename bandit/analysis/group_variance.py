"""Variances of rewards, between and within customers, and the traffic of customers, measured on a stored log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.analysis.group_timing import CustomerTraffic, GroupReward
from bandit.domain import MICROSECONDS
from bandit.errors import InputError
from bandit.ope.clusters import ClusterIndex
from bandit.ope.contrast import rarer_share
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE
from bandit.store import Activation, StoreLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, Progress
    from bandit.store import Store, Where

_WEEK = 7 * 86_400 * MICROSECONDS

_PAGE = 16_384


@dataclass(frozen=True, slots=True)
class MeasuredGroups:
    """What a log says for a plan: the rewards and mean values by group, those of all decisions, and the traffic.

    `rewards` and `values` have the groups with at least 30 customers. `weeks` is the time from the first decision to
    the last; where that is less than a week, the decisions a week are all those of the log.
    """

    rewards: Mapping[str, GroupReward]
    values: Mapping[str, float]
    overall: GroupReward
    value: float
    traffic: CustomerTraffic
    decisions: int
    customers: int
    weeks: float


def measure_groups(
    store: Store, catalogue: Catalogue, where: Where, progress: Progress | None = None
) -> MeasuredGroups:
    """Return what the decisions that `where` selects say about rewards and traffic.

    Decisions whose offer the catalogue does not have are left out. Memory grows with the log, by 25 bytes a decision.
    `progress` is called with (number of the last decision read, that of the log's last). Raises InputError for a log
    without decisions, or in which all decisions earned the same.
    """
    reward, customer, earned, label, time = _columns(store, catalogue, where, progress)
    if not len(reward):
        raise InputError(f"{store.path}: the log has no settled decisions to measure; give one with some")
    binary = catalogue.objective.kind == "conversion"
    names, group = np.unique(label, return_inverse=True)
    rewards, values = {}, {}
    for code, name in enumerate(names.tolist()):
        rows = group == code
        if len(np.unique(customer[rows])) >= MIN_EFFECTIVE_SAMPLE_SIZE and np.ptp(reward[rows]) > 0.0:
            rewards[name] = group_reward(reward[rows], customer[rows], earned[rows], binary=binary)
            values[name] = float(reward[rows].mean())
    if np.ptp(reward) == 0.0:
        raise InputError(
            f"{store.path}: all {len(reward):,} settled decisions earned {reward[0]:g}, so their variance is not "
            "known; give a log with outcomes"
        )
    sizes = np.bincount(customer)
    weeks = float(time.max() - time.min()) / _WEEK
    return MeasuredGroups(
        rewards=rewards,
        values=values,
        overall=group_reward(reward, customer, earned, binary=binary),
        value=float(reward.mean()),
        traffic=CustomerTraffic(
            decisions_per_week=len(reward) / max(weeks, 1.0),
            visits=float(sizes.mean()),
            spread=max(float((sizes.astype(np.float64) ** 2).mean() / sizes.mean() ** 2), 1.0),
        ),
        decisions=len(reward),
        customers=len(sizes),
        weeks=weeks,
    )


def group_reward(reward: FloatArray, customer: IntArray, earned: BoolArray, *, binary: bool = False) -> GroupReward:
    """Return the variance of (n,) rewards and their correlation within customers, by analysis of variance.

    With k customers of n_i decisions, B and W the mean squares between and within them and n0 = (n - sum n_i^2 / n) /
    (k - 1), the variance between customers is (B - W) / n0 and within them W (Searle, Casella and McCulloch 1992,
    "Variance Components", section 3.6). A negative one counts as 0; where no customer returns there is no correlation.

    Two customers with the rewards 0, 2 and 4, 6: B = 16, W = 2 and n0 = 2, so 7 between and 2 within:

    >>> found = group_reward(np.array([0.0, 2, 4, 6]), np.array([0, 0, 1, 1]), np.ones(4, dtype=bool))
    >>> found.variance, round(found.correlation, 4)
    (9.0, 0.7778)
    """
    _, place, sizes = np.unique(customer, return_inverse=True, return_counts=True)
    n, k = len(reward), len(sizes)
    rate = max(rarer_share(int(earned.sum()), n, binary=binary), 0.5 / n)
    centred = reward - reward.mean()
    if k in {1, n}:
        return GroupReward(float(centred @ centred) / max(n - 1, 1), 0.0, rate)
    means = np.bincount(place, weights=centred) / sizes
    inside = float(np.sum((centred - means[place]) ** 2)) / (n - k)
    outside = float(sizes @ means**2) / (k - 1)
    balanced = (n - float(sizes @ sizes) / n) / (k - 1)
    between = max((outside - inside) / balanced, 0.0)
    return GroupReward(between + inside, between / (between + inside), rate)


def _columns(
    store: Store, catalogue: Catalogue, where: Where, progress: Progress | None
) -> tuple[FloatArray, IntArray, BoolArray, np.ndarray[tuple[int], np.dtype[np.str_]], IntArray]:
    """Return reward, customer, whether it earned something, group and time of the selected decisions."""
    where = replace(where, activation=Activation.of(catalogue.objective))
    log, customers, parts = StoreLog(store, catalogue, where=where), ClusterIndex(), []
    through, after = store.decisions.last_seq(), 0
    objective, weighted = catalogue.objective, store.decisions.weighted(where)
    if weighted:
        raise InputError(
            f"{store.path}: {weighted:,} of the decisions stand for several, since a logger kept a part of them, and "
            "do not show how much single decisions vary; give a log that kept every decision"
        )
    while True:
        page = store.decisions.page(
            objective.event, objective.window, after_seq=after, through_seq=through, limit=_PAGE, where=where
        )
        if not len(page):
            break
        after = int(page.seq[-1])
        if progress is not None:
            progress(after, through)
        rows, logged = log.decisions(page, masks=False)
        ids, _ = customers.read(page.customer[rows], len(rows))
        if ids is not None:
            earned = logged.reward != 0.0 if objective.kind == "reward" else logged.converted
            parts.append((logged.reward, ids, earned, page.group[rows].astype(np.str_), logged.time))
    if not parts:
        none = np.empty(0, dtype=np.int64)
        return none.astype(np.float64), none, none.astype(np.bool_), none.astype(np.str_), none
    reward, ids, earned, label, time = (np.concatenate(column) for column in zip(*parts, strict=True))
    return reward, ids, earned, label, time

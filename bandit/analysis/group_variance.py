"""Variances of rewards, between and within customers, and the traffic of customers, measured on a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.analysis.group_timing import CustomerTraffic, GroupReward
from bandit.domain import MICROSECONDS, InProcessRunner
from bandit.errors import InputError
from bandit.ope.clusters import ClusterIndex
from bandit.ope.contrast import rarer_share
from bandit.ope.estimate import MIN_EFFECTIVE_SAMPLE_SIZE
from bandit.ope.reward_variance import LogRewards, RewardSums
from bandit.store import StoreLog
from bandit.store.paged_log import PagedLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bandit.catalogue import Catalogue
    from bandit.domain import BoolArray, FloatArray, IntArray, LogPart, PartRunner, Progress
    from bandit.store import DecisionColumns, Store, Where
    from bandit.store.paged_log import GroupedLog

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
    log = StoreLog(store, catalogue, where=where)
    _require_unweighted(str(store.path), store.decisions.weighted(log.where))
    sums = _sums(log, lambda page: None if progress is None else progress(int(page.seq[-1]), log.through))
    return _measured(str(store.path), sums, binary=catalogue.objective.kind == "conversion")


def measure_groups_of_parts(
    log: GroupedLog, runner: PartRunner | None = None, progress: Progress | None = None
) -> MeasuredGroups:
    """Return what the settled decisions of a dataset say about rewards and traffic, from merged sums of its parts.

    As `measure_groups` of the same decisions, to the last digits; memory grows with the largest part.
    """
    runner = InProcessRunner() if runner is None else runner
    total, weighted = LogRewards.empty(), 0
    for sums, n in runner.map(_sums_of_part, log.parts, progress):
        total, weighted = total + sums, weighted + n
    _require_unweighted(log.address, weighted)
    return _measured(log.address, total, binary=log.catalogue.objective.kind == "conversion")


def group_reward(reward: FloatArray, customer: IntArray, earned: BoolArray, *, binary: bool = False) -> GroupReward:
    """Return the variance of (n,) rewards and their correlation within customers, by analysis of variance.

    Two customers with the rewards 0, 2 and 4, 6: B = 16, W = 2 and n0 = 2 (`RewardSums`), so 7 between and 2 within:

    >>> found = group_reward(np.array([0.0, 2, 4, 6]), np.array([0, 0, 1, 1]), np.ones(4, dtype=bool))
    >>> found.variance, round(found.correlation, 4)
    (9.0, 0.7778)
    """
    return _group_reward(RewardSums.of(reward, customer, earned), binary=binary)


def _group_reward(sums: RewardSums, *, binary: bool) -> GroupReward:
    rate = max(rarer_share(sums.earning, sums.n, binary=binary), 0.5 / sums.n)
    variance, correlation = sums.variance()
    return GroupReward(variance, correlation, rate)


def _measured(name: str, sums: LogRewards, *, binary: bool) -> MeasuredGroups:
    whole = sums.overall
    if not whole.n:
        raise InputError(f"{name}: the log has no settled decisions to measure; give one with some")
    if whole.lowest == whole.highest:
        raise InputError(
            f"{name}: all {whole.n:,} settled decisions earned {whole.lowest:g}, so their variance is not "
            "known; give a log with outcomes"
        )
    known = {
        label: each
        for label, each in sorted(sums.by_group.items())
        if each.customers >= MIN_EFFECTIVE_SAMPLE_SIZE and each.lowest < each.highest
    }
    weeks, visits = float(sums.last - sums.first) / _WEEK, whole.n / whole.customers
    return MeasuredGroups(
        rewards={label: _group_reward(each, binary=binary) for label, each in known.items()},
        values={label: each.mean for label, each in known.items()},
        overall=_group_reward(whole, binary=binary),
        value=whole.mean,
        traffic=CustomerTraffic(
            decisions_per_week=whole.n / max(weeks, 1.0),
            visits=visits,
            spread=max(whole.squares / whole.customers / visits**2, 1.0),
        ),
        decisions=whole.n,
        customers=whole.customers,
        weeks=weeks,
    )


def _sums_of_part(part: LogPart) -> tuple[LogRewards, int]:
    """Return the sums of a part, and how many of its decisions stand for several."""
    log, weighted = part.open(), list[int]()
    if not isinstance(log, PagedLog):
        raise InputError("this log does not say who was in which group; export it to a dataset")
    return _sums(log, lambda page: weighted.append(int((page.weight != 1.0).sum()))), sum(weighted)


def _sums(log: PagedLog, read: Callable[[DecisionColumns], None]) -> LogRewards:
    """Return the sums of the decisions of a log; `read` is called with each page."""
    customers, parts, counts_rewards = ClusterIndex(), [], log.catalogue.objective.kind == "reward"
    for offers, page in log.pages(_PAGE):
        read(page)
        rows, logged = offers.decisions(page)
        ids, _ = customers.read(page.customer[rows], len(rows))
        if ids is not None:
            earned = logged.reward != 0.0 if counts_rewards else logged.converted
            parts.append((logged.reward, ids, earned, page.group[rows].astype(np.str_), logged.time))
    if not parts:
        return LogRewards.empty()
    reward, ids, earned, label, time = (np.concatenate(column) for column in zip(*parts, strict=True))
    names, group = np.unique(label, return_inverse=True)
    by_group = {
        name: RewardSums.of(reward[group == code], ids[group == code], earned[group == code])
        for code, name in enumerate(names.tolist())
    }
    return LogRewards(RewardSums.of(reward, ids, earned), by_group, int(time.min()), int(time.max()))


def _require_unweighted(name: str, weighted: int) -> None:
    if weighted:
        raise InputError(
            f"{name}: {weighted:,} of the decisions stand for several, since a logger kept a part of them, and "
            "do not show how much single decisions vary; give a log that kept every decision"
        )

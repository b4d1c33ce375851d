"""Sums by customer from which lift follows: values of groups, differences that hold together, checks of weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np

from bandit.errors import InputError
from bandit.ope.bounds import ObservedBounds
from bandit.ope.contrast import PolicyContrast, rarer_share
from bandit.ope.estimate import Estimate, check_level
from bandit.ope.estimators.ips import Ips
from bandit.ope.estimators.snips import Snips
from bandit.ope.feedback import FeedbackRows
from bandit.ope.group_moments import GroupMoments
from bandit.ope.intervals import IntervalRequest
from bandit.ope.simultaneous import MaxT, t_statistic
from bandit.ope.statistic import SignedValue, Statistic
from bandit.ope.sums import ClusterSums, RowSums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bandit.domain import FloatArray, IntArray
    from bandit.domain.mixed_numbers import UnsignedArray
    from bandit.ope.estimator import Estimator, Term
    from bandit.ope.feedback import Need
    from bandit.ope.intervals import IntervalKind
    from bandit.ope.lift.batch import LiftBatch
    from bandit.ope.sums import Summary

LiftMethod: TypeAlias = Literal["means", "balanced"]
"""How groups are compared: by their mean rewards, or by rewards weighted to a common set of decisions."""
LiftUnit: TypeAlias = Literal["decision", "customer"]
"""What a value is per."""

_ONE_LOOK, _EVERY_LOOK = ("skew", "normal"), ("anytime-skew", "anytime")

_RATIO = Snips()
"""The quotient of two means; of a group's summed rewards and its decisions, it is the mean per decision."""


@dataclass(frozen=True, slots=True)
class _RatioPerCustomer:
    """The weighted mean per decision times the mean number of decisions per customer: (m0 / m1) m2."""

    name: ClassVar[str] = "ratio-per-customer"
    needs: ClassVar[Need | None] = None
    terms: ClassVar[tuple[Term, ...]] = ()

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the value and its gradient; NaN where all weights are 0."""
        value, gradient = _RATIO.at(means[:2])
        return value * float(means[2]), np.append(gradient * means[2], value)


@dataclass(frozen=True, slots=True)
class LiftDifference:
    """One group's value minus another's, by one method and per decision or per customer.

    `estimate.n` and `.clusters` are the decisions and customers that it is based on: those of the smaller of the two
    groups by means, all by balanced weights. Its effective sample size is that of the group with the smaller one.
    `p_value` is adjusted for the differences that hold together, None for anytime intervals. `events` is how many
    outcomes are to be expected in the part of the log that tells the two groups apart, on its smaller side.
    """

    group: int
    baseline: int
    estimate: Estimate
    p_value: float | None
    events: float


@dataclass(frozen=True, slots=True, eq=False)
class SealedCustomers:
    """What sealed sums have of their customers: (G,) in one group, those in several, and the moments of all."""

    counts: IntArray
    several: int
    moments: GroupMoments

    def __add__(self, other: SealedCustomers) -> SealedCustomers:
        return SealedCustomers(self.counts + other.counts, self.several + other.several, self.moments + other.moments)


class LiftSums:
    """Sums over the customers of one part of a log, for G groups; parts merge with `+`.

    Sums that are `sealed` keep moments and blocks in place of each customer's: parts of other customers then merge in
    any order, to the last digits.

    Kept by customer: each group's rewards and decisions, and with weights each group's weighted rewards, weights and
    ([in the group] - share x weight) x weight. Statistics are functions of the means of these sums over customers, so
    that their errors are clustered and differences are paired where customers count for both groups.

    A group's balanced value per customer is its value per decision times the decisions per customer of all groups,
    which takes them to be equally many. With `trajectory`, where rows have the weights of `TrajectoryWeights` and come
    in order of time, it is what all decisions of a customer earn together: the sum over customers of weighted rewards,
    divided by that of the weights of their last decisions. Of two parts that are merged, the second is the later one.
    """

    def __init__(self, shares: FloatArray, *, weighted: bool, trajectory: bool = False) -> None:
        self.shares, self.weighted, self.trajectory = shares, weighted, trajectory
        self.groups = len(shares)
        self.decisions = np.zeros(self.groups, dtype=np.int64)
        self.earning = np.zeros(self.groups, dtype=np.int64)
        self.rewards = np.zeros(self.groups)
        self._by_customer = ClusterSums((5 if weighted else 2) * self.groups)
        self._last_weights = ClusterSums(self.groups)
        self._observed = ObservedBounds(self.groups)
        pairs = combinations(range(self.groups), 2) if weighted else ()
        self._contrasts = {pair: PolicyContrast() for pair in pairs}
        self._sealed: SealedCustomers | None = None
        self._cached: Summary | None = None

    def add(self, batch: LiftBatch) -> None:
        """Add a batch; InputError for groups out of range, and for weights that are missing or not expected."""
        self._check(batch)
        if self._sealed is not None:
            raise InputError("these sums are sealed; add the rows to others and merge the two")
        if not len(batch):
            return
        self._cached = None
        here = (batch.group == np.arange(self.groups)[:, None]).astype(np.float64)
        self.decisions += here.sum(axis=1).astype(np.int64)
        self.earning += here[:, batch.earned].sum(axis=1).astype(np.int64)
        self.rewards += here @ batch.reward
        terms = [here * batch.reward, here]
        if batch.weights is not None:
            weights = np.ascontiguousarray(batch.weights.T)
            terms += [weights * batch.reward, weights, (here - self.shares[:, None] * weights) * weights]
            for group, weight in enumerate(weights):
                self._observed.add(group, FeedbackRows(weight, batch.reward))
            for (a, b), contrast in self._contrasts.items():
                contrast.add(weights[a] - weights[b])
        self._by_customer.add(np.concatenate(terms), batch.customer)
        if self.trajectory and batch.weights is not None:
            customers, from_end = np.unique(batch.customer[::-1], return_index=True)
            last = batch.weights[::-1][from_end]
            self._last_weights.add((last - self._last_weights.sums_of(customers)).T, customers)

    def __add__(self, other: LiftSums) -> LiftSums:
        kinds = [(each.weighted, each.trajectory) for each in (self, other)]
        if kinds[0] != kinds[1] or not np.array_equal(self.shares, other.shares):
            raise InputError("these sums have other groups, shares or weights; merge only parts of one experiment")
        if (self._sealed is None) != (other._sealed is None):
            raise InputError("one part is sealed and the other is not; seal both before they are merged")
        both = LiftSums(self.shares, weighted=self.weighted, trajectory=self.trajectory)
        both.decisions, both.earning = self.decisions + other.decisions, self.earning + other.earning
        both.rewards = self.rewards + other.rewards
        if self._sealed is not None and other._sealed is not None:
            both._sealed = self._sealed + other._sealed
        else:
            both._by_customer = self._by_customer + other._by_customer
            both._last_weights = self._last_weights + other._last_weights
            for customers, _ in other._last_weights.in_order():
                both._last_weights.add(-self._last_weights.sums_of(customers).T, customers)
        both._observed = self._observed + other._observed
        both._contrasts = {pair: each + other._contrasts[pair] for pair, each in self._contrasts.items()}
        return both

    def sealed(self, hashes: UnsignedArray) -> LiftSums:
        """Return the sums without those of each customer, from the 64-bit hashes of the customers' keys by number.

        All decisions of the customers must have been added. What was sealed before stays as it is.
        """
        if self._sealed is not None:
            return self
        moments = GroupMoments.empty(self._width)
        for customers, rows in self._rows():
            moments = moments + GroupMoments.of_rows(rows, hashes[customers])
        found = LiftSums(self.shares, weighted=self.weighted, trajectory=self.trajectory)
        found.decisions, found.earning, found.rewards = self.decisions, self.earning, self.rewards
        found._observed, found._contrasts = self._observed, self._contrasts
        found._sealed = SealedCustomers(*self.customers(), moments)
        return found

    @property
    def is_sealed(self) -> bool:
        """Whether the sums of each customer are complete and were given up."""
        return self._sealed is not None

    @property
    def n(self) -> int:
        """The number of decisions."""
        return int(self.decisions.sum())

    def customers(self) -> tuple[IntArray, int]:
        """Return the (G,) numbers of customers seen in one group only, and that of customers seen in several."""
        if self._sealed is not None:
            return self._sealed.counts.copy(), self._sealed.several
        counts, several = np.zeros(self.groups, dtype=np.int64), 0
        for _, sums in self._by_customer.in_order():
            seen = sums[:, 1 + self.groups : 1 + 2 * self.groups] > 0.0
            single = seen.sum(axis=1) == 1
            counts += seen[single].sum(axis=0)
            several += int((~single).sum())
        return counts, several

    def value(
        self,
        group: int,
        method: LiftMethod = "means",
        unit: LiftUnit = "decision",
        level: float = 0.95,
        interval: IntervalKind = "skew",
    ) -> Estimate:
        """Return one group's mean reward per decision or per customer."""
        request = _request(interval, level)
        return self._estimate(method, (group,), self._statistic(method, unit, (1.0, group)), request)

    def differences(
        self,
        pairs: Sequence[tuple[int, int]],
        method: LiftMethod = "means",
        unit: LiftUnit = "decision",
        level: float = 0.95,
        interval: IntervalKind = "skew",
        *,
        binary: bool = False,
    ) -> tuple[LiftDifference, ...]:
        """Return value(group) - value(baseline) of each pair; all intervals hold together at `level`.

        They do by max-t (`MaxT`) for one look, and by Bonferroni's inequality for anytime intervals. `binary` says
        that outcomes are of two kinds, of which the rarer one counts as events. InputError without rows, and for
        balanced weights where none were added.
        """
        request = _request(interval, level)
        statistics = [self._statistic(method, unit, (1.0, a), (-1.0, b)) for a, b in pairs]
        if not statistics:
            return ()
        joint = None if interval in _EVERY_LOOK else MaxT.of(statistics)
        single = 1.0 - (1.0 - level) / len(pairs) if joint is None else joint.level(level)
        narrow, found = IntervalRequest(request.kind, single), []
        for pair, statistic in zip(pairs, statistics, strict=True):
            p = None if joint is None else joint.p_value(t_statistic(statistic, interval))
            estimate = self._estimate(method, pair, statistic, narrow, level)
            found.append(LiftDifference(*pair, estimate, p, self._events(method, pair, binary=binary)))
        return tuple(found)

    def calibration(self, level: float = 0.999, interval: IntervalKind = "skew") -> tuple[Estimate, ...]:
        """Return the test of each group's weights: the mean of ([in the group] - share x weight) x weight per customer.

        It is 0 where weights are right: then share x weight is the probability that the customer is in the group,
        given what the weight is computed from. It is above 0 where the groups are further apart than their weights
        say, as with weights that ignore a history which betrays the group. It finds large errors, not every bias:
        where that bias was a seventh of the difference, it was found in 25, 75 and 100 % of experiments with 5,000,
        10,000 and 20,000 customers of 8 decisions each. The G intervals hold together (Bonferroni).
        """
        request = _request(interval, 1.0 - (1.0 - level) / self.groups)
        parts = [SignedValue(1.0, Ips(), g, np.array([self._column("calibration", g)])) for g in range(self.groups)]
        return tuple(
            self._estimate("balanced", (part.policy,), Statistic.of(self._summary(), [part]), request, level)
            for part in parts
        )

    def _statistic(self, method: LiftMethod, unit: LiftUnit, *signed: tuple[float, int]) -> Statistic:
        parts = []
        for sign, group in signed:
            estimator: Estimator = _RATIO
            if method == "means":
                names = ["reward", "decisions" if unit == "decision" else "customers"]
            else:
                names = ["weighted reward", "weight"]
                if unit == "customer" and self.trajectory:
                    names = ["weighted reward", "last weight"]
                elif unit == "customer":
                    names, estimator = [*names, "all decisions"], _RatioPerCustomer()
            columns = np.array([self._column(name, group) for name in names])
            parts.append(SignedValue(sign, estimator, group, columns))
        return Statistic.of(self._summary(), parts)

    def _column(self, name: str, group: int) -> int:
        """Return the place of a column of the summary; one of weights raises InputError where there are none."""
        blocks = ["reward", "decisions"]
        if self.weighted:
            blocks += ["weighted reward", "weight", "calibration"]
        if self.trajectory:
            blocks += ["last weight"]
        blocks += ["customers", "all decisions"]
        if name not in blocks:
            raise InputError("no weights were added, so there is no balanced estimate; add rows with weights")
        start = blocks.index(name) * self.groups
        return start if name == "all decisions" else start + group

    def _summary(self) -> Summary:
        """Return the moments of the customers' sums, each customer being one independent row."""
        if not self.n:
            raise InputError("there are no decisions to compare; add those of at least two groups")
        if self._cached is None and self._sealed is not None:
            self._cached = self._sealed.moments.summary()
        if self._cached is None:
            every = RowSums(self._width)
            for _, rows in self._rows():
                every.add(rows)
            self._cached = every.summary()
        return self._cached

    @property
    def _width(self) -> int:
        """The number of columns of the summary."""
        return self._by_customer.p + (2 if self.trajectory else 1) * self.groups + 1

    def _rows(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield customers by number, and the (width, k) columns of the summary with one row a customer."""
        for customers, sums in self._by_customer.in_order():
            seen = sums[:, 1 + self.groups : 1 + 2 * self.groups] > 0.0
            last = [self._last_weights.sums_of(customers)] if self.trajectory else []
            yield customers, np.concatenate([sums[:, 1:], *last, seen, sums[:, :1]], axis=1).T

    def _estimate(
        self,
        method: LiftMethod,
        groups: tuple[int, ...],
        statistic: Statistic,
        request: IntervalRequest,
        level: float | None = None,
    ) -> Estimate:
        low, high = request.bounds(statistic)
        summary, weight = statistic.summary, 1.0
        if method == "means":
            n = int(self.decisions[list(groups)].min())
            effective, largest = float(n), 1.0
            customers = min(round(summary.mean[self._column("customers", g)] * summary.n) for g in groups)
        else:
            n, customers = self.n, summary.groups
            totals = {g: float(summary.mean[self._column("weight", g)]) * customers for g in groups}
            effective = min(self._observed.effective_sample_size(g, total) for g, total in totals.items())
            largest, weight = max(float(self._observed.largest[g]) for g in groups), totals[groups[0]] / n
        return Estimate(
            name=method,
            value=statistic.value,
            low=float(low),
            high=float(high),
            n=n,
            effective_sample_size=effective,
            max_weight=largest,
            mean_weight=weight,
            standard_error=statistic.error,
            clusters=customers,
            level=request.level if level is None else level,
            interval=request.kind,
        )

    def _events(self, method: LiftMethod, pair: tuple[int, int], *, binary: bool) -> float:
        """Return the expected outcomes of the rarer kind on the smaller side of what tells the pair apart."""
        a, b = pair
        if method == "means":
            n = int(self.decisions[[a, b]].sum())
            share = rarer_share(int(self.earning[[a, b]].sum()), n, binary=binary)
            return float(self.decisions[[a, b]].min()) * share
        share = rarer_share(int(self.earning.sum()), self.n, binary=binary)
        return self._contrasts[min(a, b), max(a, b)].size * share

    def _check(self, batch: LiftBatch) -> None:
        if len(batch) and not (batch.group.min() >= 0 and batch.group.max() < self.groups):
            raise InputError(
                f"groups range from {batch.group.min()} to {batch.group.max()}, but there are {self.groups}; "
                "number them from 0"
            )
        if (batch.weights is not None) != self.weighted:
            raise InputError("some rows have weights and some do not; give weights for all rows or for none")
        if batch.weights is not None and batch.weights.shape[1] != self.groups:
            raise InputError(
                f"weights have {batch.weights.shape[1]} columns for {self.groups} groups; give one a group"
            )


def _request(interval: IntervalKind, level: float) -> IntervalRequest:
    check_level(level)
    if interval not in _ONE_LOOK and interval not in _EVERY_LOOK:
        raise InputError(
            f'there is no interval "{interval}" of lift; choose from {", ".join((*_ONE_LOOK, *_EVERY_LOOK))}'
        )
    return IntervalRequest(interval, level)

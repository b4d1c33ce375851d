"""The streaming accumulator of off-policy estimates for several policies on one log: add, merge, estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from bandit.errors import InputError
from bandit.ope.bounds import ObservedBounds
from bandit.ope.estimate import Estimate, check_level
from bandit.ope.estimator import Selection, Term, check_needs, weight
from bandit.ope.group_moments import GroupMoments
from bandit.ope.intervals import DEFAULT_INTERVAL, IntervalRequest, check_interval
from bandit.ope.intervals.bootstrap import resamples
from bandit.ope.simultaneous import MaxT, Simultaneous, t_statistic
from bandit.ope.statistic import SignedValue, Statistic
from bandit.ope.sums import ClusterSums, RowSums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray, IntArray
    from bandit.domain.mixed_numbers import UnsignedArray
    from bandit.ope.estimator import AnyEstimator, Estimator
    from bandit.ope.feedback import Feedback, Need
    from bandit.ope.intervals import IntervalKind
    from bandit.ope.sums import Summary

_ROWS = 65_536

_Sums: TypeAlias = RowSums | ClusterSums | GroupMoments


@dataclass(frozen=True, slots=True)
class _MeanWeight:
    """The mean importance weight as an estimator; it depends on no reward."""

    name: ClassVar[str] = "mean-weight"
    needs: ClassVar[Need | None] = None
    terms: ClassVar[tuple[Term, ...]] = (weight,)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)


class Tally:
    """Accumulates the sufficient statistics for values, intervals and paired differences of several policies.

    Each policy has one column for each distinct term of the estimators. The means and cross-products of all columns of
    all policies are kept, so a difference of two policies is another function of means and its interval is paired.
    Without clusters memory is constant, with clusters it grows with their number. `a + b` is the tally of the rows of
    both. A selection among estimators reports the selected candidate's value under its own name.
    """

    def __init__(self, policies: int, estimators: Sequence[AnyEstimator]) -> None:
        self.policies = policies
        self.estimators = tuple(estimators)
        names = [estimator.name for estimator in self.estimators]
        if len(set(names)) < len(names):
            raise InputError(f"an estimator is named twice in {', '.join(names)}; name each once")
        candidates = [each for estimator in self.estimators for each in _candidates(estimator)]
        # The weight comes first: every estimate reports its mean.
        self._terms: tuple[Term, ...] = tuple(
            dict.fromkeys([weight, *(term for estimator in candidates for term in estimator.terms)])
        )
        self._sums: _Sums | None = None
        self._cached: Summary | None = None
        self._observed = ObservedBounds(policies)

    # Rewards whose squares overflow give an infinite interval, not a warning.
    @np.errstate(over="ignore", invalid="ignore")
    def add(self, *feedback: Feedback) -> None:
        """Add a batch: one Feedback per policy, all of the same logged rows; InputError where they differ."""
        first = self._check(feedback)
        if not len(first):
            return
        self._cached = None
        sums = self._sums_for(first.cluster)
        self._observed.add_log(first)
        for start in range(0, len(first), _ROWS):
            part = slice(start, start + _ROWS)
            batch = [each.rows(part) for each in feedback]
            terms = np.empty((len(batch) * len(self._terms), len(batch[0].reward)))
            for place, (rows, term) in enumerate(product(batch, self._terms)):
                terms[place] = term(rows)
            stands_for = None if first.weight is None else first.weight[part]
            sums.add(terms, None if first.cluster is None else first.cluster[part], stands_for)
            for policy, rows in enumerate(batch):
                self._observed.add(policy, rows, stands_for)

    @np.errstate(over="ignore", invalid="ignore")
    def __add__(self, other: Tally) -> Tally:
        if (self.policies, self.estimators) != (other.policies, other.estimators):
            raise InputError("these tallies are of different policies or estimators; merge only parts of one log")
        both = Tally(self.policies, self.estimators)
        mine, theirs = self._sums, other._sums
        if mine is None or theirs is None:
            # Merged with an empty one, so that the result shares no state with its parts.
            only = mine if mine is not None else theirs
            both._sums = None if only is None else _merged(only, _no_sums(only))
        else:
            both._sums = _merged(mine, theirs)
        both._observed = self._observed + other._observed
        return both

    @np.errstate(over="ignore", invalid="ignore")
    def sealed(self, hashes: UnsignedArray) -> Tally:
        """Return the same tally with its clusters complete: they take memory of a few thousand at most.

        `hashes` are those of the clusters' keys by their number (`ClusterIndex.hashes`). Sealed tallies of parts with
        different clusters add with `+`, in any order to the same numbers up to rounding; no rows are added any more.
        Without clusters it is the tally itself.
        """
        if not isinstance(self._sums, ClusterSums):
            return self
        sealed = Tally(self.policies, self.estimators)
        sealed._sums, sealed._observed = GroupMoments.of(self._sums, hashes), self._observed
        return sealed

    @np.errstate(over="ignore", invalid="ignore")
    def resampled(self, rng: np.random.Generator) -> Tally:
        """Return a tally of as many clusters, drawn from these with replacement; InputError unless it is sealed.

        Of more than a few thousand clusters, blocks of whole clusters are drawn (`GroupMoments`). Ranges of weights and
        rewards stay those of all rows.
        """
        if not isinstance(self._sums, GroupMoments):
            raise InputError("the log names no customers, so they cannot be resampled; give a log with customers")
        drawn = Tally(self.policies, self.estimators)
        drawn._sums, drawn._observed = self._sums.resampled(rng), self._observed
        return drawn

    def estimates(
        self,
        policy: int = 0,
        level: float = 0.95,
        interval: IntervalKind = DEFAULT_INTERVAL,
        reward_range: tuple[float, float] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Estimate, ...]:
        """Return one estimate per estimator of the policy's value per decision.

        `reward_range` is used by bernstein intervals (default: the range of the observed rewards) and `rng` by the
        bootstrap (default: a generator with a fixed seed).
        """
        return self._estimates(((1.0, policy),), self._request(level, interval, reward_range, rng))

    def difference(
        self,
        policy: int,
        baseline: int,
        level: float = 0.95,
        interval: IntervalKind = DEFAULT_INTERVAL,
        reward_range: tuple[float, float] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Estimate, ...]:
        """Return one estimate per estimator of value(policy) - value(baseline), paired row by row."""
        signed = ((1.0, policy), (-1.0, baseline))
        return self._estimates(signed, self._request(level, interval, reward_range, rng))

    @np.errstate(over="ignore", invalid="ignore")
    def simultaneous(
        self,
        pairs: Sequence[tuple[int, int | None]],
        estimator: str,
        level: float = 0.95,
        interval: IntervalKind = DEFAULT_INTERVAL,
    ) -> tuple[Simultaneous, ...]:
        """Return simultaneous estimates of value(policy) - value(baseline), or of values where a baseline is None.

        All intervals jointly contain their estimands with probability `level`; a single pair has its ordinary
        interval. The method is max-t (`MaxT`). InputError for an interval other than normal and skew, for a selection
        and for an estimator that was not tallied.
        """
        if interval not in {"normal", "skew"}:
            raise InputError(f'there are no simultaneous intervals of the kind "{interval}"; ask for skew or normal')
        named = {each.name: each for each in self.estimators}
        if estimator not in named:
            raise InputError(f'"{estimator}" was not tallied; choose from {", ".join(named)}')
        by = named[estimator]
        if isinstance(by, Selection):
            raise InputError(
                f"{estimator} selects among estimators, which has no simultaneous intervals; ask for one of them"
            )
        request = self._request(level, interval)
        signed = [((1.0, a),) if b is None else ((1.0, a), (-1.0, b)) for a, b in pairs]
        statistics = [self._statistic(each, by) for each in signed]
        if not statistics:
            return ()
        joint = MaxT.of(statistics)
        single = replace(request, level=joint.level(level))
        return tuple(
            Simultaneous(
                replace(self._estimate(estimator, each, single), level=level),
                joint.p_value(t_statistic(each, interval)) if np.isfinite(each.error) else 1.0,
            )
            for each in statistics
        )

    def mean_weight(self, policy: int = 0, level: float = 0.95, interval: IntervalKind = DEFAULT_INTERVAL) -> Estimate:
        """Return the mean of target / propensity with its interval; 1 up to noise where the log supports the policy."""
        request = self._request(level, interval)
        return self._estimate(_MeanWeight.name, self._statistic(((1.0, policy),), _MeanWeight()), request)

    @np.errstate(over="ignore", invalid="ignore")
    def _estimates(self, signed: tuple[tuple[float, int], ...], request: IntervalRequest) -> tuple[Estimate, ...]:
        found = []
        for each in self.estimators:
            if isinstance(each, Selection):
                found.append(self._selected(each, signed, request))
            else:
                found.append(self._estimate(each.name, self._statistic(signed, each), request))
        return tuple(found)

    def _selected(
        self, selection: Selection, signed: tuple[tuple[float, int], ...], request: IntervalRequest
    ) -> Estimate:
        """Return the selected candidate's value with the interval of the first, least biased candidate.

        One candidate is selected for the whole signed sum, so that a difference does not mix the biases of two. The
        interval is that of the first candidate because the bias of the others cannot be estimated from the log.
        """
        options = [self._statistic(signed, each) for each in selection.candidates]
        index = selection.choose(np.array([each.value for each in options]), np.array([each.error for each in options]))
        chosen, wide = options[index].value, self._estimate(selection.name, options[0], request)
        return replace(wide, value=chosen, low=min(wide.low, chosen), high=max(wide.high, chosen))

    def _statistic(self, signed: tuple[tuple[float, int], ...], estimator: Estimator) -> Statistic:
        """Return the signed sum of policies' values by one estimator."""
        return Statistic.of(self._summary(), [self._part(sign, estimator, policy) for sign, policy in signed])

    def _part(self, sign: float, estimator: Estimator, policy: int) -> SignedValue:
        start = policy * len(self._terms)
        columns = np.array([start + self._terms.index(term) for term in estimator.terms])
        return SignedValue(sign, estimator, policy, columns)

    @np.errstate(over="ignore", invalid="ignore")
    def _estimate(self, name: str, statistic: Statistic, request: IntervalRequest) -> Estimate:
        low, high = request.bounds(statistic)
        summary, policies = statistic.summary, [part.policy for part in statistic.parts]
        mean_weights = summary.mean[:: len(self._terms)]
        return Estimate(
            name=name,
            value=statistic.value,
            low=float(low),
            high=float(high),
            n=summary.n,
            effective_sample_size=min(
                self._observed.effective_sample_size(each, summary.total * mean_weights[each]) for each in policies
            ),
            max_weight=max(float(self._observed.largest[policy]) for policy in policies),
            mean_weight=float(mean_weights[policies[0]]),
            standard_error=statistic.error,
            clusters=summary.groups,
            level=request.level,
            interval=request.kind,
        )

    def _request(
        self,
        level: float,
        interval: IntervalKind,
        reward_range: tuple[float, float] | None = None,
        rng: np.random.Generator | None = None,
    ) -> IntervalRequest:
        check_level(level)
        check_interval(interval)
        summary = self._summary()
        term_bounds = self._observed.term_bounds(self._terms, reward_range) if interval == "bernstein" else None
        counts = resamples(len(summary.counts), rng) if interval == "bootstrap" else None
        return IntervalRequest(interval, level, term_bounds, counts)

    @np.errstate(over="ignore", invalid="ignore")
    def _summary(self) -> Summary:
        if self._sums is None:
            raise InputError("there are no rows to estimate from; give at least one logged decision")
        if self._cached is None:
            self._cached = self._sums.summary()
        return self._cached

    def _sums_for(self, cluster: IntArray | None) -> RowSums | ClusterSums:
        kind = RowSums if cluster is None else ClusterSums
        if self._sums is None:
            self._sums = kind(self.policies * len(self._terms))
        if isinstance(self._sums, GroupMoments):
            raise InputError("this tally is sealed; add the rows to another one and merge the two")
        if not isinstance(self._sums, kind):
            raise InputError("some rows have clusters and some do not; give clusters for all rows or for none")
        return self._sums

    def _check(self, feedback: tuple[Feedback, ...]) -> Feedback:
        if len(feedback) != self.policies:
            raise InputError(f"{len(feedback)} feedbacks for {self.policies} policies; give one per policy")
        first = feedback[0]
        if not all(first.same_log(other) for other in feedback[1:]):
            raise InputError(
                "the policies' rewards, propensities, clusters or weights differ; give feedback on the same rows"
            )
        for each in feedback:
            check_needs(self.estimators, each.has)
        return first


def _candidates(estimator: AnyEstimator) -> tuple[Estimator, ...]:
    return estimator.candidates if isinstance(estimator, Selection) else (estimator,)


def _no_sums(like: _Sums) -> _Sums:
    return GroupMoments.empty(like.p) if isinstance(like, GroupMoments) else type(like)(like.p)


def _merged(a: _Sums, b: _Sums) -> _Sums:
    if isinstance(a, RowSums) and isinstance(b, RowSums):
        return a + b
    if isinstance(a, ClusterSums) and isinstance(b, ClusterSums):
        return a + b
    if isinstance(a, GroupMoments) and isinstance(b, GroupMoments):
        return a + b
    if RowSums in {type(a), type(b)}:
        raise InputError("one part has clusters and the other has none; give clusters for all rows or for none")
    raise InputError("one part is sealed and the other is not; seal both before they are merged")

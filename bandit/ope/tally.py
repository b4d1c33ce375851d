"""The accumulator of one or several policies on the rows of one log: adds batches, merges, answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bandit.errors import InputError
from bandit.ope.bounds import Extremes
from bandit.ope.estimate import Estimate, check_level
from bandit.ope.estimator import Selection, Term, check_needs, weight
from bandit.ope.intervals import DEFAULT_INTERVAL, Ask, check_interval
from bandit.ope.intervals.bootstrap import resamples
from bandit.ope.simultaneous import MaxT, Simultaneous, t_statistic
from bandit.ope.statistic import Part, Statistic
from bandit.ope.sums import ClusterScatter, RowScatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray, IntArray
    from bandit.ope.estimator import AnyEstimator, Estimator
    from bandit.ope.feedback import Feedback, Need
    from bandit.ope.intervals import IntervalKind
    from bandit.ope.sums import Summary

_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class _MeanWeight:
    """The mean of the weights, which the log decides and no reward."""

    name: ClassVar[str] = "mean-weight"
    needs: ClassVar[Need | None] = None
    terms: ClassVar[tuple[Term, ...]] = (weight,)

    def at(self, means: FloatArray) -> tuple[float, FloatArray]:
        """Return the mean and its gradient, 1."""
        return float(means[0]), np.ones(1)


class Tally:
    """Everything that values, intervals and paired differences of some policies need to know of a log.

    Each policy has one column for each distinct term of the estimators; the means and the cross-products of all
    columns of all policies are kept, so a difference of two policies is one more function of means and its
    interval is paired. Without clusters the memory is fixed, with clusters it grows with their number. `a + b` is
    the tally of the rows of both. A selection among estimators answers by the one it chooses, under its own name.
    """

    def __init__(self, policies: int, estimators: Sequence[AnyEstimator]) -> None:
        self.policies = policies
        self.estimators = tuple(estimators)
        names = [estimator.name for estimator in self.estimators]
        if len(set(names)) < len(names):
            raise InputError(f"an estimator is named twice in {', '.join(names)}; name each once")
        candidates = [each for estimator in self.estimators for each in _candidates(estimator)]
        # The weight comes first: it is wanted whatever the estimators.
        self._terms: tuple[Term, ...] = tuple(
            dict.fromkeys([weight, *(term for estimator in candidates for term in estimator.terms)])
        )
        self._scatter: RowScatter | ClusterScatter | None = None
        self._seen: Summary | None = None
        self._extremes = Extremes(policies)

    # Numbers whose squares overflow end in an interval without bounds, not in a warning.
    @np.errstate(over="ignore", invalid="ignore")
    def add(self, *feedback: Feedback) -> None:
        """Add rows: one Feedback a policy, all of the same rows; InputError where they do not fit each other."""
        first = self._check(feedback)
        if not len(first):
            return
        self._seen = None
        scatter = self._scatter_for(first.cluster)
        self._extremes.add_log(first)
        for start in range(0, len(first), _ROWS):
            part = slice(start, start + _ROWS)
            batch = [each.rows(part) for each in feedback]
            terms = np.stack([term(rows) for rows in batch for term in self._terms])
            scatter.add(terms, None if first.cluster is None else first.cluster[part])
            for policy, rows in enumerate(batch):
                self._extremes.add(policy, rows)

    @np.errstate(over="ignore", invalid="ignore")
    def __add__(self, other: Tally) -> Tally:
        if (self.policies, self.estimators) != (other.policies, other.estimators):
            raise InputError("these tallies are of different policies or estimators; merge only parts of one log")
        both = Tally(self.policies, self.estimators)
        mine, theirs = self._scatter, other._scatter
        if mine is None or theirs is None:
            # Joined with an empty one, so that the result shares no state with its parts.
            only = mine if mine is not None else theirs
            both._scatter = None if only is None else _joined(only, type(only)(only.p))
        else:
            both._scatter = _joined(mine, theirs)
        both._extremes = self._extremes + other._extremes
        return both

    def estimates(
        self,
        policy: int = 0,
        level: float = 0.95,
        interval: IntervalKind = DEFAULT_INTERVAL,
        reward_range: tuple[float, float] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Estimate, ...]:
        """Return one estimate an estimator of the policy's value per decision.

        `reward_range` is for bernstein intervals, by default that of the rewards seen, and `rng` for the bootstrap,
        by default one with a fixed seed.
        """
        return self._answers(((1.0, policy),), self._ask(level, interval, reward_range, rng))

    def difference(
        self,
        policy: int,
        baseline: int,
        level: float = 0.95,
        interval: IntervalKind = DEFAULT_INTERVAL,
        reward_range: tuple[float, float] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Estimate, ...]:
        """Return one estimate an estimator of value(policy) - value(baseline), paired row by row."""
        signed = ((1.0, policy), (-1.0, baseline))
        return self._answers(signed, self._ask(level, interval, reward_range, rng))

    @np.errstate(over="ignore", invalid="ignore")
    def simultaneous(
        self,
        pairs: Sequence[tuple[int, int | None]],
        estimator: str,
        level: float = 0.95,
        interval: IntervalKind = DEFAULT_INTERVAL,
    ) -> tuple[Simultaneous, ...]:
        """Return value(policy) - value(baseline) of all pairs, or values where a baseline is None, held together.

        All intervals contain what they estimate at once with probability `level`; a single pair has its ordinary
        interval. See `MaxT` for the method. InputError for an interval that is neither normal nor skew and for an
        estimator that was not tallied.
        """
        if interval not in {"normal", "skew"}:
            raise InputError(f'no simultaneous intervals of the kind "{interval}" are had; ask for skew or normal')
        named = {each.name: each for each in self.estimators}
        if estimator not in named:
            raise InputError(f'"{estimator}" was not tallied; choose from {", ".join(named)}')
        by = named[estimator]
        if isinstance(by, Selection):
            raise InputError(f"{estimator} chooses among estimators, and no verdict rests on that; ask for one of them")
        ask = self._ask(level, interval)
        signed = [((1.0, a),) if b is None else ((1.0, a), (-1.0, b)) for a, b in pairs]
        statistics = [self._statistic(each, by) for each in signed]
        if not statistics:
            return ()
        joint = MaxT.of(statistics)
        single = replace(ask, level=joint.level(level))
        return tuple(
            Simultaneous(
                replace(self._estimate(estimator, each, single), level=level),
                joint.p_value(t_statistic(each, interval)) if np.isfinite(each.error) else 1.0,
            )
            for each in statistics
        )

    def mean_weight(self, policy: int = 0, level: float = 0.95, interval: IntervalKind = DEFAULT_INTERVAL) -> Estimate:
        """Return the mean of target / propensity with its interval; 1 up to noise where the log supports it."""
        ask = self._ask(level, interval)
        return self._estimate(_MeanWeight.name, self._statistic(((1.0, policy),), _MeanWeight()), ask)

    @np.errstate(over="ignore", invalid="ignore")
    def _answers(self, signed: tuple[tuple[float, int], ...], ask: Ask) -> tuple[Estimate, ...]:
        answers = []
        for each in self.estimators:
            if isinstance(each, Selection):
                answers.append(self._selected(each, signed, ask))
            else:
                answers.append(self._estimate(each.name, self._statistic(signed, each), ask))
        return tuple(answers)

    def _selected(self, selection: Selection, signed: tuple[tuple[float, int], ...], ask: Ask) -> Estimate:
        """Return the chosen candidate's value with the interval of the least biased, which is the first.

        One candidate is chosen for the whole signed sum, so that a difference does not set two biases against each
        other. What a bias saves in error cannot be told from the log, so the interval does not claim it.
        """
        options = [self._statistic(signed, each) for each in selection.candidates]
        place = selection.choose(np.array([each.value for each in options]), np.array([each.error for each in options]))
        chosen, wide = options[place].value, self._estimate(selection.name, options[0], ask)
        return replace(wide, value=chosen, low=min(wide.low, chosen), high=max(wide.high, chosen))

    def _statistic(self, signed: tuple[tuple[float, int], ...], estimator: Estimator) -> Statistic:
        """Return the signed sum of policies' values by one estimator."""
        return Statistic.of(self._summary(), [self._part(sign, estimator, policy) for sign, policy in signed])

    def _part(self, sign: float, estimator: Estimator, policy: int) -> Part:
        start = policy * len(self._terms)
        columns = np.array([start + self._terms.index(term) for term in estimator.terms])
        return Part(sign, estimator, policy, columns)

    @np.errstate(over="ignore", invalid="ignore")
    def _estimate(self, name: str, statistic: Statistic, ask: Ask) -> Estimate:
        low, high = ask.bounds(statistic)
        summary, policies = statistic.summary, [part.policy for part in statistic.parts]
        mean_weights = summary.mean[:: len(self._terms)]
        return Estimate(
            name=name,
            value=statistic.value,
            low=float(low),
            high=float(high),
            n=summary.n,
            effective_sample_size=min(
                self._extremes.effective(each, summary.n * mean_weights[each]) for each in policies
            ),
            max_weight=max(float(self._extremes.largest[policy]) for policy in policies),
            mean_weight=float(mean_weights[policies[0]]),
            standard_error=statistic.error,
            clusters=summary.groups,
            level=ask.level,
            interval=ask.kind,
        )

    def _ask(
        self,
        level: float,
        interval: IntervalKind,
        reward_range: tuple[float, float] | None = None,
        rng: np.random.Generator | None = None,
    ) -> Ask:
        check_level(level)
        check_interval(interval)
        summary = self._summary()
        limits = self._extremes.limits(self._terms, reward_range) if interval == "bernstein" else None
        times = resamples(len(summary.counts), rng) if interval == "bootstrap" else None
        return Ask(interval, level, limits, times)

    @np.errstate(over="ignore", invalid="ignore")
    def _summary(self) -> Summary:
        if self._scatter is None:
            raise InputError("there are no rows to estimate from; give at least one logged decision")
        if self._seen is None:
            self._seen = self._scatter.summary()
        return self._seen

    def _scatter_for(self, cluster: IntArray | None) -> RowScatter | ClusterScatter:
        kind = RowScatter if cluster is None else ClusterScatter
        if self._scatter is None:
            self._scatter = kind(self.policies * len(self._terms))
        if not isinstance(self._scatter, kind):
            raise InputError("some rows have clusters and some do not; give clusters for all rows or for none")
        return self._scatter

    def _check(self, feedback: tuple[Feedback, ...]) -> Feedback:
        if len(feedback) != self.policies:
            raise InputError(f"{len(feedback)} feedbacks for {self.policies} policies; give one a policy")
        first = feedback[0]
        if not all(first.same_log(other) for other in feedback[1:]):
            raise InputError("the policies' rewards, propensities or clusters differ; give feedback on the same rows")
        for each in feedback:
            check_needs(self.estimators, each.has)
        return first


def _candidates(estimator: AnyEstimator) -> tuple[Estimator, ...]:
    return estimator.candidates if isinstance(estimator, Selection) else (estimator,)


def _joined(a: RowScatter | ClusterScatter, b: RowScatter | ClusterScatter) -> RowScatter | ClusterScatter:
    if isinstance(a, RowScatter) and isinstance(b, RowScatter):
        return a + b
    if isinstance(a, ClusterScatter) and isinstance(b, ClusterScatter):
        return a + b
    raise InputError("one part has clusters and the other has none; give clusters for all rows or for none")

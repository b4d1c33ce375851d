"""The accumulator of one or several policies on the rows of one log: adds batches, merges, answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.ope.estimate import Estimate, check_level, interval, standard_error
from bandit.ope.estimator import Term, weight
from bandit.ope.scatter import ClusterScatter, RowScatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray, IntArray
    from bandit.ope.estimator import Estimator
    from bandit.ope.feedback import Feedback
    from bandit.ope.scatter import Summary

_ROWS = 65_536


class Tally:
    """Everything that values, intervals and paired differences of some policies need to know of a log.

    Each policy has one column for each distinct term of the estimators; the means and the cross-products of all
    columns of all policies are kept, so a difference of two policies is one more function of means and its
    interval is paired. Without clusters the memory is fixed, with clusters it grows with their number. `a + b` is
    the tally of the rows of both.
    """

    def __init__(self, policies: int, estimators: Sequence[Estimator]) -> None:
        self.policies = policies
        self.estimators = tuple(estimators)
        names = [estimator.name for estimator in self.estimators]
        if len(set(names)) < len(names):
            raise InputError(f"an estimator is named twice in {', '.join(names)}; name each once")
        # The weight comes first: it is wanted whatever the estimators.
        self._terms: tuple[Term, ...] = tuple(
            dict.fromkeys([weight, *(term for estimator in self.estimators for term in estimator.terms)])
        )
        self._scatter: RowScatter | ClusterScatter | None = None
        self._seen: Summary | None = None
        self._squares = np.zeros(policies)
        self._largest = np.zeros(policies)

    # Numbers whose squares overflow end in an interval without bounds, not in a warning.
    @np.errstate(over="ignore", invalid="ignore")
    def add(self, *feedback: Feedback) -> None:
        """Add rows: one Feedback a policy, all of the same rows; InputError where they do not fit each other."""
        first = self._check(feedback)
        if not len(first):
            return
        self._seen = None
        scatter = self._scatter_for(first.cluster)
        for start in range(0, len(first), _ROWS):
            part = slice(start, start + _ROWS)
            batch = [each.rows(part) for each in feedback]
            terms = np.stack([term(rows) for rows in batch for term in self._terms])
            scatter.add(terms, None if first.cluster is None else first.cluster[part])
            for policy, rows in enumerate(batch):
                self._squares[policy] += float(rows.weight @ rows.weight)
                self._largest[policy] = max(self._largest[policy], float(rows.weight.max()))

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
        both._squares = self._squares + other._squares
        both._largest = np.maximum(self._largest, other._largest)
        return both

    def estimates(self, policy: int = 0, level: float = 0.95) -> tuple[Estimate, ...]:
        """Return one estimate an estimator of the policy's value per decision."""
        summary = self._summary(level)
        answers = []
        for estimator in self.estimators:
            value, gradient = self._at(summary, estimator, policy)
            answers.append(self._estimate(estimator.name, value, gradient, summary, (policy,), level))
        return tuple(answers)

    def difference(self, policy: int, baseline: int, level: float = 0.95) -> tuple[Estimate, ...]:
        """Return one estimate an estimator of value(policy) - value(baseline), paired row by row."""
        summary = self._summary(level)
        answers = []
        for estimator in self.estimators:
            value, gradient = self._at(summary, estimator, policy)
            other, its_gradient = self._at(summary, estimator, baseline)
            pair = (policy, baseline)
            answers.append(self._estimate(estimator.name, value - other, gradient - its_gradient, summary, pair, level))
        return tuple(answers)

    def mean_weight(self, policy: int = 0, level: float = 0.95) -> Estimate:
        """Return the mean of target / propensity with its interval; 1 up to noise where the log supports it."""
        summary = self._summary(level)
        column = policy * len(self._terms)
        gradient = np.zeros(len(summary.mean))
        gradient[column] = 1.0
        return self._estimate("mean-weight", float(summary.mean[column]), gradient, summary, (policy,), level)

    def _at(self, summary: Summary, estimator: Estimator, policy: int) -> tuple[float, FloatArray]:
        """Return the value and its gradient over all columns of all policies."""
        start = policy * len(self._terms)
        columns = [start + self._terms.index(term) for term in estimator.terms]
        value, local = estimator.at(summary.mean[columns])
        gradient = np.zeros(len(summary.mean))
        gradient[columns] = local
        return value, gradient

    def _estimate(
        self,
        name: str,
        value: float,
        gradient: FloatArray,
        summary: Summary,
        policies: tuple[int, ...],
        level: float,
    ) -> Estimate:
        error = standard_error(summary, gradient)
        low, high = interval(value, error, summary.groups, level)
        mean_weights = summary.mean[:: len(self._terms)]
        sizes = [_effective(summary.n * mean_weights[policy], self._squares[policy]) for policy in policies]
        return Estimate(
            name=name,
            value=value,
            low=low,
            high=high,
            n=summary.n,
            effective_sample_size=min(sizes),
            max_weight=max(float(self._largest[policy]) for policy in policies),
            mean_weight=float(mean_weights[policies[0]]),
            standard_error=error,
            clusters=summary.groups,
            level=level,
        )

    @np.errstate(over="ignore", invalid="ignore")
    def _summary(self, level: float) -> Summary:
        check_level(level)
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
        for estimator in self.estimators:
            if estimator.needs_predictions and not all(each.predicts for each in feedback):
                raise InputError(
                    f"{estimator.name} needs predicted_logged and predicted_target, which are not given; "
                    "give them or ask for ips and snips"
                )
        return first


def _joined(a: RowScatter | ClusterScatter, b: RowScatter | ClusterScatter) -> RowScatter | ClusterScatter:
    if isinstance(a, RowScatter) and isinstance(b, RowScatter):
        return a + b
    if isinstance(a, ClusterScatter) and isinstance(b, ClusterScatter):
        return a + b
    raise InputError("one part has clusters and the other has none; give clusters for all rows or for none")


def _effective(total: float, squares: float) -> float:
    """Return Kish's effective sample size, 0 where no row has a weight."""
    return float(total / squares * total) if squares > 0 else 0.0

"""The largest and smallest numbers of the rows, from which rows that could still come are bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.ope.estimator import prediction, weight, weighted_residual, weighted_reward
from bandit.ope.estimators.clipped_ips import ClippedReward
from bandit.ope.estimators.dr_os import ShrunkResidual
from bandit.ope.estimators.mips import marginal_reward
from bandit.ope.estimators.mrdr import robust_prediction, robust_residual
from bandit.ope.estimators.switch_dr import SwitchedResidual
from bandit.ope.intervals.bernstein import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Feedback, Rows

Range = tuple[float, float]

_PREDICTIONS = ("predicted_logged", "predicted_target", "robust_logged", "robust_target")


@dataclass(slots=True, eq=False)
class Extremes:
    """Sums of squared weights and largest weights by policy; largest 1 / propensity; ranges of rewards and predictions.

    A range is (infinity, -infinity) before anything is seen. Parts merge with `+`.
    """

    policies: int
    squares: FloatArray = field(init=False)
    largest: FloatArray = field(init=False)
    inverse: float = 0.0
    reward: Range = (np.inf, -np.inf)
    prediction: Range = (np.inf, -np.inf)

    def __post_init__(self) -> None:
        self.squares, self.largest = np.zeros(self.policies), np.zeros(self.policies)

    def add(self, policy: int, rows: Rows) -> None:
        """Add the weights and predictions of one policy's rows."""
        self.squares[policy] += float(rows.weight @ rows.weight)
        self.largest[policy] = max(self.largest[policy], float(rows.weight.max()))
        for name in _PREDICTIONS:
            self.prediction = _with(self.prediction, getattr(rows, name))

    def add_log(self, feedback: Feedback) -> None:
        """Add what all policies share."""
        self.reward = _with(self.reward, feedback.reward)
        self.inverse = max(self.inverse, 1.0 / float(feedback.propensity.min()))

    def __add__(self, other: Extremes) -> Extremes:
        both = Extremes(self.policies, max(self.inverse, other.inverse))
        both.squares = self.squares + other.squares
        both.largest = np.maximum(self.largest, other.largest)
        both.reward = _hull(self.reward, other.reward)
        both.prediction = _hull(self.prediction, other.prediction)
        return both

    def effective(self, policy: int, total: float) -> float:
        """Return Kish's effective sample size of weights that add up to `total`, 0 where no row has a weight."""
        squares = self.squares[policy]
        return float(total / squares * total) if squares > 0 else 0.0

    def limits(self, terms: Sequence[Term], reward_range: Range | None) -> Limits:
        """Return how large the terms of a row can be, by policy and term; `reward_range` or what rewards were seen.

        Weights are at most the largest 1 / propensity seen. Predictions are taken to stay in the range of rewards
        and of what predictions were seen. InputError for a range that does not hold the rewards seen.
        """
        reward = self.reward if reward_range is None else _checked(reward_range, self.reward)
        predicted = _hull(reward, self.prediction)
        residual = (reward[0] - predicted[1], reward[1] - predicted[0])
        ranges = np.array([_range(term, self.inverse, reward, predicted, residual) for term in terms])
        low, high = np.tile(ranges, (self.policies, 1)).T
        return Limits(reward, residual, self.inverse, low, high)


def _range(term: Term, most: float, reward: Range, predicted: Range, residual: Range) -> Range:
    """Return the range of one term, infinite for one that nothing is known of."""
    if term is weight:
        return (0.0, most)
    if term is prediction or term is robust_prediction:
        return predicted
    if term is weighted_reward or term is marginal_reward:
        return _times(most, reward)
    if term is weighted_residual or term is robust_residual:
        return _times(most, residual)
    if isinstance(term, ClippedReward):
        return _times(min(most, term.largest), reward)
    if isinstance(term, SwitchedResidual):
        return _times(min(most, term.threshold), residual)
    if isinstance(term, ShrunkResidual):
        # w / (1 + w^2 / lambda) is largest at w = sqrt(lambda), where it is half of that.
        return _times(min(most, 0.5 * np.sqrt(term.shrinkage)), residual)
    return (-np.inf, np.inf)


def _times(most: float, numbers: Range) -> Range:
    """Return the range of a factor in [0, most] times a number of this range."""
    return (most * min(numbers[0], 0.0), most * max(numbers[1], 0.0))


def _with(seen: Range, numbers: FloatArray) -> Range:
    return _hull(seen, (float(numbers.min()), float(numbers.max()))) if len(numbers) else seen


def _hull(a: Range, b: Range) -> Range:
    return (min(a[0], b[0]), max(a[1], b[1]))


def _checked(given: Range, seen: Range) -> Range:
    check_range(given)
    if _hull(given, seen) != (given[0], given[1]):
        raise InputError(f"reward_range is {given} but rewards from {seen[0]:g} to {seen[1]:g} were seen; widen it")
    return (float(given[0]), float(given[1]))


def check_range(given: Range) -> None:
    """Refuse a range of rewards that is not two finite numbers in order."""
    if not (np.shape(given) == (2,) and np.isfinite(given).all() and given[0] < given[1]):
        raise InputError(f"reward_range is {given}; give the smallest and the largest reward there can be")

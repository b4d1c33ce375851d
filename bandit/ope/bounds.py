"""Observed ranges of weights, rewards and predictions, and the bounds on terms that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.ope.contrast import effective_number
from bandit.ope.estimator import prediction, weight, weighted_residual, weighted_reward
from bandit.ope.estimators.clipped_ips import ClippedReward
from bandit.ope.estimators.dr_os import ShrunkResidual
from bandit.ope.estimators.mips import marginal_reward
from bandit.ope.estimators.mrdr import robust_prediction, robust_residual
from bandit.ope.estimators.switch_dr import SwitchedResidual
from bandit.ope.intervals.bernstein import TermBounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray
    from bandit.ope.estimator import Term
    from bandit.ope.feedback import Feedback, FeedbackRows

Range = tuple[float, float]

_PREDICTIONS = ("predicted_logged", "predicted_target", "robust_logged", "robust_target")


@dataclass(slots=True, eq=False)
class ObservedBounds:
    """Sums of squared weights and largest weights by policy; largest 1 / propensity; ranges of rewards and predictions.

    Squared are the weights times how many decisions each row stands for. `squares` and `largest` are (policies,). A
    range is (infinity, -infinity) before the first row. Parts merge with `+`.
    """

    policies: int
    squares: FloatArray = field(init=False)
    largest: FloatArray = field(init=False)
    inverse: float = 0.0
    reward: Range = (np.inf, -np.inf)
    prediction: Range = (np.inf, -np.inf)

    def __post_init__(self) -> None:
        self.squares, self.largest = np.zeros(self.policies), np.zeros(self.policies)

    def add(self, policy: int, rows: FeedbackRows, stands_for: FloatArray | None = None) -> None:
        """Add the weights and predictions of one policy's rows; `stands_for` (n,) decisions each, one by default."""
        counted = rows.weight if stands_for is None else rows.weight * stands_for
        self.squares[policy] += float(counted @ counted)
        self.largest[policy] = max(self.largest[policy], float(rows.weight.max()))
        for name in _PREDICTIONS:
            self.prediction = _extended(self.prediction, getattr(rows, name))

    def add_log(self, feedback: Feedback) -> None:
        """Add the rewards and propensities, which are the same for all policies."""
        self.reward = _extended(self.reward, feedback.reward)
        self.inverse = max(self.inverse, 1.0 / float(feedback.propensity.min()))

    def __add__(self, other: ObservedBounds) -> ObservedBounds:
        both = ObservedBounds(self.policies, max(self.inverse, other.inverse))
        both.squares = self.squares + other.squares
        both.largest = np.maximum(self.largest, other.largest)
        both.reward = _hull(self.reward, other.reward)
        both.prediction = _hull(self.prediction, other.prediction)
        return both

    def effective_sample_size(self, policy: int, total: float) -> float:
        """Return Kish's effective sample size, total^2 / sum(w^2), of weights that sum to `total`; 0 if all are 0."""
        return effective_number(total, float(self.squares[policy]))

    def term_bounds(self, terms: Sequence[Term], reward_range: Range | None) -> TermBounds:
        """Return the bounds of each term of a row, by policy and term, given `reward_range` or the observed rewards.

        Weights are bounded by the largest observed 1 / propensity. Predictions are assumed to stay within the hull of
        the reward range and the observed predictions. InputError for a range that excludes an observed reward.
        """
        reward = self.reward if reward_range is None else _checked(reward_range, self.reward)
        predicted = _hull(reward, self.prediction)
        residual = (reward[0] - predicted[1], reward[1] - predicted[0])
        ranges = np.array([_term_range(term, self.inverse, reward, predicted, residual) for term in terms])
        low, high = np.tile(ranges, (self.policies, 1)).T
        return TermBounds(reward, residual, self.inverse, low, high)


def _term_range(term: Term, max_weight: float, reward: Range, predicted: Range, residual: Range) -> Range:
    """Return the range of one term; infinite for an unknown term."""
    if term is weight:
        return (0.0, max_weight)
    if term is prediction or term is robust_prediction:
        return predicted
    if term is weighted_reward or term is marginal_reward:
        return _scaled(max_weight, reward)
    if term is weighted_residual or term is robust_residual:
        return _scaled(max_weight, residual)
    if isinstance(term, ClippedReward):
        return _scaled(min(max_weight, term.largest), reward)
    if isinstance(term, SwitchedResidual):
        return _scaled(min(max_weight, term.threshold), residual)
    if isinstance(term, ShrunkResidual):
        # w / (1 + w^2 / lambda) has its maximum, sqrt(lambda) / 2, at w = sqrt(lambda).
        return _scaled(min(max_weight, 0.5 * np.sqrt(term.shrinkage)), residual)
    return (-np.inf, np.inf)


def _scaled(factor: float, numbers: Range) -> Range:
    """Return the range of the product of a number in [0, factor] and a number in this range."""
    return (factor * min(numbers[0], 0.0), factor * max(numbers[1], 0.0))


def _extended(observed: Range, numbers: FloatArray) -> Range:
    return _hull(observed, (float(numbers.min()), float(numbers.max()))) if len(numbers) else observed


def _hull(a: Range, b: Range) -> Range:
    return (min(a[0], b[0]), max(a[1], b[1]))


def _checked(given: Range, observed: Range) -> Range:
    check_range(given)
    if _hull(given, observed) != (given[0], given[1]):
        raise InputError(
            f"reward_range is {given} but rewards from {observed[0]:g} to {observed[1]:g} were seen; widen it"
        )
    return (float(given[0]), float(given[1]))


def check_range(given: Range) -> None:
    """Raise InputError unless the reward range is two finite numbers in increasing order."""
    if not (np.shape(given) == (2,) and np.isfinite(given).all() and given[0] < given[1]):
        raise InputError(f"reward_range is {given}; give the smallest and the largest reward there can be")

"""A batch fit of a linear model by sums over parts of the observations, with robust weights where they are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from bandit.domain import FloatArray
from bandit.models.belief import Belief
from bandit.models.gaussian import LEAST_LEFT
from bandit.models.linear import BayesianLinear
from bandit.models.tail_weights import tail_weights

WEIGHTED_DESIGN = "weights of one amount model"


@dataclass(frozen=True, slots=True, eq=False)
class LinearSums:
    """What observations add to a linear model: with `+` those of another part.

    `belief` (D weights) has each observation as often as its robust weight w says, `squared` (D + 1, D + 1) the
    products of (row, y) with w^2, from which the noise follows; `n` counts the observations, and `change` is the
    largest step that a robust weight made since the weights before.
    """

    belief: Belief
    squared: FloatArray
    n: float
    change: float

    def __add__(self, other: LinearSums) -> LinearSums:
        return LinearSums(
            self.belief.merge(other.belief),
            self.squared + other.squared,
            self.n + other.n,
            max(self.change, other.change),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LinearRows:
    """Some observations: rows (n, D), y (n,), weights of age (n,), and how many each stands for (n,), None for one."""

    rows: FloatArray
    y: FloatArray
    weight: FloatArray
    times: FloatArray | None


@dataclass(frozen=True, slots=True, eq=False)
class LinearBelief:
    """A linear model's belief after a round: mean (D,), covariance (D, D) in units of the noise, and the noise."""

    mean: FloatArray
    covariance: FloatArray
    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class RobustRounds:
    """The beliefs of the rounds so far: from them, a part finds the robust weights of its own observations again.

    The weights of the first round follow from the size of the observations, which are standardised by a robust scale;
    those of each further one from the distance of an observation to what the others predict under the weights before,
    as Student's t asks (`tail_weights`). Without `robust` all weights are 1.
    """

    robust: bool
    beliefs: tuple[LinearBelief, ...] = field(default=())

    def after(self, belief: LinearBelief) -> RobustRounds:
        """Return the rounds with one more."""
        return RobustRounds(self.robust, (*self.beliefs, belief))

    def weights(self, given: LinearRows) -> tuple[FloatArray, float]:
        """Return the present weights (n,) of observations, and the largest change since those before."""
        if not self.robust:
            return np.ones(len(given.y)), 0.0
        tails, change = tail_weights(given.y**2), 1.0
        for belief in self.beliefs:
            found = tail_weights(_left_out_squares(belief, given, tails))
            change, tails = float(np.abs(found - tails).max(initial=0.0)), found
        return tails, change

    def sums(self, batches: Iterable[LinearRows], center: FloatArray, variance: FloatArray) -> LinearSums:
        """Return the sums of observations under a prior of means and variances (D,)."""
        size = len(center)
        found = LinearSums(Belief.of_prior(WEIGHTED_DESIGN, center, variance), np.zeros((size + 1, size + 1)), 0.0, 0.0)
        for given in batches:
            tails, change = self.weights(given)
            times = np.ones(len(given.y)) if given.times is None else given.times
            both = np.sqrt(given.weight * times)[:, None] * np.column_stack([given.rows, given.y])
            rows, y = both[:, :-1], both[:, -1]
            belief = Belief.of_prior(WEIGHTED_DESIGN, center, variance).learned(rows, y, 1.0 / tails)
            squared = (tails**2)[:, None] * both
            found = found + LinearSums(belief, squared.T @ both, float(times.sum()), change)
        return found


def take_linear_sums(model: BayesianLinear, sums: LinearSums, start: tuple[float, float]) -> LinearBelief:
    """Set a model's weights and noise by the sums of all observations, and return them; `start` is the noise's prior.

    The conjugate update of all at once (Murphy 2012, section 7.6.3). An observation of robust weight w adds w times its
    weighted squared residual to the noise (Huber's proposal 2), at the posterior mean, as every other one does.
    """
    belief = sums.belief
    mean, covariance = belief.solved()
    against = np.append(-mean, 1.0)
    squares = float(against @ sums.squared @ against) + float(((mean - belief.center) ** 2 / belief.variance).sum())
    model.weights.assign_parts(mean, [covariance])
    model.shape, model.rate = start[0] + 0.5 * sums.n, start[1] + 0.5 * max(squares, 0.0)
    return LinearBelief(mean, covariance, model.noise)


def _left_out_squares(belief: LinearBelief, given: LinearRows, tails: FloatArray) -> FloatArray:
    """Return the squared distances (n,) of learned observations as if each were left out (`BayesianLinear`)."""
    precision = given.weight * tails
    spread = ((given.rows @ belief.covariance) * given.rows).sum(axis=1)
    leverage = spread / np.maximum(1.0 - precision * spread, LEAST_LEFT)
    residual = (given.y - given.rows @ belief.mean) * (1.0 + precision * leverage)
    return np.asarray(residual**2 / (belief.noise * (1.0 + leverage)))

"""Bayesian linear regression with unknown noise (normal-inverse-gamma), learned online in any order."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TypeAlias

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.models.block_gaussian import weight_belief
from bandit.models.gaussian import Gaussian
from bandit.models.rates_of_change import RatesOfChange
from bandit.models.tail_weights import MEDIAN_DEVIATION, tail_weights

LINEAR_BLOCK = 128
"""Observations learned at once: the n x n system stays small beside the D x D covariance."""


MAX_REWEIGHTINGS = 20
"""Most rounds in which the robust weights of observations that are learned at once are found."""

REWEIGHTED = 1e-3
"""Largest change of a robust weight at which the rounds end."""


LinearSnapshot: TypeAlias = tuple[FloatArray, Sequence[FloatArray], float, float]
"""A belief's mean, the covariances of its parts, and the shape and rate of the noise."""


class BayesianLinear:
    """y = row @ w + noise; w | s2 ~ N(prior, s2 x covariance), s2 ~ InverseGamma(shape, rate).

    The conjugate update of Murphy, "Machine Learning: A Probabilistic Perspective" (2012), section 7.6.3, applied
    block by block; exact, so the order and the split of the observations do not matter except for rounding.
    """

    def __init__(
        self,
        mean: FloatArray,
        variance: FloatArray,
        shape: float = 2.0,
        rate: float = 1.0,
        blocks: IntArray | None = None,
    ) -> None:
        """Start from independent weights (D,); with `blocks` (D,), the covariance between blocks is dropped."""
        self.weights = weight_belief(mean, variance, blocks)
        self.shape = float(shape)
        self.rate = float(rate)
        self._start = self.shape, self.rate
        self.rates: RatesOfChange | None = None
        """Sees every observation before it is learned, where the weights move as time passes."""

    @property
    def noise(self) -> float:
        """The expected variance of the noise."""
        return self.rate / max(self.shape - 1.0, 0.5)

    def decay(self, kept: float) -> None:
        """Keep a share of what was learned of the noise; `Prior.decay` does the same for the weights."""
        shape, rate = self._start
        self.shape = shape + kept * (self.shape - shape)
        self.rate = rate + kept * (self.rate - rate)

    def update(
        self, rows: FloatArray, y: FloatArray, times: FloatArray | None = None, tails: FloatArray | None = None
    ) -> None:
        """Learn n observations: rows (n, D), y (n,), as often as `times` (n,) above 0 says, once by default.

        An observation that is learned s times counts as s equal ones: the sums that the belief depends on are the same
        as those of one row and y times sqrt(s), and the shape grows by s / 2. `tails` (n,) in (0, 1] are robust weights
        (`tail_weights`): an observation of weight w has noise of variance 1 / w for the weights, and adds w times its
        weighted squared residual to the noise (Huber's proposal 2: Huber 1964, "Robust estimation of a location
        parameter"), so that one far away adds nothing.
        """
        if times is not None:
            root = np.sqrt(times)
            self.update(root[:, None] * rows, root * y, tails=tails)
            self.shape += 0.5 * (float(times.sum()) - len(y))
            return
        if tails is not None:
            self._weighted(rows, y, tails, 1.0)
            return
        for start in range(0, len(y), LINEAR_BLOCK):
            block, observed = rows[start : start + LINEAR_BLOCK], y[start : start + LINEAR_BLOCK]
            residual = observed - block @ self.weights.mean
            if self.rates is not None and self.rates.watches:
                self.rates.see_amounts(block, self.weights.gain(block), residual, self.weights, self.noise)
            self.rate += 0.5 * self.weights.squared_residual(block, residual, 1.0)
            self.shape += 0.5 * len(observed)
            self.weights.condition(block, residual, np.ones(len(observed)))

    def learn_one(self, row: FloatArray, y: float, robust: bool = False) -> float:
        """Learn one observation, row (D,), with the results of `update`; return the robust weight it was learned with.

        The weight is 1 unless `robust` weighs the observation by its distance from its prediction.
        """
        belief = self.weights
        tail = 1.0
        if not isinstance(belief, Gaussian):
            rows, seen = row[None], np.array([y])
            tails = tail_weights(self.predictive_squares(rows, seen)) if robust else np.ones(1)
            self.update(rows, seen, tails=tails if tails[0] < 1.0 else None)
            return float(tails[0])
        residual, gain = y - float(row @ belief.mean), row @ belief.covariance
        if robust:
            square = residual**2 / (self.noise * (1.0 + float(np.add.reduce(gain * row))))
            tail = float(tail_weights(np.array(square)))
        if tail < 1.0:
            scale = sqrt(tail)
            row = scale * row
            residual, gain = scale * y - float(row @ belief.mean), row @ belief.covariance
        elif self.rates is not None and self.rates.watches:
            self.rates.see_amounts(row[None], gain[None], np.array([residual]), belief, self.noise)
        root = sqrt(1.0 + float(gain @ row))
        half = residual / root
        self.rate += 0.5 * half * (tail * half)
        self.shape += 0.5
        gain *= 1.0 / root
        belief.mean += gain * half
        belief.observe(gain[None], row[None], np.array([[root]]), np.ones(1))
        return tail

    def retract(
        self, rows: FloatArray, y: FloatArray, times: FloatArray | None = None, tails: FloatArray | None = None
    ) -> None:
        """Remove observations that were learned before, exactly; `times` and `tails` as they were learned."""
        if times is not None:
            root = np.sqrt(times)
            self.retract(root[:, None] * rows, root * y, tails=tails)
            self.shape -= 0.5 * (float(times.sum()) - len(y))
            return
        if tails is not None:
            self._weighted(rows, y, tails, -1.0)
            return
        for start in range(0, len(y), LINEAR_BLOCK):
            block, observed = rows[start : start + LINEAR_BLOCK], y[start : start + LINEAR_BLOCK]
            residual = observed - block @ self.weights.mean
            if self.rates is not None and self.rates.watches:
                self.rates.remove_amounts(block, self.weights.gain(block), residual, self.weights)
            learned = 0.5 * self.weights.squared_residual(block, residual, -1.0)
            # Without the covariances between blocks, a little more may seem to have been learned than was.
            self.rate = max(self.rate - learned, 0.5 * self._start[1])
            self.shape -= 0.5 * len(observed)
            self.weights.downdate(block, residual, np.ones(len(observed)))

    def replace(self, rows: FloatArray, previous_y: FloatArray, y: FloatArray, times: FloatArray | None = None) -> None:
        """Learn observations `y` (n,) in place of `previous_y` (n,), learned before from the same rows, as often.

        A row may be there several times, as where an observation was corrected twice: then it is `y` of the first and
        `previous_y` of the second.
        """
        if self._can_remove(rows, times):
            self.retract(rows, previous_y, times)
            self.update(rows, y, times)
        else:
            self.update(rows, y, times)
            self.retract(rows, previous_y, times)

    def _can_remove(self, rows: FloatArray, times: FloatArray | None) -> bool:
        """Whether the belief holds as much as these rows say, all at once: it does not where one is there twice."""
        own = rows if times is None else np.sqrt(times)[:, None] * rows
        try:
            if len(own) > self.weights.size:  # as many rows at once come with a whole covariance alone
                own = np.linalg.cholesky(self.weights.covariances[0]).T @ own.T
                system = -(own @ own.T)
            else:
                system = -(self.weights.gain(own) @ own.T)
            system[np.diag_indices_from(system)] += 1.0
            np.linalg.cholesky(system)
        except np.linalg.LinAlgError:
            return False
        return True

    def _weighted(self, rows: FloatArray, y: FloatArray, tails: FloatArray, sign: float) -> None:
        """Learn observations of robust weights (sign 1) or remove them (sign -1)."""
        root = np.sqrt(tails)
        rows, y = root[:, None] * rows, root * y
        change = self.weights.condition if sign > 0.0 else self.weights.downdate
        for start in range(0, len(y), LINEAR_BLOCK):
            part = slice(start, start + LINEAR_BLOCK)
            residual = y[part] - rows[part] @ self.weights.mean
            added = 0.5 * self.weights.squared_residual(rows[part], residual, sign, tails[part])
            # What a weighted observation added depends on the others then learned: a rate of 0 is never reached.
            self.rate = max(self.rate + sign * added, 0.1 * self.rate)
            self.shape = max(self.shape + sign * 0.5 * len(residual), 1.0)
            change(rows[part], residual, np.ones(len(residual)))

    def predictive_squares(self, rows: FloatArray, y: FloatArray) -> FloatArray:
        """Return the squared distances (n,) of new observations from their predictions, in predictive variances."""
        leverage = self.weights.spread(rows)
        return np.asarray((y - rows @ self.weights.mean) ** 2 / (self.noise * (1.0 + leverage)))

    def left_out_squares(self, rows: FloatArray, y: FloatArray, tails: FloatArray) -> FloatArray:
        """Return `predictive_squares` (n,) of learned observations of these robust weights as if each were left out.

        With h its leverage without it and w its weight, the residual without it is the present one x (1 + w h) (Cook &
        Weisberg 1982, "Residuals and influence in regression").
        """
        leverage = self.weights.spread_without(rows, tails)
        residual = (y - rows @ self.weights.mean) * (1.0 + tails * leverage)
        return np.asarray(residual**2 / (self.noise * (1.0 + leverage)))

    def snapshot(self) -> LinearSnapshot:
        """Return a copy of the belief, for `reset_to`."""
        return self.weights.mean.copy(), [part.copy() for part in self.weights.covariances], self.shape, self.rate

    def reset_to(self, snapshot: LinearSnapshot) -> None:
        """Return to an earlier belief."""
        mean, covariances, self.shape, self.rate = snapshot
        self.weights.assign_parts(mean.copy(), [part.copy() for part in covariances])

    def joint_tails(self, rows: FloatArray, y: FloatArray) -> FloatArray:
        """Return the robust weights (n,) of observations that are learned at once, at their joint fixed point.

        Iteratively reweighted: from the median of y, each round learns all with the present weights, and weighs each by
        its distance from what the others predict.
        """
        start = self.snapshot()
        middle = float(np.median(y))
        spread = MEDIAN_DEVIATION * float(np.median(np.abs(y - middle)))
        squares = ((y - middle) / spread) ** 2 if spread > 0.0 else self.predictive_squares(rows, y)
        tails = tail_weights(squares)
        for _ in range(MAX_REWEIGHTINGS):
            self.update(rows, y, tails=tails)
            found = tail_weights(self.left_out_squares(rows, y, tails))
            self.reset_to(start)
            change, tails = float(np.abs(found - tails).max(initial=0.0)), found
            if change < REWEIGHTED:
                break
        return tails

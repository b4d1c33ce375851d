"""Bayesian logistic regression, learned online by Laplace steps, or all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import exp

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from bandit.domain import FloatArray, IntArray
from bandit.models.block_gaussian import BlockGaussian, weight_belief
from bandit.models.gaussian import solve_positive
from bandit.models.newton_sums import NewtonSums
from bandit.models.prior import Prior
from bandit.models.rates_of_change import RatesOfChange

LOGISTIC_BLOCK = 128
"""Outcomes learned at once: within a block the mode is exact; larger ones cost more per outcome."""

BLOCK_PASSES = 3
"""Passes of online learning with which `fit` learns a belief in blocks."""

_STEPS = 30
_TOLERANCE = 1e-10

Batches = Callable[[], Iterable[tuple[FloatArray, FloatArray, FloatArray]]]
"""Yields the same (rows (n, D), y (n,), weight (n,)) at every call, in batches."""


class BayesianLogistic:
    """P(y = 1) = sigmoid(row @ w + offset), w ~ N(mean, covariance).

    Each block of outcomes moves the belief to the mode of (belief x likelihood) and the curvature there: Newton's
    method in the space of the outcomes (Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006),
    algorithm 3.1), and the covariance by the matrix inversion lemma. One outcome is a block of one.
    An outcome of weight 0.4 counts as four tenths of an outcome.
    """

    def __init__(self, mean: FloatArray, variance: FloatArray, blocks: IntArray | None = None) -> None:
        """Start from independent weights (D,); with `blocks` (D,), the covariance between blocks is dropped."""
        self.weights = weight_belief(mean, variance, blocks)
        self.rates: RatesOfChange | None = None
        """Sees every outcome before it is learned, where the weights move as time passes."""

    def update(
        self,
        rows: FloatArray,
        y: FloatArray,
        weight: FloatArray | None = None,
        offset: FloatArray | None = None,
        block: int = LOGISTIC_BLOCK,
    ) -> None:
        """Learn n outcomes: rows (n, D), y (n,) of 0 and 1, weights (n,) above 0, offsets of the score (n,).

        They are learned `block` at a time.
        """
        n = len(y)
        share = np.ones(n) if weight is None else weight
        shift = np.zeros(n) if offset is None else offset
        if n == 1:
            self.learn_one(rows[0], float(y[0]), float(share[0]), float(shift[0]))
            return
        for start in range(0, n, block):
            part = slice(start, start + block)
            self._learn(rows[part], y[part], share[part], shift[part])

    def learn_one(
        self, row: FloatArray, y: float, weight: float, offset: float, extra: float = 0.0
    ) -> tuple[float, float]:
        """Learn one outcome, O(D^2): the mode lies on a line, so that Newton's method needs scalars only.

        `extra` is the variance of a part of the score beside `row @ w`, of which `offset` is the mean. Returns the dual
        and the information (`update_shared`).
        """
        belief = self.weights
        gain = belief.gain_one(row)
        spread = float(gain @ row) + extra
        start = float(row @ belief.mean) + offset
        if self.rates is not None and self.rates.watches:
            self.rates.see_one(row, gain, y, weight, offset, _sigmoid(start), float(belief.mean[0]))
        dual, low, high = 0.0, -weight, weight
        for _ in range(_STEPS):
            p = _sigmoid(start + spread * dual)
            residual = weight * (y - p) - dual
            if abs(residual) < _TOLERANCE:
                break
            # The residual falls as the dual rises: the root stays in the bracket, and Newton's step is kept in it.
            low, high = (dual, high) if residual > 0.0 else (low, dual)
            dual += residual / (1.0 + weight * p * (1.0 - p) * spread)
            if not low < dual < high:
                dual = 0.5 * (low + high)
        p = _sigmoid(start + spread * dual)
        curvature = max(weight * p * (1.0 - p), 1e-12)
        information = curvature / (1.0 + curvature * spread)
        belief.mean += dual * gain
        belief.observe_one(row, gain, information, 1.0 / curvature + extra)
        return dual, information

    def update_shared(
        self, rows: FloatArray, y: FloatArray, weight: FloatArray, offset: FloatArray, extra: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Learn n outcomes at once whose scores have a part of their own beside `row @ w`.

        `offset` (n,) is the mean of that part and `extra` (n, n) its covariance between the outcomes. Returns, for the
        same update of the part: the dual vector (n,), by which covariances move the means, and the information (n, n)
        of the outcomes, inverse(1 / curvature + covariance of the scores).
        """
        if len(y) == 1:
            dual, information = self.learn_one(
                rows[0], float(y[0]), float(weight[0]), float(offset[0]), float(extra[0, 0])
            )
            return np.array([dual]), np.array([[information]])
        return self._learn(rows, y, weight, offset, extra)

    def restate(self, rows: FloatArray, change: FloatArray) -> None:
        """Replace the responses of outcomes learned before; `change` is weight x (new y - old y), (n,).

        At the mode, an outcome contributes (curvature x score + y - p) to the natural mean: with the curvature held
        where it was learned, another y changes it by the difference. To first order this is the belief that
        learning the new outcome would have given.
        """
        if self.rates is not None and self.rates.watches:
            self.rates.correct(rows, self.weights.gain(rows), change)
        p = expit(rows @ self.weights.mean)
        self.weights.shift(rows, change, np.abs(change) * p * (1.0 - p))

    def fit(
        self,
        batches: Batches,
        prior: Prior,
        rounds: int = 8,
        tolerance: float = 1e-3,
        sums: Callable[[FloatArray], NewtonSums] | None = None,
    ) -> None:
        """Learn all outcomes at once, from the prior, to the mode that the online updates approximate.

        Newton's method over the weights, a D x D system a pass; between passes the prior's variances are estimated.
        It ends when no weight moves by more than `tolerance` of its posterior deviations. With `sums`, which returns
        those of all outcomes at weights (D,), the batches are not read, except for a belief in blocks.
        """
        belief = self.weights
        if isinstance(belief, BlockGaussian):
            self._fit_blocks(belief, batches, prior, rounds)
            return
        belief.assign_parts(prior.center.copy(), [np.diag(prior.variance)])
        for turn in range(rounds):
            found = NewtonSums.of(batches(), belief.mean) if sums is None else sums(belief.mean)
            moved = found.step(belief, prior)
            if turn and moved < tolerance:
                return
            if turn < rounds - 2:  # the last passes converge under fixed variances
                prior.estimate(belief)

    def _fit_blocks(self, belief: BlockGaussian, batches: Batches, prior: Prior, rounds: int) -> None:
        """Learn all outcomes block by block from the prior, then move the mean towards the mode of all weights.

        Passes of online learning estimate the prior's variances and then give the blocks' covariances; the passes left
        solve one Newton system for the mean by conjugate gradients, with these covariances as the preconditioner
        (Nocedal & Wright, "Numerical Optimization" (2006), algorithm 5.3), so that no D x D matrix is needed.
        """
        for turn in range(BLOCK_PASSES):
            belief.start_over(prior.center, prior.variance)
            for rows, y, weight in batches():
                self.update(rows, y, weight)
            if turn < BLOCK_PASSES - 1:
                prior.estimate(belief)
        residual = (prior.center - belief.mean) / prior.variance
        for rows, y, weight in batches():
            residual += (weight * (y - expit(rows @ belief.mean))) @ rows
        step = np.zeros(belief.size)
        direction = scaled = belief.gain_one(residual)
        for _ in range(rounds - BLOCK_PASSES - 1):
            length = float(residual @ scaled)
            if length < 1e-12:
                break
            curved = direction / prior.variance
            for rows, _, weight in batches():
                p = expit(rows @ belief.mean)
                curved += (weight * p * (1.0 - p) * (rows @ direction)) @ rows
            size = length / float(direction @ curved)
            step += size * direction
            residual = residual - size * curved
            scaled = belief.gain_one(residual)
            direction = scaled + (float(residual @ scaled) / length) * direction
        belief.mean = belief.mean + _bounded(step, prior)

    def _learn(
        self, rows: FloatArray, y: FloatArray, weight: FloatArray, offset: FloatArray, extra: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Learn n outcomes at once: the mode in the space of the outcomes, n x n, then the covariance.

        Without `extra` the information is not computed: (n, 0).
        """
        belief = self.weights
        gain = belief.gain(rows)
        kernel = gain @ rows.T
        if extra is not None:
            kernel += extra
        start = rows @ belief.mean + offset
        if self.rates is not None and self.rates.watches:
            self.rates.see(rows, gain, y, weight, offset, start, float(belief.mean[0]))
        dual = laplace_dual(kernel, start, y, weight)
        p = expit(start + kernel @ dual)
        root = np.sqrt(np.maximum(weight * p * (1.0 - p), 1e-12))
        system = root[:, None] * kernel * root
        system[np.diag_indices_from(system)] += 1.0
        factor = np.asarray(np.linalg.cholesky(system))
        half = solve_triangular(factor, root[:, None] * gain, lower=True, check_finite=False)
        belief.mean += dual @ gain
        noise = np.ones(len(y))
        if extra is not None and belief.draws is not None:
            noise = np.asarray(np.linalg.cholesky(np.diag(noise) + root[:, None] * extra * root))
        belief.observe(half, root[:, None] * rows, factor, noise)
        if extra is None:
            return dual, np.empty((len(y), 0))
        share = solve_triangular(factor, np.diag(root), lower=True, check_finite=False)
        return dual, np.asarray(share.T @ share)


def laplace_dual(kernel: FloatArray, start: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the dual vector a at the mode: scores = start + kernel @ a, a = weight (y - sigmoid(scores))."""
    dual = np.zeros(len(y))
    for _ in range(_STEPS):
        scores = start + kernel @ dual
        p = expit(scores)
        gradient = weight * (y - p) - dual
        if np.abs(gradient).max() < _TOLERANCE:
            break
        root = np.sqrt(np.maximum(weight * p * (1.0 - p), 1e-12))
        system = root[:, None] * kernel * root
        system[np.diag_indices_from(system)] += 1.0
        # Newton: (I + W K) step = gradient, solved in its symmetric form.
        weighted = root * (kernel @ gradient)
        step = gradient - root * solve_positive(system, weighted)
        size, here = 1.0, _objective(kernel, start, y, weight, dual)
        while size > 1e-4 and _objective(kernel, start, y, weight, dual + size * step) < here:
            size *= 0.5
        dual = dual + size * step
    return dual


def _bounded(step: FloatArray, prior: Prior) -> FloatArray:
    """Return the step, shortened where it would move a weight by more than three of its prior's deviations."""
    return np.asarray(step / max(1.0, float(np.abs(step / np.sqrt(prior.variance)).max()) / 3.0))


def _sigmoid(score: float) -> float:
    if score >= 0.0:
        return 1.0 / (1.0 + exp(-score))
    odds = exp(max(score, -700.0))
    return odds / (1.0 + odds)


def _objective(kernel: FloatArray, start: FloatArray, y: FloatArray, weight: FloatArray, dual: FloatArray) -> float:
    """Return the log posterior, up to a constant, at the weights of this dual vector."""
    move = kernel @ dual
    scores = start + move
    return float(np.sum(weight * (y * scores - np.logaddexp(0.0, scores))) - 0.5 * dual @ move)

"""A Gaussian belief over D weights, held as mean and covariance and updated in place, O(D^2) an observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.blas import dger

from bandit.domain import FloatArray, IntArray
from bandit.models.moving_draws import MovingDraws

LEAST_LEFT = 1e-9
"""Least share of a variance that is left where an observation is taken out."""

COVARIANCE_ROWS = 64
"""Rows of the covariance from which the step of one observation is subtracted at once."""


class Gaussian:
    """N(mean, covariance) over D weights; it starts from independent weights of the given variances."""

    def __init__(self, mean: FloatArray, variance: FloatArray) -> None:
        self.mean = np.array(mean, dtype=np.float64)
        self.covariance = np.diag(np.asarray(variance, dtype=np.float64))
        self._factor: FloatArray | None = None
        self.draws: MovingDraws | None = None
        """Draws that move with the belief, where they are wanted."""

    def assign(self, mean: FloatArray, covariance: FloatArray) -> None:
        """Replace mean and covariance."""
        self.mean, self.covariance, self._factor = mean, covariance, None
        if self.draws is not None:
            self.draws.stale = True

    def settle(self) -> None:
        """Make the moving draws anew where the belief changed otherwise than by observations; ends every update."""
        if self.draws is not None and self.draws.stale:
            self.draws.renew(self.size, lambda normal: np.asarray(normal @ positive_root(self.covariance).T))

    def draw(self, draws: int, width: float, rng: Generator) -> FloatArray:
        """Return (draws, D) weights drawn from the belief, their deviation from the mean scaled by `width`.

        The D x D factor is kept until the belief changes.
        """
        if self._factor is None:
            self._factor = positive_root(self.covariance)
        normal = rng.standard_normal((draws, self.size))
        return np.asarray(self.mean + width * (normal @ self._factor.T))

    def replace_prior(
        self, old: tuple[FloatArray, FloatArray], new: tuple[FloatArray, FloatArray], kept: float = 1.0
    ) -> None:
        """Replace the prior (mean (D,), variance (D,)) that this belief started from, and keep a share of the rest.

        Precision and natural mean are sums of the prior's and the observations': the prior's part is replaced, the
        observations' part is multiplied by `kept`. With `kept` below 1 this is forgetting that ends at the prior,
        never at zero precision (stabilised forgetting: Kulhavy & Zarrop 1993, "On a general concept of forgetting").
        Solved in units of the new prior's deviations, so that the system is well conditioned for any prior.
        """
        precision = solve_positive(self.covariance, np.eye(self.size))
        learned = 0.5 * kept * (precision + precision.T)
        natural = kept * (precision @ self.mean - old[0] / old[1])
        learned[np.diag_indices_from(learned)] -= kept / old[1]
        deviation = np.sqrt(new[1])
        system = deviation[:, None] * learned * deviation
        system[np.diag_indices_from(system)] += 1.0
        covariance = deviation[:, None] * solve_positive(system, np.eye(self.size)) * deviation
        covariance = 0.5 * (covariance + covariance.T)
        self.assign(covariance @ (natural + new[0] / new[1]), covariance)

    def evolve(self, kept: FloatArray, center: FloatArray, variance: FloatArray) -> None:
        """Let the weights move: each becomes center + kept (w - center) + a normal step of `variance`; (D,) each.

        O(D^2) and in place; O(D) where every weight is kept whole. With
        variance = (1 - kept^2) x the prior's, the weights have their prior's distribution in the long run
        (West & Harrison, "Bayesian Forecasting and Dynamic Models" (1997), section 4.2).
        """
        if kept.min() == 1.0 and not variance.any():
            return
        self._factor = None
        if kept.min() < 1.0:
            self.mean = center + kept * (self.mean - center)
            self.covariance *= kept[:, None]
            self.covariance *= kept
        self.covariance[np.diag_indices(self.size)] += variance
        if self.draws is not None:
            self.draws.evolve(kept, variance)

    @property
    def size(self) -> int:
        """The number of weights, D."""
        return len(self.mean)

    @property
    def diagonal(self) -> FloatArray:
        """The (D,) variances of the weights."""
        return np.diag(self.covariance)

    @property
    def held(self) -> int:
        """How many covariances are held, D^2."""
        return self.size * self.size

    @property
    def parts(self) -> Sequence[IntArray]:
        """The places of all weights: one part, within which the covariance is held."""
        return [np.arange(self.size)]

    def gain(self, rows: FloatArray) -> FloatArray:
        """Return rows @ covariance, (n, D)."""
        return np.asarray(rows @ self.covariance)

    def gain_one(self, row: FloatArray) -> FloatArray:
        """Return covariance @ row, (D,)."""
        return np.asarray(self.covariance @ row)

    @property
    def covariances(self) -> Sequence[FloatArray]:
        """The covariance of the one part."""
        return [self.covariance]

    def spread(self, rows: FloatArray) -> FloatArray:
        """Return the (n,) variances of linear functions (n, D) of the weights."""
        return np.asarray((self.gain(rows) * rows).sum(axis=1))

    def spread_without(self, rows: FloatArray, precision: FloatArray) -> FloatArray:
        """Return the variances (n,) of functions that were learned with this precision (n,), each if it were not.

        With s the present variance and w the precision, s / (1 - w s).
        """
        own = self.spread(rows)
        return np.asarray(own / np.maximum(1.0 - precision * own, LEAST_LEFT))

    def squared_residual(
        self, rows: FloatArray, residual: FloatArray, sign: float, tails: FloatArray | None = None
    ) -> float:
        """Return the squared residual in units of its predictive variance, with noise of variance 1.

        `sign` is 1 before the rows (n, D) are learned, and -1 while the belief still holds them; `tails` (n,) are
        factors of the squares.
        """
        system = sign * (rows @ self.covariance @ rows.T)
        system[np.diag_indices_from(system)] += 1.0
        half = np.linalg.solve(np.linalg.cholesky(system), residual)
        return float(half @ half if tails is None else half @ (tails * half))

    def condition(self, rows: FloatArray, residual: FloatArray, variance: FloatArray) -> None:
        """Learn n noisy linear observations at once (the matrix inversion lemma, n x n to solve).

        `rows` (n, D), `residual` = observed - rows @ mean (n,), `variance` of each observation's noise (n,).
        """
        self._observe(rows, residual, variance, 1.0)

    def downdate(self, rows: FloatArray, residual: FloatArray, variance: FloatArray) -> None:
        """Remove what `condition` learned from the same rows; `residual` = observed - rows @ (present mean)."""
        self._observe(rows, residual, variance, -1.0)

    def _observe(self, rows: FloatArray, residual: FloatArray, variance: FloatArray, sign: float) -> None:
        """Add observations (sign 1) or remove them (sign -1)."""
        gain = rows @ self.covariance
        system = sign * (gain @ rows.T)
        system[np.diag_indices_from(system)] += variance
        factor = np.asarray(np.linalg.cholesky(system))
        half = solve_triangular(factor, gain, lower=True, check_finite=False)
        self.mean += sign * (half.T @ solve_triangular(factor, residual, lower=True, check_finite=False))
        if sign > 0.0:
            self.observe(half, rows, factor, np.sqrt(variance))
        else:
            self.widen(half)

    def observe(self, half: FloatArray, rows: FloatArray, factor: FloatArray, noise: FloatArray) -> None:
        """Subtract half' half from the covariance, with `half` (n, D), for what `MovingDraws.condition` describes.

        A product of a matrix with its own transpose is symmetric to the last bit, so the covariance stays symmetric.
        """
        self._factor = None
        if self.draws is not None:
            self.draws.condition(rows, half, factor, noise)
        if len(half) > 1:
            self.covariance -= half.T @ half
            return
        for start in range(0, self.size, COVARIANCE_ROWS):  # in parts, which stay in the cache
            part = slice(start, start + COVARIANCE_ROWS)
            self.covariance[part] -= half[0, part, None] * half

    def widen(self, half: FloatArray) -> None:
        """Add half' half to the covariance, with `half` (n, D)."""
        self._factor = None
        if self.draws is not None:
            self.draws.widen(half)
        self.covariance += half.T @ half

    def observe_one(self, row: FloatArray, gain: FloatArray, amount: float, noise: float) -> None:
        """Subtract amount x gain gain' from the covariance, in place and without a copy of it: one observation.

        `row` (D,), gain = covariance row, amount = 1 / (variance of the prediction), and the variance of the noise.
        """
        self._factor = None
        if self.draws is not None:
            self.draws.condition_one(row, gain, amount, noise)
        scaled = np.sqrt(amount) * gain
        # The transpose of a C-ordered array is in Fortran's order, which BLAS updates in place.
        dger(-1.0, scaled, scaled, a=self.covariance.T, overwrite_a=1)

    def shift(
        self,
        rows: FloatArray,
        change: FloatArray,
        precision: FloatArray,  # noqa: ARG002 - as `WeightBelief` has it
    ) -> None:
        """Correct n observations: `change` (n,) is their `precision` x the change of what was seen.

        Adds rows' @ change to the natural mean (the belief's precision x its mean), whatever the precisions are.
        """
        self.mean += (change @ rows) @ self.covariance

    def grow(
        self,
        places: IntArray,
        mean: FloatArray,
        variance: FloatArray,
        blocks: IntArray | None = None,  # noqa: ARG002 - as `WeightBelief` has it
    ) -> None:
        """Embed the weights in a larger belief at `places`; the other weights get the prior `mean` and `variance`.

        `blocks` are those of a belief in blocks: all of this one's covariance is held.

        Exact, not an approximation: a weight whose column was 0 in every observation still has its prior,
        independent of the rest.
        """
        grown = np.diag(variance)
        grown[np.ix_(places, places)] = self.covariance
        new_mean = np.array(mean, dtype=np.float64)
        new_mean[places] = self.mean
        self.mean, self.covariance, self._factor = new_mean, grown, None
        if self.draws is not None:
            self.draws.grow(places, variance)

    def assign_parts(self, mean: FloatArray, covariances: Sequence[FloatArray]) -> None:
        """Replace the mean and the one part's covariance."""
        self.assign(mean, covariances[0])

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return the covariance, for `restore`."""
        return {"covariance": self.covariance}

    def restore(
        self,
        mean: FloatArray,
        arrays: Mapping[str, NDArray[np.generic]],
        variance: FloatArray,  # noqa: ARG002 - as `WeightBelief` has it
    ) -> None:
        """Load mean and `state`, whatever the prior's (D,) `variance`; ValueError or KeyError where they do not fit."""
        covariance = np.array(arrays["covariance"], dtype=np.float64)
        if mean.shape != (self.size,) or covariance.shape != (self.size, self.size):
            raise ValueError(f"it is of a belief over {len(mean)} weights; these offers have {self.size}")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ValueError("it has numbers that are not finite")
        self.assign(mean, covariance)


def positive_root(covariance: FloatArray) -> FloatArray:
    """Return the Cholesky factor; where rounding made the matrix singular, of the matrix plus 1e-9 of its largest."""
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        jitter = 1e-9 * float(np.diag(covariance).max()) * np.eye(len(covariance))
        return np.asarray(np.linalg.cholesky(covariance + jitter))


def solve_positive(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a symmetric positive definite system by Cholesky factors."""
    return np.asarray(cho_solve(cho_factor(matrix, lower=True, check_finite=False), right, check_finite=False))

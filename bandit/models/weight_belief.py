"""What models ask of a Gaussian belief over D weights, however it holds the covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bandit.domain import FloatArray, IntArray
from bandit.models.moving_draws import MovingDraws


class WeightBelief(Protocol):
    """N(mean, covariance) over D weights: `Gaussian` holds all of the covariance, `BlockGaussian` blocks of it.

    A row (D,) is a linear function of the weights; its gain is covariance @ row.
    """

    mean: FloatArray
    draws: MovingDraws | None

    @property
    def size(self) -> int:
        """The number of weights, D."""

    @property
    def diagonal(self) -> FloatArray:
        """The (D,) variances of the weights."""

    @property
    def held(self) -> int:
        """How many covariances are held: learning one outcome takes time by their number."""

    @property
    def parts(self) -> Sequence[IntArray]:
        """The places of the weights in each part; between parts there is no covariance."""

    def gain(self, rows: FloatArray) -> FloatArray:
        """Return rows @ covariance, (n, D)."""

    def gain_one(self, row: FloatArray) -> FloatArray:
        """Return covariance @ row, (D,)."""

    @property
    def covariances(self) -> Sequence[FloatArray]:
        """The covariance of each of the `parts`."""

    def spread(self, rows: FloatArray) -> FloatArray:
        """Return the (n,) variances of linear functions (n, D) of the weights."""

    def spread_without(self, rows: FloatArray, precision: FloatArray) -> FloatArray:
        """Return the variances (n,) of functions that were learned with this precision (n,), each if it were not."""

    def squared_residual(
        self, rows: FloatArray, residual: FloatArray, sign: float, tails: FloatArray | None = None
    ) -> float:
        """Return the squared residual in units of its predictive variance, with noise of variance 1.

        `sign` is 1 before the rows (n, D) are learned, and -1 while the belief still holds them; `tails` (n,) are
        factors of the squares.
        """

    def draw(self, draws: int, width: float, rng: Generator) -> FloatArray:
        """Return (draws, D) weights drawn from the belief, their deviation from the mean scaled by `width`."""

    def settle(self) -> None:
        """Make the moving draws anew where the belief changed otherwise than by observations; ends every update."""

    def condition(self, rows: FloatArray, residual: FloatArray, variance: FloatArray) -> None:
        """Learn n observations (`Gaussian.condition`)."""

    def downdate(self, rows: FloatArray, residual: FloatArray, variance: FloatArray) -> None:
        """Remove what `condition` learned from the same rows (`Gaussian.downdate`)."""

    def observe(self, half: FloatArray, rows: FloatArray, factor: FloatArray, noise: FloatArray) -> None:
        """Subtract half' half from the covariance (`Gaussian.observe`)."""

    def observe_one(self, row: FloatArray, gain: FloatArray, amount: float, noise: float) -> None:
        """Subtract amount x gain gain' from the covariance (`Gaussian.observe_one`)."""

    def shift(self, rows: FloatArray, change: FloatArray, precision: FloatArray) -> None:
        """Correct n observations of this precision (n,): `change` (n,) is precision x the change of what was seen."""

    def replace_prior(
        self, old: tuple[FloatArray, FloatArray], new: tuple[FloatArray, FloatArray], kept: float = 1.0
    ) -> None:
        """Replace the prior, and keep a share of the rest (`Gaussian.replace_prior`)."""

    def evolve(self, kept: FloatArray, center: FloatArray, variance: FloatArray) -> None:
        """Let the weights move: center + kept (w - center) + a normal step of `variance` (`Gaussian.evolve`)."""

    def grow(self, places: IntArray, mean: FloatArray, variance: FloatArray, blocks: IntArray | None = None) -> None:
        """Embed the weights in a larger belief at `places`; `blocks` (D,) are the numbers of all weights' blocks."""

    def assign_parts(self, mean: FloatArray, covariances: Sequence[FloatArray]) -> None:
        """Replace the mean, and the covariance of each of `parts`."""

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return the covariance as arrays, for `restore`."""

    def restore(self, mean: FloatArray, arrays: Mapping[str, NDArray[np.generic]], variance: FloatArray) -> None:
        """Load mean and `state` under a prior of (D,) `variance`; ValueError or KeyError where they do not fit."""

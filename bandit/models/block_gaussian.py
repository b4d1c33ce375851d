"""A Gaussian belief over very many weights, whose covariance is held in blocks: O(sum of the blocks' squares)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from bandit.domain import FloatArray, IntArray
from bandit.models.block_stacks import BlockStack, roots, stacks_of, symmetric
from bandit.models.gaussian import LEAST_LEFT, Gaussian
from bandit.models.moving_draws import MovingDraws
from bandit.models.weight_belief import WeightBelief

ROWS_AT_ONCE = 128
"""Most observations that are removed or corrected at once: each block solves a system of their number."""

PAIR_CELLS = 2_000_000
"""Most numbers of the blocks' n x n systems that are held at once."""


class BlockGaussian:
    """N(mean, covariance) over D weights in blocks, between which the covariance is 0.

    An observation y = row w + noise is shared by all blocks according to their variances: each gain is divided by the
    noise + the sum of all blocks' predictive variances, which gives each block its exact marginal posterior. The
    covariances between blocks that the observation causes are dropped: an assumed-density step (Opper 1998, "A Bayesian
    approach to on-line learning"; of a factored Gaussian as in Minka 2001, "A family of algorithms for approximate
    Bayesian inference", section 3.3). Seen from a block, an observation is one of itself alone, with the variance of
    the other blocks' part added to the noise.

    Moving draws take the same steps with the same gains, and keep the covariances that the steps cause between blocks:
    they are draws of the error of the belief's mean.
    """

    def __init__(self, mean: FloatArray, variance: FloatArray, blocks: IntArray) -> None:
        """Start from independent weights; `blocks` (D,) are the numbers of the weights' blocks."""
        self.mean = np.array(mean, dtype=np.float64)
        self.draws: MovingDraws | None = None
        self._prior = np.array(variance, dtype=np.float64)
        self._blocks = blocks
        self._stacks = stacks_of(blocks, self._prior)
        self._factors: list[FloatArray] | None = None

    @staticmethod
    def of(belief: Gaussian, variance: FloatArray, blocks: IntArray) -> BlockGaussian:
        """Return a belief under a prior of (D,) `variance` without its covariances between blocks; draws move along."""
        found = BlockGaussian(belief.mean, variance, blocks)
        for stack in found._stacks:
            stack.covariance[:] = belief.covariance[stack.places[:, :, None], stack.places[:, None, :]]
        found.draws = belief.draws
        return found

    @property
    def size(self) -> int:
        """The number of weights, D."""
        return len(self.mean)

    @property
    def diagonal(self) -> FloatArray:
        """The (D,) variances of the weights."""
        found = np.empty(self.size)
        for stack in self._stacks:
            found[stack.places] = np.diagonal(stack.covariance, axis1=1, axis2=2)
        return found

    @property
    def held(self) -> int:
        """How many covariances are held."""
        return sum(stack.covariance.size for stack in self._stacks)

    @property
    def parts(self) -> Sequence[IntArray]:
        """The places of the weights in each block."""
        return [places for stack in self._stacks for places in stack.places]

    @property
    def covariance(self) -> FloatArray:
        """The (D, D) covariance, zeros included: for small beliefs and for tests."""
        found = np.zeros((self.size, self.size))
        for stack in self._stacks:
            found[stack.places[:, :, None], stack.places[:, None, :]] = stack.covariance
        return found

    # -- linear functions ------------------------------------------------------------------------------------------

    def gain(self, rows: FloatArray) -> FloatArray:
        """Return rows @ covariance, (n, D)."""
        found = np.empty(rows.shape)
        for stack in self._stacks:
            found[:, stack.places] = np.matmul(stack.columns(rows), stack.covariance).transpose(1, 0, 2)
        return found

    def gain_one(self, row: FloatArray) -> FloatArray:
        """Return covariance @ row, (D,)."""
        found = np.empty(self.size)
        for stack in self._stacks:
            found[stack.places] = np.matmul(stack.covariance, row[stack.places][:, :, None])[:, :, 0]
        return found

    @property
    def covariances(self) -> Sequence[FloatArray]:
        """The covariance of each block."""
        return [covariance for stack in self._stacks for covariance in stack.covariance]

    def spread(self, rows: FloatArray) -> FloatArray:
        """Return the (n,) variances of linear functions (n, D) of the weights."""
        return np.asarray((self.gain(rows) * rows).sum(axis=1))

    def spread_without(self, rows: FloatArray, precision: FloatArray) -> FloatArray:
        """Return the variances (n,) of functions that were learned with this precision (n,), each if it were not.

        As for `Gaussian` in each block, where the variances of the others are part of the noise.
        """
        gain = self.gain(rows) * rows
        spreads = [gain[:, stack.places].sum(axis=2) for stack in self._stacks]
        total = sum((spread.sum(axis=1) for spread in spreads), np.zeros(len(rows)))
        found = np.zeros(len(rows))
        for own in spreads:
            seen = precision[:, None] / (1.0 + precision[:, None] * (total[:, None] - own))
            found += (own / np.maximum(1.0 - seen * own, LEAST_LEFT)).sum(axis=1)
        return found

    def squared_residual(
        self, rows: FloatArray, residual: FloatArray, sign: float, tails: FloatArray | None = None
    ) -> float:
        """Return the squared residual in units of its predictive variance, with noise of variance 1.

        `sign` is 1 before the rows (n, D) are learned, and -1 while the belief still holds them: with r the residual at
        the present mean and K the covariance of the predictions without the rows, the residual at the mean without
        them is (1 + K) r, and its square in units of 1 + K is r' (1 + K) r. `tails` (n,) are factors of the squares.
        """
        if sign > 0.0:
            system = self.gain(rows) @ rows.T
            system[np.diag_indices_from(system)] += 1.0
        else:
            system = np.eye(len(rows))
            for stack, blocks, widened in self._without(rows, np.ones(len(rows))):
                columns = stack.columns(rows)[blocks]
                system += np.matmul(np.matmul(columns, widened), columns.transpose(0, 2, 1)).sum(axis=0)
            system = np.asarray(
                np.linalg.inv(system), dtype=np.float64
            )  # 1 minus the covariance of the predictions with the rows
        half = np.linalg.solve(np.linalg.cholesky(system), residual)
        return float(half @ half if tails is None else half @ (tails * half))

    # -- draws -----------------------------------------------------------------------------------------------------

    def draw(self, draws: int, width: float, rng: Generator) -> FloatArray:
        """Return (draws, D) weights drawn from the belief, their deviation from the mean scaled by `width`."""
        return self.mean + width * self._times_root(rng.standard_normal((draws, self.size)))

    def settle(self) -> None:
        """Make the moving draws anew where the belief changed otherwise than by observations; ends every update."""
        if self.draws is not None and self.draws.stale:
            self.draws.renew(self.size, self._times_root)

    def _times_root(self, normal: FloatArray) -> FloatArray:
        """Return (M, D) standard normal numbers times a root of the covariance, which is kept until this changes."""
        if self._factors is None:
            self._factors = [roots(stack.covariance) for stack in self._stacks]
        found = np.empty(normal.shape)
        for stack, factor in zip(self._stacks, self._factors, strict=True):
            found[:, stack.places] = np.matmul(stack.columns(normal), factor.transpose(0, 2, 1)).transpose(1, 0, 2)
        return found

    def _changed(self) -> None:
        """Forget what was computed from the covariance before it changed otherwise than by observations."""
        self._factors = None
        if self.draws is not None:
            self.draws.stale = True

    # -- observations ----------------------------------------------------------------------------------------------

    def condition(self, rows: FloatArray, residual: FloatArray, variance: FloatArray) -> None:
        """Learn n observations: rows (n, D), residual = observed - rows @ mean (n,), variance of the noise (n,)."""
        gain = self.gain(rows)
        system = gain @ rows.T
        system[np.diag_indices_from(system)] += variance
        factor = np.asarray(np.linalg.cholesky(system))
        half = solve_triangular(factor, gain, lower=True, check_finite=False)
        self.mean += half.T @ solve_triangular(factor, residual, lower=True, check_finite=False)
        self.observe(half, rows, factor, np.sqrt(variance))

    def observe(self, half: FloatArray, rows: FloatArray, factor: FloatArray, noise: FloatArray) -> None:
        """Subtract half' half (n, D) within the blocks, for what `MovingDraws.condition` describes."""
        self._factors = None
        if self.draws is not None:
            self.draws.condition(rows, half, factor, noise)
        for stack in self._stacks:
            columns = stack.columns(half)
            stack.covariance -= symmetric(np.matmul(columns.transpose(0, 2, 1), columns))

    def observe_one(self, row: FloatArray, gain: FloatArray, amount: float, noise: float) -> None:
        """Subtract amount x gain gain' within the blocks: one observation, as in `Gaussian.observe_one`."""
        self._factors = None
        if self.draws is not None:
            self.draws.condition_one(row, gain, amount, noise)
        scaled = np.sqrt(amount) * gain
        for stack in self._stacks:
            columns = scaled[stack.places]
            stack.covariance -= np.einsum("bi,bj->bij", columns, columns)

    def downdate(self, rows: FloatArray, residual: FloatArray, variance: FloatArray) -> None:
        """Remove what `condition` learned from the same rows; `residual` = observed - rows @ (present mean).

        Exact for one block. With more, the other blocks' variances count as they are now, which are less than when the
        rows were learned: a little more is removed than was learned, but no block becomes wider than its prior.
        """
        before = self.mean.copy()
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            # What earlier parts removed has moved the mean.
            left = residual[part] - rows[part] @ (self.mean - before)
            scaled = (left / variance[part]) @ rows[part]
            for stack, blocks, widened in self._without(rows[part], variance[part]):
                stack.covariance[blocks] = widened
                places = stack.places[blocks]
                self.mean[places] -= np.matmul(widened, scaled[places][:, :, None])[:, :, 0]
        self._changed()

    def shift(self, rows: FloatArray, change: FloatArray, precision: FloatArray) -> None:
        """Correct n observations of this precision (n,): `change` (n,) is precision x the change of what was seen.

        Right after the observations were learned, this is what learning the corrected ones would have given.
        """
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            kernel, seen = self.gain(rows[part]) @ rows[part].T, rows[part]
            for stack, blocks in self._slices(len(seen)):
                places, columns = stack.places[blocks], stack.columns(seen)[blocks]
                gains = np.matmul(columns, stack.covariance[blocks])
                others = kernel - np.matmul(gains, columns.transpose(0, 2, 1))
                system = np.eye(len(seen)) + precision[part][:, None] * others
                moved = np.linalg.solve(system, np.broadcast_to(change[part][:, None], (len(places), len(seen), 1)))
                self.mean[places] += np.matmul(gains.transpose(0, 2, 1), moved)[:, :, 0]

    def _slices(self, n: int) -> Iterator[tuple[BlockStack, slice]]:
        """Yield parts of the stacks of which n x n numbers a block may be held."""
        at_once = max(1, PAIR_CELLS // max(1, n * n))
        for stack in self._stacks:
            for start in range(0, len(stack.places), at_once):
                yield stack, slice(start, start + at_once)

    def _without(self, rows: FloatArray, variance: FloatArray) -> Iterator[tuple[BlockStack, slice, FloatArray]]:
        """Yield the blocks' covariances without rows (n, D) that they learned, none wider than its prior."""
        kernel = self.gain(rows) @ rows.T
        kernel[np.diag_indices_from(kernel)] += variance
        for stack, blocks in self._slices(len(rows)):
            columns, covariance = stack.columns(rows)[blocks], stack.covariance[blocks]
            others = kernel - np.matmul(np.matmul(columns, covariance), columns.transpose(0, 2, 1))
            precision = np.linalg.inv(covariance) - np.matmul(
                columns.transpose(0, 2, 1), np.linalg.solve(others, columns)
            )
            deviation = np.sqrt(self._prior[stack.places[blocks]])
            size, axes = np.linalg.eigh(symmetric(deviation[:, :, None] * precision * deviation[:, None, :]))
            scaled = deviation[:, :, None] * axes
            yield (
                stack,
                blocks,
                symmetric(np.matmul(scaled / np.maximum(size, 1.0)[:, None, :], scaled.transpose(0, 2, 1))),
            )

    # -- prior and size --------------------------------------------------------------------------------------------

    def replace_prior(
        self, old: tuple[FloatArray, FloatArray], new: tuple[FloatArray, FloatArray], kept: float = 1.0
    ) -> None:
        """Replace the prior in each block, and keep a share of the rest (`Gaussian.replace_prior`)."""
        natural_prior, mean = old[0] / old[1], np.empty(self.size)
        for stack in self._stacks:
            places, diagonal = stack.places, np.arange(stack.places.shape[1])
            precision = symmetric(np.linalg.inv(stack.covariance))
            natural = kept * (np.matmul(precision, self.mean[places][:, :, None])[:, :, 0] - natural_prior[places])
            deviation = np.sqrt(new[1][places])
            precision[:, diagonal, diagonal] -= 1.0 / old[1][places]
            system = kept * deviation[:, :, None] * precision * deviation[:, None, :]
            system[:, diagonal, diagonal] += 1.0
            found = symmetric(deviation[:, :, None] * np.linalg.inv(system) * deviation[:, None, :])
            stack.covariance = found
            mean[places] = np.matmul(found, (natural + (new[0] / new[1])[places])[:, :, None])[:, :, 0]
        self.mean, self._prior = mean, np.array(new[1], dtype=np.float64)
        self._changed()

    def evolve(self, kept: FloatArray, center: FloatArray, variance: FloatArray) -> None:
        """Let the weights move: each becomes center + kept (w - center) + a normal step of `variance`; (D,) each."""
        if kept.min() == 1.0 and not variance.any():
            return
        self._factors = None
        self.mean = center + kept * (self.mean - center)
        for stack in self._stacks:
            shares, diagonal = kept[stack.places], np.arange(stack.places.shape[1])
            stack.covariance *= shares[:, :, None] * shares[:, None, :]
            stack.covariance[:, diagonal, diagonal] += variance[stack.places]
        if self.draws is not None:
            self.draws.evolve(kept, variance)

    def start_over(self, mean: FloatArray, variance: FloatArray) -> None:
        """Forget everything, and start from independent weights (D,)."""
        self.mean, self._prior = np.array(mean, dtype=np.float64), np.array(variance, dtype=np.float64)
        self._stacks = stacks_of(self._blocks, self._prior)
        self._changed()

    def grow(self, places: IntArray, mean: FloatArray, variance: FloatArray, blocks: IntArray | None = None) -> None:
        """Embed the weights in a larger belief at `places`; the other weights get the prior `mean` and `variance`.

        `blocks` (D,) are the numbers of all weights' blocks; without them, new weights join block 0.
        """
        if blocks is None:
            blocks = np.zeros(len(mean), dtype=np.int64)
            blocks[places] = self._blocks
        grown = stacks_of(blocks, np.asarray(variance, dtype=np.float64))
        at = {int(blocks[own[0]]): (stack, place) for stack in grown for place, own in enumerate(stack.places)}
        for before in self._stacks:
            for own, covariance in zip(places[before.places], before.covariance, strict=True):
                stack, place = at[int(blocks[own[0]])]
                inside = np.searchsorted(stack.places[place], own)
                stack.covariance[place][np.ix_(inside, inside)] = covariance
        new_mean = np.array(mean, dtype=np.float64)
        new_mean[places] = self.mean
        self.mean, self._blocks, self._stacks = new_mean, blocks, grown
        self._prior, self._factors = np.array(variance, dtype=np.float64), None
        if self.draws is not None:
            self.draws.grow(places, variance)

    # -- state -----------------------------------------------------------------------------------------------------

    def assign_parts(self, mean: FloatArray, covariances: Sequence[FloatArray]) -> None:
        """Replace the mean, and the covariance of each of `parts`."""
        start = 0
        for stack in self._stacks:
            stack.covariance = np.array(covariances[start : start + len(stack.places)])
            start += len(stack.places)
        self.mean = mean
        self._changed()

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return the lower triangles of all blocks, one after the other, for `restore`."""
        triangles = [stack.covariance[:, *np.tril_indices(stack.places.shape[1])].ravel() for stack in self._stacks]
        return {"blocks": np.concatenate(triangles)}

    def restore(self, mean: FloatArray, arrays: Mapping[str, NDArray[np.generic]], variance: FloatArray) -> None:
        """Load mean and `state` under a prior of (D,) `variance`; ValueError or KeyError where they do not fit."""
        found = np.array(arrays["blocks"], dtype=np.float64)
        sizes = [stack.places.shape for stack in self._stacks]
        if mean.shape != (self.size,) or found.shape != (sum(b * s * (s + 1) // 2 for b, s in sizes),):
            raise ValueError(f"it is of a belief over {len(mean)} weights; these offers have {self.size}")
        if not (np.isfinite(mean).all() and np.isfinite(found).all()):
            raise ValueError("it has numbers that are not finite")
        start = 0
        for stack, (count, size) in zip(self._stacks, sizes, strict=True):
            n = count * size * (size + 1) // 2
            rows, columns = np.tril_indices(size)
            triangle = found[start : start + n].reshape(count, -1)
            stack.covariance[:, rows, columns] = stack.covariance[:, columns, rows] = triangle
            start += n
        self.mean, self._prior = mean, np.array(variance, dtype=np.float64)
        self._changed()


def weight_belief(mean: FloatArray, variance: FloatArray, blocks: IntArray | None) -> WeightBelief:
    """Return independent weights (D,), whose covariance will be held whole, or in `blocks` (D,)."""
    return Gaussian(mean, variance) if blocks is None else BlockGaussian(mean, variance, blocks)

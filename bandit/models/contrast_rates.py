"""How fast the weights of a model move: approximate filters of several half-lives, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log1p, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bandit.domain import FloatArray, IntArray
from bandit.models.level_rates import EVIDENCE_HALF_LIFE, MOVING_PENALTY, chosen_rate, finite, place_of
from bandit.models.prior import Prior
from bandit.models.weight_belief import WeightBelief

CONTRAST_HALF_LIVES = (np.inf, 480.0, 240.0, 120.0, 60.0)
"""The half-lives that are compared, in days: the time in which a weight's deviation from its prior mean halves."""

FOLLOWING_TOLERANCE = 2.0
"""Log evidence that a shorter half-life may lack: the filters' approximation costs the shorter ones as much."""

_ROWS = 16
"""Outcomes of a block that the filters learn at once."""

_PROBIT = np.pi / 8.0
"""The squared factor between the logistic and the probit function (MacKay 1992)."""

_MOST_ODDS = 700.0
"""Largest logarithm of odds, below which exponentials are finite."""

_LEAST_SHARE = 0.3
"""Least covariance of a filter slower than the model, as a share of the model's."""

_LEAST_WIDTH = 0.1
"""Least share of an amount's variance that is its noise, where an amount is taken back."""


class ContrastRates:
    """Compares half-lives of the weights by how well each predicts the outcomes before it learns them.

    A filter for each half-life has a mean of its own, and of its covariance the form (1 - a) C + a V, with C the
    model's and V the prior's: one number a. Time moves it exactly (the model and the filter both go towards V), and
    outcomes reduce it so that the trace of V^-1 (covariance) is right. So an outcome costs O(D) a filter beside the
    O(D^2) of the model. The log likelihoods, older ones counting less, are the evidence (as in `LevelRates`).
    """

    def __init__(self, belief: WeightBelief, variance: FloatArray) -> None:
        """Start every filter at the model's belief; `variance` (D,) is the prior's."""
        n = len(CONTRAST_HALF_LIVES)
        self.half_lives = np.array(CONTRAST_HALF_LIVES)
        self.chosen = 0
        self.evidence = np.zeros(n)
        self._mean = np.tile(belief.mean, (n, 1))
        self._looser = np.zeros(n)
        self._sums = np.zeros(3)
        self.follow(variance)

    @property
    def half_life(self) -> float:
        """The estimated half-life in days, infinite where nothing moves."""
        return float(self.half_lives[self.chosen])

    def follow(self, variance: FloatArray) -> None:
        """Take the prior's present variances (D,)."""
        self._prior = np.array(variance)
        self._inverse = 1.0 / self._prior
        self._inverse[0] = 0.0
        self._directions = np.empty((2, len(self._prior)))

    # -- outcomes --------------------------------------------------------------------------------------------------

    def see_one(
        self, row: FloatArray, gain: FloatArray, y: float, weight: float, offset: float, information: float
    ) -> None:
        """Learn one response: row (D,), covariance @ row, response, weight, offset and the model's curvature.

        As `see` with one row, in scalars: a visit waits for it.
        """
        directions = self._directions
        directions[0] = gain
        wide = np.multiply(self._prior, row, out=directions[1])
        wide[0] = gain[0]
        spread, widest = float(gain @ row), float(wide @ row)
        reduced = information / (1.0 + information * spread)
        self._sums += [reduced * float((gain * self._inverse) @ gain), reduced * spread, reduced * widest]
        steps, gained = [], []
        for looser, mean in zip(self._looser.tolist(), (self._mean @ row).tolist(), strict=True):
            share = max(looser, 0.0)
            kept = 1.0 - share if looser >= 0.0 else max(1.0 + looser * (widest - spread) / spread, _LEAST_SHARE)
            variance, score = kept * spread + share * widest, mean + offset
            p = 1.0 / (1.0 + exp(min(-score, _MOST_ODDS)))
            predicted = score / sqrt(1.0 + _PROBIT * variance)
            # log sigmoid(z) = -log(1 + exp(-z)); the response decides the sign of z.
            z = predicted if y > 0.5 else -predicted
            gained.append(weight * (min(z, 0.0) - log1p(exp(-abs(z)))))
            dual = weight * (y - p) / (1.0 + weight * p * (1.0 - p) * variance)
            steps.append((dual * kept, dual * share))
        self.evidence += gained
        self._mean += np.array(steps) @ directions

    def see(
        self,
        rows: FloatArray,
        gain: FloatArray,
        y: FloatArray,
        weight: FloatArray,
        offset: FloatArray,
        information: FloatArray,
    ) -> None:
        """Learn n responses: rows (n, D), rows @ covariance, responses, weights, offsets, the model's curvatures."""
        for start in range(0, len(y), _ROWS):
            part = slice(start, start + _ROWS)
            wide, kept, share, spreads = self._spreads(rows[part], gain[part], information[part])
            score = self._mean @ rows[part].T + offset[part]
            p = expit(score)
            predicted = score / np.sqrt(1.0 + _PROBIT * spreads)
            self.evidence += (y[part] * predicted - np.logaddexp(0.0, predicted)) @ weight[part]
            dual = weight[part] * (y[part] - p) / (1.0 + weight[part] * p * (1.0 - p) * spreads)
            self._mean += (dual * kept) @ gain[part] + (dual * share) @ wide

    def see_amounts(self, rows: FloatArray, gain: FloatArray, y: FloatArray, noise: float) -> None:
        """Learn n amounts: rows (n, D), rows @ covariance (n, D), amounts (n,) and the variance of their noise."""
        for start in range(0, len(y), _ROWS):
            part = slice(start, start + _ROWS)
            wide, kept, share, spreads = self._spreads(rows[part], gain[part], np.ones(len(y[part])))
            off = y[part] - self._mean @ rows[part].T
            dual = off / (1.0 + spreads)
            self.evidence -= 0.5 * (np.log1p(spreads) + off * dual / noise).sum(axis=1)
            self._mean += (dual * kept) @ gain[part] + (dual * share) @ wide

    def remove_amounts(self, rows: FloatArray, gain: FloatArray, y: FloatArray) -> None:
        """Take back n amounts that were learned before: rows (n, D), rows @ covariance (n, D), amounts (n,)."""
        for start in range(0, len(y), _ROWS):
            part = slice(start, start + _ROWS)
            wide, kept, share, spreads = self._spreads(rows[part], gain[part], np.zeros(len(y[part])))
            dual = (y[part] - self._mean @ rows[part].T) / np.maximum(1.0 - spreads, _LEAST_WIDTH)
            self._mean -= (dual * kept) @ gain[part] + (dual * share) @ wide

    def correct(self, rows: FloatArray, gain: FloatArray, change: FloatArray) -> None:
        """Correct responses learned before: rows and rows @ covariance (n, D), weight x (new - old response) (n,)."""
        wide, kept, share, _ = self._spreads(rows, gain, np.zeros(len(rows)))
        self.evidence += (self._mean @ rows.T) @ change
        self._mean += (change * kept) @ gain + (change * share) @ wide

    def _spreads(
        self, rows: FloatArray, gain: FloatArray, information: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return V x (n, D), the shares of C and of V in each filter's covariance, and the scores' variances (K, n)."""
        wide = rows * self._prior
        wide[:, 0] = gain[:, 0]
        spread, widest = np.einsum("ni,ni->n", gain, rows), np.einsum("ni,ni->n", wide, rows)
        reduced = information / (1.0 + information * spread)
        own = np.einsum("ni,ni,i->n", gain, gain, self._inverse)
        self._sums += [float(reduced @ own), float(reduced @ spread), float(reduced @ widest)]
        kept, share = self._shares(spread[:, None], widest[:, None])
        return wide, kept.T, share.T, (kept * spread[:, None] + share * widest[:, None]).T

    def _shares(self, spread: FloatArray | float, widest: FloatArray | float) -> tuple[FloatArray, FloatArray]:
        """Return the shares of C and V in each filter's covariance, (K,) or (n, K).

        That of a filter slower than the model would have a negative share of V, and be negative in some directions:
        it is a share of C instead, with the same variance of this score.
        """
        ahead = np.maximum(self._looser, 0.0)
        behind = (self._looser - ahead) * (widest - spread) / spread
        return np.maximum(1.0 - ahead + behind, _LEAST_SHARE), ahead + 0.0 * behind

    # -- time and growth -------------------------------------------------------------------------------------------

    def step(self, days: float, count: int, belief: WeightBelief, prior: Prior) -> float:
        """Let days pass, in which `count` outcomes came, for the belief and the filters; the first weight stays.

        First the half-life is chosen: the belief takes the mean and covariance of the filter of a shorter one. Return
        the share of what was learned that the belief keeps.
        """
        remembered = 1.0
        self._take_in_outcomes(belief)
        self.evidence *= 0.5 ** (count / EVIDENCE_HALF_LIFE)
        self.evidence -= self.evidence[0]
        earlier = self.chosen
        self.chosen = self._choice()
        if self.chosen > earlier and self._looser[self.chosen] > 0.0:
            looser = self._looser[self.chosen]
            _relax(belief, prior, float(np.sqrt(1.0 - looser)))
            remembered = float(1.0 - looser)
            belief.mean = self._mean[self.chosen].copy()
            self._looser = 1.0 - (1.0 - self._looser) / (1.0 - looser)
        kept = 0.5 ** (days / self.half_lives)
        level = self._mean[:, 0].copy()
        self._mean = prior.center + kept[:, None] * (self._mean - prior.center)
        self._mean[:, 0] = level
        self._looser = 1.0 - (kept / kept[self.chosen]) ** 2 * (1.0 - self._looser)
        _relax(belief, prior, float(kept[self.chosen]))
        return remembered * float(kept[self.chosen]) ** 2

    def _choice(self) -> int:
        """Return the place of the half-life to use: where something moves, the shortest of about the most evidence."""
        best = chosen_rate(self.evidence, self.chosen)
        if best:
            best = int(np.flatnonzero(self.evidence >= self.evidence[best] - FOLLOWING_TOLERANCE)[-1])
        return best

    def _take_in_outcomes(self, belief: WeightBelief) -> None:
        """Reduce each a by what the outcomes since the last step did to the filters' covariances and to the model's."""
        own, spread, widest = self._sums.tolist()
        a = self._looser
        # In units of a: the trace of V^-1 (filter) fell by (1 - a)^2 own + 2 a (1 - a) spread + a^2 widest, that of the
        # model by own; their difference, over a:
        more = 2.0 * (spread - own) + a * (own + widest - 2.0 * spread)
        determined = max(1.0, belief.size - 1.0 - float(belief.diagonal @ self._inverse))
        self._looser = a / (1.0 + np.maximum(more, 0.0) / determined)
        self._sums[:] = 0.0

    def grow(self, places: IntArray, mean: FloatArray, variance: FloatArray) -> None:
        """Embed the weights at `places` of more weights; the others have the prior `mean` and `variance` (D,)."""
        grown = np.tile(mean, (len(self.half_lives), 1))
        grown[:, places] = self._mean
        self._mean = grown
        self.follow(variance)

    def replace_prior(self, moved: FloatArray, variance: FloatArray) -> None:
        """Follow a change of the prior's variances to `variance` (D,), which moved the model's mean by `moved` (D,)."""
        self._mean += moved
        self.follow(variance)

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, for `restore`."""
        arrays: dict[str, NDArray[np.generic]] = {
            "means": self._mean,
            "looser": self._looser,
            "sums": self._sums,
            "evidence": self.evidence,
        }
        return {"contrasts": self.chosen}, arrays

    def restore(self, meta: Mapping[str, object], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Load a state, without arrays only the choice; ValueError or KeyError where it does not fit."""
        n, size = self._mean.shape
        self.chosen = place_of(meta["contrasts"], n)
        if "means" not in arrays:
            self.evidence[self.chosen] = MOVING_PENALTY
            return
        self._mean, self._looser = finite(arrays["means"], (n, size)), finite(arrays["looser"], (n,))
        self._sums, self.evidence = finite(arrays["sums"], (3,)), finite(arrays["evidence"], (n,))
        if (self._looser >= 1.0).any():
            raise ValueError("its filters are wider than the prior")


def _relax(belief: WeightBelief, prior: Prior, kept: float) -> None:
    """Move all weights but the first towards their prior, keeping this share of their deviations from it."""
    if kept == 1.0:
        return
    shares, added = np.full(belief.size, kept), (1.0 - kept * kept) * prior.variance
    shares[0], added[0] = 1.0, 0.0
    belief.evolve(shares, prior.center, added)

"""The rates at which a model's level and its other weights move, estimated from the outcomes that it learns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bandit.domain import FloatArray, IntArray
from bandit.models.contrast_rates import ContrastRates
from bandit.models.level_rates import LevelRates
from bandit.models.prior import Prior
from bandit.models.weight_belief import WeightBelief

RATES_FROM = 500
"""Outcomes from which rates are estimated: before that, a model's mistakes are those of little data."""


class RatesOfChange:
    """Estimates how fast the level and the contrasts move, and moves a belief by it as time passes.

    The level is the first weight, the intercept of the base: a random walk. The contrasts, all other weights, go back
    to their prior with a half-life: a stationary process, so that what is forgotten ends at the prior. Both rates are 0
    until outcomes say otherwise. Outcomes are passed on by the model before it learns them.
    """

    def __init__(self, *, contrasts: bool = True) -> None:
        """Estimate the level's rate and, with `contrasts`, theirs."""
        self.level = LevelRates()
        self.contrasts: ContrastRates | None = None
        self.watches = False
        self._with_contrasts = contrasts
        self._count = 0

    @property
    def half_life(self) -> float:
        """The estimated half-life of the contrasts in days, infinite where nothing moves."""
        return np.inf if self.contrasts is None else self.contrasts.half_life

    @property
    def moves(self) -> bool:
        """Whether the level or the contrasts have been found to move."""
        return self.level.chosen > 0 or (self.contrasts is not None and self.contrasts.chosen > 0)

    # -- outcomes --------------------------------------------------------------------------------------------------

    def see_one(
        self, row: FloatArray, gain: FloatArray, y: float, weight: float, offset: float, chance: float, level: float
    ) -> None:
        """Take in one response: its row (D,), covariance @ row, and the chance and level that the model predicted."""
        self._count += 1
        information = weight * chance * (1.0 - chance)
        self.level.see(1.0, information, weight * (y - chance), level)
        if self.contrasts is not None:
            self.contrasts.see_one(row, gain, y, weight, offset, information)

    def see(
        self,
        rows: FloatArray,
        gain: FloatArray,
        y: FloatArray,
        weight: FloatArray,
        offset: FloatArray,
        score: FloatArray,
        level: float,
    ) -> None:
        """Take in n responses: rows (n, D), rows @ covariance, and the scores (n,) and level that the model predicted.

        `score` counts the `offset`.
        """
        chance = expit(score)
        self._count += len(y)
        information = weight * chance * (1.0 - chance)
        self.level.see(len(y), float(information.sum()), float(weight @ (y - chance)), level)
        if self.contrasts is not None:
            self.contrasts.see(rows, gain, y, weight, offset, information)

    def see_amounts(
        self, rows: FloatArray, gain: FloatArray, residual: FloatArray, belief: WeightBelief, noise: float
    ) -> None:
        """Take in n amounts: rows (n, D), rows @ covariance, residuals at the belief's mean (n,), and their noise."""
        self._count += len(residual)
        # A row that stands for several amounts is scaled, its intercept too.
        information = float(rows[:, 0] @ rows[:, 0])
        self.level.see(len(residual), information, float(rows[:, 0] @ residual), float(belief.mean[0]))
        if self.contrasts is not None:
            self.contrasts.see_amounts(rows, gain, residual + rows @ belief.mean, noise)

    def remove_amounts(self, rows: FloatArray, gain: FloatArray, residual: FloatArray, belief: WeightBelief) -> None:
        """Take back n amounts that were seen before, as in `see_amounts`."""
        information = float(rows[:, 0] @ rows[:, 0])
        self.level.see(0.0, -information, -float(rows[:, 0] @ residual), float(belief.mean[0]))
        if self.contrasts is not None:
            self.contrasts.remove_amounts(rows, gain, residual + rows @ belief.mean)

    def correct(self, rows: FloatArray, gain: FloatArray, change: FloatArray) -> None:
        """Correct n responses that were seen before: rows and rows @ covariance (n, D), weight x (new - old) (n,)."""
        self.level.correct(float(change.sum()))
        if self.contrasts is not None:
            self.contrasts.correct(rows, gain, change)

    # -- time ------------------------------------------------------------------------------------------------------

    def pass_time(self, days: float, belief: WeightBelief, prior: Prior, n_learned: int, noise: float = 1.0) -> float:
        """Move a belief by what is known of its rates, and return the share of what was learned that it keeps.

        `noise` is the unit of the belief's covariance.
        """
        kept = 1.0
        self._move_level(self.level.step(days, noise), belief, float(prior.variance[0]))
        if self.contrasts is not None:
            kept = self.contrasts.step(days, self._count, belief, prior)
        elif n_learned >= RATES_FROM:
            self.watches = True
            if self._with_contrasts:
                self.contrasts = ContrastRates(belief, prior.variance)
        self._count = 0
        return kept

    @staticmethod
    def _move_level(gained: float, belief: WeightBelief, widest: float) -> None:
        """Add to the level's variance, at most half of what it lacks to its prior's, `widest`.

        As a step towards the prior that leaves the mean: then no direction becomes wider than the prior's.
        """
        room = widest - float(belief.diagonal[0])
        if gained <= 0.0 or room <= 0.0:
            return
        share = min(gained / room, 0.5)
        kept, added = np.ones(belief.size), np.zeros(belief.size)
        kept[0], added[0] = np.sqrt(1.0 - share), share * widest
        belief.evolve(kept, belief.mean, added)

    def replace_prior(self, moved: FloatArray, variance: FloatArray) -> None:
        """Follow a change of the prior's variances to `variance` (D,) that moved the belief's mean by `moved` (D,)."""
        if self.contrasts is not None:
            self.contrasts.replace_prior(moved, variance)

    def grow(self, places: IntArray, mean: FloatArray, variance: FloatArray) -> None:
        """Follow the growth of a belief, with the arguments of `Gaussian.grow`."""
        if self.contrasts is not None:
            self.contrasts.grow(places, mean, variance)

    def restart(self, belief: WeightBelief, variance: FloatArray) -> None:
        """Follow a change of the weights themselves: the filters begin anew, at the half-life that is in force."""
        if self.contrasts is not None:
            meta, _ = self.contrasts.state()
            self.contrasts = ContrastRates(belief, variance)
            self.contrasts.restore(meta, {})

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, object], dict[str, NDArray[np.generic]]]:
        """Return plain values and arrays, for `restore`."""
        meta, arrays = self.level.state()
        meta |= {"watches": self.watches, "count": self._count}
        if self.contrasts is not None:
            more, parts = self.contrasts.state()
            meta, arrays = meta | more, arrays | parts
        return meta, arrays

    def restore(
        self,
        meta: Mapping[str, object],
        arrays: Mapping[str, NDArray[np.generic]],
        belief: WeightBelief,
        variance: FloatArray,
    ) -> None:
        """Load a state beside its belief and the prior's variances (D,); ValueError or KeyError where it does not fit.

        Of weights that were carried to another catalogue there are no filters: they begin anew, at the rates known.
        """
        self.level.restore(meta, arrays)
        self.watches, self._count = bool(meta["watches"]), int(str(meta["count"]))
        self.contrasts = None
        if "contrasts" in meta and self._with_contrasts:
            self.contrasts = ContrastRates(belief, variance)
            self.contrasts.restore(meta, arrays)

"""The conditional multinomial logit: which of the eligible offers is chosen, given the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray, IntArray

PENALTIES = (100.0, 30.0, 10.0, 1.0, 0.1)
"""Penalties tried, the strongest first, in units of one choice: an effect has the prior variance 1 / penalty."""

CHOICE_CELLS = 200_000
"""(choice, offer) cells processed at once: few enough to stay in a processor's cache."""

MAX_ITERATIONS = 100
"""Most steps of L-BFGS; preconditioned, about twenty are enough unless choices are nearly deterministic."""

LOSS_TOLERANCE = 1e-6
"""The fit ends where a step lowers the mean loss by a smaller share of it: far below the sampling error."""


@dataclass(frozen=True, slots=True, eq=False)
class ObservedChoices:
    """n choices among N offers: contexts `x` (n, d), the `offer` chosen (n,), and the sets they were chosen from.

    `masks` (u, N) are the distinct sets of eligible offers and `which` (n,) says which of them each choice had.
    `weight` (n,) > 0 is how many choices each counts as; left empty, each counts once.
    """

    x: FloatArray
    offer: IntArray
    masks: BoolArray
    which: IntArray
    weight: FloatArray = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.offer)

    def take(self, rows: IntArray | BoolArray) -> ObservedChoices:
        """Return the chosen rows."""
        weight = self.weight[rows] if len(self.weight) else self.weight
        return ObservedChoices(self.x[rows], self.offer[rows], self.masks, self.which[rows], weight)

    @property
    def counted(self) -> FloatArray | None:
        """The weights, None where each counts once."""
        return self.weight if len(self.weight) else None


@dataclass(frozen=True, slots=True, eq=False)
class MultinomialLogit:
    """log P(a | x) = level(a) + (x - center)' coefficients(a) + constant over the eligible offers a, and 0 elsewhere.

    `level` is (N,), `center` (d,), `coefficients` (d, N); `penalty` is that of the fit.
    """

    level: FloatArray
    center: FloatArray
    coefficients: FloatArray
    penalty: float

    def probabilities(self, x: FloatArray, eligible: BoolArray) -> FloatArray:
        """Return the (n, N) probabilities of contexts (n, d); each row of `eligible` (n, N) has at least one offer."""
        scores = np.where(eligible, self.scores(x), -np.inf)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return np.asarray(scores)

    def scores(self, x: FloatArray) -> FloatArray:
        """Return the (n, N) log probabilities up to a constant a row, before any offer is ruled out."""
        return np.asarray((x - self.center) @ self.coefficients + self.level)

    def log_likelihood(self, choices: ObservedChoices) -> float:
        """Return the mean log probability of the offers chosen, weighted where the choices are."""
        total, step, n = 0.0, max(1, CHOICE_CELLS // len(self.level)), float(len(choices) or 1)
        if choices.counted is not None and len(choices):
            n = float(choices.counted.sum())
        for start in range(0, len(choices), step):
            part = choices.take(np.arange(start, min(start + step, len(choices))))
            chance = self.probabilities(part.x, part.masks[part.which])
            logs = np.log(np.maximum(chance[np.arange(len(part)), part.offer], 1e-300))
            total += float(logs.sum() if part.counted is None else part.counted @ logs)
        return total / n


class MultinomialFit:
    """The penalised likelihood of choices, and its maximum: the conditional logit of McFadden 1974.

    "Conditional logit analysis of qualitative choice behavior", equation 12, with coefficients that differ by offer:
    offer a has b(a) = B phi(a), phi (N, J) being the columns of the offers, and the penalty is penalty / 2 x |B|^2.
    So effects are shared as far as offers share columns; where phi has a column of its own for each offer, an offer
    may also differ from what its options imply. Levels are free, except for a penalty worth about one choice that
    holds them near the offers' shares where they were eligible: an offer that was never chosen stays finite.

    The optimiser is L-BFGS (scipy) in coordinates in which the likelihood's curvature at zero effects is the
    identity: that curvature is the Kronecker product of the contexts' second moments and of the offers', so that two
    small eigen-decompositions give the coordinates.
    """

    def __init__(self, choices: ObservedChoices, offers: FloatArray) -> None:
        self._weight = weight = choices.counted
        n = len(choices) if weight is None else float(weight.sum())
        self._n, self._which, self._all = n, choices.which, bool(choices.masks.all())
        self._log_mask = np.where(choices.masks, 0.0, -np.inf)
        n_offers = len(offers)
        self.counts = np.bincount(choices.offer, weights=weight, minlength=n_offers).astype(np.float64)
        seen = np.bincount(choices.which, weights=weight, minlength=len(choices.masks)) @ choices.masks
        self.start: FloatArray = np.log((self.counts + 0.5) / (seen + 0.5 * n_offers))
        share = self.counts / (n or 1)
        has_columns = n and choices.x.shape[1]
        self.center = np.average(choices.x, axis=0, weights=weight) if has_columns else np.zeros(choices.x.shape[1])
        centred = choices.x - self.center
        spread = np.diag(share) - np.outer(share, share)
        size_x, self._rotation_x = np.linalg.eigh(
            centred.T @ (centred if weight is None else centred * weight[:, None]) / (n or 1)
        )
        size_a, rotation_a = np.linalg.eigh(offers.T @ spread @ offers)
        self._curvature = np.maximum(np.multiply.outer(size_x, size_a), 0.0)
        self._level_curvature = share * (1.0 - share)
        self._x, self._offers = centred @ self._rotation_x, offers @ rotation_a
        chosen = np.zeros((n_offers, centred.shape[1]))
        np.add.at(chosen, choices.offer, self._x if weight is None else self._x * weight[:, None])
        self._seen = chosen.T @ self._offers

    @property
    def n_parameters(self) -> int:
        """The number of effects and levels."""
        return int(self._curvature.size) + len(self.start)

    def loss(self, flat: FloatArray, penalty: float) -> tuple[float, FloatArray]:
        """Return the penalised mean loss and its gradient; `flat` has the rotated effects (d, J), then the levels (N,).

        The loss is [sum of -log P + penalty / 2 |B|^2 + 1/2 |levels|^2] / n, with the sum of the weights in place of n
        where choices have weights.
        """
        n, shape = self._n, self._curvature.shape
        effects, levels = flat[: self._curvature.size].reshape(shape), flat[self._curvature.size :]
        coefficients, start = effects @ self._offers.T, self.start + levels
        total, chances, products = 0.0, np.zeros(len(start)), np.zeros(coefficients.shape)
        step = max(1, CHOICE_CELLS // len(start))
        for begin in range(0, len(self._x), step):
            x = self._x[begin : begin + step]
            weight = None if self._weight is None else self._weight[begin : begin + step]
            scores = x @ coefficients
            scores += start
            if not self._all:
                scores += self._log_mask[self._which[begin : begin + step]]
            highest = scores.max(axis=1, keepdims=True)
            scores -= highest
            np.exp(scores, out=scores)
            sums = scores.sum(axis=1, keepdims=True)
            if weight is None:
                total += float(np.log(sums).sum() + highest.sum())
            else:
                total += float(weight @ (np.log(sums) + highest)[:, 0])
                sums /= weight[:, None]
            scores /= sums
            chances += scores.sum(axis=0)
            products += x.T @ scores
        total -= float(self.counts @ start + (effects * self._seen).sum())
        total += 0.5 * (penalty * float((effects**2).sum()) + float(levels @ levels))
        gradient = products @ self._offers - self._seen + penalty * effects
        return total / n, np.concatenate([gradient.ravel(), chances - self.counts + levels]) / n

    def solve(
        self, penalty: float, warm: FloatArray | None = None, tolerance: float = LOSS_TOLERANCE
    ) -> tuple[MultinomialLogit, FloatArray]:
        """Return the maximum under a penalty, and its parameters, a good start (`warm`) for another penalty."""
        from scipy.optimize import minimize  # noqa: PLC0415 - slow to import

        n = self._n
        scale = 1.0 / np.sqrt(np.concatenate([self._curvature.ravel() + penalty / n, self._level_curvature + 1.0 / n]))
        begin = np.zeros(self.n_parameters) if warm is None else warm / scale

        def objective(scaled: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = self.loss(scaled * scale, penalty)
            return value, gradient * scale

        found = minimize(
            objective,
            begin,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MAX_ITERATIONS, "ftol": tolerance, "gtol": 1e-7, "maxcor": 20},
        )
        place = np.asarray(found.x * scale, dtype=np.float64)
        effects = place[: self._curvature.size].reshape(self._curvature.shape)
        coefficients = self._rotation_x @ effects @ self._offers.T
        return MultinomialLogit(self.start + place[self._curvature.size :], self.center, coefficients, penalty), place


def choose_penalty(
    choices: ObservedChoices, offers: FloatArray, held_out: BoolArray, penalties: Sequence[float] = PENALTIES
) -> float:
    """Return the penalty under which the other choices predict those `held_out` (n,) best.

    From the strongest to the weakest, each started where the one before ended, until a weaker one is worse.
    """
    test = choices.take(held_out)
    fit, place = MultinomialFit(choices.take(~held_out), offers), None
    best, highest = penalties[0], -np.inf
    for penalty in penalties:
        model, place = fit.solve(penalty, place, 10.0 * LOSS_TOLERANCE)
        reached = model.log_likelihood(test)
        if reached <= highest:
            break
        best, highest = penalty, reached
    return best

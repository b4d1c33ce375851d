"""Calibration of estimated propensities by a temperature and a floor, chosen on scores out of fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.evaluate.propensity.calibration import (
    LikelihoodBaselines,
    PropensityFit,
    ReliabilityTable,
    SameFactPairs,
    SoftmaxShape,
)
from bandit.models.multinomial import CHOICE_CELLS

if TYPE_CHECKING:
    from bandit.domain import BoolArray, FloatArray
    from bandit.models.multinomial import MultinomialLogit, ObservedChoices

_TUNING_CELLS = 2_000_000  # the temperature needs no more, and rows come in random order
_LEAST_FLOOR = 1e-4


def softened(scores: FloatArray, eligible: BoolArray, softmax: SoftmaxShape) -> FloatArray:
    """Return softmax(scores / temperature) over the eligible offers, mixed with a uniform share of `floor`."""
    table = np.where(eligible, scores / softmax.temperature, -np.inf)
    table -= table.max(axis=1, keepdims=True)
    np.exp(table, out=table)
    table *= (1.0 - softmax.floor) / table.sum(axis=1, keepdims=True)
    table += eligible * (softmax.floor / eligible.sum(axis=1, keepdims=True))
    return np.asarray(table)


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFoldScores:
    """The choices of a sample with, for each fold, the model that was fitted to the other folds; `fold` is (n,)."""

    choices: ObservedChoices
    fold: FloatArray
    models: list[MultinomialLogit]

    def best_shape(self) -> SoftmaxShape:
        """Return the temperature and the floor of the largest likelihood out of fold.

        The temperature is found on the first rows, which are a random sample, the floor then on all rows.
        """
        from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import

        n, n_offers = len(self.choices), self.choices.masks.shape[1]
        tuning = self._blocks(min(n, max(1_000, _TUNING_CELLS // n_offers)))
        tables = [self._scores(rows) for rows in tuning]
        even, weight = self._even_shares(), self.choices.counted

        def loss(log_temperature: float) -> float:
            temperature = float(np.exp(log_temperature))
            parts = [self._chosen(temperature, rows, table) for rows, table in zip(tuning, tables, strict=True)]
            chosen = np.concatenate(parts)
            return _best_floor(chosen, even[: len(chosen)], None if weight is None else weight[: len(chosen)])[1]

        found = minimize_scalar(loss, bounds=(-3.0, 2.0), method="bounded", options={"xatol": 0.01})
        temperature = float(np.exp(found.x))
        chosen = np.concatenate([self._chosen(temperature, rows, self._scores(rows)) for rows in self._blocks(n)])
        return SoftmaxShape(temperature, _best_floor(chosen, even, weight)[0])

    def fit_quality(self, softmax: SoftmaxShape, n_log: int, pairs: SameFactPairs) -> PropensityFit:
        """Return how good the probabilities of a shape are, out of fold; the log has `n_log` decisions."""
        choices, reliability, marginal = self.choices, ReliabilityTable(), 0.0
        n, n_sets = len(choices), len(choices.masks)
        weight = choices.counted
        counts = np.bincount(choices.offer, weights=weight, minlength=choices.masks.shape[1])
        eligible_counts = np.bincount(choices.which, weights=weight, minlength=n_sets) @ choices.masks
        shares = (counts + 0.5) / np.maximum(eligible_counts, 1)
        for rows in self._blocks(n):
            offer, eligible = choices.offer[rows], choices.masks[choices.which[rows]]
            some = None if weight is None else weight[rows]
            reliability.add(softened(self._scores(rows), eligible, softmax), eligible, offer, some)
            logs = np.log(shares[offer] / (eligible @ shares))
            marginal += float(logs.sum() if some is None else some @ logs)
        uniform = float(np.average(np.log(self._even_shares()), weights=weight))
        baselines = LikelihoodBaselines(uniform, marginal / n)
        return reliability.result(n_log, len(self.models), baselines, softmax, pairs)

    def _scores(self, rows: slice) -> FloatArray:
        """Return the (n, N) scores of some rows, each by the model that has not seen it."""
        x, fold = self.choices.x[rows], self.fold[rows]
        table = np.empty((len(x), self.choices.masks.shape[1]))
        for place, model in enumerate(self.models):
            table[fold == place] = model.scores(x[fold == place])
        return table

    def _chosen(self, temperature: float, rows: slice, scores: FloatArray) -> FloatArray:
        """Return the probability of each row's chosen offer before the floor, (n,)."""
        choices = self.choices
        table = softened(scores, choices.masks[choices.which[rows]], SoftmaxShape(temperature, 0.0))
        return np.asarray(table[np.arange(len(table)), choices.offer[rows]])

    def _even_shares(self) -> FloatArray:
        """Return one over the number of each row's eligible offers, (n,)."""
        return np.asarray(1.0 / self.choices.masks.sum(axis=1)[self.choices.which])

    def _blocks(self, n: int) -> list[slice]:
        """Return the first n rows in blocks whose tables fit into memory."""
        step = max(1, CHOICE_CELLS // self.choices.masks.shape[1])
        return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def _best_floor(chosen: FloatArray, even: FloatArray, weight: FloatArray | None) -> tuple[float, float]:
    """Return the floor of the largest likelihood, which is concave in it, and the mean loss there."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import

    found = minimize_scalar(
        lambda floor: -float(np.average(np.log((1.0 - floor) * chosen + floor * even), weights=weight)),
        bounds=(_LEAST_FLOOR, 1.0),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(found.x), float(found.fun)

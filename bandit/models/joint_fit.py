"""A batch fit of population and customers' effects together: the joint mode that the online updates approximate."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.special import expit

from bandit.domain import FloatArray, IntArray
from bandit.models.gaussian import Gaussian, solve_positive
from bandit.models.joint_customers import CustomerOutcomes, JointCustomerEffects
from bandit.models.logistic import LOGISTIC_BLOCK, laplace_dual
from bandit.models.prior import Prior

JointBatches: TypeAlias = Callable[[], Iterable[tuple[FloatArray, FloatArray, FloatArray, IntArray, FloatArray]]]
"""Yields the same rows (n, D), y, weights, customers' places (n,) or -1, and columns (n, 1 + K) at every call."""

LONGEST_RUN = 128
"""Outcomes of one customer in a batch whose covariance is used; of more, those of each run of this length."""

CUSTOMER_ROWS = 16_384
"""Outcomes of customers that are handled at once: bounds the memory."""

_CUSTOMER_STEPS = 4
_LARGEST_STEP = 2.0
_LAST_STEP = 1e-8
"""The step after which no other one is taken: Newton's method has then converged to the last digits."""


@dataclass(frozen=True, slots=True, eq=False)
class _CustomerRows:
    """All outcomes of customers, sorted by customer: what their effects are learned from, given the population.

    `variance` (n,) is that of the population's score.
    """

    places: IntArray
    columns: FloatArray
    y: FloatArray
    weight: FloatArray
    score: FloatArray
    variance: FloatArray

    def parts(self) -> Iterable[_CustomerRows]:
        """Yield the outcomes of whole customers, about CUSTOMER_ROWS at a time."""
        starts = np.flatnonzero(np.append(True, self.places[1:] != self.places[:-1]))
        cuts = np.unique(np.searchsorted(starts, np.arange(0, len(self.places), CUSTOMER_ROWS)))
        cuts = cuts[cuts < len(starts)]
        bounds = np.append(starts[cuts], len(self.places))
        for start, stop in itertools.pairwise(bounds):
            part = slice(start, stop)
            yield _CustomerRows(
                self.places[part],
                self.columns[part],
                self.y[part],
                self.weight[part],
                self.score[part],
                self.variance[part],
            )


def fit_jointly(
    belief: Gaussian,
    batches: JointBatches,
    prior: Prior,
    effects: JointCustomerEffects,
    rounds: int = 8,
    tolerance: float = 1e-3,
) -> None:
    """Learn all outcomes at once, from the priors, to the mode of population and customers' effects together.

    Each round is a Newton step of the population's weights, with the customers' effects integrated out of its
    curvature, and then the customers' mode given the population: Newton's method on the profile of the posterior
    (Murphy & van der Vaart 2000, "On profile likelihood"). Each round reads the batches twice. The customers' effects
    are left as normal factors, column by column, with the variance that they have beside the population's. Between
    rounds the variances of both priors are estimated. It ends when no weight moves by more than `tolerance` of its
    deviation. Takes about 8 (6 + 1 + K) bytes an outcome.
    """
    belief.assign(prior.center.copy(), np.diag(prior.variance))
    # At least one row, for the outcomes without a customer, whose place is -1.
    means = np.zeros((max(1, len(effects)), len(effects.owner)))
    for turn in range(rounds):
        moved = _population_step(belief, batches, prior, effects, means)
        _fit_customers(effects, _customer_rows(belief, batches), means)
        if turn and moved < tolerance:
            return
        if turn < rounds - 2:  # the last rounds converge under fixed variances
            prior.estimate(belief)
            effects.estimate_from_histories()


def _population_step(
    belief: Gaussian, batches: JointBatches, prior: Prior, effects: JointCustomerEffects, means: FloatArray
) -> float:
    """Take one Newton step over all batches; return the largest move, in posterior deviations."""
    precision = np.diag(1.0 / prior.variance)
    gradient = (prior.center - belief.mean) / prior.variance
    variance = 1.0 / effects.prior_precision(np.arange(len(effects)))
    for rows, y, weight, places, columns in batches():
        known = (places >= 0)[:, None]
        p = expit(rows @ belief.mean + (columns * (means[places] * known)).sum(axis=1))
        root = np.sqrt(weight * p * (1.0 - p))[:, None]
        white = _whitened(root * rows, root * columns, places, variance)
        precision += white.T @ white
        gradient += (weight * (y - p)) @ rows
    covariance = solve_positive(precision, np.eye(len(precision)))
    covariance = 0.5 * (covariance + covariance.T)
    step = covariance @ gradient
    # Far from the mode a full step may overshoot: no weight moves by more than a few of its deviations at once.
    step /= max(1.0, float(np.abs(step / np.sqrt(prior.variance)).max()) / 3.0)
    belief.assign(belief.mean + step, covariance)
    return float(np.abs(step / np.sqrt(np.diag(covariance))).max())


def _whitened(rows: FloatArray, columns: FloatArray, places: IntArray, variance: FloatArray) -> FloatArray:
    """Return rows (n, D) divided by a root of each customer's covariance, identity + columns variance columns'.

    Customers of equally many outcomes are handled together.
    """
    white = rows.copy()
    order = np.argsort(places, kind="stable")
    order = order[np.count_nonzero(places < 0) :]
    if not len(order):
        return white
    ordered = places[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    starts = np.flatnonzero(rank % LONGEST_RUN == 0)
    length = np.diff(np.append(starts, len(order)))
    for size in np.unique(length).tolist():
        at = order[starts[length == size][:, None] + np.arange(size)]
        a = columns[at]
        system = (a * variance[places[at[:, 0]]][:, None, :]) @ a.transpose(0, 2, 1)
        system[:, np.arange(size), np.arange(size)] += 1.0
        if size == 1:
            white[at[:, 0]] /= np.sqrt(system[:, 0])
            continue
        white[at] = np.linalg.solve(np.linalg.cholesky(system), rows[at])
    return white


def _customer_rows(belief: Gaussian, batches: JointBatches) -> _CustomerRows:
    """Return the outcomes of customers at the population's present belief."""
    found: list[tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]] = []
    for rows, y, weight, places, columns in batches():
        own = places >= 0
        variance = ((rows @ belief.covariance) * rows).sum(axis=1)
        score = rows @ belief.mean
        found.append((places[own], columns[own], y[own], weight[own], score[own], variance[own]))
    whole = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    order = np.argsort(whole[0], kind="stable")
    places, columns, y, weight, score, variance = (part[order] for part in whole)
    return _CustomerRows(places.astype(np.int64), columns, y, weight, score, variance)


def _fit_customers(effects: JointCustomerEffects, rows: _CustomerRows, means: FloatArray) -> None:
    """Move the customers' `means` to their mode given the population, in place, and set their factors.

    Customers of equally many outcomes are handled together.
    """
    if not len(rows.places):
        return
    for part in rows.parts():
        starts = np.flatnonzero(np.append(True, part.places[1:] != part.places[:-1]))
        length = np.diff(np.append(starts, len(part.places)))
        for size in np.unique(length).tolist():
            _fit_equally_many(effects, part, starts[length == size][:, None] + np.arange(size), means)


def _fit_equally_many(effects: JointCustomerEffects, rows: _CustomerRows, at: IntArray, means: FloatArray) -> None:
    """Do what `_fit_customers` does for the customers with the rows `at` (m, outcomes of each)."""
    places, columns, y, weight, score = (
        rows.places[at[:, 0]],
        rows.columns[at],
        rows.y[at],
        rows.weight[at],
        rows.score[at],
    )
    prior, mean = effects.prior_precision(places), means[places]
    for _ in range(_CUSTOMER_STEPS):
        p = expit(score + _times(columns, mean))
        gradient = _times(columns.transpose(0, 2, 1), weight * (y - p)) - prior * mean
        step = np.clip(_solved(columns, weight * p * (1.0 - p), prior, gradient), -_LARGEST_STEP, _LARGEST_STEP)
        mean = mean + step
        if np.abs(step).max() < _LAST_STEP:
            break
    means[places] = mean
    p = expit(score + _times(columns, mean))
    curvature = weight * p * (1.0 - p)
    # The population's score is uncertain: for the customer, its variance is noise.
    variance = _variances(columns, curvature / (1.0 + curvature * rows.variance[at]), prior)
    precision = 1.0 / variance
    effects.set_factors(places, precision * mean, np.maximum(precision - prior, 0.0))


def _times(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return the products (m, a) of matrices (m, a, b) and vectors (m, b)."""
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])


def _solved(columns: FloatArray, curvature: FloatArray, prior: FloatArray, right: FloatArray) -> FloatArray:
    """Return inverse(diag(prior) + columns' curvature columns) @ right, (m, 1 + K), of m customers.

    `columns` are (m, k, 1 + K) of k outcomes each, `curvature` (m, k), `prior` and `right` (m, 1 + K). Of fewer
    outcomes than columns the system is solved in the space of the outcomes (the matrix inversion lemma).
    """
    if columns.shape[1] >= columns.shape[2]:
        return np.asarray(np.linalg.solve(_curvature(columns, curvature, prior), right[:, :, None])[:, :, 0])
    scaled, system = _outcome_system(columns, curvature, prior)
    inner = _times(scaled, right)
    solved = np.asarray(
        inner / system[:, 0] if system.shape[1] == 1 else np.linalg.solve(system, inner[:, :, None])[:, :, 0]
    )
    return right / prior - _times(scaled.transpose(0, 2, 1), solved)


def _variances(columns: FloatArray, curvature: FloatArray, prior: FloatArray) -> FloatArray:
    """Return the diagonals (m, 1 + K) of inverse(diag(prior) + columns' curvature columns), as `_solved` finds it."""
    if columns.shape[1] >= columns.shape[2]:
        return np.asarray(np.diagonal(np.linalg.inv(_curvature(columns, curvature, prior)), axis1=1, axis2=2))
    scaled, system = _outcome_system(columns, curvature, prior)
    return np.asarray(1.0 / prior - (scaled * np.linalg.solve(system, scaled)).sum(axis=1))


def _outcome_system(columns: FloatArray, curvature: FloatArray, prior: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return root columns / prior (m, k, 1 + K) and identity + root columns columns' root / prior (m, k, k)."""
    white = np.sqrt(curvature)[:, :, None] * columns
    scaled = white / prior[:, None, :]
    system = scaled @ white.transpose(0, 2, 1)
    size = system.shape[1]
    system[:, np.arange(size), np.arange(size)] += 1.0
    return scaled, system


def _curvature(columns: FloatArray, curvature: FloatArray, prior: FloatArray) -> FloatArray:
    """Return the precision matrices (m, 1 + K, 1 + K) of the customers' effects."""
    system = columns.transpose(0, 2, 1) @ (columns * curvature[:, :, None])
    size = system.shape[1]
    system[:, np.arange(size), np.arange(size)] += prior
    return np.asarray(system)


def learn_customers(
    own: JointCustomerEffects,
    places: IntArray,
    columns: FloatArray,
    score: FloatArray,
    y: FloatArray,
    weight: FloatArray,
) -> None:
    """Learn the customers' effects of n outcomes whose population scores (n,) are taken as known.

    For beliefs of so many weights that a joint mode would take too long: `places` (n,), -1 without a customer, the
    offers' columns (n, 1 + K), responses and weights (n,).
    """
    known = np.flatnonzero(places >= 0)
    outcomes = CustomerOutcomes(own, places[known], columns[known])
    for start in range(0, len(known), LOGISTIC_BLOCK):
        rows = known[start : start + LOGISTIC_BLOCK]
        there = outcomes.block(start, start + len(rows))
        before = expit(score[rows] + there.offset)
        there.judge(weight[rows] * (y[rows] - before), weight[rows] * before * (1.0 - before))
        dual = laplace_dual(there.covariance, score[rows] + there.offset, y[rows], weight[rows])
        chance = expit(score[rows] + there.offset + there.covariance @ dual)
        root = np.sqrt(np.maximum(weight[rows] * chance * (1.0 - chance), 1e-12))
        system = root[:, None] * there.covariance * root
        system[np.diag_indices_from(system)] += 1.0
        share = np.linalg.solve(np.linalg.cholesky(system), np.diag(root))
        there.learn(dual, np.asarray(share.T @ share))

"""A batch fit of population and customers' effects together, by sums over parts of whole customers.

It is the joint mode that the online updates approximate. Given the population's weights, the effects of a customer
follow from that customer's outcomes alone, so that each part of a log finds those of its own customers at every pass,
and nothing but sums leaves it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from bandit.domain import FloatArray, IntArray
from bandit.models.customer_pairs import PairSums
from bandit.models.gaussian import Gaussian
from bandit.models.joint_customers import CustomerOutcomes, JointCustomerEffects
from bandit.models.logistic import LOGISTIC_BLOCK, laplace_dual
from bandit.models.newton_sums import NewtonSums, column_sums
from bandit.models.prior import Prior

LONGEST_RUN = 128
"""Outcomes of one customer whose covariance is used; of more, those of each run of this length."""

JOINT_ROWS_AT_ONCE = 8_192
"""Outcomes whose rows of the design are held at once."""

MOVED_ALONE = 0.2
"""Largest move of a weight, in its deviations, after which a fit of the population alone goes on with customers: what
the population lacks would look like differences of customers."""

CUSTOMER_ROWS = 16_384
"""Outcomes of customers that are handled at once: bounds the memory."""

_CUSTOMER_STEPS = 4
_MIXTURE_ROUNDS = 3
"""Rounds in which a customer's chance of the wide prior and the customer's mode follow from each other."""

_LARGEST_STEP = 2.0
_LAST_STEP = 1e-8
"""The step after which no other one is taken: Newton's method has then converged to the last digits."""


@dataclass(frozen=True, slots=True, eq=False)
class JointRows:
    """n outcomes of whole customers, those of each together: of customer 0 first, and before them those of none, -1.

    `rows` and `columns` return the design's rows (k, D) and the offers' columns (k, 1 + K) of a slice of them. `weight`
    (n,) is how many outcomes each counts as for the population, and `own_weight` (n,) for its customer.
    """

    customer: IntArray
    y: FloatArray
    weight: FloatArray
    own_weight: FloatArray
    rows: Callable[[slice], FloatArray]
    columns: Callable[[slice], FloatArray]

    def runs(self) -> IntArray:
        """Return where runs of one customer's outcomes begin, each of at most LONGEST_RUN; one for each without one."""
        n = len(self.customer)
        first = np.flatnonzero(np.append(True, self.customer[1:] != self.customer[:-1])[:n])
        rank = np.arange(n) - np.repeat(first, np.diff(np.append(first, n)))
        return np.flatnonzero((rank % LONGEST_RUN == 0) | (self.customer < 0))

    def slices(self, starts: IntArray, size: int) -> Iterator[slice]:
        """Yield slices of about `size` outcomes that begin at some of the `starts`."""
        n = len(self.customer)
        cuts = np.unique(np.searchsorted(starts, np.arange(0, n, size)))
        bounds = np.append(starts[cuts[cuts < len(starts)]], n)
        for start, stop in itertools.pairwise(bounds.tolist()):
            yield slice(start, stop)


@dataclass(frozen=True, slots=True, eq=False)
class JointSums:
    """The sums of one pass: of the population's Newton step, and of the customers' variances; add with `+`."""

    newton: NewtonSums
    pairs: PairSums

    @staticmethod
    def none(here: JointPass) -> JointSums:
        """Return the sums of a pass over no outcomes."""
        return JointSums(NewtonSums.of([], here.mean), PairSums.none(len(here.effects.given)))

    def __add__(self, other: JointSums) -> JointSums:
        return JointSums(self.newton + other.newton, self.pairs + other.pairs)


@dataclass(frozen=True, slots=True, eq=False)
class JointPass:
    """What a pass over the outcomes depends on: population and customers' priors at present.

    `mean` (D,) and `covariance` (D, D) are of the population, `effects` those of no customer. Without `own` the
    population is fitted as if customers had no effects, and the pairs of their outcomes are added up. With `apart` it
    always is, as where outcomes count more for the population than for their customer.
    """

    mean: FloatArray
    covariance: FloatArray
    effects: JointCustomerEffects
    own: bool
    apart: bool

    def sums(self, outcomes: JointRows) -> JointSums:
        """Return what outcomes of whole customers add to the sums."""
        found = self.factors(outcomes) if self.own and not self.apart else None
        total = JointSums.none(self)
        for part in outcomes.slices(outcomes.runs(), JOINT_ROWS_AT_ONCE):
            total = total + self._slice_sums(outcomes, part, found)
        return total

    def _slice_sums(self, outcomes: JointRows, part: slice, found: CustomerFactors | None) -> JointSums:
        rows, columns, y, weight = outcomes.rows(part), outcomes.columns(part), outcomes.y[part], outcomes.weight[part]
        customer, owner, n = outcomes.customer[part], self.effects.owner, len(self.effects.given)
        score, pairs = rows @ self.mean, PairSums.none(n)
        if found is not None:
            known = np.flatnonzero(customer >= 0)
            score[known] += (columns[known] * found.mean[customer[known]]).sum(axis=1)
        p = expit(score)
        root = np.sqrt(weight * p * (1.0 - p))[:, None]
        white = root * rows
        if found is not None:
            white = _whitened(white, root * columns, customer, 1.0 / found.prior)
        elif not self.own:
            own = outcomes.own_weight[part]
            for at in _equally_many(customer):
                residual, curvature = (own * (y - p))[at], (own * p * (1.0 - p))[at]
                pairs = pairs + PairSums.of(columns[at], residual, curvature, owner, n)
        return JointSums(NewtonSums(white.T @ white, column_sums(weight * (y - p), rows)), pairs)

    def factors(self, outcomes: JointRows) -> CustomerFactors:
        """Return the customers' modes given the population, and what their outcomes say as normal factors."""
        n, n_customers = len(outcomes.y), int(outcomes.customer.max(initial=-1)) + 1
        score, variance = np.empty(n), np.empty(n)
        for start in range(0, n, JOINT_ROWS_AT_ONCE):
            part = slice(start, start + JOINT_ROWS_AT_ONCE)
            rows = outcomes.rows(part)
            score[part] = rows @ self.mean
            variance[part] = ((rows @ self.covariance) * rows).sum(axis=1)
        found = CustomerFactors.none(n_customers, len(self.effects.owner))
        first = np.flatnonzero(np.append(True, outcomes.customer[1:] != outcomes.customer[:-1])[:n])
        for part in outcomes.slices(first, CUSTOMER_ROWS):
            customer = outcomes.customer[part]
            known = slice(part.start + np.count_nonzero(customer < 0), part.stop)
            if known.start == known.stop:
                continue
            own = _OwnOutcomes(
                outcomes.columns(known), outcomes.y[known], outcomes.own_weight[known], score[known], variance[known]
            )
            customer = outcomes.customer[known]
            starts = np.flatnonzero(np.append(True, customer[1:] != customer[:-1]))
            length = np.diff(np.append(starts, len(customer)))
            for size in np.unique(length).tolist():
                at = starts[length == size]
                found.put(customer[at], _fit_equally_many(self.effects, own, at[:, None] + np.arange(size)))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class CustomerFactors:
    """m customers' modes, and the natural means and precisions of their own histories, (m, 1 + K) each.

    `prior` (m, 1 + K) are the expected precisions of their priors.
    """

    mean: FloatArray
    natural: FloatArray
    precision: FloatArray
    prior: FloatArray

    @staticmethod
    def none(n: int, columns: int) -> CustomerFactors:
        """Return room for n customers."""
        return CustomerFactors(*(np.zeros((n, columns)) for _ in range(4)))

    def put(self, places: IntArray, other: CustomerFactors) -> None:
        """Replace those of some customers."""
        self.mean[places], self.natural[places] = other.mean, other.natural
        self.precision[places], self.prior[places] = other.precision, other.prior


def fit_jointly(
    belief: Gaussian,
    sums: Callable[[JointPass], JointSums],
    prior: Prior,
    effects: JointCustomerEffects,
    rounds: int = 16,
    tolerance: float = 1e-3,
    *,
    apart: bool = False,
) -> None:
    """Learn all outcomes at once, from the priors, to the mode of population and customers' effects together.

    `sums` returns those of a pass over all outcomes. The first passes fit the population as if customers had no
    effects; from its residuals the variances of these are estimated (`PairSums`). Each further round is a Newton
    step of the population's weights at the customers' mode given them, with the customers' effects integrated out of
    its curvature: Newton's method on the profile of the posterior (Murphy & van der Vaart 2000, "On profile
    likelihood"). Between rounds the variances of the population's prior are estimated. It ends when no weight moves by
    more than `tolerance` of its deviation. What is known of single customers is then `JointPass.factors` at the belief.
    """
    belief.assign(prior.center.copy(), np.diag(prior.variance))
    own = False
    for turn in range(rounds):
        here = JointPass(belief.mean, belief.covariance, effects.without_customers(), own=own, apart=apart)
        found = sums(here)
        moved = found.newton.step(belief, prior)
        if own and moved < tolerance:
            return
        if not own and (moved < MOVED_ALONE or turn >= rounds // 2):
            effects.take_variances(found.pairs.variances(effects.given))
            own = True
        if turn < rounds - 2:  # the last rounds converge under fixed variances
            prior.estimate(belief)


def _whitened(rows: FloatArray, columns: FloatArray, customer: IntArray, variance: FloatArray) -> FloatArray:
    """Return rows (n, D) divided by a root of each customer's covariance, identity + columns variance columns'.

    The outcomes of a customer are together; `variance` are the prior variances of the customers, (m, 1 + K).
    """
    white = rows.copy()
    for at in _equally_many(customer):
        a, size = columns[at], at.shape[1]
        system = (a * variance[customer[at[:, 0]]][:, None, :]) @ a.transpose(0, 2, 1)
        system[:, np.arange(size), np.arange(size)] += 1.0
        if size == 1:
            white[at[:, 0]] /= np.sqrt(system[:, 0])
            continue
        white[at] = np.linalg.solve(np.linalg.cholesky(system), rows[at])
    return white


def _equally_many(customer: IntArray) -> Iterator[IntArray]:
    """Yield the places (m, outcomes of each) of runs of equally many outcomes, of the customers (n,) of outcomes.

    A customer's outcomes are together; those of none, -1, are left out.
    """
    order = np.flatnonzero(customer >= 0)
    ordered = customer[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(order)])
    rank = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    starts = np.flatnonzero(rank % LONGEST_RUN == 0)
    length = np.diff(np.append(starts, len(order)))
    for size in np.unique(length).tolist():
        yield order[starts[length == size][:, None] + np.arange(size)]


@dataclass(frozen=True, slots=True, eq=False)
class _OwnOutcomes:
    """Outcomes of customers: what their effects are learned from, given the population.

    `columns` are (n, 1 + K), all others (n,); `variance` is that of the population's score.
    """

    columns: FloatArray
    y: FloatArray
    weight: FloatArray
    score: FloatArray
    variance: FloatArray


def _fit_equally_many(effects: JointCustomerEffects, own: _OwnOutcomes, at: IntArray) -> CustomerFactors:
    """Return the factors of the customers with the outcomes `at` (m, outcomes of each)."""
    columns, y, weight, score = own.columns[at], own.y[at], own.weight[at], own.score[at]
    mean = natural = precision = np.zeros((len(at), columns.shape[2]))
    prior = effects.expected_precision(natural, precision)
    for turn in range(_MIXTURE_ROUNDS):
        if turn:
            prior = effects.expected_precision(natural, precision)
        for _ in range(_CUSTOMER_STEPS):
            p = expit(score + _times(columns, mean))
            gradient = _times(columns.transpose(0, 2, 1), weight * (y - p)) - prior * mean
            step = np.clip(_solved(columns, weight * p * (1.0 - p), prior, gradient), -_LARGEST_STEP, _LARGEST_STEP)
            mean = mean + step
            if np.abs(step).max() < _LAST_STEP:
                break
        p = expit(score + _times(columns, mean))
        curvature = weight * p * (1.0 - p)
        # The population's score is uncertain: for the customer, its variance is noise.
        reduced = np.maximum(_reductions(columns, curvature / (1.0 + curvature * own.variance[at]), prior), 0.0)
        variance = 1.0 / prior - reduced
        natural, precision = mean / variance, prior * reduced / variance
    return CustomerFactors(mean, natural, precision, prior)


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


def _reductions(columns: FloatArray, curvature: FloatArray, prior: FloatArray) -> FloatArray:
    """Return by how much the outcomes reduce the prior variances 1 / prior, (m, 1 + K), as `_solved` finds it.

    1 / prior minus the diagonal of inverse(diag(prior) + columns' curvature columns), without taking a difference.
    """
    if columns.shape[1] >= columns.shape[2]:
        known = columns.transpose(0, 2, 1) @ (columns * curvature[:, :, None])
        whole = np.linalg.inv(_curvature(columns, curvature, prior))
        return np.asarray((known * whole.transpose(0, 2, 1)).sum(axis=2) / prior)
    scaled, system = _outcome_system(columns, curvature, prior)
    return np.asarray((scaled * np.linalg.solve(system, scaled)).sum(axis=1))


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

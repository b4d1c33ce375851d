"""Random effects of customers that share each residual with the population's effects, by their variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from bandit.domain import BoolArray, FloatArray, IntArray, ObjectArray
from bandit.models.customer_effects import ESTIMATE_CUSTOMERS, CustomerEffects

WIDE_SHARE = 0.01
"""Prior share of customers who differ from the others in one dimension far more than most do."""

WIDE_DEVIATION = 1.0
"""Prior deviation, in logits, of the effects of such a customer."""

KNOWN_BELIEFS = 1_024
"""Most beliefs about single customers that are kept."""

_WIDE_LOGIT = float(np.log(WIDE_SHARE / (1.0 - WIDE_SHARE)))

_sum = np.add.reduce


class _Beliefs(dict[bytes, tuple[FloatArray, FloatArray]]):
    """Means and variances (1 + K,) by the bytes of the likelihood factors they follow from; a copy begins empty.

    As the factors are the key, no change of a customer's history can leave an old belief here.
    """

    def __deepcopy__(self, memo: dict[int, object]) -> _Beliefs:
        return _Beliefs()


class JointCustomerEffects(CustomerEffects):
    """Customers' effects, each dimension's of a mixture of two normal priors, learned jointly with the population's.

    In each dimension a customer is with probability 1 - WIDE_SHARE one of N(0, variance of the dimension), which is
    estimated from all customers, and else one of N(0, WIDE_DEVIATION^2): one who differs where nobody else does is
    recognised by an own history, however small the estimated variance has become. Means and variances are those of the
    mixture.

    What an outcome says is a normal factor of the likelihood, found by one step of assumed-density filtering (Opper
    1998, "A Bayesian approach to on-line learning") in which the population's score is uncertain too. The covariance
    between population and customer is used within a block of outcomes and dropped after it.
    """

    def __init__(self, owner: IntArray, deviation: FloatArray, strength: float = 5.0) -> None:
        """Take what `CustomerEffects` takes."""
        super().__init__(owner, deviation, strength)
        self._member = np.eye(len(self.given))[owner]
        self._known_priors: tuple[FloatArray, FloatArray, _Beliefs] = (np.zeros(0), np.zeros((2, 0)), _Beliefs())

    def means_and_variances(self, places: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return means and variances, (n, 1 + K) each; at place -1 those of the prior."""
        natural, precision = self._factors(places)
        narrow, wide, share = self._mixture(natural, precision)
        between = wide - narrow
        # Of a mixture: the mean of the two variances, and the variance of the two means.
        common = narrow + share * between
        return natural * common, common + share * (1.0 - share) * (natural * between) ** 2

    def means(self, places: IntArray) -> FloatArray:
        """Return the means (n, 1 + K) of `means_and_variances`, to the same bits."""
        if len(places) == 1:
            at = int(places[0])
            return np.zeros((1, len(self.owner))) if at < 0 else self._belief_of(at)[0][None]
        natural, precision = self._factors(places)
        narrow, wide, share = self._mixture(natural, precision)
        return natural * (narrow + share * (wide - narrow))

    def _belief_of(self, place: int) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance (1 + K,) of one customer with a place, to the bits of `means_and_variances`.

        They are kept until the customer's factors or the prior's variances are other ones, and cannot be written to.
        """
        priors, known = self._priors()
        own, learned = self.memory.row(place)
        key = own.tobytes() + learned.tobytes()
        found = known.get(key)
        if found is not None:
            return found
        natural = own.astype(np.float64)
        shrink = 1.0 + priors * learned.astype(np.float64)
        narrow, wide = priors / shrink
        between = wide - narrow
        evidence = natural * natural * between + np.log(shrink[0] / shrink[1])
        share = expit(_WIDE_LOGIT + 0.5 * (evidence @ self._member)).take(self.owner)
        common = narrow + share * between
        found = natural * common, common + share * (1.0 - share) * (natural * between) ** 2
        for part in found:
            part.setflags(write=False)
        if len(known) >= KNOWN_BELIEFS:
            known.clear()
        known[key] = found
        return found

    def _factors(self, places: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the natural means and precisions of the likelihoods, (n, 1 + K) each, zeros at place -1."""
        if not len(self.memory.natural):
            shape = (len(places), len(self.owner))
            return np.zeros(shape), np.zeros(shape)
        if len(places) == 1 and places[0] >= 0:  # slices are quicker than index arrays
            natural, precision = self.memory.rows(slice(int(places[0]), int(places[0]) + 1))
            return natural.astype(np.float64), precision.astype(np.float64)
        known = (places >= 0)[:, None].astype(np.float64)
        natural, precision = self.memory.rows(places)
        return natural * known, precision * known

    def _mixture(self, natural: FloatArray, precision: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return both priors' posterior variances and the chance of the wide one, (n, 1 + K) each."""
        prior, wide_prior = self._priors()[0]
        shrink, wide_shrink = 1.0 + prior * precision, 1.0 + wide_prior * precision
        narrow, wide = prior / shrink, wide_prior / wide_shrink
        evidence = natural * natural * (wide - narrow) + np.log(shrink / wide_shrink)
        chance = expit(_WIDE_LOGIT + 0.5 * (evidence @ self._member))
        return narrow, wide, chance.take(self.owner, axis=1)

    def _priors(self) -> tuple[FloatArray, _Beliefs]:
        """Return the variances (2, 1 + K) of both priors and the beliefs known under them.

        Both are kept until the variances are other ones.
        """
        known = self._known_priors
        if known[0] is not self.variances:
            variances = self.variances
            known = self._known_priors = variances, np.stack([variances, self._wide])[:, self.owner], _Beliefs()
        return known[1:]

    @property
    def _wide(self) -> FloatArray:
        """The variances of the wide prior, always above those of the narrow one."""
        return np.maximum(WIDE_DEVIATION**2, 4.0 * self.variances)

    def learn_factors(
        self, places: IntArray, mean: FloatArray, variance: FloatArray, slopes: FloatArray, information: FloatArray
    ) -> None:
        """Multiply the likelihood factors of distinct customers (n,) in, whose belief is `mean` and `variance`.

        All others are (n, 1 + K): `slopes` of the log likelihood, by which variance x slope moves the mean, and
        `information`, by which the variance falls by variance^2 x information.
        """
        precision = information / np.maximum(1.0 - variance * information, 1e-3)
        self.memory.touch(places)
        self.memory.natural[places] += mean * precision + slopes * (1.0 + variance * precision)
        self.memory.precision[places] += precision

    def one(self, customer: str, columns: FloatArray) -> OneCustomerOutcome:
        """Return one outcome of an offer with these columns (1 + K,), allocating a place to a new customer."""
        place = self.memory.find_or_add_one(customer)
        mean, variance = self._belief_of(place)
        offset, spread = float(_sum(columns * mean)), float((columns * variance) @ columns)
        return OneCustomerOutcome(self, place, columns, mean, variance, offset, spread)

    def learn_factor(
        self, place: int, mean: FloatArray, variance: FloatArray, slopes: FloatArray, information: FloatArray
    ) -> None:
        """Multiply one customer's likelihood factor in, as `learn_factors` does; all arrays are (1 + K,)."""
        precision = information / np.maximum(1.0 - variance * information, 1e-3)
        self.memory.touch_one(place)
        self.memory.natural[place] += mean * precision + slopes * (1.0 + variance * precision)
        self.memory.precision[place] += precision

    def prior_precision(self, places: IntArray) -> FloatArray:
        """Return the expected precision (n, 1 + K) of the customers' priors, by their chances of the wide one."""
        natural, known = self.memory.rows(places)
        return self.expected_precision(natural.astype(np.float64), known.astype(np.float64))

    def expected_precision(self, natural: FloatArray, precision: FloatArray) -> FloatArray:
        """Return what `prior_precision` does for customers of these likelihood factors, (n, 1 + K) each."""
        _, _, share = self._mixture(natural, precision)
        return (1.0 - share) / self.variances[self.owner] + share / self._wide[self.owner]

    def set_factors(self, places: IntArray, natural: FloatArray, precision: FloatArray) -> None:
        """Replace the likelihood factors of customers (n,): natural means and precisions, (n, 1 + K) each."""
        self.memory.touch(places)
        self.memory.natural[places], self.memory.precision[places] = natural, precision

    def shares(
        self, customers: ObjectArray, columns: FloatArray, curvature: FloatArray, population: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return which shares of a changed response the population (n,) and the customers' columns (n, 1 + K) learn.

        `curvature` (n,) is weight x p (1 - p), `population` (n,) the variance of the population's score. What is not
        one's own is noise: where an outcome has noise 1 / curvature and the others' variance v, the share of its
        natural mean is 1 / (1 + curvature x v). The customers' variances count as they were before any outcome.
        """
        own = columns * columns / self.prior_precision(self.places_for(customers))
        others = (own.sum(axis=1) + population)[:, None] - own
        return 1.0 / (1.0 + curvature * own.sum(axis=1)), 1.0 / (1.0 + curvature[:, None] * others)

    def judge(
        self,
        columns: FloatArray,
        mean: FloatArray,
        variance: FloatArray,
        residual: FloatArray,
        curvature: FloatArray,
    ) -> None:
        """Take in outcomes before they are learned: nothing here, where the variances are found in the effects."""

    def judge_one(
        self, columns: FloatArray, mean: FloatArray, variance: FloatArray, residual: float, curvature: float
    ) -> None:
        """Take in one outcome as `judge` does; the arrays are (1 + K,)."""

    def correct_judgement(self, places: IntArray, columns: FloatArray, change: FloatArray) -> None:
        """Correct the responses of outcomes that were judged before: nothing here."""

    def take_variances(self, variances: FloatArray) -> None:
        """Set the variances of the dimensions, as a batch fit finds them."""
        self.variances = variances

    def estimate_from_histories(self) -> None:
        """Estimate the variances after all outcomes were learned at once."""
        self.estimate()

    def estimate(self, rounds: int = 3) -> None:
        """Estimate the variances of the narrow priors from all customers' histories, by their chance to be of these."""
        size = len(self.variances)
        for _ in range(rounds):
            squares, determined = np.zeros(len(self.owner)), np.zeros(len(self.owner))
            for start in range(0, len(self), ESTIMATE_CUSTOMERS):
                part = slice(start, min(start + ESTIMATE_CUSTOMERS, len(self)))
                own, known = self.memory.rows(part)
                natural = own.astype(np.float64)
                narrow, _, share = self._mixture(natural, known.astype(np.float64))
                squares += ((1.0 - share) * (natural * narrow) ** 2).sum(axis=0)
                determined += ((1.0 - share) * (1.0 - narrow / self.variances[self.owner])).sum(axis=0)
            shared = np.bincount(self.owner, determined, minlength=size)
            found = self.strength * self.given + np.bincount(self.owner, squares, minlength=size)
            self.variances = np.clip(found / (self.strength + shared), 1e-4, 16.0 * self.given)

    def without_customers(self) -> JointCustomerEffects:
        """Return effects under the same priors of which no customer is known."""
        other = type(self)(self.owner, np.sqrt(self.given), self.strength)
        other.variances = self.variances.copy()
        return other


@dataclass(frozen=True, slots=True, eq=False)
class OneCustomerOutcome:
    """One outcome, learned in numbers to the bits of `CustomerBlock`.

    `columns` are the offer's, `mean` and `variance` the belief about the customer before it, (1 + K,) each; `offset`
    and `spread` are the mean and variance of the customer's part of its score.
    """

    effects: JointCustomerEffects
    place: int
    columns: FloatArray
    mean: FloatArray
    variance: FloatArray
    offset: float
    spread: float

    def judge(self, residual: float, curvature: float) -> None:
        """Compare what the effects predicted with the outcome, before it is learned."""
        self.effects.judge_one(self.columns, self.mean, self.variance, residual, curvature)

    def learn(self, dual: float, information: float) -> None:
        """Learn from the dual and the information of the outcome's score."""
        columns = self.columns
        explained = columns * (information * columns)
        self.effects.learn_factor(self.place, self.mean, self.variance, columns * dual, explained)


@dataclass(frozen=True, slots=True, eq=False)
class CustomerOutcomes:
    """Outcomes of customers whose effects are learned jointly: places (n,) and offers' columns (n, 1 + K)."""

    effects: JointCustomerEffects
    places: IntArray
    columns: FloatArray

    @staticmethod
    def of(effects: JointCustomerEffects, customers: ObjectArray, columns: FloatArray) -> CustomerOutcomes:
        """Return the outcomes of customers, allocating a place to each new one."""
        return CustomerOutcomes(effects, effects.places_for(customers), columns)

    def block(self, start: int, stop: int) -> CustomerBlock:
        """Return some of the outcomes, with their customers' beliefs as they are now."""
        places, columns = self.places[start:stop], self.columns[start:stop]
        mean, variance = self.effects.means_and_variances(places)
        same = places[:, None] == places[None, :]
        covariance = same * ((columns * variance) @ columns.T)
        return CustomerBlock(self, start, mean, variance, same, (columns * mean).sum(axis=1), covariance)


@dataclass(frozen=True, slots=True, eq=False)
class CustomerBlock:
    """Outcomes learned at once; customers' effects add `offset` (n,) to their scores, with this `covariance` (n, n).

    `mean` and `variance` (n, 1 + K) are the belief about each outcome's customer, `same` (n, n) says whose is whose.
    """

    whole: CustomerOutcomes
    start: int
    mean: FloatArray
    variance: FloatArray
    same: BoolArray
    offset: FloatArray
    covariance: FloatArray

    def judge(self, residual: FloatArray, curvature: FloatArray) -> None:
        """Compare what the effects predicted with the outcomes, before these are learned; (n,) each."""
        columns = self.whole.columns[self.start : self.start + len(residual)]
        self.whole.effects.judge(columns, self.mean, self.variance, residual, curvature)

    def learn(self, dual: FloatArray, information: FloatArray) -> None:
        """Learn from the dual vector (n,) and the information (n, n) of the outcomes' scores."""
        part = slice(self.start, self.start + len(dual))
        places, columns = self.whole.places[part], self.whole.columns[part]
        slopes, explained = columns * dual[:, None], columns * ((information * self.same) @ columns)
        mean, variance = self.mean, self.variance
        if len(places) > 1:
            distinct, first, turn = np.unique(places, return_index=True, return_inverse=True)
            sums = np.zeros((2, len(distinct), columns.shape[1]))
            np.add.at(sums[0], turn, slopes)
            np.add.at(sums[1], turn, explained)
            places, slopes, explained = distinct, sums[0], sums[1]
            mean, variance = mean[first], variance[first]
        self.whole.effects.learn_factors(places, mean, variance, slopes, explained)

"""Confidence sequences: intervals with joint coverage over all looks, from the first row, for bounded rewards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import gammainc, gammaln

from bandit.errors import InputError, NumberError
from bandit.ope.bounds import ObservedBounds, check_range
from bandit.ope.estimate import Estimate, check_level
from bandit.ope.estimator import check_needs
from bandit.ope.estimators.registry import resolve

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.feedback import Feedback, FeedbackRows

SequenceEstimator: TypeAlias = Literal["ips", "dr"]

TUNED_ROWS = 1_000.0
"""Rows at which the sequence is about as narrow as possible, for pseudo-outcomes with a variance of 1."""


class ConfidenceSequence:
    """Estimates a policy's value, or the difference of two, with an interval that may be inspected after every row.

    The probability that the interval of any look excludes its estimand is at most 1 - level, for any number of looks,
    for any stopping rule that depends on them, and from the first row on. The assumptions are that the propensities
    are as logged, that rewards lie in `reward_range`, and that rows are added in order of time. Waudby-Smith, Wu,
    Ramdas, Karampatziakis and Mineiro 2022, "Anytime-valid off-policy inference for contextual bandits": the empirical
    Bernstein confidence sequence for values that may vary with time.

    The estimand after n rows is the mean, over the log's n decisions, of the expected value under the target policy of
    each decision given the past. Rows need not be independent: the value of a returning customer's decision, given the
    past, is part of that mean; so there are no clusters here. Where the logging policy learns, its propensities may
    depend on the past. The mean is over the customers in the log, not over a population; for a population see the kind
    "anytime" of `Tally`, which is clustered but asymptotic.

    Pseudo-outcomes are w r for "ips" and q_target + w (r - q_logged) for "dr", with rewards scaled to [0, 1], and
    their differences for two policies. ips of one policy needs no bound on the weights: the lower end is that of
    w r >= 0 and the upper end 1 minus that of w (1 - r) >= 0. "dr" and differences need `max_weight`, an upper bound
    on target / propensity that is known beforehand, such as 1 / the smallest probability of the logging policy, and dr
    needs predictions within `reward_range`. The width follows the observed variance; the bound adds only a term of
    order max_weight log(1 / alpha) / n.

    1,000 rows of a log that the target policy wrote itself, half of them with reward 1:

    >>> import numpy as np
    >>> from bandit.ope import ConfidenceSequence, Feedback
    >>> sequence = ConfidenceSequence(reward_range=(0.0, 1.0))
    >>> for _ in range(10):
    ...     sequence.add(Feedback(np.tile([0.0, 1.0], 50), np.full(100, 0.5), np.full(100, 0.5)))
    >>> now = sequence.estimate()
    >>> round(now.value, 3), round(now.low, 3), round(now.high, 3)
    (0.5, 0.447, 0.553)
    """

    def __init__(
        self,
        reward_range: tuple[float, float],
        estimator: SequenceEstimator = "ips",
        policies: int = 1,
        max_weight: float | None = None,
        level: float = 0.95,
    ) -> None:
        check_range(reward_range)
        check_level(level)
        if estimator not in {"ips", "dr"} or policies not in {1, 2}:
            raise InputError(
                f'there is no confidence sequence of "{estimator}" for {policies} policies; '
                "choose ips or dr and one policy, or two for their difference"
            )
        if max_weight is None and (estimator == "dr" or policies == 2):
            raise InputError(
                "dr and differences need max_weight, which is not given; "
                "give 1 / the logging policy's smallest probability"
            )
        if max_weight is not None and not (np.isfinite(max_weight) and max_weight > 0):
            raise InputError(f"max_weight is {max_weight}; give a number above 0")
        self.reward_range = (float(reward_range[0]), float(reward_range[1]))
        self.estimator: SequenceEstimator = estimator
        self.policies = policies
        self.max_weight = max_weight
        self.level = level
        self._observed = ObservedBounds(policies)
        self._weights = np.zeros(policies)
        w = 0.0 if max_weight is None else max_weight
        # How far below 0 a pseudo-outcome can lie.
        below = {("ips", 1): 0.0, ("dr", 1): w, ("ips", 2): w, ("dr", 2): w + 1.0}[estimator, policies]
        smallest = 0.0 if policies == 1 else -1.0
        self._lower, self._upper = _LowerBound(below, smallest), _LowerBound(below, smallest)
        self._running = (-np.inf, np.inf)

    def add(self, *feedback: Feedback) -> None:
        """Add the next rows in order of time: one Feedback per policy, all of the same logged rows.

        InputError where the policies' rows differ, NumberError for rewards, predictions or weights outside the
        declared bounds; then nothing is added.
        """
        if len(feedback) != self.policies:
            raise InputError(f"{len(feedback)} feedbacks for {self.policies} policies; give one per policy")
        if not all(feedback[0].same_log(other) for other in feedback[1:]):
            raise InputError("the policies' rewards, propensities or weights differ; give feedback on the same rows")
        if feedback[0].weight is not None:
            raise InputError(
                "a confidence sequence is over the decisions of the log, each of which counts once, and these have "
                "weights; ask a Tally for the interval anytime"
            )
        for each in feedback:
            check_needs(resolve((self.estimator,), each.has), each.has)
        batch = [each.rows() for each in feedback]
        if not len(feedback[0]):
            return
        for rows in batch:
            self._check(rows)
        for policy, rows in enumerate(batch):
            self._observed.add(policy, rows)
            self._weights[policy] = np.cumsum(np.concatenate([self._weights[policy : policy + 1], rows.weight]))[-1]
        lower, upper = self._outcomes(batch[0])
        if self.policies == 2:
            lower = lower - self._outcomes(batch[1])[0]
            upper = -lower
        self._lower.add(lower)
        self._upper.add(upper)

    def estimate(self) -> Estimate:
        """Return the mean of the pseudo-outcomes so far with the interval of this look.

        `standard_error` is that of independent rows, for orientation; `clusters` is the number of rows.
        """
        low, high = self._bounds()
        offset, scale = self._offset_and_scale()
        n = self._lower.n
        return Estimate(
            name=self.estimator,
            value=offset + scale * self._lower.total / n,
            low=offset + scale * low,
            high=offset + scale * high,
            n=n,
            effective_sample_size=min(
                self._observed.effective_sample_size(i, each) for i, each in enumerate(self._weights)
            ),
            max_weight=float(self._observed.largest.max()),
            mean_weight=float(self._weights[0] / n),
            standard_error=scale * self._lower.scale * float(np.sqrt(self._lower.squares)) / n,
            clusters=n,
            level=self.level,
            interval="confidence-sequence",
        )

    def look(self) -> Estimate:
        """Return the estimate with the running intersection of the intervals of all looks, this one included.

        For values that do not change with time it has the same joint coverage. An empty intersection shows that the
        value changed (or that an interval missed it); the intersection then restarts with this look's interval.
        """
        now = self.estimate()
        low, high = max(now.low, self._running[0]), min(now.high, self._running[1])
        self._running = (low, high) if low <= high else (now.low, now.high)
        return replace(now, low=self._running[0], high=self._running[1])

    def _bounds(self) -> tuple[float, float]:
        """Return the interval on the scale of the pseudo-outcomes."""
        if not self._lower.n:
            raise InputError("there are no rows to estimate from; give at least one logged decision")
        alpha = (1.0 - self.level) / 2
        low, high = self._lower.bound(alpha), self._upper.bound(alpha)
        if self.policies == 2:
            return max(low, -1.0), min(-high, 1.0)
        return max(low, 0.0), min(1.0 - high, 1.0)

    def _offset_and_scale(self) -> tuple[float, float]:
        """Return offset and scale of the pseudo-outcomes in the reward's unit."""
        low, high = self.reward_range
        return (low if self.policies == 1 else 0.0), high - low

    def _outcomes(self, rows: FeedbackRows) -> tuple[FloatArray, FloatArray]:
        """Return the (n,) pseudo-outcomes of the value and of 1 - value."""
        low, high = self.reward_range
        reward = (rows.reward - low) / (high - low)
        if self.estimator == "ips":
            return rows.weight * reward, rows.weight * (1.0 - reward)
        logged, target = ((each - low) / (high - low) for each in (rows.predicted_logged, rows.predicted_target))
        outcomes = target + rows.weight * (reward - logged)
        return outcomes, 1.0 - outcomes

    def _check(self, rows: FeedbackRows) -> None:
        low, high = self.reward_range
        columns = {"reward": rows.reward}
        if self.estimator == "dr":
            columns |= {"predicted_logged": rows.predicted_logged, "predicted_target": rows.predicted_target}
        for name, column in columns.items():
            if column.min() < low or column.max() > high:
                raise NumberError(
                    f"{name} ranges from {column.min():g} to {column.max():g}, outside reward_range "
                    f"{self.reward_range}; widen the range before the first look or clip the predictions"
                )
        # The quotient of two rounded probabilities may exceed its bound in the last digits.
        if self.max_weight is not None and rows.weight.max() > self.max_weight * (1.0 + 1e-9):
            raise NumberError(
                f"a row has weight {rows.weight.max():g}, more than max_weight {self.max_weight:g}; "
                "declare a bound that holds before the first look"
            )


class _LowerBound:
    """The lower confidence sequence of the mean of outcomes >= -below with conditional means in [smallest, 1].

    With x = outcome / (below + 1), c_t a prediction of the next x from those before (their mean, clipped to at most
    1 / (below + 1)) and V = sum (x_t - c_t)^2, exp(l S - psi(l) V) is for every l in [0, 1) a supermartingale, S = sum
    of (x_t - its conditional mean), psi(l) = -log(1 - l) - l (Fan, Grama and Liu 2015; Howard, Ramdas, McAuliffe and
    Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences"). Mixed over l with the density
    proportional to (1 - l)^(rho - 1) exp(rho l) it is, with b = V + rho, c = b + S and g the lower incomplete gamma
    function, exp(S + V) g(b, c) / c^b over g(rho, rho) / rho^rho, and stays below 1 / alpha with probability 1 - alpha.
    Because l does not depend on the data, S is the unweighted sum: the bounded mean has equal weights even where the
    conditional means change.
    """

    __slots__ = ("_largest", "_prior", "_smallest", "_sum", "n", "scale", "squares")

    def __init__(self, below: float, smallest: float) -> None:
        self.scale = below + 1.0
        self._smallest, self._largest = smallest / self.scale, 1.0 / self.scale
        # The prediction starts from one pseudo-row half-way between the smallest and the largest mean.
        self._prior = 0.5 * (self._smallest + self._largest)
        self.n = 0
        self._sum = 0.0
        self.squares = 0.0

    @property
    def total(self) -> float:
        """The sum of the outcomes."""
        return self.scale * self._sum

    def add(self, outcomes: FloatArray) -> None:
        """Add the next (n,) outcomes; sums run row by row, so that results do not depend on batches."""
        x = outcomes / self.scale
        sums = np.cumsum(np.concatenate([[self._sum], x]))
        predicted = (self._prior + sums[:-1]) / np.arange(self.n + 1, self.n + len(x) + 1)
        errors = (x - np.clip(predicted, self._smallest, self._largest)) ** 2
        self.squares = float(np.cumsum(np.concatenate([[self.squares], errors]))[-1])
        self._sum = float(sums[-1])
        self.n += len(x)

    def bound(self, alpha: float) -> float:
        """Return the lower bound of the mean of the outcomes' conditional means."""
        from scipy.optimize import brentq  # noqa: PLC0415 - slow to import

        log = -np.log(alpha)
        # Howard et al. 2021, equation 3.16 to leading order, with V = TUNED_ROWS rows of variance 1.
        rho = TUNED_ROWS / self.scale**2 / (2.0 * log + np.log1p(2.0 * log))
        high = log + np.sqrt(2.0 * log * (self.squares + 1.0))
        while _log_mixture(high, self.squares, rho) < log:
            high *= 2.0
        edge = brentq(lambda s: _log_mixture(s, self.squares, rho) - log, 0.0, high, rtol=1e-12)
        return self.scale * (self._sum - edge) / self.n


def _log_mixture(s: float, v: float, rho: float) -> float:
    """Return the logarithm of the mixture of exp(l s - psi(l) v) over l."""
    b = v + rho
    return float(
        s
        - b * np.log1p(s / b)
        + _log_gamma_remainder(b)
        - _log_gamma_remainder(rho)
        + np.log(gammainc(b, b + s))
        - np.log(gammainc(rho, rho))
    )


def _log_gamma_remainder(b: float) -> float:
    """Return log Gamma(b) - b log b + b."""
    return float(gammaln(b) - b * np.log(b) + b)

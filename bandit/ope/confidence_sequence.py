"""Intervals that hold at every look, from the first row on and for any rewards in a range: confidence sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import gammainc, gammaln

from bandit.errors import InputError, NumberError
from bandit.ope.bounds import Extremes, check_range
from bandit.ope.estimate import Estimate, check_level
from bandit.ope.estimator import check_needs
from bandit.ope.estimators.registry import resolve

if TYPE_CHECKING:
    from bandit.domain import FloatArray
    from bandit.ope.feedback import Feedback, Rows

SequenceEstimator: TypeAlias = Literal["ips", "dr"]

TUNED_FOR = 1_000.0
"""Rows at which the sequence is about as narrow as it can be, for pseudo-outcomes that vary by one range of rewards."""


class ConfidenceSequence:
    """A policy's value, or the difference of two, with an interval that may be looked at after every row.

    The chance that any of all the looks' intervals misses is at most 1 - level: no matter how many looks, whether
    looking decides when to stop, or how few rows there are. It supposes nothing but the logged propensities, that
    rewards lie in `reward_range`, and that rows are added in the order of time. Waudby-Smith, Wu, Ramdas,
    Karampatziakis and Mineiro 2022, "Anytime-valid off-policy inference for contextual bandits", the empirical
    Bernstein sequence for values that may vary with time.

    What is estimated after n rows is the mean, over the log's n decisions, of the value that each decision had to
    be expected to have under the target policy, given all that came before it. Rows need not be independent:
    a customer who comes again has, given the past, a value of the new decision, which is part of that mean; so
    there are no clusters here. Where the logging policy learns, its propensities may depend on the past. The mean is
    of the customers who did come, not of others; for those see the kind "anytime" of `Tally`, which clusters but
    is asymptotic.

    Pseudo-outcomes are w r for "ips", q_target + w (r - q_logged) for "dr", with rewards scaled to [0, 1], and
    the differences of the two policies' where there are two. ips of one policy needs no bound of the weights: the
    lower end is that of w r >= 0 and the upper end 1 minus that of w (1 - r) >= 0. "dr" and differences need
    `max_weight`, a bound of target / propensity that is known beforehand, such as 1 / the logging policy's least
    probability, and dr needs predictions within `reward_range`. The width follows the observed variance; the bound
    only adds a term of order max_weight log(1 / alpha) / n.
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
                "give 1 / the logging policy's least probability"
            )
        if max_weight is not None and not (np.isfinite(max_weight) and max_weight > 0):
            raise InputError(f"max_weight is {max_weight}; give a number above 0")
        self.reward_range = (float(reward_range[0]), float(reward_range[1]))
        self.estimator: SequenceEstimator = estimator
        self.policies = policies
        self.max_weight = max_weight
        self.level = level
        self._extremes = Extremes(policies)
        self._weights = np.zeros(policies)
        most = 0.0 if max_weight is None else max_weight
        # How far below 0 a pseudo-outcome can lie.
        below = {("ips", 1): 0.0, ("dr", 1): most, ("ips", 2): most, ("dr", 2): most + 1.0}[estimator, policies]
        least = 0.0 if policies == 1 else -1.0
        self._sides = (_Side(below, least), _Side(below, least))
        self._running = (-np.inf, np.inf)

    def add(self, *feedback: Feedback) -> None:
        """Add the next rows in time: one Feedback a policy, all of the same rows.

        InputError for rows that do not fit each other, NumberError for rewards, predictions or weights that are
        out of the declared bounds; nothing is then added.
        """
        if len(feedback) != self.policies:
            raise InputError(f"{len(feedback)} feedbacks for {self.policies} policies; give one a policy")
        if not all(feedback[0].same_log(other) for other in feedback[1:]):
            raise InputError("the policies' rewards or propensities differ; give feedback on the same rows")
        for each in feedback:
            check_needs(resolve((self.estimator,), each.has), each.has)
        batch = [each.rows() for each in feedback]
        if not len(feedback[0]):
            return
        for rows in batch:
            self._check(rows)
        for policy, rows in enumerate(batch):
            self._extremes.add(policy, rows)
            self._weights[policy] = np.cumsum(np.concatenate([self._weights[policy : policy + 1], rows.weight]))[-1]
        lower, upper = self._outcomes(batch[0])
        if self.policies == 2:
            its_lower, _ = self._outcomes(batch[1])
            lower = lower - its_lower
            upper = -lower
        for side, outcomes in zip(self._sides, (lower, upper), strict=True):
            side.add(outcomes)

    def estimate(self) -> Estimate:
        """Return the mean of the pseudo-outcomes so far with the interval of this look.

        `standard_error` is that of rows that are independent, for orientation; `clusters` is the number of rows.
        """
        low, high = self._bounds()
        start, scale = self._origin()
        side = self._sides[0]
        n = side.n
        return Estimate(
            name=self.estimator,
            value=start + scale * side.total / n,
            low=start + scale * low,
            high=start + scale * high,
            n=n,
            effective_sample_size=min(self._extremes.effective(i, each) for i, each in enumerate(self._weights)),
            max_weight=float(self._extremes.largest.max()),
            mean_weight=float(self._weights[0] / n),
            standard_error=scale * side.scale * float(np.sqrt(side.squares)) / n,
            clusters=n,
            level=self.level,
            interval="confidence-sequence",
        )

    def look(self) -> Estimate:
        """Return the estimate with the intersection of the intervals of all looks so far, this one included.

        It is for values that do not change with time, and then holds at the same level. Where this look's interval
        does not meet those before, they did change (or an interval missed): the intersection starts anew.
        """
        now = self.estimate()
        low, high = max(now.low, self._running[0]), min(now.high, self._running[1])
        self._running = (low, high) if low <= high else (now.low, now.high)
        return replace(now, low=self._running[0], high=self._running[1])

    def _bounds(self) -> tuple[float, float]:
        """Return both ends on the scale of pseudo-outcomes."""
        lower, upper = self._sides
        if not lower.n:
            raise InputError("there are no rows to estimate from; give at least one logged decision")
        alpha = (1.0 - self.level) / 2
        low, high = lower.bound(alpha), upper.bound(alpha)
        if self.policies == 2:
            return max(low, -1.0), min(-high, 1.0)
        return max(low, 0.0), min(1.0 - high, 1.0)

    def _origin(self) -> tuple[float, float]:
        """Return value and unit of a pseudo-outcome of 0 in the reward's unit."""
        low, high = self.reward_range
        return (low if self.policies == 1 else 0.0), high - low

    def _outcomes(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Return the (n,) pseudo-outcomes of the value, and those of 1 - value."""
        low, high = self.reward_range
        reward = (rows.reward - low) / (high - low)
        if self.estimator == "ips":
            return rows.weight * reward, rows.weight * (1.0 - reward)
        logged, target = ((each - low) / (high - low) for each in (rows.predicted_logged, rows.predicted_target))
        outcomes = target + rows.weight * (reward - logged)
        return outcomes, 1.0 - outcomes

    def _check(self, rows: Rows) -> None:
        low, high = self.reward_range
        columns = {"reward": rows.reward}
        if self.estimator == "dr":
            columns |= {"predicted_logged": rows.predicted_logged, "predicted_target": rows.predicted_target}
        for name, column in columns.items():
            if column.min() < low or column.max() > high:
                raise NumberError(
                    f"{name} reaches from {column.min():g} to {column.max():g}, outside of reward_range "
                    f"{self.reward_range}; widen the range before the first look or clip what is predicted"
                )
        # The quotient of two rounded probabilities may pass its bound in the last digits.
        if self.max_weight is not None and rows.weight.max() > self.max_weight * (1.0 + 1e-9):
            raise NumberError(
                f"a row weighs {rows.weight.max():g}, more than max_weight {self.max_weight:g}; "
                "declare a bound that holds before the first look"
            )


class _Side:
    """The lower bound of the mean of outcomes that are at least -below and have means in [least, 1].

    With x = outcome / (below + 1), c_t a guess of the next x from those before (their mean, kept at most
    1 / (below + 1)) and V = sum (x_t - c_t)^2, exp(l S - psi(l) V) is for every l in [0, 1) a supermartingale, S = sum
    of (x_t - its conditional mean), psi(l) = -log(1 - l) - l (Fan, Grama and Liu 2015; Howard, Ramdas, McAuliffe and
    Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences"). Mixed over l with the density
    proportional to (1 - l)^(rho - 1) exp(rho l) it is, with b = V + rho, c = b + S and g the lower incomplete gamma
    function, exp(S + V) g(b, c) / c^b over g(rho, rho) / rho^rho, and stays below 1 / alpha with probability 1 - alpha.
    Because the l of each moment is not chosen by what was seen, S is the plain sum: the mean that is bounded has
    equal weights even where the conditional means change.
    """

    __slots__ = ("_guess", "_least", "_most", "_sum", "n", "scale", "squares")

    def __init__(self, below: float, least: float) -> None:
        self.scale = below + 1.0
        self._least, self._most = least / self.scale, 1.0 / self.scale
        # The guess counts like one row half-way between the least and the largest mean.
        self._guess = 0.5 * (self._least + self._most)
        self.n = 0
        self._sum = 0.0
        self.squares = 0.0

    @property
    def total(self) -> float:
        """The sum of the outcomes."""
        return self.scale * self._sum

    def add(self, outcomes: FloatArray) -> None:
        """Add the next (n,) outcomes; sums run row by row, so that batches leave no trace."""
        x = outcomes / self.scale
        sums = np.cumsum(np.concatenate([[self._sum], x]))
        guesses = (self._guess + sums[:-1]) / np.arange(self.n + 1, self.n + len(x) + 1)
        off = (x - np.clip(guesses, self._least, self._most)) ** 2
        self.squares = float(np.cumsum(np.concatenate([[self.squares], off]))[-1])
        self._sum = float(sums[-1])
        self.n += len(x)

    def bound(self, alpha: float) -> float:
        """Return the lower bound of the mean of the outcomes' conditional means."""
        log = -np.log(alpha)
        from scipy.optimize import brentq  # noqa: PLC0415 - slow to import

        # Howard et al. 2021, equation 3.16 at its leading order, with V = TUNED_FOR rows of variance 1.
        rho = TUNED_FOR / self.scale**2 / (2.0 * log + np.log1p(2.0 * log))
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
        + _log_gamma_rest(b)
        - _log_gamma_rest(rho)
        + np.log(gammainc(b, b + s))
        - np.log(gammainc(rho, rho))
    )


def _log_gamma_rest(b: float) -> float:
    """Return log Gamma(b) - b log b + b."""
    return float(gammaln(b) - b * np.log(b) + b)

"""Whether the intervals of an evaluation are calibrated on a log: how often they hold its value when it is resampled.

The log stands for all customers there are, and its value for the truth. Samples of as many customers are drawn from it
with replacement, each is judged as the log was, and it is counted how many of its intervals hold the value of the log
(Loh 1987, "Calibrating confidence coefficients", JASA 82; Efron and Tibshirani 1993, "An introduction to the
bootstrap", section 18). This finds intervals that are too narrow for rewards and weights such as these: few outcomes,
long tails, customers who return. It finds no bias, such as that of wrong propensities: the log has it as well. Models
of rewards and of propensities stay those that were fitted to the log.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import ndtri

from bandit.errors import InputError
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bandit.evaluate.request import EvaluationRequest
    from bandit.ope import Estimate, Tally
    from bandit.tabular import Cell

FEWEST_RESAMPLES, MOST_RESAMPLES = 100, 100_000

_SEED = 20_261_128
_MONTE_CARLO = 0.95
"""Level of the interval of a share of resamples."""

Quantity: TypeAlias = Literal["value", "difference"]
"""What an interval is of: a policy's value, or its difference to the baseline."""


@dataclass(frozen=True, slots=True)
class ResampledInterval:
    """How many intervals of one policy and estimator held the log's value in `n` resamples.

    Of those that did not, `below` lay below it and `above` above it. An interval that is not known holds everything.
    """

    policy: str
    estimator: str
    of: Quantity
    n: int
    covered: int
    below: int
    above: int

    @property
    def share(self) -> float:
        """The share of intervals that held the value."""
        return self.covered / self.n

    @property
    def bounds(self) -> tuple[float, float]:
        """The 95 % interval of that share for ever more resamples (Wilson 1927, JASA 22).

        Of 100 resamples 95: 0.8882 to 0.9785.

        >>> [round(bound, 4) for bound in ResampledInterval("p", "dr", "value", 100, 95, 3, 2).bounds]
        [0.8882, 0.9785]
        """
        z, n = float(ndtri(0.5 + _MONTE_CARLO / 2)), self.n
        middle = (self.share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(self.share * (1 - self.share) / n + z * z / (4 * n * n))
        return middle - half, middle + half

    def to_dict(self) -> dict[str, Cell]:
        """Return plain JSON values."""
        low, high = self.bounds
        return {
            "policy": self.policy,
            "estimator": self.estimator,
            "of": self.of,
            "resamples": self.n,
            "covered": self.share,
            "covered_low": low,
            "covered_high": high,
            "below": self.below / self.n,
            "above": self.above / self.n,
        }


@dataclass(frozen=True, slots=True)
class ResampledCoverage(Tabular):
    """How often intervals of a level held the log's own values, for each policy that the log can judge."""

    level: float
    rows: tuple[ResampledInterval, ...]

    def row(self, policy: str, estimator: str, of: Quantity = "value") -> ResampledInterval:
        """Return one row; InputError where there is none."""
        for each in self.rows:
            if (each.policy, each.estimator, each.of) == (policy, estimator, of):
                return each
        raise InputError(f'no {of} of "{policy}" by "{estimator}" was resampled')

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"how often intervals of {100 * self.level:g}% hold the log's own value when its customers are resampled"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a policy, estimator and quantity, with shares of the resamples."""
        return [each.to_dict() for each in self.rows]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"level": self.level, "rows": self.to_rows()}


def resampled_coverage(
    tally: Tally,
    request: EvaluationRequest,
    policies: Sequence[str],
    resamples: int,
    advance: Callable[[int], None] | None = None,
) -> ResampledCoverage:
    """Return how often intervals hold the values of a sealed tally; `policies` are those to judge.

    Of more than 8,192 customers, blocks of whole customers are drawn. The same sums have the same result, whatever the
    parts are that they were merged from. `advance` is called after each resample. InputError for a number of resamples
    that is too small or too large, and for a log without customers.
    """
    check_resamples(resamples)
    rng = np.random.default_rng(_SEED)
    asked = _Asked(request, tuple(request.names.index(name) for name in policies))
    truth = {key: each.value for key, each in asked.estimates(tally).items()}
    counts = {key: np.zeros(3, dtype=np.int64) for key in truth}
    for _ in range(resamples):
        for key, each in asked.estimates(tally.resampled(rng)).items():
            below, above = each.high < truth[key], each.low > truth[key]
            counts[key] += [not (below or above), below, above]
        if advance is not None:
            advance(1)
    rows = tuple(
        ResampledInterval(request.names[place], estimator, of, resamples, *counts[place, estimator, of].tolist())
        for place, estimator, of in truth
    )
    return ResampledCoverage(request.level, rows)


def check_resamples(resamples: int) -> None:
    """Raise InputError unless the number of resamples says something, and can be computed."""
    if not FEWEST_RESAMPLES <= resamples <= MOST_RESAMPLES:
        raise InputError(
            f"{resamples} resamples were asked for; give {FEWEST_RESAMPLES} to {MOST_RESAMPLES:,}, such as 1000"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is asked of each resample: policies by their places in the names of the request."""

    request: EvaluationRequest
    places: tuple[int, ...]

    def estimates(self, tally: Tally) -> dict[tuple[int, str, Quantity], Estimate]:
        """Return the estimates that an evaluation shows, by place, estimator and quantity."""
        request, found = self.request, dict[tuple[int, str, Quantity], "Estimate"]()
        shown, baseline = request.estimators.shown, request.baseline_place
        for place in self.places:
            for each in tally.estimates(place, request.level, request.interval):
                if each.name in shown:
                    found[place, each.name, "value"] = each
            if baseline is None or baseline == place:
                continue
            for each in tally.difference(place, baseline, request.level, request.interval):
                if each.name in shown:
                    found[place, each.name, "difference"] = each
        return found

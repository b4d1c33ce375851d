"""The probabilities of the policy that wrote the log: of the chosen offers, and where they are known of all offers.

Most logs know only how probable the chosen offer was. Estimators that use the structure of offers, and the self-test,
need the probabilities of all offers. These come from the policy itself where it is at hand, from the propensities
where they show that the choice was uniform, or from a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bandit.evaluate.candidates import CandidatePolicy
from bandit.evaluate.policy_draws import PolicyDraws
from bandit.evaluate.propensity.estimated import EstimatedPropensities

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from bandit.domain import FloatArray, Log, LoggedBatch
    from bandit.evaluate.propensity.calibration import PropensityFit
    from bandit.evaluate.propensity.sample import ChoiceSample
    from bandit.evaluate.request import EvaluationRequest

_EXACT = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class LoggingProbabilities:
    """The logging policy's probabilities: `propensity` (n,) of the chosen offers and `table` (n, N) of all offers.

    `table` is None where it is not known.
    """

    propensity: FloatArray
    table: FloatArray | None


class LoggingPolicy(Protocol):
    """A source of the probabilities of the policy that wrote the log."""

    def probabilities(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return the probabilities for a batch; `shares` (n,) in [0, 1) say in which fold a customer is."""
        ...


@dataclass(frozen=True, slots=True)
class LoggedPropensities:
    """The propensities of the log; the other offers' probabilities are not known."""

    def probabilities(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return the logged propensities."""
        del shares
        return LoggingProbabilities(batch.propensity, None)


@dataclass(frozen=True, slots=True)
class UniformLoggingPolicy:
    """Uniform choice: every probability is one over the number of eligible offers."""

    def probabilities(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return the logged propensities and the uniform table."""
        del shares
        return LoggingProbabilities(batch.propensity, batch.eligible / batch.eligible.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class KnownLoggingPolicy:
    """A logging policy that is at hand and recomputes its table; the propensities stay those of the log."""

    policy: CandidatePolicy
    draws: PolicyDraws

    def probabilities(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return the logged propensities and the policy's probabilities of all offers."""
        return LoggingProbabilities(batch.propensity, self.draws.probabilities(self.policy, batch, shares))


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedLoggingPolicy:
    """A cross-fitted model of the logging policy; with `replace_known` it also replaces logged propensities."""

    model: EstimatedPropensities
    replace_known: bool

    def probabilities(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return the estimates of models that have not seen the rows' customers."""
        table = self.model.probabilities(batch.contexts, batch.eligible, shares)
        if self.replace_known:
            return LoggingProbabilities(table[np.arange(len(batch)), batch.offer], table)
        return LoggingProbabilities(self.model.propensity(batch, table), table)


def logging_policy(
    log: Log,
    request: EvaluationRequest,
    rng: Generator,
    advance: Callable[[int], None],
    sample: ChoiceSample | None = None,
) -> tuple[LoggingPolicy, PropensityFit | None]:
    """Return the source of the logging probabilities, and how good it is where it is a model fitted to the log.

    `advance` is called with the number of decisions of the log where a model is fitted; with the `sample` of a log in
    parts nothing is read.
    """
    if request.estimated:
        if sample is None:
            model = EstimatedPropensities.fit(log, request.catalogue, folds=request.folds, size=request.batch_size)
            advance(log.n)
        else:
            model = EstimatedPropensities.of_sample(sample, request.catalogue, request.folds, outside=log.left_out > 0)
        return EstimatedLoggingPolicy(model, request.replace_known), model.fit_quality
    policy = request.logging
    if policy is not None:
        return KnownLoggingPolicy(CandidatePolicy(policy.name, (policy,)), PolicyDraws(rng, request.draw_groups)), None
    if request.estimators.needs & {"marginal", "slate"}:
        return UniformLoggingPolicy(), None
    return LoggedPropensities(), None


def is_uniform(log: Log, size: int) -> bool:
    """Return whether every propensity is one over the number of eligible offers; reads until one is not."""
    for batch in log.batches(size):
        if (np.abs(batch.propensity * batch.eligible.sum(axis=1) - 1.0) > _EXACT).any():
            return False
    return True

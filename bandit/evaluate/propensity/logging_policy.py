"""What is known of the policy that wrote the log: its propensities, and sometimes all of its probabilities.

Most logs know only how probable the offer was that was chosen. Estimators that use the structure of offers, and the
self-test, need the probabilities of all offers: of a policy that is at hand, of uniform choice, which shows in the
propensities, or estimated ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bandit.evaluate.candidates import CandidatePolicy

if TYPE_CHECKING:
    from numpy.random import Generator

    from bandit.domain import FloatArray, Log, LoggedBatch, Policy
    from bandit.evaluate.propensity.estimated import EstimatedPropensities

_EXACT = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class LoggingProbabilities:
    """How probable what was logged was: `propensity` (n,) and, where it is known, `table` (n, N) of all offers."""

    propensity: FloatArray
    table: FloatArray | None


class LoggingPolicy(Protocol):
    """Where the probabilities of the policy that wrote the log come from."""

    @property
    def whole(self) -> bool:
        """Whether the probabilities of all offers are known."""
        ...

    def chances(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return them for a batch; `shares` (n,) in [0, 1) deal the customers to the folds."""
        ...


@dataclass(frozen=True, slots=True)
class LoggedPropensities:
    """The propensities of the log, and nothing else."""

    whole = False

    def chances(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return the propensities."""
        del shares
        return LoggingProbabilities(batch.propensity, None)


@dataclass(frozen=True, slots=True)
class UniformLoggingPolicy:
    """The log of uniform choice: every propensity is one over the number of eligible offers."""

    whole = True

    def chances(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return the propensities and the even table."""
        del shares
        return LoggingProbabilities(batch.propensity, batch.eligible / batch.eligible.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class KnownLoggingPolicy:
    """The log of a policy that is at hand; the propensities stay those of the log."""

    policy: CandidatePolicy
    rng: Generator
    whole = True

    def chances(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return the propensities and what the policy says now."""
        return LoggingProbabilities(batch.propensity, self.policy.probabilities(batch, shares, self.rng))


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedLoggingPolicy:
    """A log without propensities, or one whose propensities are to be left aside (`every`)."""

    model: EstimatedPropensities
    every: bool
    whole = True

    def chances(self, batch: LoggedBatch, shares: FloatArray) -> LoggingProbabilities:
        """Return what a model that has not seen the rows' customers estimates; a propensity that is known stays."""
        table = self.model.probabilities(batch.contexts, batch.eligible, shares)
        if self.every:
            return LoggingProbabilities(table[np.arange(len(batch)), batch.offer], table)
        return LoggingProbabilities(self.model.propensity(batch, table), table)


def known_logging(policy: Policy | None, rng: Generator) -> LoggingPolicy:
    """Return the logging policy where it is at hand, and what the log says where it is not."""
    return LoggedPropensities() if policy is None else KnownLoggingPolicy(CandidatePolicy(policy.name, (policy,)), rng)


def is_uniform(log: Log, size: int) -> bool:
    """Return whether every propensity is one over the number of eligible offers; reads until one is not."""
    for batch in log.batches(size):
        if (np.abs(batch.propensity * batch.eligible.sum(axis=1) - 1.0) > _EXACT).any():
            return False
    return True

"""The feedback on decisions whose offer no judged policy can choose, such as one whose option was stopped since.

Each policy takes the logged offer with probability 0, so that its weight is 0 and an estimate by weights alone adds
nothing. The row still counts: the mean is over all decisions of the log, whose propensities are those of a choice among
all offers that it had. Doubly robust estimates add what the reward model predicts of the policy's own choice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.ope import Feedback
from bandit.printable import counted

if TYPE_CHECKING:
    from bandit.domain import FloatArray, IntArray, Log, LoggedBatch
    from bandit.ope.feedback import Need


class OutsideFeedback:
    """Makes the feedback of each policy on a batch of such decisions; an unknown propensity, which no sum uses, is 1.

    Of the logging policy the prediction is the reward itself, so that every estimator gives the mean of the rewards.
    """

    def __init__(self, batch: LoggedBatch, cluster: IntArray | None, needs: frozenset[Need]) -> None:
        self.batch = replace(batch, propensity=np.where(np.isnan(batch.propensity), 1.0, batch.propensity))
        self._cluster, self._needs = cluster, needs

    def without_offers(self) -> LoggedBatch:
        """Return the batch with offer 0 in each row, for what needs the facts and the eligible sets alone."""
        return replace(self.batch, offer=np.zeros(len(self.batch), dtype=np.int64))

    def of_logging_policy(self) -> Feedback:
        """Return the feedback of the policy that wrote the log: all weights are 1."""
        reward, propensity = self.batch.reward, self.batch.propensity
        predicted = reward if self._needs & {"predictions", "robust"} else None
        robust = predicted if "robust" in self._needs else None
        return Feedback(
            reward,
            propensity,
            propensity,
            predicted,
            predicted,
            self._cluster,
            robust_logged=robust,
            robust_target=robust,
            weight=self.batch.stands_for,
        )

    def of_candidate(self, table: FloatArray, expected: FloatArray | None, robust: FloatArray | None) -> Feedback:
        """Return one policy's feedback from its probabilities and the predicted rewards of all offers, (n, N) each."""
        zeros = np.zeros(len(self.batch))
        return Feedback(
            self.batch.reward,
            self.batch.propensity,
            zeros,
            None if expected is None else zeros,
            None if expected is None else np.einsum("ij,ij->i", table, expected),
            self._cluster,
            robust_logged=None if robust is None else zeros,
            robust_target=None if robust is None else np.einsum("ij,ij->i", table, robust),
            weight=self.batch.stands_for,
        )


def refuse_structural(log: Log) -> None:
    """Raise InputError where decisions have an offer that the catalogue does not have: for mips and pi.

    Both need the logging policy's probabilities of all offers that it chose from.
    """
    if log.left_out:
        raise InputError(
            "mips and pi need the logging policy's probabilities of all offers that it chose from, and "
            f"{counted(log.left_out, 'decision', ('has', 'have'))} an offer that no policy of the catalogue can "
            "choose; ask for other estimators, or judge under the catalogue that the log was written with"
        )

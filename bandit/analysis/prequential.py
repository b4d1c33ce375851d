"""Prequential validation: the losses of several reward models that predict each block of a log before they learn it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.ope import Feedback, Tally, resolve
from bandit.ope.clusters import ClusterIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.domain import FloatArray, Log, LoggedBatch, Progress
    from bandit.policies import ThompsonSampling

_READ = 65_536
_MIN_PROBABILITY = 1e-12


class PrequentialLosses:
    """Accumulates the predictive losses of several policies on one log, paired by decision, in a `Tally`.

    Each block is predicted by the models learned from the previous blocks and learned afterwards, so that every
    decision is an out-of-sample test: Dawid 1984, "Present position and potential developments: some personal views.
    Statistical theory: the prequential approach". The loss is -log P(converted or not), or the squared error of the
    reward. With `even`, losses are weighted by 1 / (eligible offers x propensity), self-normalised.
    """

    def __init__(self, learners: Sequence[ThompsonSampling], *, squared_error: bool, even: bool) -> None:
        self.learners, self.squared_error, self.even = learners, squared_error, even
        # With rewards and q_target of 0 and q_logged = -loss, sndr is the self-normalised weighted mean of the losses.
        self.tally = Tally(len(learners), resolve(("sndr",), predictions=True))
        self.known_customers = False
        self._customers = ClusterIndex()
        self._pending: list[tuple[FloatArray, LoggedBatch]] = []

    def run(self, log: Log, block: int, progress: Progress | None = None) -> None:
        """Predict and learn a log in blocks of `block` decisions."""
        done = 0
        for batch in log.batches(max(block, _READ // block * block)):
            for start in range(0, len(batch), block):
                self._predict_and_learn(batch.take(slice(start, start + block)))
                done += min(block, len(batch) - start)
                if progress is not None:
                    progress(done, log.n)
            self._flush()

    def _predict_and_learn(self, rows: LoggedBatch) -> None:
        if self.even and np.isnan(rows.propensity).any():
            raise InputError(
                "the log has decisions that were imported without propensities, so losses cannot be weighted; "
                "average the losses as logged (--as-logged)"
            )
        at = np.arange(len(rows)), rows.offer
        outcomes = rows.outcomes()
        losses = np.empty((len(self.learners), len(rows)))
        for index, learner in enumerate(self.learners):
            losses[index] = self._loss(learner.predict(rows.contexts)[at], rows)
            learner.update(outcomes)
        self._pending.append((losses, rows))

    def _loss(self, predicted: FloatArray, rows: LoggedBatch) -> FloatArray:
        """Return the (n,) losses of the predictions of the logged offers."""
        if self.squared_error:
            return np.asarray((rows.reward - predicted) ** 2)
        chance = np.clip(np.where(rows.converted, predicted, 1.0 - predicted), _MIN_PROBABILITY, 1.0)
        return np.asarray(-np.log(chance))

    def _flush(self) -> None:
        """Add the pending losses to the tally, many blocks at once for speed."""
        losses = np.concatenate([each for each, _ in self._pending], axis=1)
        n = losses.shape[1]
        customers = np.concatenate([rows.contexts.customers for _, rows in self._pending])
        cluster, _ = self._customers.read(customers, n)
        self.known_customers = cluster is not None
        propensity = target = np.ones(n)
        if self.even:
            propensity = np.concatenate([rows.propensity for _, rows in self._pending])
            target = 1.0 / np.concatenate([rows.eligible.sum(axis=1) for _, rows in self._pending])
        zeros, weight = np.zeros(n), np.concatenate([rows.weights for _, rows in self._pending])
        self.tally.add(*(Feedback(zeros, propensity, target, -loss, zeros, cluster, weight=weight) for loss in losses))
        self._pending.clear()

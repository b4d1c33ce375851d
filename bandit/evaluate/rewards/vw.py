"""Expected rewards by Vowpal Wabbit, for the direct and doubly robust estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from bandit.policies.vw import Regression, signed_labels

if TYPE_CHECKING:
    from bandit.domain import Contexts, FloatArray, LoggedBatch
    from bandit.encoding.encoder import Encoder

CONVERSION_LEARNING_RATE = 0.005
"""Learning rate of the logistic regression of conversions."""

REWARD_LEARNING_RATE = 0.001
"""Learning rate of the regression of rewards, which are in units of their standard deviation."""


class VwReward:
    """VW's regression of what an offer earns: a reward model like `RidgeReward`, learned in one pass.

    Where the objective counts conversions, VW learns P(convert) by logistic regression on x, a, x times a and
    pairs(a); the objective combines it with the mean revenue of a conversion and with the costs, which are known. With
    the objective "reward" it learns the reward itself, centred and scaled by the first batch.

    Prefer `RidgeReward`, the default: it does not depend on the order of the log, has no step size to choose, is
    faster, and made `dr` a little more accurate on simulated retail logs. Prefer this model where facts and options
    make more than 1,500 columns, above which the ridge regression leaves out pairs or crossed terms, and as a second
    opinion: if `dr` changes a lot between the two, the estimate depends on the model and the log has little data.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._objective, self._money = encoder.catalogue.objective, encoder.catalogue.money
        self._rewards = self._objective.kind == "reward"
        self._regression = Regression(
            encoder.offers.main,
            encoder.offers.pairs,
            encoder.n_context,
            loss="squared" if self._rewards else "logistic",
            rate=REWARD_LEARNING_RATE if self._rewards else CONVERSION_LEARNING_RATE,
        )
        self._n, self._converted, self._revenue = 0, 0.0, 0.0
        self._center, self._scale = 0.0, 1.0

    def learn(self, batch: LoggedBatch, weight: FloatArray | None = None) -> None:
        """Learn a batch, outcome by outcome; weights are divided by the batch's mean weight."""
        if not len(batch):
            return
        if self._rewards and not self._n:
            center = float(np.average(batch.reward, weights=batch.stands_for))
            deviation = float(np.sqrt(np.average((batch.reward - center) ** 2, weights=batch.stands_for)))
            self._center, self._scale = center, deviation if deviation > 0.0 else 1.0
        label = (batch.reward - self._center) / self._scale if self._rewards else signed_labels(batch.converted)
        total = 0.0 if weight is None else float(weight.mean())
        scaled = weight / total if weight is not None and total > 0.0 else None
        self._regression.learn(self.encoder.context_matrix(batch.contexts), batch.offer, label, scaled)
        self._n += len(batch)
        self._converted += float(batch.weights[batch.converted].sum())
        self._revenue += float((batch.weights * batch.revenue)[batch.converted].sum())

    def predict(self, contexts: Contexts) -> FloatArray:
        """Return the expected reward of every offer, (n, N); 0 before anything was learned."""
        if not self._n:
            return np.zeros((contexts.n, self.encoder.catalogue.n_offers))
        scores = self._regression.scores(self.encoder.context_matrix(contexts))
        if self._rewards:
            return scores * self._scale + self._center
        revenue = np.full(scores.shape, self._revenue / (self._converted or 1.0))
        return self._objective.expected(self._money, expit(scores), revenue)

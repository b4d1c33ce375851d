"""bayesianbandits behind the policy protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bayesianbandits import (
    Arm,
    ArmFeaturizer,
    BayesianGLM,
    EmpiricalBayesGLM,
    EmpiricalBayesNormalRegressor,
    LipschitzContextualAgent,
    ThompsonSampling,
)

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, FloatArray, IntArray, Outcomes
from simulator.bench.peers.chooser import Chooser, PeerColumns


class SharedGlm(Chooser):
    """The library's most general agent: one shared Bayesian logistic regression over context x option.

    `LipschitzContextualAgent` with Thompson sampling learns P(convert) from the columns context, option x context and
    pairs of options (one learner, so that offers share strength); its reward function turns a draw into money with the
    catalogue's costs and the revenue of a purchase, which the library's own regression learns from the purchases.
    Each customer is pulled apart, so that each has a draw of its own. The library has no eligibility: refused offers
    get minus infinity in the reward function. Learning is one `partial_fit` of the shared learner a batch. Where the
    objective knows no conversion ("reward") it would have to be regressed directly; no scenario has that.

    Settings were tried on two retail markets that are not reported: the plain and the empirical-Bayes learner, prior
    precisions 1 to 100. Empirical Bayes (.69) was a little better than any fixed precision (.66 to .68), wherever it
    started.
    """

    name = "bayesianbandits"

    def __init__(
        self, catalogue: Catalogue, seed: int, *, alpha: float = 10.0, learner: BayesianGLM | None = None
    ) -> None:
        super().__init__(catalogue, seed)
        self._columns = PeerColumns(catalogue)
        self._crossed = _Crossed(self._columns)
        self._glm = EmpiricalBayesGLM(alpha) if learner is None else learner
        self._agent = LipschitzContextualAgent(
            arms=[Arm(offer, learner=None) for offer in range(catalogue.n_offers)],
            policy=ThompsonSampling(),
            arm_featurizer=self._crossed,
            learner=self._glm,
            batch_reward_function=self._money,
            random_seed=seed,
        )
        self._basket = EmpiricalBayesNormalRegressor(random_state=seed)
        self._bought, self._spent = 0, 0.0
        self._eligible = np.ones(catalogue.n_offers, dtype=np.bool_)

    def choose(self, contexts: Contexts, eligible: BoolArray) -> IntArray:
        """Pull once for each customer."""
        matrix = self._columns.contexts(contexts)
        offers = np.empty(contexts.n, dtype=np.int64)
        for row in range(contexts.n):
            self._eligible = eligible[row]
            offers[row] = self._agent.pull(matrix[row : row + 1])[0]
        return offers

    def update(self, outcomes: Outcomes) -> None:
        """Update the model of conversion and the model of revenue."""
        matrix = self._columns.contexts(outcomes.contexts)
        self._glm.partial_fit(self._crossed.rows(matrix, outcomes.offer), outcomes.converted.astype(np.float64))
        bought = outcomes.converted
        if bought.any():
            self._bought += int(bought.sum())
            self._spent += float(outcomes.revenue[bought].sum())
            if not hasattr(self, "_usual"):
                self._usual = self._spent / self._bought
            self._basket.partial_fit(
                self._plain(matrix[bought], outcomes.offer[bought]), outcomes.revenue[bought] / self._usual - 1.0
            )

    def _plain(self, matrix: FloatArray, offers: IntArray) -> FloatArray:
        return np.concatenate([matrix, self._columns.offers[offers]], axis=1)

    def _revenue(self, matrix: FloatArray) -> FloatArray:
        """Return the (N,) expected revenue of a purchase of one customer under each offer."""
        if not self._bought:
            return np.ones(self.catalogue.n_offers)  # nothing is known yet
        offers = np.arange(self.catalogue.n_offers)
        ahead = self._basket.predict(self._plain(np.broadcast_to(matrix, (len(offers), matrix.shape[1])), offers))
        return np.asarray(np.maximum(self._usual * (1.0 + ahead), 0.0))

    def _money(self, samples: FloatArray, action_tokens: Sequence[int], X: FloatArray) -> FloatArray:  # noqa: ARG002 - the library's signature
        catalogue = self.catalogue
        worth = catalogue.objective.expected(catalogue.money, samples[:, 0, :].T, self._revenue(X)[None, :])
        worth = np.where(self._eligible, worth, -np.inf)
        return np.asarray(worth.T[:, None, :])


class _Crossed(ArmFeaturizer):  # type: ignore[misc]  # the library's class may be untyped here
    """Context, option x context, and pairs of options, as one row an offer."""

    def __init__(self, columns: PeerColumns) -> None:
        self.options, self.pairs = columns.offers, columns.pairs

    def rows(self, matrix: FloatArray, offers: IntArray) -> FloatArray:
        """Return the (n, D) columns of n contexts, each under its offer."""
        crossed = self.options[offers][:, :, None] * matrix[:, None, :]
        return np.concatenate([matrix, crossed.reshape(len(matrix), -1), self.pairs[offers]], axis=1)

    def transform(self, X: FloatArray, *, action_tokens: Sequence[int]) -> FloatArray:
        """Return (offers * n, D), offer by offer."""
        offers = np.repeat(np.asarray(action_tokens, dtype=np.int64), len(X))
        return self.rows(np.tile(X, (len(action_tokens), 1)), offers)

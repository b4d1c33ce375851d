"""MABWiser behind the policy protocol."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from mabwiser.mab import MAB, LearningPolicy

from bandit.catalogue import Catalogue
from bandit.domain import BoolArray, Contexts, IntArray, Outcomes
from simulator.bench.peers.chooser import Chooser, PeerColumns, RewardUnit


class LinearArms(Chooser):
    """One bandit for each dimension, whose arms are its options; the choice is the eligible offer of the highest sum.

    The library knows arms only, each with a ridge regression of its own. One arm for each offer would be 144 arms with
    some 140 outcomes each; one bandit for each dimension has fifteen arms in all that learn from every outcome, and the
    sums of `predict_expectations` rank the eligible offers. The reward is the objective's money in
    units of its root mean square. The first batch is random: the library has to be fitted before it answers.

    Settings were tried on two retail markets that are not reported: LinTS and LinUCB, alpha .1 to 1, lambda 1 to 100,
    one arm an option or an offer, not every setting on both. An arm an offer earned .40 to .51 where an arm an option
    earned .65; between LinTS and LinUCB, and between alphas up to .3, there was less difference than between markets.
    """

    name = "mabwiser"

    def __init__(
        self,
        catalogue: Catalogue,
        seed: int,
        *,
        kind: Literal["LinTS", "LinUCB"] = "LinUCB",
        alpha: float = 0.3,
        l2_lambda: float = 30.0,
        arms: Literal["option", "offer"] = "option",
    ) -> None:
        super().__init__(catalogue, seed)
        self._columns, self._unit = PeerColumns(catalogue), RewardUnit()
        self._rng = np.random.default_rng(seed)
        policy = getattr(LearningPolicy, kind)(alpha=alpha, l2_lambda=l2_lambda)
        numbers = catalogue.options if arms == "option" else np.arange(catalogue.n_offers)[:, None]
        self._arm_of: IntArray = np.asarray(numbers, dtype=np.int64)
        self._bandits: list[Any] = [
            MAB(list(range(int(column.max()) + 1)), policy, seed=seed % 2**31 + place)
            for place, column in enumerate(self._arm_of.T)
        ]
        self._fitted = False

    def choose(self, contexts: Contexts, eligible: BoolArray) -> IntArray:
        """Return the eligible offers whose options have the highest sum of expectations."""
        if not self._fitted:
            return np.asarray(np.where(eligible, self._rng.random(eligible.shape), -1.0).argmax(axis=1))
        matrix = self._columns.contexts(contexts)
        total = np.zeros(eligible.shape)
        for bandit, arms in zip(self._bandits, self._arm_of.T, strict=True):
            predicted = bandit.predict_expectations(matrix)
            rows = predicted if isinstance(predicted, list) else [predicted]  # for one row the library returns a dict
            total += np.array([list(row.values()) for row in rows])[:, arms]
        return np.asarray(np.where(eligible, total, -np.inf).argmax(axis=1))

    def update(self, outcomes: Outcomes) -> None:
        """Update the bandit of every dimension with the rewards."""
        matrix, reward = self._columns.contexts(outcomes.contexts), self._unit.scaled(outcomes.reward)
        for bandit, arms in zip(self._bandits, self._arm_of.T, strict=True):
            teach = bandit.partial_fit if self._fitted else bandit.fit
            teach(arms[outcomes.offer], reward, matrix)
        self._fitted = True

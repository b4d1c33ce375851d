"""Reward models of the two halves: of what every offer earns, and of how probable a response is.

On the half that is searched they are cross-fitted within the half, so that the choice of what to confirm knows nothing
of the other half; there they are those that were learned on the whole searched half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.evaluate.rewards.cross_fitting import CrossFittedReward, cross_fitted_reward
from bandit.evaluate.split import FOLD_SALT
from bandit.ope.clusters import ClusterIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, Log, LoggedBatch
    from bandit.evaluate.rewards.reward_model import RewardModel

    MakeReward: TypeAlias = Callable[[Encoder], RewardModel]

FOLDS = 2


def responses(batch: LoggedBatch, catalogue: Catalogue) -> FloatArray:
    """Return (n,) 1 for a response and 0 for none: a conversion, or a reward above 0 where that is the objective."""
    happened = batch.reward > 0.0 if catalogue.objective.kind == "reward" else batch.converted
    return np.asarray(happened, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class AudienceRewards:
    """The models of value and of response, each cross-fitted for the searched half and whole for the other one."""

    crossed: tuple[CrossFittedReward, CrossFittedReward]
    whole: tuple[RewardModel, RewardModel]

    def tables(self, batch: LoggedBatch, shares: FloatArray, *, searching: bool) -> tuple[FloatArray, FloatArray]:
        """Return what is expected of every offer, (n, N) each: the reward, and the probability of a response."""
        n_offers = batch.eligible.shape[1]
        if searching:
            value = self.crossed[0].predict(batch.contexts, shares, n_offers)
            if self.crossed[0] is self.crossed[1]:
                return value, value
            return value, self.crossed[1].predict(batch.contexts, shares, n_offers)
        value = self.whole[0].predict(batch.contexts)
        return value, value if self.whole[0] is self.whole[1] else self.whole[1].predict(batch.contexts)


def learn_rewards(
    half: Log, catalogue: Catalogue, make: MakeReward, size: int, advance: Callable[[int], None]
) -> AudienceRewards:
    """Return the models, learned in one pass over the half of the log that is searched."""
    encoder = Encoder(catalogue, fit_scales(catalogue, next(iter(half.batches(size))).contexts))
    # Conversions are both what is earned and the response; then one model does.
    same = catalogue.objective.kind == "conversion"
    crossed = [cross_fitted_reward(make, encoder, FOLDS) for _ in range(1 if same else 2)]
    whole = [make(encoder) for _ in crossed]
    keys = ClusterIndex(FOLD_SALT)
    for batch in half.batches(size):
        shares = keys.read_batch(batch.contexts)[1]
        targets = (batch, replace(batch, reward=responses(batch, catalogue)))
        for cross, one, target in zip(crossed, whole, targets, strict=False):
            cross.learn(target, shares)
            one.learn(target, target.stands_for)
        advance(len(batch))
    return AudienceRewards((crossed[0], crossed[-1]), (whole[0], whole[-1]))

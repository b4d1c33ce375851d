"""The reward model of an evaluation, cross-fitted on a sampled log, and its predictions over the whole pool.

A row of the pool occurs many times in a log; its predictions are made once for each fold and looked up.
"""

from __future__ import annotations

import numpy as np

from bandit.domain import FloatArray, IntArray
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.evaluate import RidgeReward
from simulator.validation.calibration.world import SampledLog

REWARD_FOLDS = 2


def shares_of(sample: SampledLog, rng: np.random.Generator) -> FloatArray:
    """Return (n,) numbers in [0, 1) that assign rows to folds, equal for all rows of a customer."""
    if sample.cluster is None:
        return rng.random(len(sample))
    return rng.random(int(sample.cluster.max()) + 1)[sample.cluster]


def cross_fitted(
    sample: SampledLog, shares: FloatArray, weight: FloatArray | None = None
) -> tuple[FloatArray, IntArray]:
    """Return (REWARD_FOLDS, P, N) predictions of models that have not seen the fold, and the (n,) fold of each row.

    `weight` (n,) are weights of the squared errors, 1 unless given.
    """
    batch, pool = sample.batch(), sample.world.contexts
    encoder = Encoder(sample.world.catalogue, fit_scales(sample.world.catalogue, batch.contexts))
    fold = np.floor(shares * REWARD_FOLDS).astype(np.int64)
    tables = []
    for place in range(REWARD_FOLDS):
        model = RidgeReward(encoder)
        others = fold != place
        model.learn(batch.take(others), None if weight is None else weight[others])
        tables.append(model.predict(pool))
    return np.stack(tables), fold


def pool_predictions(sample: SampledLog) -> FloatArray:
    """Return the (P, N) predictions of one model that has seen the whole sample."""
    batch, pool = sample.batch(), sample.world.contexts
    model = RidgeReward(Encoder(sample.world.catalogue, fit_scales(sample.world.catalogue, batch.contexts)))
    model.learn(batch)
    return model.predict(pool)

"""Warm start: fit a policy on a log before it goes live, and summarise the offers it then predicts to be best.

    policy = bandit.ThompsonSampling(catalogue, half_life="90d")
    with Store.open("campaign.db", read_only=True) as store:
        policy.fit(StoreLog(store, catalogue))
    with bandit.Engine.open("offers.db", catalogue, policy) as engine:
        ...

The engine records the fitted state as the policy's initial state, step 0, in a database without its decisions;
`Engine.resume("offers.db")` continues from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.analysis.chunks import rows_at_once
from bandit.domain import Log, PartRunner, Progress
from bandit.policies import ThompsonSampling

_BATCH = 8_192


@dataclass(frozen=True, slots=True)
class BestOffer:
    """An offer, the number `n` of decisions for which it has the highest expected reward, and its mean there."""

    offer: int
    n: int
    predicted: float


@dataclass(frozen=True, slots=True)
class WarmStart:
    """A fit on `n` decisions with `conversions`, and the offers it predicts to be best, most frequent first.

    `best_offers` has each offer with the highest expected reward (at the posterior mean) among the eligible offers of
    at least one decision.
    """

    n: int
    conversions: int
    best_offers: tuple[BestOffer, ...]


def warm_start(
    log: Log, policy: ThompsonSampling, progress: Progress | None = None, runner: PartRunner | None = None
) -> WarmStart:
    """Fit a policy on a log to convergence and return which offers it predicts to be best for the log's decisions.

    The fit is `ThompsonSampling.fit`, which uses no propensities; the summary takes one more pass over the log. Of a
    log in parts, `runner` computes the passes of the fit that are sums.
    InputError for an empty log.
    """
    policy.fit(log, progress, runner)
    n_offers = policy.catalogue.n_offers
    wins, counted, value = np.zeros(n_offers, dtype=np.int64), np.zeros(n_offers), np.zeros(n_offers)
    n = conversions = 0
    for batch in log.batches(min(_BATCH, rows_at_once(n_offers))):
        predicted = np.where(batch.eligible, policy.predict(batch.contexts), -np.inf)
        best = predicted.argmax(axis=1)
        wins += np.bincount(best, minlength=n_offers)
        counted += np.bincount(best, batch.weights, minlength=n_offers)
        value += np.bincount(best, batch.weights * predicted[np.arange(len(best)), best], minlength=n_offers)
        n, conversions = n + len(batch), conversions + int(batch.converted.sum())
    order = [offer for offer in np.argsort(-counted, kind="stable").tolist() if wins[offer]]
    best_offers = tuple(BestOffer(offer, int(wins[offer]), float(value[offer] / counted[offer])) for offer in order)
    return WarmStart(n, conversions, best_offers)

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
from functools import reduce
from operator import add

import numpy as np

from bandit.analysis.chunks import rows_at_once
from bandit.domain import FloatArray, InProcessRunner, IntArray, Log, LogPart, PartitionedLog, PartRunner, Progress
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

    The fit is `ThompsonSampling.fit`, which uses no propensities; the summary takes one more pass over the log, over
    its parts where it has some (by `runner`, or in this process). InputError for an empty log.
    """
    policy.fit(log, progress, runner)
    if isinstance(log, PartitionedLog):
        over = InProcessRunner() if runner is None else runner
        sums = reduce(add, over.map(_part_sums, log.parts, None, policy), _BestOfferSums.none(policy))
    else:
        sums = _BestOfferSums.of(log, policy)
    wins, counted, value = sums.wins, sums.counted, sums.value
    order = [offer for offer in np.argsort(-counted, kind="stable").tolist() if wins[offer]]
    best_offers = tuple(BestOffer(offer, int(wins[offer]), float(value[offer] / counted[offer])) for offer in order)
    return WarmStart(sums.n, sums.conversions, best_offers)


@dataclass(frozen=True, slots=True, eq=False)
class _BestOfferSums:
    """How often each offer is predicted to be best, (N,): rows, decisions they stand for, and the predictions' sum."""

    wins: IntArray
    counted: FloatArray
    value: FloatArray
    n: int
    conversions: int

    @staticmethod
    def none(policy: ThompsonSampling) -> _BestOfferSums:
        """Return the sums of no decisions."""
        size = policy.catalogue.n_offers
        return _BestOfferSums(np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size), 0, 0)

    @staticmethod
    def of(log: Log, policy: ThompsonSampling) -> _BestOfferSums:
        """Return the sums of a log."""
        n_offers, sums = policy.catalogue.n_offers, _BestOfferSums.none(policy)
        for batch in log.batches(min(_BATCH, rows_at_once(n_offers))):
            predicted = np.where(batch.eligible, policy.predict(batch.contexts), -np.inf)
            best = predicted.argmax(axis=1)
            wins = np.bincount(best, minlength=n_offers)
            worth = batch.weights * predicted[np.arange(len(best)), best]
            counted, value = (np.bincount(best, w, n_offers).astype(np.float64) for w in (batch.weights, worth))
            sums = sums + _BestOfferSums(wins, counted, value, len(batch), int(batch.converted.sum()))
        return sums

    def __add__(self, other: _BestOfferSums) -> _BestOfferSums:
        return _BestOfferSums(
            self.wins + other.wins,
            self.counted + other.counted,
            self.value + other.value,
            self.n + other.n,
            self.conversions + other.conversions,
        )


def _part_sums(part: LogPart, policy: ThompsonSampling) -> _BestOfferSums:
    return _BestOfferSums.of(part.open(), policy)

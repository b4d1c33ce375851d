"""A policy that knows a log before it goes live, and what it has come to believe.

In a program:

    policy = bandit.ThompsonSampling(catalogue, half_life="90d")
    with Store.open("campaign.db", read_only=True) as store:
        policy.fit(StoreLog(store, catalogue))
    with bandit.Engine.open("offers.db", catalogue, policy) as engine:
        ...

The engine records the fitted state as the policy's first, step 0, in a database that has none of its decisions yet;
`Engine.resume("offers.db")` takes it up from there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandit.domain import Log, Progress
from bandit.policies import ThompsonSampling

CELLS = 2_000_000
"""Most (decision, offer) cells worked on at once."""


@dataclass(frozen=True, slots=True)
class BestOffer:
    """An offer that is believed to be the best for some: for how many decisions, and its mean expected reward there."""

    offer: int
    n: int
    predicted: float


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What was learned: `n` decisions with so many conversions; and which offers win, those that win most first.

    `favourites` has every offer that is the best eligible one, at the mean of the belief, for at least one of the
    decisions.
    """

    n: int
    conversions: int
    favourites: tuple[BestOffer, ...]


def warm_start(log: Log, policy: ThompsonSampling, progress: Progress | None = None) -> WarmStart:
    """Fit a policy on a log, to convergence, and say what it then believes of the log's customers.

    The fit is `ThompsonSampling.fit`, which uses no propensity; this reads the log once more. InputError for an
    empty log.
    """
    policy.fit(log, progress)
    n_offers = policy.catalogue.n_offers
    wins, value = np.zeros(n_offers, dtype=np.int64), np.zeros(n_offers)
    n = conversions = 0
    for batch in log.batches(max(1, min(8_192, CELLS // n_offers))):
        predicted = np.where(batch.eligible, policy.predict(batch.contexts), -np.inf)
        best = predicted.argmax(axis=1)
        wins += np.bincount(best, minlength=n_offers)
        value += np.bincount(best, predicted[np.arange(len(best)), best], minlength=n_offers)
        n, conversions = n + len(batch), conversions + int(batch.converted.sum())
    order = [offer for offer in np.argsort(-wins, kind="stable").tolist() if wins[offer]]
    favourites = tuple(BestOffer(offer, int(wins[offer]), float(value[offer] / wins[offer])) for offer in order)
    return WarmStart(n, conversions, favourites)

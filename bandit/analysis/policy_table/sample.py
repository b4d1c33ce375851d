"""The sample that a table is made of: contexts of a log, with what a policy gives and expects of each offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.decide import checked, with_fallback
from bandit.domain import Contexts, RewardPredictor
from bandit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import Generator

    from bandit.catalogue import Catalogue
    from bandit.domain import FloatArray, IntArray, Log, LoggedBatch, Policy, Progress

TABLE_SAMPLE = 20_000
"""Most contexts that a table is made of: every k-th decision of a longer log."""

TABLE_CELLS = 6_000_000
"""Most (context, offer) pairs: of many offers fewer contexts are taken."""

TABLE_OFFERS = 400
"""Most offers that a table is made of; of more, those with the largest mean probability over the first contexts."""

_FIRST = 1_000
_READ_CELLS = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class PolicySample:
    """n contexts, and M offers by their numbers, `offers` (M,).

    `probability` and `value` (n, M) are the policy's probabilities, over these offers, and what it expects of each; a
    policy that predicts nothing has its probabilities in both. `weight` (n,) is how many decisions each row stands for,
    `one_each` (n,) sums to 1 over each customer, and `customer` (n,) numbers them. `left_out` is the mean probability
    of the offers that are not among the M, and `predicts` says whether the policy expects something of offers.
    """

    contexts: Contexts
    offers: IntArray
    probability: FloatArray
    value: FloatArray
    weight: FloatArray
    customer: IntArray
    one_each: FloatArray
    left_out: float
    predicts: bool

    def __len__(self) -> int:
        return len(self.weight)


def sample_policy(
    log: Log, policy: Policy, catalogue: Catalogue, rng: Generator, progress: Progress | None = None
) -> PolicySample:
    """Return a sample of a log's contexts with the policy's probabilities; InputError for a log without decisions.

    Eligible is what the catalogue's rules leave today.
    """
    most = min(TABLE_SAMPLE, max(_FIRST, TABLE_CELLS // min(catalogue.n_offers, TABLE_OFFERS)))
    step = max(1, -(-log.n // most))
    predictor = policy if isinstance(policy, RewardPredictor) else None
    offers: IntArray | None = None if catalogue.n_offers > TABLE_OFFERS else np.arange(catalogue.n_offers)
    contexts, probability, value, weight = [], [], [], []
    left, done = 0.0, 0
    for batch in _pieces(log, step, catalogue.n_offers):
        eligible = with_fallback(catalogue, catalogue.eligible(batch.contexts), batch.contexts)
        chosen = checked(policy.probabilities(batch.contexts, eligible, rng), eligible)
        if offers is None:
            offers = np.sort(np.argsort(-chosen.mean(axis=0), kind="stable")[:TABLE_OFFERS])
        contexts.append(batch.contexts)
        kept = chosen[:, offers]
        total = kept.sum(axis=1, keepdims=True)
        left += float(len(batch) - total.sum())
        probability.append(np.divide(kept, total, out=np.zeros_like(kept), where=total > 0.0))
        value.append(probability[-1] if predictor is None else predictor.predict(batch.contexts)[:, offers])
        weight.append(batch.weights)
        done += len(batch)
        if progress is not None:
            progress(done, -(-log.n // step))
    if offers is None or not contexts:
        raise InputError("the log has no decisions to make a table of; import some first")
    joined = Contexts.concat([each.without_text() for each in contexts])
    customer, one_each = _customers(joined)
    return PolicySample(
        joined,
        offers,
        np.concatenate(probability),
        np.concatenate(value),
        np.concatenate(weight),
        customer,
        one_each,
        max(left / done, 0.0),
        predictor is not None,
    )


def _pieces(log: Log, step: int, n_offers: int) -> Iterator[LoggedBatch]:
    """Yield every `step`-th decision of a log, few enough at a time for the offers of a large catalogue."""
    size = max(1, min(_FIRST * 4, _READ_CELLS // n_offers))
    first = 0
    for batch in log.batches(65_536 if n_offers < _READ_CELLS // 65_536 else max(256, _READ_CELLS // n_offers)):
        rows = np.arange(-first % step, len(batch), step)
        first += len(batch)
        for start in range(0, len(rows), size):
            yield batch.take(rows[start : start + size])


def _customers(contexts: Contexts) -> tuple[IntArray, FloatArray]:
    """Return the customers' numbers, and a weight that sums to 1 over each; without customers each row is one."""
    if len(contexts.customers) != contexts.n:
        return np.arange(contexts.n), np.ones(contexts.n)
    numbers: dict[object, int] = {}
    customer = np.fromiter((numbers.setdefault(key, len(numbers)) for key in contexts.customers), np.int64, contexts.n)
    return customer, 1.0 / np.bincount(customer)[customer]

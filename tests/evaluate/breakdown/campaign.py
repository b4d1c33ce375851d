"""Tiny and simulated logs for the breakdown: two dimensions, one fact, known probabilities."""

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from tests.evaluate.memory_log import MemoryLog

DAY = 86_400 * 1_000_000
MONDAY = 20_605 * DAY  # 2026-06-01, a Monday


def catalogue(kind="conversion", depths=("0", "10", "20"), channels=("email", "sms"), rules=()):
    """Discounts of 0, 10 and 20 % by two channels; the fact is `loyal`."""
    discount = {"name": "discount", "options": [{"name": name, "rate": int(name) / 100} for name in depths]}
    channel = {"name": "channel", "options": [{"name": name} for name in channels]}
    return Catalogue.from_dict(
        {
            "objective": {"kind": kind, "margin": 0.5},
            "context": {"loyal": {"type": "boolean"}},
            "dimensions": [discount, channel],
            "rules": list(rules),
        }
    )


def log_of(given, offer, converted, *, loyal=None, customers=None, propensity=None, time=None, revenue=None):
    """A log in memory, rewarded by the catalogue's objective; propensities are even by default."""
    offer, converted = np.asarray(offer), np.asarray(converted, dtype=np.bool_)
    n = len(offer)
    keys = np.array([f"c{number}" for number in (range(n) if customers is None else customers)], dtype=object)
    loyal = np.zeros(n) if loyal is None else np.asarray(loyal, dtype=np.float64)
    contexts = given.contexts({"loyal": loyal}, keys)
    eligible = given.eligible(contexts)
    even = 1.0 / eligible.sum(axis=1)
    revenue = np.where(converted, 1.0, 0.0) if revenue is None else np.asarray(revenue, dtype=np.float64)
    reward = given.objective.reward(given.money_of(offer), np.arange(n), converted, revenue, revenue)
    return MemoryLog(
        LoggedBatch(
            contexts,
            offer,
            np.broadcast_to(eligible, (n, given.n_offers)),
            even if propensity is None else np.asarray(propensity, dtype=np.float64),
            converted,
            revenue,
            reward,
            np.arange(n, dtype=np.int64) if time is None else np.asarray(time, dtype=np.int64),
        ),
        given,
    )


def simulated(rng, n, chance, *, skew=0.0, given=None, per_customer=2):
    """A log of a policy that prefers the first offer to loyal customers by `skew`; `chance(offer, loyal)` is the truth.

    Returns the log and the (n, N) probabilities; a customer's decisions share a random effect on the response.
    """
    given = catalogue() if given is None else given
    customers = rng.integers(0, n // per_customer, n)
    loyal = (customers % 2).astype(np.float64)
    table = np.full((n, given.n_offers), 1.0 / given.n_offers)
    table[:, 0] += skew * loyal
    table /= table.sum(axis=1, keepdims=True)
    offer = (table.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
    own = np.exp(rng.normal(0.0, 0.3, n // per_customer))[customers]
    converted = rng.random(n) < np.minimum(chance(offer, loyal) * own / np.exp(0.3**2 / 2), 1.0)
    return (
        log_of(given, offer, converted, loyal=loyal, customers=customers, propensity=table[np.arange(n), offer]),
        table,
    )

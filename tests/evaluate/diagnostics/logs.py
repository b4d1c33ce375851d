"""Logs of known logging policies, for tests of the checks."""

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.evaluate.diagnostics import (
    InversePropensitySums,
)

DAY = 86_400_000_000
CATALOGUE = Catalogue.from_dict(
    {
        "context": {"age": {"type": "numeric"}, "kind": {"type": "categorical", "values": ["a", "b"]}},
        "dimensions": [
            {"name": "discount", "options": [{"name": str(depth)} for depth in (0, 5, 10, 20)]},
            {"name": "channel", "options": [{"name": name} for name in ("email", "sms", "app")]},
        ],
    }
)
N = CATALOGUE.n_offers


def logging_of(kind, n, rng):
    """(n, N) probabilities of three kinds of policy."""
    if kind == "uniform":
        return np.full((n, N), 1.0 / N)
    table = np.full((n, N), 0.05 / N)
    if kind == "rules":
        table[np.arange(n), rng.integers(0, 3, n) * 4] += 0.95
        return table
    scores = np.exp(rng.normal(0.0, 2.0, (n, N)))
    return 0.95 * scores / scores.sum(axis=1, keepdims=True) + table


def draw(table, rng):
    return np.minimum((table.cumsum(axis=1) < rng.random(len(table))[:, None]).sum(axis=1), N - 1)


def counted(offer, propensity, cluster=None, eligible=None):
    counts = InversePropensitySums(CATALOGUE)
    everything = np.broadcast_to(np.ones(N, dtype=bool), (len(offer), N))
    counts.add(offer, propensity, everything if eligible is None else eligible, cluster)
    return counts.result()


def log_of(n, rng, customers=400, **changed):
    """A sound log by uniform choice, all of it a year old."""
    contexts = CATALOGUE.contexts(
        {"age": rng.normal(size=n), "kind": np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]}
    )
    offer, reward = rng.integers(0, N, n), rng.normal(size=n)
    eligible = np.ones((n, N), dtype=bool)
    columns = {
        "contexts": contexts,
        "offer": offer,
        "eligible": eligible,
        "propensity": np.full(n, 1.0 / N),
        "converted": reward > 1.0,
        "revenue": reward,
        "reward": reward,
        "time": np.arange(n) * 1_000,
    }
    return LoggedBatch(**(columns | changed)), rng.integers(0, customers, n)

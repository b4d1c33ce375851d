"""A small market of known truth: two facts, two dimensions, additive rewards."""

from dataclasses import replace

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from tests.evaluate.memory_log import MemoryLog

CATALOGUE = Catalogue.from_dict(
    {
        "name": "additive",
        "objective": {"kind": "reward"},
        "context": {"kind": {"type": "categorical", "values": ["a", "b"]}, "age": {"type": "numeric"}},
        "dimensions": [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}, {"name": "20"}]},
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}, {"name": "app"}]},
        ],
    }
)
N = CATALOGUE.n_offers


class Tilted:
    """A policy that prefers some offers to others by the customer's kind."""

    learns = False

    def __init__(self, name, a, b):
        self.name, self.preferences = name, np.array([a, b], dtype=float)

    def probabilities(self, contexts, eligible, rng):
        del rng
        masked = eligible * self.preferences[contexts.columns["kind"]]
        return masked / masked.sum(axis=1, keepdims=True)

    def update(self, outcomes):
        raise AssertionError(f"a frozen policy was given {len(outcomes)} outcomes")

    def spec(self):
        return {"kind": "tilted"}


def expected(contexts):
    """The true mean reward, (n, N): what a discount earns and what a channel earns, each by itself."""
    kind = contexts.columns["kind"][:, None]
    discount, channel = CATALOGUE.options[:, 0][None, :], CATALOGUE.options[:, 1][None, :]
    return 1.0 + 0.5 * discount * (kind == 0) - 0.3 * discount * (kind == 1) + 0.4 * channel


def draw(rng, n, policy=None, customers=None):
    """A log of n decisions by a policy; with customers, they repeat."""
    kind = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]
    keys = None
    if customers is not None:
        keys = np.array([f"c{number}" for number in rng.integers(0, customers, n)], dtype=object)
    contexts = CATALOGUE.contexts({"kind": kind, "age": rng.uniform(0.0, 4.0, n)}, keys)
    eligible = CATALOGUE.eligible(contexts)
    table = eligible / eligible.sum(axis=1, keepdims=True)
    if policy is not None:
        table = policy.probabilities(contexts, eligible, rng)
    offer = np.minimum((table.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1), N - 1)
    rows = np.arange(n)
    reward = expected(contexts)[rows, offer] + rng.normal(0.0, 0.5, n)
    yes = np.ones(n, dtype=bool)
    return MemoryLog(LoggedBatch(contexts, offer, eligible, table[rows, offer], yes, reward, reward, rows), CATALOGUE)


def truth(policy, contexts):
    """The exact value over the contexts of a log."""
    table = policy.probabilities(contexts, CATALOGUE.eligible(contexts), None)
    return float((table * expected(contexts)).sum(axis=1).mean())


def without_propensities(log):
    """The same log with unknown propensities."""
    short = MemoryLog(replace(log.whole, propensity=np.full(log.n, np.nan)), CATALOGUE)
    short.propensities_known = False
    return short


GOOD = Tilted("good", [0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0, 0, 0, 0])
WARM = Tilted("warm", [1, 1, 1, 1, 1, 1, 1, 2, 3], [3, 2, 1, 1, 1, 1, 1, 1, 1])

"""A small market of known truth whose rewards have a kink that the ridge regression misses."""

from dataclasses import dataclass

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.evaluate import evaluate
from tests.evaluate.memory_log import MemoryLog

CATALOGUE = Catalogue.from_dict(
    {
        "name": "tiny",
        "objective": {"kind": "reward"},
        "context": {
            "kind": {"type": "categorical", "values": ["a", "b"]},
            "age": {"type": "numeric"},
        },
        "dimensions": [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}]},
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]},
        ],
        "rules": [{"when": 'kind == "b"', "forbid": {"channel": ["sms"]}, "reason": "no number"}],
    }
)
N = CATALOGUE.n_offers
# Preferences of the policy that wrote the log and of the two judged, before the mask.
LOGGING, GREEDY, NEAR = np.array([4.0, 2.0, 1.0, 1.0]), np.array([0, 1.0, 2.0, 5.0]), np.array([0, 1.0, 2.2, 5.0])


@dataclass
class FixedPreferences:
    """A policy that has the same preferences for everyone."""

    preferences: np.ndarray
    name: str = "fixed"
    learns: bool = False

    def probabilities(self, contexts, eligible, rng):
        del contexts, rng
        masked = eligible * self.preferences
        return masked / masked.sum(axis=1, keepdims=True)

    def update(self, outcomes):
        raise AssertionError(f"a frozen policy was given {len(outcomes)} outcomes")


def expected(contexts):
    """The true mean reward, (n, N): linear in the age but for a kink that the ridge regression misses."""
    age = contexts.columns["age"][:, None]
    b = (contexts.columns["kind"] == 1)[:, None]
    discount, sms = CATALOGUE.options[:, 0][None, :], CATALOGUE.options[:, 1][None, :]
    return 1.0 + 0.5 * b + discount * (0.8 - 0.1 * age) + 0.5 * sms + 0.7 * discount * sms + np.abs(age - 2.0)


def market(rng, n, customers=None):
    """A log of n decisions by `LOGGING`; with customers, each has a mood that all its rewards share."""
    kind = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]
    keys = None if customers is None else np.array([f"c{i}" for i in rng.integers(0, customers, n)], dtype=object)
    contexts = CATALOGUE.contexts({"kind": kind, "age": rng.uniform(0, 4, n)}, keys)
    eligible = CATALOGUE.eligible(contexts)
    table = FixedPreferences(LOGGING).probabilities(contexts, eligible, rng)
    offer = (table.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
    rows = np.arange(n)
    reward = expected(contexts)[rows, offer] + rng.normal(0.0, 0.5, n)
    if keys is not None:
        moods = rng.normal(0.0, 1.0, customers)
        reward += moods[[int(key[1:]) for key in keys]]
    yes = np.ones(n, dtype=bool)
    return MemoryLog(LoggedBatch(contexts, offer, eligible, table[rows, offer], yes, reward, reward, rows))


def truth_of(policy):
    """The exact value: both kinds, the age integrated over a fine grid."""
    ages = (np.arange(4_000) + 0.5) / 1_000
    contexts = CATALOGUE.contexts(
        {"kind": np.repeat(np.array(["a", "b"], dtype=object), 4_000), "age": np.tile(ages, 2)}
    )
    table = policy.probabilities(contexts, CATALOGUE.eligible(contexts), None)
    return float((table * expected(contexts)).sum(axis=1).mean())


def judge(log, policies, baseline=None, seed=0, **named):
    return evaluate(log, policies, baseline, catalogue=CATALOGUE, rng=np.random.default_rng(seed), **named)

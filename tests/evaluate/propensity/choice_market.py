"""Logs of known logging policies, without propensities, for tests of their estimates."""

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import LoggedBatch
from bandit.encoding.encoder import Encoder
from bandit.encoding.scales import fit_scales
from bandit.evaluate import RidgeReward
from bandit.evaluate.propensity.estimated import EstimatedPropensities
from bandit.evaluate.rewards.cross_fitting import cross_fitted_reward
from bandit.ope import Feedback, estimate
from bandit.ope.clusters import ClusterIndex
from tests.evaluate.memory_log import MemoryLog

CATALOGUE = Catalogue.from_dict(
    {
        "name": "tiny",
        "objective": {"kind": "reward"},
        "context": {
            "kind": {"type": "categorical", "values": ["a", "b"]},
            "age": {"type": "numeric"},
            "loyal": {"type": "boolean"},
        },
        "dimensions": [
            {"name": "discount", "options": [{"name": "0"}, {"name": "10"}, {"name": "20"}]},
            {"name": "channel", "options": [{"name": "mail"}, {"name": "sms"}]},
        ],
    }
)
N = 6


def facts(rng, n, customers=None):
    kind = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, n)]
    columns = {"kind": kind, "age": rng.normal(40.0, 10.0, n), "loyal": rng.random(n) < 0.4}
    who = None if customers is None else [f"c{number}" for number in rng.integers(0, customers, n)]
    return CATALOGUE.contexts(columns, who)


def numbers(contexts):
    """The facts as three columns of about the same size."""
    kind, age, loyal = (contexts.columns[name] for name in ("kind", "age", "loyal"))
    return np.stack([kind - 0.5, (age - 40.0) / 10.0, loyal - 0.4], axis=1)


def soft(contexts, strength=0.7, seed=5):
    """A policy that prefers offers by the facts, here and there by much."""
    scores = numbers(contexts) @ np.random.default_rng(seed).normal(0.0, strength, (3, N))
    table = np.exp(scores)
    return table / table.sum(axis=1, keepdims=True)


def rules(contexts, exploration):
    """Segment rules with two thresholds that share of the decisions left to chance."""
    age, loyal = contexts.columns["age"], contexts.columns["loyal"]
    named = np.where(age < 33.3, 1, np.where(loyal == 1, 4, 2))
    table = np.full((contexts.n, N), exploration / N)
    table[np.arange(contexts.n), named] += 1.0 - exploration
    return table


def worth(contexts):
    """The expected reward of each offer."""
    return 1.0 + numbers(contexts) @ np.random.default_rng(6).normal(0.0, 0.5, (3, N)) + 0.2 * np.arange(N)


def log_by(contexts, table, rng, reward=None):
    n = contexts.n
    offer = np.minimum((table.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), N - 1)
    expected = worth(contexts) if reward is None else reward
    earned = expected[np.arange(n), offer] + rng.normal(0.0, 0.5, n)
    unknown, zero, yes = np.full(n, np.nan), np.zeros(n), np.ones((n, N), dtype=bool)
    return MemoryLog(LoggedBatch(contexts, offer, yes, unknown, zero > 1, zero, earned, np.arange(n)))


def estimated(log, **named):
    """The estimates of a log and its (n, N) table."""
    found = EstimatedPropensities.fit(log, CATALOGUE, **named)
    batch = log.whole
    return found, found.probabilities(batch.contexts, batch.eligible, shares_of(batch))


def shares_of(batch):
    return ClusterIndex("fold").read(batch.contexts.customers, len(batch))[1]


def judge(log, table, target, names):
    """The value of a target policy by the estimators named, as an evaluation makes it."""
    batch, n = log.whole, log.n
    at = np.arange(n), batch.offer
    scales = fit_scales(CATALOGUE, batch.contexts)
    model = cross_fitted_reward(RidgeReward, Encoder(CATALOGUE, scales), 2)
    model.learn(batch, shares_of(batch))
    expected = model.predict(batch.contexts, shares_of(batch), N)
    feedback = Feedback(batch.reward, table[at], target[at], expected[at], (target * expected).sum(axis=1))
    return estimate(feedback, names, 0.999)

"""What the interop tests share: a database with names that no format likes, and decisions in every state."""

import copy
import warnings

import numpy as np

from bandit import Catalogue, Engine, Uniform

DAY = 86_400_000_000
START = 1_772_366_400_000_000  # 2026-03-01 12:00 UTC

ODD = {
    "name": "odd",
    "objective": {"kind": "profit", "event": "purchase", "margin": 0.4, "window": "7d"},
    "context": {
        "mood": {"type": "categorical", "values": ["a|b", "a:b", 'so "so"', "é, ü"]},
        "recency": {"type": "numeric"},
        "loyal": {"type": "boolean"},
        "group": {"type": "categorical", "values": ["x"]},
    },
    "dimensions": [
        {"name": "deal | size", "options": [{"name": "10 %", "rate": 0.1}, {"name": "10_%"}, {"name": "🎁: a|b"}]},
        {"name": "time", "options": [{"name": "now"}, {"name": "line\r\nend", "contact_cost": 0.05}]},
    ],
    "rules": [{"when": "not loyal", "forbid": {"deal | size": ["🎁: a|b"]}, "reason": "for the loyal"}],
}


def odd(**objective):
    """The catalogue ODD, with another objective on request."""
    plain = copy.deepcopy(ODD)
    plain["objective"] |= objective
    return Catalogue.from_dict(plain)


def odd_contexts(n, rng):
    """Columns of n contexts, some facts missing, some values undeclared."""
    moods = np.array(["a|b", "a:b", 'so "so"', "é, ü", "new\nline", None], dtype=object)
    return {
        "mood": moods[rng.integers(0, 6, n)],
        "recency": np.where(rng.random(n) < 0.2, np.nan, rng.normal(0.0, 1e-3, n)),
        "loyal": np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 2, n).astype(float)),
        "group": np.where(rng.random(n) < 0.5, "x", None).astype(object),
    }


def fill(path, catalogue, *, n=120, seed=1, keep=False, now=START + 30 * DAY, key=None):
    """Make a database: n old decisions of two groups, some bought, some returned, and ten that are still open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # customers in the clear
        _fill(path, catalogue, n, seed, keep=keep, now=now, key=key)
    return path


def _fill(path, catalogue, n, seed, *, keep, now, key):
    rng = np.random.default_rng(seed)
    for group in ("policy", "random"):
        options = {"seed": seed, "group": group, "keep_probabilities": keep, "customer_key": key}
        with Engine.open(path, catalogue, Uniform(catalogue), durability="process", **options) as engine:
            time = START + np.arange(n // 2) * 3_600_000_001
            names = [f"{group} {row % 9}" for row in range(n // 2)]
            ids = [f"{group}|{row}" for row in range(n // 2)]
            batch = engine.decide_batch(names, odd_contexts(n // 2, rng), time=time, decision_ids=ids)
            for row in range(0, n // 2, 3):
                at = int(batch.time[row]) + DAY
                engine.record(batch.decision_ids[row], "purchase", revenue=10.1 + row, reward=row - 20.0, time=at)
                if row % 2:
                    engine.record(batch.decision_ids[row], "return", revenue=-5.0 - 2 * row, time=at + DAY)
    with Engine.open(path, catalogue, Uniform(catalogue), durability="process", **options) as engine:
        fresh = engine.decide_batch([f"new {row}" for row in range(10)], odd_contexts(10, rng), time=now)
        engine.record(fresh.decision_ids[0], "purchase", revenue=3.0, reward=3.0, time=now)
        engine.record(fresh.decision_ids[1], "closed", time=now)

"""A policy fitted on a log: the summary, the state that goes live, and its agreement with online learning."""

import numpy as np
import pytest

import bandit
from bandit.analysis.warm_start import warm_start
from bandit.domain import LoggedBatch
from bandit.errors import InputError
from bandit.policies import ThompsonSampling
from tests.analysis.memory import MemoryLog
from tests.conftest import SPRING, draw_contexts, draw_outcomes

N = 4_000


def log_of(outcomes):
    """The outcomes as a log, one decision a microsecond."""
    names = ("contexts", "offer", "eligible", "propensity", "converted", "revenue", "reward")
    return MemoryLog(LoggedBatch(*(getattr(outcomes, name) for name in names), np.arange(len(outcomes))))


@pytest.fixture(scope="module")
def outcomes():
    return draw_outcomes(bandit.Catalogue.from_dict(SPRING), N, np.random.default_rng(20_261_122))


@pytest.fixture
def fitted(catalogue, outcomes):
    policy = ThompsonSampling(catalogue)
    return policy, warm_start(log_of(outcomes), policy)


def correlation(one, other):
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_the_summary_counts_what_was_learned_and_who_wins(fitted, outcomes, catalogue):
    policy, start = fitted
    assert (start.n, start.conversions) == (N, int(outcomes.converted.sum()))
    assert sum(each.n for each in start.best_offers) == N
    predicted = np.where(outcomes.eligible, policy.predict(outcomes.contexts), -np.inf)
    best = predicted.argmax(axis=1)
    first = start.best_offers[0]
    assert first.n == int((best == first.offer).sum()) == np.bincount(best).max()
    assert first.predicted == pytest.approx(predicted.max(axis=1)[best == first.offer].mean())


def test_an_empty_log_is_rejected(catalogue, outcomes):
    with pytest.raises(InputError, match="no decisions"):
        warm_start(log_of(outcomes.take(slice(0, 0))), ThompsonSampling(catalogue))


def test_the_fit_is_what_learning_online_comes_near_to_and_far_from_knowing_nothing(fitted, outcomes, catalogue):
    """Of n = 4,000 outcomes with some d = 15 weights each prediction's error is about sqrt(d / n) of the spread of the
    outcomes: 6 %. Two ways to the same belief must lie closer to each other than that, and an unlearned one far off:
    the true values of the offers spread by some 10 % in P(convert), times 0.1 to 0.35 of a revenue of 62.
    """
    policy, _ = fitted
    online, unlearned = ThompsonSampling(catalogue), ThompsonSampling(catalogue)
    for start in range(0, N, 500):
        online.update(outcomes.take(slice(start, start + 500)))
    contexts = draw_contexts(catalogue, 500, np.random.default_rng(5))
    oracle, near, far = (each.predict(contexts) for each in (policy, online, unlearned))
    tolerance = np.sqrt(15 / N) * outcomes.reward.std()
    assert np.sqrt(np.mean((near - oracle) ** 2)) < tolerance
    assert correlation(near, oracle) > 0.95
    assert np.sqrt(np.mean((far - oracle) ** 2)) > 2 * tolerance  # the control
    assert correlation(far, oracle) < 0.9


def test_an_engine_begins_with_the_fitted_state_and_the_log_tells_the_same_story(fitted, catalogue, tmp_path):
    policy, _ = fitted
    contexts = draw_contexts(catalogue, 50, np.random.default_rng(6))
    believed = policy.predict(contexts)
    with bandit.Engine.open(tmp_path / "offers.db", catalogue, policy, customer_key=b"a key for our tests"):
        pass
    with bandit.Engine.resume(tmp_path / "offers.db", seed=3, customer_key=b"a key for our tests") as engine:
        assert engine.step == 0
        np.testing.assert_array_equal(engine.policy.predict(contexts), believed)
        facts = [{"gender": "f", "recency": float(number), "loyal": True} for number in range(40)]
        batch = engine.decide_batch([f"c{number}" for number in range(40)], facts)
        engine.record_batch(batch.decision_ids[:20], "purchase", revenue=np.full(20, 50.0))
        engine.record_batch(batch.decision_ids, "closed")
        learned = engine.learn()
        assert (learned.n, learned.n_restated) == (40, 0)
        assert (engine.policy.predict(contexts) != believed).any()
        assert engine.rebuild().same
        assert engine.verify().problems == ()

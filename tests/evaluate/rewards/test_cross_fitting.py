"""Reward models that do not see the customers they predict."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluate.kinked_market import GREEDY, LOGGING, FixedPreferences, N, judge, market
from tests.evaluate.memory_log import MemoryLog


def test_no_row_is_predicted_by_a_model_that_saw_its_customer():
    log = market(np.random.default_rng(6), 800, customers=50)
    made = []

    class Spy:
        def __init__(self, encoder):
            del encoder
            self.seen = set()
            made.append(self)

        def learn(self, batch):
            self.seen |= set(batch.contexts.customers)

        def predict(self, contexts):
            assert not self.seen & set(contexts.customers)
            return np.zeros((contexts.n, N))

    judge(log, [FixedPreferences(GREEDY)], reward_model=Spy, folds=3)
    assert len(made) == 3
    assert set.union(*(each.seen for each in made)) == set(log.whole.contexts.customers)


def test_cross_fitting_keeps_dr_unbiased_where_a_model_that_memorises_its_rows_does_not():
    """The reward is noise of mean zero; a model may remember the noise of each logged offer by customer and context."""
    rng = np.random.default_rng(7)

    class Memoriser:
        """Predicts for an offer the reward that the customer got for it, else 0."""

        def __init__(self, encoder):
            del encoder
            self.known = {}

        def learn(self, batch):
            for row, key in enumerate(batch.contexts.customers):
                self.known[key, int(batch.offer[row])] = batch.reward[row]

        def predict(self, contexts):
            return np.array([[self.known.get((key, a), 0.0) for a in range(N)] for key in contexts.customers])

    log = market(rng, 500, customers=10**6)
    batch = log.whole
    noise = rng.normal(size=500)
    log = MemoryLog(replace(batch, revenue=noise, reward=noise))
    honest = judge(log, [FixedPreferences(LOGGING, "same")], reward_model=Memoriser).row("same").estimate("dr")
    # The negative control fits and predicts the same rows: residuals vanish and so does the width.
    cheat = Memoriser(None)
    cheat.learn(log.whole)
    q = cheat.predict(batch.contexts)
    assert np.abs(noise - q[np.arange(500), batch.offer]).max() == 0.0
    assert honest.value == pytest.approx(noise.mean())
    assert honest.standard_error == pytest.approx(noise.std(ddof=1) / np.sqrt(500), rel=1e-9)

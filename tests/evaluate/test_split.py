"""Splits of a log by customer."""

import numpy as np
import pytest

from bandit.evaluate import split_log
from tests.evaluate.kinked_market import GREEDY, NEAR, FixedPreferences, judge, market


def test_split_learns_on_one_part_of_the_customers_and_judges_on_the_other():
    log = market(np.random.default_rng(8), 1_000, customers=100)
    learned, judged = [], []

    class Learner(FixedPreferences):
        def update(self, outcomes):
            learned.extend(outcomes.contexts.customers)

        def probabilities(self, contexts, eligible, rng):
            judged.extend(contexts.customers)
            return super().probabilities(contexts, eligible, rng)

    answer = judge(log, [Learner(GREEDY, "learner", learns=True), FixedPreferences(NEAR, "near")], "near", split=0.4)
    assert set(learned).isdisjoint(judged)
    assert set(learned) | set(judged) == set(log.whole.contexts.customers)
    assert answer.n + answer.learned_on == 1_000
    assert answer.learned_on == len(learned) == pytest.approx(400, abs=3 * np.sqrt(0.24 * 100) * 10)


def test_parts_of_a_split_are_the_whole_in_order():
    log = market(np.random.default_rng(9), 500)
    learn, rest = split_log(log, 0.3, "learn"), split_log(log, 0.3, "judge")
    times = [np.concatenate([batch.time for batch in part.batches(97)]) for part in (learn, rest)]
    assert (np.sort(np.concatenate(times)) == np.arange(500)).all()
    assert all((np.diff(each) > 0).all() for each in times)
    assert (learn.n, rest.n) == (len(times[0]), len(times[1]))
    assert learn.n == pytest.approx(150, abs=3 * np.sqrt(500 * 0.21))
    assert (np.concatenate([batch.time for batch in learn.batches()]) == times[0]).all()

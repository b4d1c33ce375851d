"""Policies that learn from the log they are judged on, by copies that have not seen the customer."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from bandit import ThompsonSampling
from bandit.errors import InputError
from bandit.evaluate import evaluate
from tests.evaluate.additive_market import CATALOGUE, N, Tilted, draw
from tests.evaluate.memory_log import MemoryLog


class Memoriser:
    """Gives each customer again what earned most of it, and all others the first offer."""

    learns, name = True, "memoriser"

    def __init__(self):
        self.best, self.seen = {}, set()

    def probabilities(self, contexts, eligible, rng):
        del eligible, rng
        table = np.zeros((contexts.n, N))
        offers = [self.best.get(key, (0.0, 0))[1] for key in contexts.customers]
        table[np.arange(contexts.n), offers] = 1.0
        return table

    def update(self, outcomes):
        self.seen |= set(outcomes.contexts.customers)
        rows = zip(outcomes.contexts.customers, outcomes.reward, outcomes.offer, strict=True)
        for key, reward, offer in rows:
            self.best[key] = max(self.best.get(key, (-np.inf, 0)), (reward, offer))

    def spec(self):
        return {"kind": "memoriser"}


def test_policy_that_memorises_its_log_gains_nothing_by_it():
    """Uniform choice of 9 among equal offers: nothing is worth more than anything else. The control: judged on what it
    learned, the memoriser seems to be worth far more."""
    rng = np.random.default_rng(1)
    log = draw(rng, 3_000, customers=300)
    noise = rng.normal(1.0, 1.0, log.n)
    log = MemoryLog(replace(log.whole, reward=noise), CATALOGUE)
    honest = evaluate(log, [Memoriser()], estimators=("dr", "snips"), crossfit=5).rows[0].estimate("dr")
    assert honest.low < 1.0 < honest.high
    taught = Memoriser()
    taught.update(log.whole.outcomes())
    naive = evaluate(log, [taught], estimators=("dr", "snips")).rows[0].estimate("snips")
    assert naive.low > 1.3


def test_no_copy_has_seen_the_customers_it_is_judged_on(monkeypatch):
    copies = []
    original = copy.deepcopy
    monkeypatch.setattr(copy, "deepcopy", lambda policy: copies.append(original(policy)) or copies[-1])
    log = draw(np.random.default_rng(2), 1_000, customers=200)
    queried = []
    plain = Memoriser.probabilities
    monkeypatch.setattr(
        Memoriser,
        "probabilities",
        lambda self, contexts, *rest: queried.append((self, set(contexts.customers))) or plain(self, contexts, *rest),
    )
    answer = evaluate(log, [Memoriser()], estimators=("snips",), crossfit=4)
    assert (len(copies), answer.crossfit, answer.n) == (4, 4, 1_000)
    assert len({id(policy) for policy, _ in queried}) == 4
    assert all(not policy.seen & customers for policy, customers in queried)
    assert set.union(*(customers for _, customers in queried)) == set(log.whole.contexts.customers)


def test_thompson_sampling_is_judged_on_every_decision_of_a_log_without_customers():
    log = draw(np.random.default_rng(3), 2_000)
    answer = evaluate(log, [ThompsonSampling(CATALOGUE)], "logged", estimators=("dr", "snips"), crossfit=3)
    assert answer.n == 2_000
    assert answer.rows[0].verdict == "better"


def test_frozen_policies_are_not_copied_by_crossfit():
    log = draw(np.random.default_rng(4), 500)
    policy = Tilted("one", np.ones(N), np.ones(N))
    queried = {name: evaluate(log, [policy], estimators=("dr",), crossfit=name).rows[0] for name in (None, 5)}
    assert queried[None].estimates == queried[5].estimates


@pytest.mark.parametrize("wrong", [{"crossfit": 1}, {"crossfit": 3, "split": 0.5}])
def test_folds_below_two_and_two_ways_at_once_are_refused(wrong):
    with pytest.raises(InputError):
        evaluate(draw(np.random.default_rng(5), 200), [ThompsonSampling(CATALOGUE)], estimators=("dr",), **wrong)
